"""What is believed of what an issuer says: addresses, keys, the header and the times of an id_token."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jwk, jws
from joserfc.errors import JoseError

from bylaw.keys import base64url
from bylaw.oidc.messages import Untrusted

ALGORITHMS: Final = {
    "RS256": ("RSA", "sha256"),
    "RS384": ("RSA", "sha384"),
    "RS512": ("RSA", "sha512"),
    "PS256": ("RSA", "sha256"),
    "PS384": ("RSA", "sha384"),
    "PS512": ("RSA", "sha512"),
    "ES256": ("EC", "sha256"),
    "ES384": ("EC", "sha384"),
    "ES512": ("EC", "sha512"),
    "EdDSA": ("OKP", "sha512"),
    "Ed25519": ("OKP", "sha512"),
}
"""Signatures that are taken, with the kind of key and the hash of each. No `none`, and nothing that a
public key could be turned into the secret of (HS256: RFC 8725 section 2.1)."""
LEEWAY: Final = 60
"""Seconds that two clocks may differ."""
LONGEST_TOKEN: Final = 16_384
_RSA_BITS: Final = 2048
_URL: Final = re.compile(r"https?://[!-~]+")
_PUBLIC: Final = ("kty", "kid", "n", "e", "crv", "x", "y")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


def safe(url: str, *, plain: bool) -> bool:
    """Whether an address may be asked: https, or on this machine itself where `plain` allows it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not _URL.fullmatch(url) or "@" in parts.netloc or "#" in url or not host or port == 0:
        return False
    return parts.scheme == "https" or (plain and host in _LOCAL)


def public_key(found: dict[str, Any]) -> Any:
    """A key that an issuer publishes (RFC 7517). Raises Untrusted."""
    try:
        key = jwk.import_key({name: found[name] for name in _PUBLIC if name in found})
    except (JoseError, ValueError, TypeError, KeyError, Warning) as error:
        raise Untrusted(f"the issuer's key cannot be read ({type(error).__name__})") from None
    public = key.raw_value
    if isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS:
        raise Untrusted("the issuer's key is too short")
    return key


def header_of(token: str) -> dict[str, Any]:
    """A token's header. It says which key is meant; never where one is to be had (RFC 8725 section 3.10)."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise Untrusted("the id_token is none") from None
    kind, kid = header.get("typ", "JWT"), header.get("kid")
    # An access or logout token of the same issuer bears the same signature (RFC 8725 section 3.11).
    if not isinstance(kind, str) or kind.lower() not in ("jwt", "application/jwt"):
        raise Untrusted("it is another kind of token")
    if (
        not isinstance(header.get("alg"), str)
        or not (kid is None or isinstance(kid, str))
        or "crit" in header
    ):
        raise Untrusted("the id_token's header is not one that is understood")
    return dict(header)


def moment(claims: dict[str, Any], name: str) -> float:
    """A time in a token. Raises Untrusted: true is no number, and infinity no time."""
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 1e12:
        raise Untrusted(f"the id_token's {name} is no time")
    return float(found)


def at_hash(claims: dict[str, Any], tokens: dict[str, Any], name: str) -> None:
    """An access token that came along belongs to the id_token, where that says so."""
    if "at_hash" not in claims:
        return
    digest = hashlib.new(name, str(tokens.get("access_token", "")).encode("utf-8", "surrogatepass")).digest()
    given = claims["at_hash"]
    half = base64url(digest[: len(digest) // 2])
    if not isinstance(given, str) or not hmac.compare_digest(half.encode(), given.encode("utf-8", "replace")):
        raise Untrusted("the access token is not the one that the id_token speaks of")
