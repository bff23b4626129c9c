"""What a relying party and an issuer say to each other, and what may go wrong between them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


class Untrusted(Exception):
    """An answer is not to be believed. The text says what is wrong with it, and quotes nothing of it."""


class Unasked(Untrusted):
    """An answer that this sign-in did not ask for: its state is another's, or missing."""


class Declined(Exception):
    """The person, or the issuer, did not go on: an error in the place of a code."""


class Unreachable(Exception):
    """The issuer could not be asked."""


@dataclass(frozen=True, slots=True)
class Client:
    """How this application is known to an issuer. `redirect_uri` is where the browser comes back to."""

    id: str
    secret: str = field(repr=False)
    redirect_uri: str = ""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one sign-in is bound to: made before the browser leaves, asked for when it is back.

    `state` and `nonce` are digests of what was sent: they are compared, never sent again.
    """

    state: str
    nonce: str
    verifier: str = field(repr=False)
    begun: float

    @classmethod
    def made(cls, secrets: Iterable[str], now: float) -> tuple[Transaction, str, str]:
        """A transaction of three secrets, with the state and nonce to send."""
        state, nonce, verifier = secrets
        return cls(sha256(state), sha256(nonce), verifier, now), state, nonce

    def answered(self, query: str) -> dict[str, str]:
        """The parameters of an answer to it. Raises Unasked where it is none."""
        try:
            answer = parameters(query)
        except Untrusted as error:
            raise Unasked(str(error)) from None
        if not hmac.compare_digest(sha256(answer.get("state", "")), self.state):
            raise Unasked("the state is of another sign-in, or of none")
        return answer


@dataclass(frozen=True, slots=True)
class Claims:
    """What an issuer says of somebody: its own name for him, for ever his, and what may change."""

    subject: str
    email: str = ""
    email_verified: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an issuer says of itself."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    algorithms: frozenset[str]
    says_who_answers: bool
    """Whether its answers name it (RFC 9207)."""
    basic_authentication: bool


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def parameters(query: str) -> dict[str, str]:
    """The parameters of an answer, each of them once (RFC 6749 section 3.1). Raises Untrusted."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError:
        raise Untrusted("the answer cannot be read") from None
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in ("state", "code", "iss", "error")):
        raise Untrusted("the answer says something twice")
    return dict(pairs)


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Untrusted."""
    try:
        found = json.loads(body.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Untrusted("what it answers is not a JSON object")
    return found


def texts(said: dict[str, Any], name: str, otherwise: list[str]) -> list[str]:
    found = said.get(name, otherwise)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
