"""Ceremonies: what begins in a browser and is ended there once, by the answer to a challenge.

Signing in with another provider, registering and using a passkey, choosing a password after a mailed
link. The browser holds a secret in a cookie of its own (`cookies.CEREMONY`), the server what the answer is
held against. Source: RFC 9700 section 2.1.1 (bound to the user agent), WebAuthn Level 3 section 13.4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from bylaw.controls import cookies
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.keys import base64url, digest
from bylaw.store import ceremonies as store

LIFETIME: Final = 600
"""Seconds for which an answer is waited for."""


def begin(
    house: House,
    exchange: Exchange,
    kind: str,
    facts: Mapping[str, Any],
    *,
    user_id: str | None = None,
    cookie: str = cookies.CEREMONY,
    lifetime: int = LIFETIME,
) -> None:
    """Begin one in this browser, in the place of any that was under way there with the same cookie.

    `lifetime`: seconds.
    """
    secret = base64url(house.ports.entropy(32))
    with house.store.transaction() as connection:
        store.add(
            connection,
            {
                "digest": digest(secret),
                "kind": kind,
                "user_id": user_id,
                "facts": dict(facts),
                "expires_at": house.now() + lifetime,
            },
        )
    exchange.set_cookie(cookies.make(house.policy, cookie, secret, lifetime=lifetime))


def under_way(house: House, connection: Connection, exchange: Exchange, kind: str) -> RowMapping | None:
    """What was begun in this browser, without ending it: `user_id` and `facts`. None where nothing was."""
    secret = exchange.cookie(cookies.name(house.policy, cookies.CEREMONY))
    return None if secret is None else store.find(connection, kind, digest(secret), house.now())


def end(
    house: House, connection: Connection, exchange: Exchange, kind: str, *, cookie: str = cookies.CEREMONY
) -> RowMapping | None:
    """The same, and nobody can answer it again, in the transaction of what the answer does."""
    secret = exchange.cookie(cookies.name(house.policy, cookie))
    if secret is None:
        return None
    exchange.set_cookie(cookies.make(house.policy, cookie, "", lifetime=0))
    return store.end(connection, kind, digest(secret), house.now())
