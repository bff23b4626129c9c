"""An OpenID Connect provider that exists only in a laboratory, and says whatever an attack needs.

It speaks through the network port: nothing is sent anywhere. It keeps to the rules unless it is told to
break one: PKCE, one use of a code, the redirect address, the client's secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwk, jws

from bylaw.keys import base64url
from bylaw.ports import Received

Change = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Changes something on its way: the claims, a token's header, an answer. None leaves what was given."""


@dataclass
class Issuer:
    """One provider with a client. `clock` gives seconds since 1970."""

    clock: Callable[[], float]
    url: str = "https://issuer.lab"
    client_id: str = "laboratory"
    client_secret: str = "of nobody's client"  # noqa: S105 - of a provider that exists only here
    metadata: dict[str, Any] = field(default_factory=dict)
    """What its discovery document says besides, or otherwise."""
    asked: list[str] = field(default_factory=list)
    """Every address that was asked, in order."""
    down: bool = False
    keys: list[Any] = field(default_factory=list)
    """Its keys; the last signs."""
    in_id_token: bool = True
    """Whether the id_token has the address, or userinfo alone."""

    def __post_init__(self) -> None:
        self._codes: dict[str, dict[str, Any]] = {}
        self._people: dict[str, dict[str, Any]] = {}
        self._claims: Change | None = None
        self._header: Change | None = None
        self._token: Callable[[str], str] | None = None
        self._answer: Change | None = None
        if not self.keys:
            self.rotate()

    def rotate(self, *, keep: bool = False) -> None:
        """Sign with a new key from now on."""
        self.keys = [*(self.keys if keep else []), jwk.ECKey.generate_key("P-256", auto_kid=True)]

    @contextmanager
    def saying(
        self,
        *,
        claims: Change | None = None,
        header: Change | None = None,
        token: Callable[[str], str] | None = None,
        answer: Change | None = None,
    ) -> Iterator[None]:
        """Have it say something else while the block lasts: in the claims, in the id_token's header, in the
        place of the id_token, or in the whole answer of its token endpoint."""
        before = self._claims, self._header, self._token, self._answer
        self._claims, self._header, self._token, self._answer = claims, header, token, answer
        try:
            yield
        finally:
            self._claims, self._header, self._token, self._answer = before

    # What a browser sees

    def consent(self, location: str, **claims: Any) -> str:
        """Agree to what `location` asks for, as somebody with these claims; the query to come back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = secrets.token_urlsafe(16)
        self._codes[code] = {"asked": asked, "claims": {"sub": "somebody", **claims}}
        return urlencode({"code": code, "state": asked["state"], "iss": self.url})

    # What a server sees

    def __call__(
        self,
        method: str,
        url: str,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = 65_536,
    ) -> Received:
        self.asked.append(url)
        if self.down or not url.startswith(self.url):
            raise OSError("there is nobody there")
        headers = headers or {}
        match method, url.removeprefix(self.url):
            case "GET", "/.well-known/openid-configuration":
                said = self._document()
            case "GET", "/keys":
                said = {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in self.keys]}
            case "POST", "/token":
                said = self._redeem(dict(parse_qsl(body.decode())), headers)
            case "GET", "/userinfo":
                said = self._people.get(headers.get("Authorization", ""), {"error": "invalid_token"})
            case _:
                return Received(404)
        content = json.dumps(said).encode()
        if len(content) > limit:
            raise OSError(f"the answer is longer than {limit} bytes")
        return Received(400 if "error" in said else 200, "application/json", content)

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256", "HS256", "none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def _redeem(self, form: dict[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        kept = self._codes.pop(form.get("code", ""), None)
        if self._wrong_client(form, headers):
            return {"error": "invalid_client"}
        if kept is None or not self._asked_by(kept["asked"], form):
            return {"error": "invalid_grant"}
        claims = {
            "iss": self.url,
            "aud": self.client_id,
            "exp": int(self.clock()) + 300,
            "iat": int(self.clock()),
            "nonce": kept["asked"].get("nonce"),
            **kept["claims"],
        }
        access = secrets.token_urlsafe(16)
        self._people[f"Bearer {access}"] = kept["claims"]
        if not self.in_id_token:
            claims = {k: v for k, v in claims.items() if k not in ("email", "email_verified", "name")}
        token = self._token(self.signed(claims)) if self._token else self.signed(claims)
        kind = "Bearer"
        said = {"access_token": access, "token_type": kind, "expires_in": 300, "id_token": token}
        return (self._answer and self._answer(said)) or said

    def signed(self, claims: dict[str, Any]) -> str:
        """An id_token with these claims, as it is told to say them."""
        claims = (self._claims and self._claims(claims)) or claims
        key = self.keys[-1]
        header = {"alg": "ES256" if key.key_type == "EC" else "RS256", "kid": key.kid, "typ": "JWT"}
        header = (self._header and self._header(header)) or header
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["ES256", "RS256"])

    def _wrong_client(self, form: dict[str, str], headers: Mapping[str, str]) -> bool:
        given = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = base64.b64decode(credentials).decode().partition(":")
            given = unquote_plus(name), unquote_plus(secret)
        return given != (self.client_id, self.client_secret)

    def _asked_by(self, asked: dict[str, str], form: dict[str, str]) -> bool:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64url(digest)
        return (
            asked.get("code_challenge_method") == "S256"
            and asked.get("code_challenge") == challenge
            and asked.get("redirect_uri") == form.get("redirect_uri")
            and asked.get("client_id") == self.client_id
            and form.get("grant_type") == "authorization_code"
        )
