"""Access tokens as text: made and read (RFC 7519, RFC 9068).

The algorithm is the verifier's, never the token's (RFC 8725 section 3.1), and every claim that was made is
asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey
from joserfc.util import urlsafe_b64decode

Algorithm = Literal["HS256", "Ed25519", "ES256"]
TYPE: Final = "at+jwt"
"""What kind of token it is: nothing that was signed for another purpose passes for one."""
LONGEST: Final = 2048
SKEW: Final = 60
"""Seconds by which the clock of the host that made a token may be ahead of ours (RFC 7519 section 4.1.5).
There is no such leeway at its end: at `exp` it is over."""
_CLAIMS: Final = frozenset({"iss", "aud", "sub", "exp", "iat", "jti", "sid", "epoch"})
_HEADER: Final = frozenset({"alg", "typ", "kid"})
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an id looks like: it is looked up in a database, whoever may have signed it."""
_KINDS: Final[Mapping[str, tuple[type[OKPKey | ECKey], str]]] = {
    "Ed25519": (OKPKey, "Ed25519"),
    "ES256": (ECKey, "P-256"),
}
"""The kind of key and the curve that an algorithm is of."""


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
        return self._claims(self.verified(text), now)

    def verified(self, text: str) -> Any:
        """The payload of `text`, if one of the keys has signed it. Raises Unreadable."""
        if len(text) > LONGEST:
            raise Unreadable
        try:
            return _json(opened(text, self._key, self.algorithm))
        except (ValueError, RecursionError):
            raise Unreadable from None

    def _key(self, header: Any) -> Key:
        """The key that the header names, of those that there are. Raises Unreadable.

        A header has what was put there and nothing else: no `crit`, and no `jwk`, `jku`, `x5c` or `b64` for
        anything on the way to heed (RFC 8725 section 3.10, CVE-2018-0114).
        """
        if not isinstance(header, dict) or header.keys() != _HEADER:
            raise Unreadable
        named = header["kid"]
        if header["typ"] != TYPE or header["alg"] != self.algorithm or not isinstance(named, str):
            raise Unreadable
        if named not in self.keys:
            raise Unreadable
        return self.keys[named]

    def _claims(self, payload: Any, now: float) -> Claims:
        if not isinstance(payload, dict) or not payload.keys() >= _CLAIMS:
            raise Unreadable
        if payload["iss"] != self.issuer or payload["aud"] != self.audience:
            raise Unreadable
        texts = [payload[name] for name in ("sub", "sid", "jti")]
        numbers = [payload[name] for name in ("iat", "exp", "epoch")]
        if not all(isinstance(t, str) and _ID.fullmatch(t) for t in texts):
            raise Unreadable
        if not all(type(n) is int for n in [*numbers, payload.get("nbf", 0)]):
            raise Unreadable
        begins = max(payload["iat"], payload.get("nbf", 0))
        if not begins <= now + SKEW or not now < payload["exp"]:
            raise Unreadable
        return Claims(
            payload["sub"], payload["sid"], payload["epoch"], payload["iat"], payload["exp"], payload["jti"]
        )

    def published(self) -> list[dict[str, Any]]:
        """The public keys as a JWK set lists them (RFC 7517 section 5); none of a secret that all share."""
        if self.algorithm == "HS256":
            return []
        return [
            {**key.as_dict(private=False), "kid": name, "alg": self.algorithm, "use": "sig"}
            for name, key in self.keys.items()
        ]


def opened(text: str, key_of: Callable[[Any], Key], algorithm: str) -> bytes:
    """What `text` holds, if it is signed by the key that `key_of` names for its header. Raises Unreadable."""
    try:
        token = jws.extract_compact(text.encode("ascii"))
        header = _json(urlsafe_b64decode(token.segments["header"]))
        if not jws.validate_compact(token, key_of(header), algorithms=[algorithm]):
            raise Unreadable
        return token.payload
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreadable from None


def named(keys: Iterable[Key]) -> dict[str, Key]:
    """Keys by their names: the beginning of their thumbprints (RFC 7638), which tell 96 bits of a hash."""
    return {key.thumbprint()[:16]: key for key in keys}


def load(algorithm: Algorithm, text: str) -> Key:
    """A key from the policy: 256 bits as text for HS256, PEM or JWK for the others. Raises ValueError: it is
    none, or one of another kind, curve or use."""
    text = text.strip()
    try:
        if algorithm == "HS256":
            if text.startswith(("{", "-----BEGIN", "ssh-")):
                # What others may know must not sign (CVE-2022-29217).
                raise ValueError("a key of another algorithm")
            return shared(text.encode())
        kind, curve = _KINDS[algorithm]
        if text.startswith("{"):
            key = _of_jwk(algorithm, kind, _json(text.encode()))
        elif text.startswith("-----BEGIN"):
            key = kind.import_key(text)
        else:
            raise ValueError("neither a JWK nor PEM")
        if key.curve_name != curve:
            raise ValueError("of another curve")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no key for {algorithm}") from error
    return key


def makes(key: Key) -> bool:
    """Whether tokens can be made with a key, not only checked."""
    return isinstance(key, OctKey) or bool(key.is_private)


def shared(secret: bytes) -> Key:
    """A key that all know who make or check. Raises ValueError for what cannot hold 256 bits."""
    if len(secret) < 32:
        raise ValueError("too short")
    return OctKey.import_key(secret)


def _of_jwk(algorithm: str, kind: type[OKPKey | ECKey], said: dict[str, Any]) -> OKPKey | ECKey:
    """A key from a JWK, of which the numbers alone are kept; what else it says must allow what it is for."""
    allowed = (None, algorithm, "EdDSA") if algorithm == "Ed25519" else (None, algorithm)
    if said.get("kty") != kind.key_type:
        raise ValueError("of another kind")
    if said.get("alg") not in allowed or said.get("use", "sig") != "sig":
        raise ValueError("for another algorithm or use")
    if "key_ops" in said and not {"sign", "verify"} & set(said["key_ops"]):
        raise ValueError("for another operation")
    kept: Any = {name: said[name] for name in ("kty", "crv", "x", "y", "d") if name in said}
    key = kind.import_key(kept)
    # Made anew of what can be computed from it: a public half of another key is found out.
    made = kind.import_key(key.as_pem(private=key.is_private))
    if made.thumbprint() != key.thumbprint():
        raise ValueError("two halves of two keys")
    return made


def _json(raw: bytes) -> Any:
    """What a JSON text in UTF-8 says, the one way in which every parser reads it (RFC 8725 section 2.6, RFC
    8259 section 8.1). Raises ValueError."""
    return json.loads(raw.decode(), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no name comes twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name comes twice")
    return made
