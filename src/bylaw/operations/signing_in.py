"""Signing in and out, and the sessions in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bylaw.controls import audit, email, mfa, passwords, sessions, tokens
from bylaw.controls.lockout import Whence
from bylaw.controls.passwords import judging
from bylaw.controls.sessions import Opened, owing
from bylaw.house import House
from bylaw.identity import UNAUTHENTICATED, Identity
from bylaw.operations import accounts, proving, standing
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import access_tokens as access_rows
from bylaw.store import bearers, factors, feed, users
from bylaw.store import sessions as session_rows
from bylaw.store.sessions import SessionRow
from bylaw.store.tables import access_tokens
from bylaw.store.users import User


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody whose password was right, and what is to be kept of it."""

    user: User
    owes: tuple[str, ...]
    """`password`, where it breaks today's rules."""
    stronger: str | None
    """A hash to keep in the place of the account's own."""
    rules: str
    """The rules that the password was found to keep."""


def sign_in(
    house: House, *, email: str, password: str, address: str = "", agent: str = "", device: str = ""
) -> Opened:
    """Open a session for whoever knows the password. Raises Refused, alike for every cause.

    `device` is the value of the cookie by which the browser is known to have signed in before.
    """
    known = by_password(house, email=email, password=password, whence=Whence(address, device))
    return open_session(
        house,
        known.user,
        method="password",
        owes=known.owes,
        address=address,
        agent=agent,
        stronger=known.stronger,
        rules=known.rules,
    )


def by_password(house: House, *, email: str, password: str, whence: Whence) -> Known:
    """Whoever knows the password, at whichever door. Raises Refused, alike for every cause."""
    proof = proving.prove(house, email=email, password=password, whence=whence, failure="authn_login_fail")
    broken, rules = _judged(house, proof.user, password)
    return Known(proof.user, ("password",) if broken else (), proof.stronger, rules)


def _judged(house: House, user: User, password: str) -> tuple[bool, str]:
    """Whether the password, which is the right one, breaks today's rules; what is to be recorded where it
    keeps rules that it was not judged by: those are tighter now, it came from elsewhere, or its owner has no
    second factor any more."""
    settings = house.policy.of(passwords.Settings)
    with house.store.reading() as connection:
        second = factors.enrolled(connection, user.id)
    if not judging.uncovered(settings, user.password_rules, second=second):
        return False, ""
    words = accounts.words(house, user.email, user.name)
    if judging.faults(settings, password, context=words, second=second):
        return True, ""
    return False, judging.rules(settings, second=second)


def open_session(
    house: House,
    user: User,
    *,
    method: str,
    assurance: int = 1,
    owes: Iterable[str] = (),
    address: str = "",
    agent: str = "",
    stronger: str | None = None,
    rules: str = "",
    token: str | None = None,
) -> Opened:
    """Open a session for an account that has proven itself by `method`. Raises Refused.

    `assurance` is 2 where the proof was of two factors at once (a passkey that knows its owner). What the
    session still owes before anybody is signed in by it (`Opened.owes`, see owing.OWED) is found here;
    `owes` adds what only the caller knows; `stronger` is a hash to keep in the place of the account's own,
    and `rules` those that its password was found to keep. `token` is the id of the access token by which it
    is opened, and with which it ends.
    """
    with house.store.transaction() as connection:
        now = held(connection, user, stronger=stronger, rules=rules)
        until = None if token is None else _used(house, connection, token)
        due = owed(house, connection, now, method=method, assurance=assurance, owes=owes)
        opened = sessions.mint(house, owes=due)
        # Half a sign-in does not wait all day for its other half.
        half = house.now() + sessions.PENDING if "second" in due.split() else None
        row = sessions.row(
            house,
            opened,
            user.id,
            now.epoch,
            method,
            address=address,
            agent=agent,
            assurance=assurance,
            expires_at=_sooner(half, until, house),
        )
        session_rows.add(connection, {**row, "credential": token})
        audit.record(
            house,
            connection,
            action="authn_login_success",
            actor=user.id,
            entity_type="user",
            entity_id=user.id,
            changes={
                "method": method,
                **({"owes": opened.owes} if opened.owes else {}),
                **({"credential": token} if token else {}),
            },
        )
    return opened


def _used(house: House, connection: Connection, token: str) -> float | None:
    """When an access token ends, whose use is written down. Raises Refused where it was revoked meanwhile:
    whoever revokes it holds its owner's account, as we do."""
    row = bearers.by_id(connection, access_tokens, token)
    if row is None or row["revoked_at"] is not None:
        raise Refused(tokens.WRONG)
    bearers.touch(connection, access_tokens, [(token, house.now())])
    ends: float | None = row["expires_at"]
    return ends


def _sooner(until: float | None, token_until: float | None, house: House) -> float | None:
    """When a session ends that ends with a token at the latest."""
    if token_until is None:
        return until
    return min(token_until, until if until is not None else sessions.ends(house, house.now()))


def held(connection: Connection, user: User, *, stronger: str | None = None, rules: str = "") -> User:
    """The account that has proven itself, as it is now, held until this transaction ends. Raises Refused
    where it was shut or changed while the proof was looked at.

    A second factor that is added at this moment is either seen from here on, or ends what is opened now.
    """
    users.hold(connection, user.id)
    now = users.by_id(connection, user.id)
    if now is None or now.disabled_at is not None or now.epoch != user.epoch:
        raise Refused(passwords.WRONG)
    if now.service:
        raise Refused(passwords.WRONG)  # whatever door this is: a service account has keys alone
    if stronger is not None and user.password_hash is not None:
        users.replace_hash(connection, user.id, user.password_hash, stronger)
    if rules:
        users.change(connection, user.id, password_rules=rules)
    return now


def owed(
    house: House,
    connection: Connection,
    user: User,
    *,
    method: str,
    assurance: int,
    owes: Iterable[str] = (),
) -> str:
    """What is still to be done after a proof by `method`, and what the caller knows of, before anybody is
    signed in: in the order in which it is to be done (see sessions.owing)."""
    found = _owed(house, connection, user, method=method, assurance=assurance)
    return owing.in_order({*owes, *found})


def _owed(house: House, connection: Connection, user: User, *, method: str, assurance: int) -> Iterator[str]:
    """What is still to be done after a proof by `method`."""
    if assurance < 2:
        if factors.enrolled(connection, user.id):
            yield "second"
        elif mfa.required(house.policy, user.every_role):
            yield "enrol"
    if user.renew_password and method == "password":
        yield "password"
    if user.confirmed_at is None and email.must_confirm(house.policy):
        yield "confirm"


def go_on(
    house: House, digest: str, *, method: str = "", assurance: int | None = None, done: Iterable[str] = ()
) -> Opened:
    """Have the session go on under a new id after a further proof. Raises Refused where it has ended.

    `method` is what was shown now: it is added to what the session was opened by, and the proof counts as
    made now. `done` is what the session owes no more.
    """
    with house.store.transaction() as connection:
        user_id, opened = replace_session(
            house, connection, digest, method=method, assurance=assurance, done=done
        )
    house.store.memory.forget(user_id, digest)
    return opened


def replace_session(
    house: House,
    connection: Connection,
    digest: str,
    *,
    method: str = "",
    assurance: int | None = None,
    done: Iterable[str] = (),
) -> tuple[str, Opened]:
    """The same in the caller's transaction: whose session it is, and the new one. Once it is committed, the
    caller has this process forget the old one."""
    row = session_rows.find(connection, digest)
    if row is not None:
        users.hold(connection, row.user_id)  # of two at once the second finds that it has ended
    if row is None or not session_rows.replaced(connection, digest, house.now()):
        raise Refused(UNAUTHENTICATED)  # ended meanwhile, or another request has gone on with it
    feed.revoke(connection, house.now(), row.user_id, digest)
    opened = sessions.mint(house, owes=owing.without(row.owes, *done))
    pending = "second" in row.owes.split() and "second" in done
    fresh = sessions.row(
        house,
        opened,
        row.user_id,
        row.epoch,
        _methods(row.method, method),
        address=row.address,
        agent=row.agent,
        assurance=max(row.assurance, assurance or 0),
        acting=row.acting,
        expires_at=sessions.ends(house, row.created_at) if pending else row.expires_at,
    )
    if not method:
        fresh["authenticated_at"] = row.authenticated_at
    session_rows.add(
        connection, access_rows.bound(connection, row.credential, {**fresh, "created_at": row.created_at})
    )
    return row.user_id, opened


def _methods(before: str, method: str) -> str:
    """What a session was opened by and what was shown since, as its row has it: the first and the latest
    where there are more than fit."""
    methods = before.split("+")
    if method and method not in methods:
        methods.append(method)
    while len("+".join(methods)) > session_rows.LONGEST_METHOD:
        del methods[1]
    return "+".join(methods)


def sign_out(house: House, who: Identity, digest: str) -> None:
    """End the session that is being used, for every copy of its cookie."""
    with house.store.transaction() as connection:
        ended = _end(house, connection, who.id, digest)
        audit.record(
            house,
            connection,
            action="session_logout",
            actor=who,
            entity_type="session",
            entity_id=who.session,
        )
    _forget(house, who.id, ended)


def sign_out_replaced(house: House, digest: str) -> None:
    """The same for an id that a session has gone on from: a sign-out may come with the old cookie while the
    answer that brings the new one is on its way."""
    with house.store.transaction() as connection:
        row = session_rows.find(connection, digest)
        if row is None:
            return
        ended = _end(house, connection, row.user_id, digest)
        audit.record(
            house,
            connection,
            action="session_logout",
            actor=row.user_id,
            entity_type="session",
            entity_id=row.id,
        )
    _forget(house, row.user_id, ended)


def _end(house: House, connection: Connection, user_id: str, digest: str) -> set[str]:
    """End a session under every id that it still answers to; the digests that are gone."""
    users.hold(connection, user_id)  # no request that is under way gives it another id meanwhile
    rows = session_rows.of_user(connection, user_id)
    ended = sessions.along_with(rows, digest, house.now())
    for each in ended:
        session_rows.end(connection, each)
        feed.revoke(connection, house.now(), user_id, each)
    return ended


def _forget(house: House, user_id: str, ended: set[str]) -> None:
    for each in ended:
        house.store.memory.forget(user_id, each)


def own_sessions(house: House, who: Identity) -> list[SessionRow]:
    """One's own sessions, the last used first."""
    limit = house.now() - house.policy.of(sessions.Settings).idle
    with house.store.reading() as connection:
        rows = session_rows.of_user(connection, who.id)
    # What memory saw later is written down only now and then.
    held = [(row, house.store.memory.get(row.digest)) for row in rows]
    seen = [replace(row, seen_at=max(row.seen_at, known.seen_at if known else 0.0)) for row, known in held]
    alive = [row for row in seen if row.expires_at > house.now() and row.seen_at > limit]
    return sorted(alive, key=lambda row: row.seen_at, reverse=True)


def end_session(house: House, who: Identity, session_id: str) -> bool:
    """End one of one's own sessions by its id; False when there is none."""
    who.demand_self()
    with house.store.transaction() as connection:
        row = next((r for r in session_rows.of_user(connection, who.id) if r.id == session_id), None)
        if row is None:
            return False
        ended = _end(house, connection, who.id, row.digest)
        audit.record(
            house, connection, action="session_ended", actor=who, entity_type="session", entity_id=session_id
        )
    _forget(house, who.id, ended)
    return True


def end_other_sessions(house: House, who: Identity, digest: str) -> int:
    """End all of one's own sessions but the one that is being used; how many there were."""
    who.demand_self()
    with house.store.transaction() as connection:
        users.hold(connection, who.id)  # (as in `_end`)
        ended = sum(row.digest != digest for row in session_rows.of_user(connection, who.id))
        standing.end(house, connection, who.id, Event.OTHERS_ENDED, but=digest)
        audit.record(
            house,
            connection,
            action="session_ended_others",
            actor=who,
            entity_type="session",
            entity_id=who.session,
            changes={"ended": ended},
        )
    house.store.memory.forget(who.id)
    return ended


def sign_out_everywhere(house: House, who: Identity) -> None:
    """End every session of one's own, this one too, and forget every device."""
    who.demand_self()
    with house.store.transaction() as connection:
        standing.end(house, connection, who.id, Event.SIGNED_OUT_EVERYWHERE)
        audit.record(
            house,
            connection,
            action="session_logout_everywhere",
            actor=who,
            entity_type="user",
            entity_id=who.id,
        )
    house.store.memory.forget(who.id)
