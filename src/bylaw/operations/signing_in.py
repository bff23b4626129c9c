"""Signing in and out, and the sessions in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from bylaw.controls import audit, email, mfa, passwords, sessions
from bylaw.controls.lockout import Whence
from bylaw.controls.sessions import Opened
from bylaw.house import House
from bylaw.identity import UNAUTHENTICATED, Identity
from bylaw.operations import proving
from bylaw.reasons import Refused
from bylaw.store import factors, feed, users
from bylaw.store import sessions as session_rows
from bylaw.store.sessions import SessionRow
from bylaw.store.users import User


def sign_in(
    house: House, *, email: str, password: str, address: str = "", agent: str = "", device: str = ""
) -> Opened:
    """Open a session for whoever knows the password. Raises Refused, alike for every cause.

    `device` is the value of the cookie by which the browser is known to have signed in before.
    """
    proof = proving.prove(
        house, email=email, password=password, whence=Whence(address, device), failure="authn_login_fail"
    )
    return open_session(
        house, proof.user, method="password", address=address, agent=agent, stronger=proof.stronger
    )


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
) -> Opened:
    """Open a session for an account that has proven itself by `method`. Raises Refused.

    `assurance` is 2 where the proof was of two factors at once (a passkey that knows its owner). What the
    session still owes before anybody is signed in by it (`Opened.owes`, see sessions.OWED) is found here;
    `owes` adds what only the caller knows.
    """
    with house.store.transaction() as connection:
        now = users.by_id(connection, user.id)
        if now is None or now.disabled_at is not None or now.epoch != user.epoch:
            raise Refused(passwords.WRONG)  # shut or changed while the password was checked
        if stronger is not None and user.password_hash is not None:
            users.replace_hash(connection, user.id, user.password_hash, stronger)
        owed = {*owes, *_owed(house, connection, now, method=method, assurance=assurance)}
        opened = sessions.mint(house, owes=sessions.owing(owed))
        session_rows.add(
            connection,
            sessions.row(
                house, opened, user.id, now.epoch, method, address=address, agent=agent, assurance=assurance
            ),
        )
        audit.record(
            house,
            connection,
            action="authn_login_success",
            actor=user.id,
            entity_type="user",
            entity_id=user.id,
            changes={"method": method, **({"owes": opened.owes} if opened.owes else {})},
        )
    return opened


def _owed(house: House, connection: Connection, user: User, *, method: str, assurance: int) -> Iterator[str]:
    """What is still to be done after a proof by `method`."""
    if assurance < 2:
        if factors.enrolled(connection, user.id):
            yield "second"
        elif mfa.required(house.policy, user.roles):
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
        row = session_rows.find(connection, digest)
        if row is None or row.expires_at <= house.now() or not session_rows.end(connection, digest):
            raise Refused(UNAUTHENTICATED)  # ended meanwhile, or another request has gone on with it
        feed.revoke(connection, house.now(), row.user_id, digest)
        opened = sessions.mint(house, owes=sessions.without(row.owes, *done))
        methods = row.method.split("+")
        fresh = sessions.row(
            house,
            opened,
            row.user_id,
            row.epoch,
            "+".join([*methods, *([method] if method and method not in methods else [])]),
            address=row.address,
            agent=row.agent,
            assurance=max(row.assurance, assurance or 0),
            acting=row.acting,
            expires_at=row.expires_at,
        )
        if not method:
            fresh["authenticated_at"] = row.authenticated_at
        session_rows.add(connection, {**fresh, "created_at": row.created_at})
    house.store.memory.forget(row.user_id, digest)
    return opened


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


def _end(house: House, connection: Connection, user_id: str, digest: str) -> set[str]:
    """End a session under every id that it still answers to; the digests that are gone."""
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
    held = {row.digest: house.store.memory.get(row.digest) for row in rows}
    return [
        row
        for row in rows
        if row.expires_at > house.now()
        and max(row.seen_at, held[row.digest].seen_at if held[row.digest] else 0) > limit  # type: ignore[union-attr]
    ]


def end_session(house: House, who: Identity, session_id: str) -> bool:
    """End one of one's own sessions by its id; False when there is none."""
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
    with house.store.transaction() as connection:
        ended = session_rows.end_of_user(connection, who.id, but=digest)
        feed.revoke(connection, house.now(), who.id)
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
