"""Keys by purpose, derived from the application's one secret, with room for its predecessors.

Each purpose has a key of its own (HKDF-SHA256, RFC 5869), so that a token made for one can never
pass for another. The first key makes, all of them check: a new secret ends nothing.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bylaw.errors import MisuseError
from bylaw.ports import Entropy

MAC_BYTES: Final = 16
"""128 bits: beyond guessing (ASVS 11.5.1), short enough for a form field."""
_NONCE_BYTES: Final = 12
"""NIST SP 800-38D section 8.2.2: random, for far fewer than 2^32 messages under one key."""
_VERSION: Final = "1."
"""Before what is encrypted, so that another way of doing it can be told from this one."""


class Unreadable(ValueError):
    """What was encrypted is not readable by any key of the ring, or belongs somewhere else."""


_BEGUN: Final = sha256()


def base64url(data: bytes) -> str:
    """Bytes as they stand in cookies, addresses and tokens: no padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def digest(secret: str) -> str:
    """What is stored of a bearer secret of 128 random bits or more: nothing that can be replayed."""
    hashed = _BEGUN.copy()  # a third of the time that OpenSSL takes to begin anew
    hashed.update(secret.encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


class KeyRing:
    """The application's secret, current first, and what is derived from it."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets or not all(secrets):
            raise MisuseError("a key ring without a secret would sign for everybody")
        self._secrets = tuple(secrets)
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._keyed: dict[str, tuple[blake2b, ...]] = {}

    def __repr__(self) -> str:
        return f"KeyRing({len(self._secrets)} secrets)"

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """32-byte keys for `purpose`, of the current secret first."""
        keys = self._keys.get(purpose)
        if keys is None:
            info = b"bylaw/1/" + purpose.encode()
            keys = self._keys[purpose] = tuple(
                HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
                for secret in self._secrets
            )
        return keys

    def seal(self, purpose: str, message: str) -> str:
        """A message authentication code of `message`, in URL-safe base64."""
        return _mac(self._begun(purpose)[0], message)

    def seals(self, purpose: str, message: str) -> list[str]:
        """The same by every key of the ring, the current one's first: where a row may be found that an
        earlier secret named."""
        return [_mac(keyed, message) for keyed in self._begun(purpose)]

    def sealed(self, purpose: str, message: str, seal: str) -> bool:
        """Whether `seal` was made for `message` and `purpose`, by any key of the ring."""
        given = seal.encode("utf-8", "surrogatepass")
        # Every key is tried, so that the time taken says nothing about which one fits.
        fits = [hmac.compare_digest(_mac(keyed, message).encode(), given) for keyed in self._begun(purpose)]
        return any(fits)

    def encrypt(self, purpose: str, plain: bytes, *, bound: str, entropy: Entropy) -> str:
        """`plain` as only this ring can read it: AES-256-GCM (NIST SP 800-38D) by the current key.

        `bound` names where it belongs, a row and whose it is: moved elsewhere it cannot be read.
        """
        nonce = entropy(_NONCE_BYTES)
        made = AESGCM(self.derive(purpose)[0]).encrypt(nonce, plain, bound.encode())
        return _VERSION + base64url(nonce + made)

    def decrypt(self, purpose: str, sealed: str, *, bound: str) -> tuple[bytes, bool]:
        """What was encrypted, and whether by the current key: if not, it is to be encrypted anew, since the
        earlier one will leave the ring. Raises Unreadable."""
        text = sealed.removeprefix(_VERSION)
        try:
            if text == sealed:
                raise ValueError("of no version that is known")
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise Unreadable("not what this ring writes") from None
        for number, key in enumerate(self.derive(purpose)):
            try:
                plain = AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound.encode())
            except (InvalidTag, ValueError):  # ValueError: no nonce of a length that there is
                continue
            return plain, number == 0
        raise Unreadable("of no key of the ring, or from another place")

    def _begun(self, purpose: str) -> tuple[blake2b, ...]:
        """A MAC for each key, begun but without a message: a copy costs half of beginning anew."""
        begun = self._keyed.get(purpose)
        if begun is None:
            begun = tuple(blake2b(key=key, digest_size=MAC_BYTES) for key in self.derive(purpose))
            self._keyed[purpose] = begun
        return begun


def _mac(begun: blake2b, message: str) -> str:
    mac = begun.copy()
    mac.update(message.encode("utf-8", "surrogatepass"))
    return base64url(mac.digest())
