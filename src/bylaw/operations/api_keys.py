"""API keys: made, rotated and revoked by whom they speak for; those of service accounts by administrators.

Making and rotating ask for a proof of lately, and nobody does either with a key. No key holds more than its
owner does when it is made; what it may later is found at each request (controls.api_keys). An administrator
who made a key in a person's name would act as that person: he may revoke it, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from bylaw.controls import api_keys, audit, errors, mfa, roles
from bylaw.controls.api_keys import Settings, reasons, text
from bylaw.controls.proxies import addresses
from bylaw.controls.rate_limits.rates import parsed
from bylaw.house import House
from bylaw.identity import UNAUTHENTICATED, Identity, Permissions
from bylaw.operations import accounts, authority, mailing
from bylaw.operations.authority import SYSTEM
from bylaw.quantities import seconds, spoken
from bylaw.reasons import Refused
from bylaw.store import api_keys as rows
from bylaw.store import bearers, feed
from bylaw.store.tables import api_keys as table
from bylaw.store.users import User

NEVER: Final = "never"
"""What somebody says for a key that does not expire."""
LONGEST_NAME: Final = 64
_SHORTEST: Final = 3600
_ID: Final = re.compile(r"[0-9A-Za-z]{11}")


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was just made. `text` is shown this once and kept nowhere. Times in seconds since 1970."""

    id: str
    text: str
    name: str
    scopes: tuple[str, ...]
    expires_at: float | None
    replaces: str | None = None
    old_until: float | None = None
    """Until when the key that was rotated is still good."""

    def __repr__(self) -> str:
        return f"Made({self.id})"


def make(
    house: House,
    who: Identity,
    *,
    name: str,
    scopes: Iterable[str],
    lifetime: int | str = "",
    networks: Iterable[str] = (),
    rate: str = "",
    owner: str = "",
) -> Made:
    """Make a key for oneself, or for the service account whose id is `owner`. Raises Refused.

    `lifetime` is in seconds, or "30d", or "never" where the policy allows that; empty: the policy's.
    `networks` are addresses and networks that it may be used from (none: any), `rate` is a limit of its own.
    """
    _there_are_keys(house)
    wanted = _wanted(house, name, scopes, lifetime, networks, rate)
    with house.store.transaction() as connection:
        user = _owner(house, connection, who, owner)
        _demand_within(house, connection, user, wanted["scopes"])
        made = _add(house, connection, who, user, wanted)
        _record(house, connection, who, "api_key_created", made.id, user, _facts(wanted))
        _tell(house, connection, user, made, "A new API key", "was made")
    return made


def rotate(house: House, who: Identity, key_id: str, *, overlap: int | str = "", owner: str = "") -> Made:
    """Make the successor of a key: the same name, scopes, networks and limit, and as long a life. The old one
    ends by itself after `overlap` (seconds, or "24h"; empty: 24 hours; 0: at once). Raises Refused.

    What its owner may no more the successor does not hold.
    """
    _there_are_keys(house)
    stays = _overlap(overlap)
    now = house.now()
    with house.store.transaction() as connection:
        user = _owner(house, connection, who, owner)
        old = _good(house, connection, user, key_id)
        if rows.successor(connection, old["id"]) is not None:
            raise Refused(reasons.REPLACED)
        held = _held(house, connection, user)
        kept = [scope for scope in old["scopes"] if any(_holds(each, scope) for each in held)]
        if not kept:
            raise Refused(reasons.SCOPE, fields={"scope": "the owner holds none of the key's any more"})
        life = None if old["expires_at"] is None else _life(house, old)
        wanted = {**{n: old[n] for n in ("name", "networks", "rate")}, "scopes": kept, "lifetime": life}
        made = _add(house, connection, who, user, wanted, replaces=old["id"])
        until = min(now + stays, old["expires_at"] if old["expires_at"] is not None else now + stays)
        rows.end_at(connection, old["id"], until)
        feed.revoke(connection, now, user.id, old["digest"])
        facts = {**_facts(wanted), "replaces": old["id"], "old_until": until}
        _record(house, connection, who, "api_key_rotated", made.id, user, facts)
        _tell(house, connection, user, made, "An API key was rotated", "takes the place of an older one")
    house.store.memory.forget(user.id, old["digest"])
    return replace(made, replaces=old["id"], old_until=until)


def revoke(house: House, who: Identity, key_id: str, *, owner: str = "", reason: str = "") -> None:
    """End a key now, in every process within the bound. Raises Refused.

    It asks for no proof of lately: ending what has leaked must not wait, and gives nobody anything.
    """
    with house.store.transaction() as connection:
        user = _owner(house, connection, who, owner, ending=True)
        key = _good(house, connection, user, key_id)
        bearers.revoke(connection, table, key["id"], house.now())
        feed.revoke(connection, house.now(), user.id, key["digest"])
        said = audit.printable(reason.strip(), 500)
        facts = {"name": key["name"], **({"reason": said} if said else {})}
        _record(house, connection, who, "api_key_revoked", key["id"], user, facts)
    house.store.memory.forget(user.id, key["digest"])


def own(house: House, who: Identity) -> list[dict[str, Any]]:
    """One's own keys that are good, the newest first: everything but what could be sent."""
    with house.store.reading() as connection:
        return _listed(house, connection, who.id)


def of_account(house: House, by: Identity, user_id: str) -> list[dict[str, Any]]:
    """The same of somebody's account, for an administrator. Raises Refused."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        return _listed(house, connection, accounts.found(connection, user_id).id)


def everybodys(house: House, by: Identity) -> list[dict[str, Any]]:
    """Every good key, each with its owner's address (`email`)."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        return [
            {**_shown(house, row), "email": row["email"]} for row in rows.everybodys(connection, house.now())
        ]


def owner_of(house: House, key_id: str) -> str:
    """The id of a key's owner, for the command line, where a key is named by its id alone. Raises Refused."""
    with house.store.reading() as connection:
        row = bearers.by_id(connection, table, key_id) if _ID.fullmatch(key_id) else None
    if row is None:
        raise Refused(reasons.UNKNOWN)
    return str(row["user_id"])


def scopes_of(house: House, user_id: str) -> list[str]:
    """The patterns that an account holds, everywhere or within some object: what a key may hold at most."""
    with house.store.reading() as connection:
        held = _held(house, connection, accounts.found(connection, user_id))
    return sorted({pattern for each in held for pattern in each.patterns})


# Who may


def _there_are_keys(house: House) -> None:
    if not api_keys.used(house.policy):
        raise Refused(reasons.NONE)


def _owner(house: House, connection: Connection, who: Identity, owner: str, *, ending: bool = False) -> User:
    """The account whose keys `who` may change: his own, or, where he manages users and may do all that it
    may, a service account's. Whoever manages users may end anybody's. Raises Refused."""
    if who is not SYSTEM:
        who.demand_self()
        if not ending:
            mfa.demand_fresh(house, who)
    if not owner or owner == who.id:
        who.demand_self()
        user = accounts.found(connection, who.id, hold=True)
        if user.epoch != who.epoch:  # signed out, or shut, while the request was under way
            raise Refused(UNAUTHENTICATED)
    else:
        who.demand(roles.MANAGE_USERS)
        accounts.found(connection, owner, hold=True)
        allowed = authority.below if ending else authority.not_outlasting
        user = allowed(house, connection, who, owner)
        if not user.service and not ending and who is not SYSTEM:
            raise Refused(reasons.OF_A_PERSON)
    if user.disabled_at is not None and not ending:
        raise Refused(roles.HAS_NOTHING, detail="The account is disabled: no key would open it.")
    return user


def _held(house: House, connection: Connection, user: User) -> list[Permissions]:
    """What an account holds everywhere, and within each object."""
    owner = authority.as_held(house, user, authority.held(connection, user.id))
    return [owner.permissions, *owner.scoped.values()]


def _holds(held: Permissions, scope: str) -> bool:
    """Whether all that the pattern says is held: of `note:update:own` also where `note:update` is."""
    return held.allow(scope) or (scope.endswith(":own") and held.allow(scope.removesuffix(":own")))


def _demand_within(house: House, connection: Connection, user: User, scopes: list[str]) -> None:
    held = _held(house, connection, user)
    if not all(any(_holds(each, scope) for each in held) for scope in scopes):
        mine = sorted({pattern for each in held for pattern in each.patterns})
        known = f"of what the owner holds: {', '.join(mine[:20])}" if mine else "the owner holds nothing"
        raise Refused(reasons.SCOPE, fields={"scope": known})


# What was asked for


def _wanted(
    house: House,
    name: str,
    scopes: Iterable[str],
    lifetime: int | str,
    networks: Iterable[str],
    rate: str,
) -> dict[str, Any]:
    """What a key is to be. Raises Refused, for everything that is wrong at once."""
    wrong: dict[str, str] = {}

    def read(field: str, reading: Callable[[], Any]) -> Any:
        try:
            return reading()
        except ValueError as error:
            wrong[field] = str(error)
            return None

    wanted = {
        "name": read("name", lambda: _name(name)),
        "scopes": read("scope", lambda: _scopes(scopes)),
        "networks": read("network", lambda: _networks(networks)),
        "rate": read("rate", lambda: str(parsed(rate)) if rate.strip() else ""),
        "lifetime": read("lifetime", lambda: _lifetime(house, lifetime)),
    }
    if wrong:
        raise Refused(errors.INVALID, fields=wrong)
    return wanted


def _name(name: str) -> str:
    said = audit.printable(" ".join(name.split()), LONGEST_NAME + 1)
    if not 0 < len(said) <= LONGEST_NAME:
        raise ValueError(f"what the key is for, in 1 to {LONGEST_NAME} characters")
    return said


def _scopes(scopes: Iterable[str]) -> list[str]:
    found = sorted({scope.strip() for scope in scopes} - {""})
    if not 0 < len(found) <= api_keys.SCOPES:
        raise ValueError(f"1 to {api_keys.SCOPES} permissions, e.g. note:read")
    if not all(roles.is_pattern(scope) for scope in found):
        raise ValueError('permissions: "noun:verb", "noun:*", "*:verb", "noun:verb:own" or "*"')
    return found


def _networks(networks: Iterable[str]) -> list[str]:
    found = [text for entry in networks for text in addresses.named(entry)]
    if len(found) > api_keys.SCOPES:
        raise ValueError(f"at most {api_keys.SCOPES} networks")
    try:
        return sorted({str(addresses.network(each)) for each in found})
    except ValueError:
        raise ValueError("addresses or networks, e.g. 192.0.2.7, 10.0.0.0/8, 2001:db8::/32") from None


def _lifetime(house: House, lifetime: int | str) -> int | None:
    settings = house.policy.of(Settings)
    if isinstance(lifetime, str) and lifetime.strip().lower() == NEVER:
        if not settings.never:
            raise ValueError(f"every key expires here: at most {spoken(settings.lifetime)}")
        return None
    if lifetime == "":
        return int(settings.lifetime)
    try:
        asked = seconds(lifetime)
    except ValueError:
        asked = None
    if type(asked) is not int or not _SHORTEST <= asked <= settings.lifetime:
        raise ValueError(f'from 1 hour to {spoken(settings.lifetime)}, e.g. "30d"')
    return asked


def _overlap(overlap: int | str) -> int:
    if overlap == "":
        return api_keys.OVERLAP
    try:
        asked = seconds(overlap)
    except ValueError:
        asked = None
    if type(asked) is not int or not 0 <= asked <= api_keys.LONGEST_OVERLAP:
        most = spoken(api_keys.LONGEST_OVERLAP)
        raise Refused(errors.INVALID, fields={"overlap": f'from 0 to {most}, e.g. "24h"'})
    return asked


def _life(house: House, old: RowMapping) -> int:
    """As long as the old key was to live when it was made, and no longer than the policy lets one now."""
    return int(min(old["expires_at"] - old["created_at"], house.policy.of(Settings).lifetime))


# What is there


def _good(house: House, connection: Connection, user: User, key_id: str) -> RowMapping:
    row = bearers.by_id(connection, table, key_id) if _ID.fullmatch(key_id) else None
    if row is None or row["user_id"] != user.id or row["revoked_at"] is not None:
        raise Refused(reasons.UNKNOWN)
    if row["expires_at"] is not None and row["expires_at"] <= house.now():
        raise Refused(reasons.UNKNOWN)
    return row


def _add(
    house: House,
    connection: Connection,
    who: Identity,
    user: User,
    wanted: dict[str, Any],
    *,
    replaces: str | None = None,
) -> Made:
    now, life = house.now(), wanted["lifetime"]
    if len(rows.good(connection, user.id, now)) >= api_keys.MOST:
        raise Refused(reasons.FULL)
    minted = text.mint(house.ports.entropy)
    expires_at = None if life is None else now + life
    bearers.add(
        connection,
        table,
        {
            "id": minted.id,
            "digest": text.kept(house.policy.environment, minted.text),
            "user_id": user.id,
            "name": wanted["name"],
            "created_by": who.id or None,
            "created_at": now,
            "expires_at": expires_at,
            "scopes": wanted["scopes"],
            "networks": wanted["networks"],
            "rate": wanted["rate"],
            "replaces": replaces,
        },
    )
    return Made(minted.id, minted.text, wanted["name"], tuple(wanted["scopes"]), expires_at, replaces)


def _listed(house: House, connection: Connection, user_id: str) -> list[dict[str, Any]]:
    return [_shown(house, row) for row in rows.good(connection, user_id, house.now())]


def _shown(house: House, row: RowMapping) -> dict[str, Any]:
    """What is shown of a key: enough to know it by, and nothing that could be sent."""
    names = ("id", "name", "created_at", "expires_at", "used_at", "scopes", "networks", "rate", "replaces")
    held = house.store.memory.get(row["digest"])  # what memory saw later is written only now and then
    used = max(row["used_at"] or 0.0, held.seen_at if held is not None else 0.0)
    return {**{n: row[n] for n in names}, "used_at": used or None, "begins": f"{text.PREFIX}{row['id']}"}


def _facts(wanted: dict[str, Any]) -> dict[str, Any]:
    """What a record says of a key."""
    return {name: wanted[name] for name in ("name", "scopes", "networks", "rate", "lifetime")}


def _record(
    house: House,
    connection: Connection,
    who: Identity,
    action: str,
    key_id: str,
    user: User,
    facts: dict[str, Any],
) -> None:
    audit.record(
        house,
        connection,
        action=action,
        actor=who,
        entity_type="api_key",
        entity_id=key_id,
        changes={"owner": user.id, **facts},
    )


def _tell(house: House, connection: Connection, user: User, made: Made, subject: str, what: str) -> None:
    """Tell the owner of a key, or whoever answers for the service. The mail says how to know it, not it."""
    app = house.policy.app
    whose = (
        f"of the service account {user.email.removeprefix(api_keys.ADDRESS)}" if user.service else "of yours"
    )
    mailing.post(
        house,
        connection,
        to=user.contact or user.email,
        subject=f"{subject} at {app.name}",
        paragraphs=[
            (
                f"The API key “{made.name}” {whose} {what} at {app.base_url} just now. It begins with "
                f"{text.PREFIX}{made.id} and holds: {', '.join(made.scopes[:10])}"
                f"{' and more' if len(made.scopes) > 10 else ''}."
            ),
            (
                f"If you do not know of it, revoke it at once, {mailing.regain(house)}, and tell an "
                "administrator."
            ),
        ],
    )
