"""Access tokens in use: signed in with, shown once more, and warned of before they expire."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping

from bylaw.controls import audit, email, tokens
from bylaw.controls.sessions import Opened
from bylaw.controls.tokens import Settings, form
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import mailing, signing_in
from bylaw.operations.tokens import demand_on, good, soon
from bylaw.reasons import Refused
from bylaw.store import access_tokens as rows
from bylaw.store import bearers, users
from bylaw.store import sessions as session_rows
from bylaw.store.tables import access_tokens
from bylaw.store.users import User


def sign_in(house: House, *, token: str, address: str = "", agent: str = "") -> Opened:
    """Open a session for whoever has the token. Raises Refused, alike for every cause.

    The session ends with the token at the latest. One of the first start opens nothing but the page on
    which it is changed.
    """
    demand_on(house)
    key = tokens.stored(house.policy, token)
    with house.store.reading() as connection:
        row = bearers.find(connection, access_tokens, key)
        user = users.by_id(connection, row["user_id"]) if row is not None else None
    why = _refused(house, token, row, user)
    if why or row is None or user is None:
        _refuse(house, row, why)
        raise Refused(tokens.WRONG)
    return signing_in.open_session(
        house,
        user,
        method="token",
        owes=("token",) if row["origin"] == tokens.FIRST else (),
        address=address,
        agent=agent,
        token=row["id"],
    )


def _refused(house: House, token: str, row: RowMapping | None, user: User | None) -> str:
    """Why a token opens nothing, for the record; empty where it does."""
    if row is None or user is None:
        foreign = form.head(house.policy.of(Settings).prefix, production=not house.policy.production)
        return "of another environment" if token.strip().startswith(foreign) else "unknown"
    if row["revoked_at"] is not None:
        return "revoked"
    if not good(row, house.now()):
        return "expired"
    return "the account is disabled" if user.disabled_at is not None else ""


def _refuse(house: House, row: RowMapping | None, why: str) -> None:
    """Record a token that was refused. One that was revoked and comes again may be in a thief's hands."""
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action="authn_token_reuse" if why == "revoked" else "authn_login_fail",
            outcome="refused",
            actor="",
            entity_type="access_token",
            entity_id=row["id"] if row is not None else "",
            changes={"method": "token", "why": why, **({"owner": row["user_id"]} if row is not None else {})},
        )


def step_up(house: House, who: Identity, *, session: str, token: str) -> Opened:
    """Show once more that it is oneself, with a token of one's own. Raises Refused."""
    demand_on(house)
    who.demand_self()
    with house.store.reading() as connection:
        row = bearers.find(connection, access_tokens, tokens.stored(house.policy, token))
    if row is None or row["user_id"] != who.id or not good(row, house.now()):
        _refuse(house, row if row is not None and row["user_id"] == who.id else None, "at a step up")
        raise Refused(tokens.WRONG)
    return signing_in.go_on(house, session, method="token")


def warn(house: House) -> None:
    """Tell the owners of tokens that are about to expire; once for each token (S2-038). A chore."""
    if not tokens.used(house.policy):
        return
    now = house.now()
    with house.store.reading() as connection:
        due = rows.expiring(connection, now, now + tokens.WARN_BEFORE, 50)
    for row in due:
        if soon(row, now):
            with house.store.transaction() as connection:
                if rows.warned(connection, row["id"], now):
                    _warn(house, connection, row)


def _warn(house: House, connection: Connection, row: RowMapping) -> None:
    user = users.by_id(connection, row["user_id"])
    if user is None or not email.reachable(user.email):
        return
    app, days = house.policy.app, max(1, round((row["expires_at"] - house.now()) / 86400))
    left = f"{days} days" if days > 1 else "a day"
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"Your access token at {app.name} expires soon",
        paragraphs=[
            f"Your access token {row['name']} at {app.base_url} expires in {left}.",
            "Replace it before: sign in, and open the page of your access tokens.",
        ],
    )


def opened_by(house: House, session: str) -> str:
    """The id of the access token that opened the session with this digest; empty where none did."""
    with house.store.reading() as connection:
        row = session_rows.find(connection, session)
    return (row.credential or "") if row is not None else ""


def held(house: House, who: Identity) -> bool:
    """Whether somebody has a token of his own with which he can show that it is he."""
    if not tokens.used(house.policy):
        return False
    with house.store.reading() as connection:
        return rows.count_good(connection, who.id, house.now()) > 0
