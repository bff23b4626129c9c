"""Access tokens as text: made and read (RFC 7519, RFC 9068).

The algorithm is the verifier's, never the token's (RFC 8725 section 3.1), and every claim that was made is
asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey

Algorithm = Literal["HS256", "Ed25519", "ES256"]
TYPE: Final = "at+jwt"
"""What kind of token it is: nothing that was signed for another purpose passes for one."""
LONGEST: Final = 2048
_CLAIMS: Final = frozenset({"iss", "aud", "sub", "exp", "iat", "jti", "sid", "epoch"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says. Times in seconds since 1970."""

    subject: str
    family: str
    epoch: int
    issued_at: float
    expires_at: float
    id: str


class Unreadable(ValueError):
    """It is no access token of this application, or none any more."""


@dataclass(frozen=True, slots=True)
class Maker:
    """The keys and names of one application's tokens: the first key makes, all of them check."""

    algorithm: Algorithm
    keys: Mapping[str, Key]
    """By their names (`kid`), the current one first."""
    issuer: str
    audience: str

    def make(self, claims: Claims) -> str:
        name, key = next(iter(self.keys.items()))
        header = {"alg": self.algorithm, "typ": TYPE, "kid": name}
        payload = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": claims.subject,
            "sid": claims.family,
            "epoch": claims.epoch,
            "iat": int(claims.issued_at),
            "exp": int(claims.expires_at),
            "jti": claims.id,
        }
        return jwt.encode(header, payload, key, algorithms=[self.algorithm])

    def read(self, text: str, now: float) -> Claims:
        """What `text` says, if it was made here and is still good. Raises Unreadable."""
        if len(text) > LONGEST:
            raise Unreadable
        try:
            token = jws.extract_compact(text.encode("ascii"))
            header = token.headers()
            key = self._key(header)
            if not jws.validate_compact(token, key, algorithms=[self.algorithm]):
                raise Unreadable
            payload = json.loads(token.payload)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise Unreadable from None
        return self._claims(payload, now)

    def _key(self, header: Any) -> Key:
        """The key that the header names, of those that there are. Raises Unreadable."""
        if header.get("typ") != TYPE or header.get("alg") != self.algorithm or "crit" in header:
            raise Unreadable
        named = header.get("kid")
        if not isinstance(named, str) or named not in self.keys:
            raise Unreadable
        return self.keys[named]

    def _claims(self, payload: Any, now: float) -> Claims:
        if not isinstance(payload, dict) or not payload.keys() >= _CLAIMS:
            raise Unreadable
        if payload["iss"] != self.issuer or payload["aud"] != self.audience:
            raise Unreadable
        texts = [payload[name] for name in ("sub", "sid", "jti")]
        numbers = [payload[name] for name in ("iat", "exp", "epoch")]
        if not all(type(t) is str and t for t in texts) or not all(type(n) is int for n in numbers):
            raise Unreadable
        # Made and checked by one clock: no leeway is needed, and at `exp` it is over (RFC 7519 4.1.4).
        if not payload["iat"] <= now < payload["exp"]:
            raise Unreadable
        return Claims(
            payload["sub"], payload["sid"], payload["epoch"], payload["iat"], payload["exp"], payload["jti"]
        )


def named(keys: Iterable[Key]) -> dict[str, Key]:
    """Keys by their names: the beginning of their thumbprints (RFC 7638)."""
    return {key.thumbprint()[:16]: key for key in keys}


def load(algorithm: Algorithm, text: str) -> Key:
    """A key from the policy: 256 bits as text for HS256, PEM or JWK for the others. Raises ValueError."""
    try:
        if algorithm == "HS256":
            return OctKey.import_key(text.encode())
        kinds: dict[str, type[OKPKey | ECKey]] = {"Ed25519": OKPKey, "ES256": ECKey}
        kind = kinds[algorithm]
        return kind.import_key(json.loads(text) if text.lstrip().startswith("{") else text)
    except (JoseError, ValueError, TypeError) as error:
        raise ValueError(f"no key for {algorithm}") from error
