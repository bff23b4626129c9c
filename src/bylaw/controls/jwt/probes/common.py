"""What the attacks on access tokens are made with.

Tokens are taken, besides where the policy has them, at the address that says who is signed in: so that these
attacks work on any application.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from bylaw.control import Broken
from bylaw.controls import jwt, passwords, secrets
from bylaw.keys import base64url


@contextmanager
def bearing(lab: Any, **changes: Any) -> Iterator[str]:
    """Have access tokens taken at the address that says who is signed in, and given for passwords; that
    address."""
    settings, me = lab.policy.of(jwt.Settings), lab.api("me")
    key = settings.key if jwt.used(lab.policy) else SecretStr(secrets.new())
    given = {"off": False, "paths": (*settings.paths, me), "key": key, **changes}
    with lab.under(passwords.Settings, off=False), lab.under(jwt.Settings, **given):
        yield me


def ask(lab: Any, token: str, *, target: str = "", scheme: str = "Bearer") -> Any:
    """Ask who is signed in, bearing a token."""
    headers = [("Authorization", f"{scheme} {token}")] if token else []
    return lab.visitor().get(target or lab.api("me"), headers=headers)


def demand_good(lab: Any, what: str, token: str, person: Any) -> None:
    reply = ask(lab, token)
    if reply.status != 200 or reply.json().get("id") != person.id:
        raise Broken(f"{what} is not taken: {reply}")


def refused(lab: Any, what: str, token: str) -> None:
    reply = ask(lab, token)
    if reply.status != 401:
        raise Broken(f"{what}: {reply}, not 401")
    if not reply.header("www-authenticate").startswith("Bearer"):
        raise Broken(f"{what}: the refusal does not say what is asked for (WWW-Authenticate)")


def post(lab: Any, endpoint: str, **fields: str) -> Any:
    """Ask as an OAuth 2.0 client does."""
    return lab.visitor().send("POST", lab.api(endpoint), form=fields)


def refresh(lab: Any, secret: str) -> Any:
    return post(lab, "token_refresh", refresh_token=secret)


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64url(raw)


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
