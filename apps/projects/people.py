"""Users, whose every change of role is a version: who held which role on a date can be told.

The accounts are bylaw's: these are its operations, which ask themselves whether whoever calls may, and for a
sign-in of lately where something is changed. They wait for the database, so endpoints call them in threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bylaw.fastapi import Identity
from bylaw.house import House
from bylaw.operations import administering, granting
from bylaw.store.assignments import Assignment
from bylaw.store.users import User


@dataclass(frozen=True, slots=True)
class People:
    """The users, for whoever asks."""

    house: House
    who: Identity

    # Writing

    def invite(self, email: str, name: str, role: str) -> dict[str, Any]:
        """A new account; its owner chooses the password, by the link in a mail. Raises Refused."""
        return _shown(administering.invite(self.house, self.who, email=email, name=name, granted=[role]))

    def set_role(self, user_id: str, role: str, because: str) -> dict[str, Any]:
        """Have somebody hold this role and no other, from now on, in every process. Raises Refused."""
        granting.set_roles(self.house, self.who, user_id, [role], reason=because)
        return self.one(user_id)

    def disable(self, user_id: str, because: str) -> dict[str, Any]:
        """Shut an account: whatever it holds, tokens too, ends now (S3-072). Raises Refused."""
        administering.disable(self.house, self.who, user_id, reason=because)
        return self.one(user_id)

    def enable(self, user_id: str, because: str) -> dict[str, Any]:
        """Open it again; nothing that it held before comes back. Raises Refused."""
        administering.enable(self.house, self.who, user_id, reason=because)
        return self.one(user_id)

    # Reading

    def listed(self, after: str) -> dict[str, Any]:
        """A page of accounts, in the order of their addresses."""
        page = administering.listing(self.house, self.who, after=after)
        return {"items": [_shown(user) for user in page.users], "next": page.after or None}

    def one(self, user_id: str) -> dict[str, Any]:
        return _shown(administering.find(self.house, self.who, user_id))

    def roles_at(self, user_id: str, at: datetime | None) -> dict[str, Any]:
        """What somebody held at a moment."""
        at = _moment(self.house.now()) if at is None else at
        held = [each for each in self._given(user_id) if _held(each, at.timestamp())]
        return {"user_id": user_id, "at": at, "roles": [_role(each) for each in held]}

    def versions(self, user_id: str) -> list[dict[str, Any]]:
        """Every change of somebody's roles, the newest first: the first is what holds now."""
        given = [each for each in self._given(user_id) if not each.scope]
        return list(_versions(given, self.house.now()))[::-1]

    def _given(self, user_id: str) -> list[Assignment]:
        """Everything that somebody ever held."""
        return granting.roles_of(self.house, self.who, user_id, ended=True)


def _versions(given: list[Assignment], now: float) -> Iterator[dict[str, Any]]:
    """What was held after each moment at which something was given, taken or ran out."""
    for number, moment in enumerate(sorted(set(_moments(given, now))), 1):
        yield {
            "number": number,
            "at": _moment(moment),
            "roles": sorted(each.role for each in given if _held(each, moment)),
            "author_id": next((by for at, by in _deciders(given) if at == moment and by), None),
            "because": next(
                (each.because for each in given if each.granted_at == moment and each.because), ""
            ),
        }


def _moments(given: Iterable[Assignment], now: float) -> Iterator[float]:
    for each in given:
        yield each.granted_at
        ends = [at for at in (each.ended_at, each.expires_at) if at is not None and at <= now]
        if ends:
            yield min(ends)


def _deciders(given: Iterable[Assignment]) -> Iterator[tuple[float | None, str | None]]:
    for each in given:
        yield each.granted_at, each.granted_by
        yield each.ended_at, each.ended_by


def _held(each: Assignment, at: float) -> bool:
    ends = [end for end in (each.ended_at, each.expires_at) if end is not None]
    return each.granted_at <= at and all(end > at for end in ends)


def _role(each: Assignment) -> dict[str, Any]:
    ends = [end for end in (each.ended_at, each.expires_at) if end is not None]
    return {
        "role": each.role,
        "scope": each.scope,
        "since": _moment(each.granted_at),
        "until": _moment(min(ends)) if ends else None,
        "granted_by": each.granted_by,
        "because": each.because,
    }


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "roles": sorted(user.roles),
        "disabled": user.disabled_at is not None,
        "invited": administering.is_invited(user),
        "created_at": _moment(user.created_at),
    }


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
