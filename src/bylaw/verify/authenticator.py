"""An authenticator in software: makes passkeys and uses them, and lies in every way that it is told to.

For probes and tests. What it answers is what `PublicKeyCredential.toJSON()` gives in a browser (WebAuthn
Level 3 section 5.1): text for the field `credential` of bylaw's endpoints.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from bylaw.keys import base64url

Algorithm = Literal["ES256", "EdDSA", "RS256", "RS256-1024", "ES384"]
_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _ATTESTED = 1, 4, 8, 16, 64


@dataclass(slots=True)
class Credential:
    """A passkey, as its authenticator keeps it."""

    id: bytes
    public_key: dict[int, Any]
    """As a COSE key (RFC 9052 section 7)."""
    sign: Callable[[bytes], bytes] = field(repr=False)
    rp_id: str = ""
    user_handle: bytes = b""
    counter: int = 0


@dataclass(frozen=True, slots=True)
class Manner:
    """How a question is answered: truly, unless something else stands here.

    None stands for what is true.
    """

    origin: str | None = None
    rp_id: str | None = None
    type: str | None = None
    challenge: bytes | None = None
    says: dict[str, Any] = field(default_factory=dict)
    """What else the browser says in clientDataJSON: `{"crossOrigin": True}`."""
    present: bool = True
    verified: bool = True
    eligible: bool | None = None
    backed_up: bool | None = None
    counter: int | None = None
    user_handle: bytes | None = None
    """Of whom a use says it is; empty: it does not say."""
    id: bytes | None = None
    """The credential id that is claimed."""
    public_key: dict[int, Any] | None = None
    """The key that a registration shows in the place of the credential's own."""
    tampered: bool = False
    """Whether a bit of the signature is another one."""
    format: str = "none"
    changed: dict[str, Any] = field(default_factory=dict)
    """Members of the whole answer's `response` in the place of the true ones."""


_TRUE: Final = Manner()


@dataclass(slots=True)
class Authenticator:
    """One device of somebody, in a browser that shows a page of `origin`."""

    origin: str
    algorithm: Algorithm = "ES256"
    step: int = 1
    """By how much the counter grows with each use; 0: it is always 0, as of passkeys that are copied."""
    eligible: bool = False
    backed_up: bool = False
    aaguid: bytes = bytes(16)
    id_bytes: int = 32
    transports: tuple[str, ...] = ("internal",)
    credentials: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any], **lies: Any) -> str:
        """Answer the question for a new passkey; `lies` are of Manner. Raises LookupError where the
        question says that it has one already."""
        manner = replace(_TRUE, **lies)
        excluded = {_octets(each["id"]) for each in options.get("excludeCredentials") or ()}
        if "id" not in lies and any(held.id in excluded for held in self.credentials):
            raise LookupError("InvalidStateError: there is a passkey on it already")
        made = _key(self.algorithm)
        made.id = manner.id if manner.id is not None else os.urandom(self.id_bytes)
        made.rp_id = options["rp"]["id"]
        made.user_handle = _octets(options["user"]["id"])
        self.credentials.append(made)
        client = self._client("webauthn.create", options, manner)
        attested = b"".join(
            (
                self.aaguid,
                len(made.id).to_bytes(2, "big"),
                made.id,
                cbor2.dumps(made.public_key if manner.public_key is None else manner.public_key),
            )
        )
        data = self._data(made, manner, _ATTESTED) + attested
        statement: dict[str, Any] = {}
        if manner.format == "packed":
            signature = made.sign(data + hashlib.sha256(client).digest())
            statement = {"alg": made.public_key[3], "sig": _bent(signature, manner)}
        response = {
            "clientDataJSON": base64url(client),
            "attestationObject": base64url(
                cbor2.dumps({"fmt": manner.format, "attStmt": statement, "authData": data})
            ),
            "transports": list(self.transports),
            **manner.changed,
        }
        return _credential(made.id, response, {"credProps": {"rk": True}})

    def get(self, options: dict[str, Any], *, credential: Credential | None = None, **lies: Any) -> str:
        """Answer the question to a passkey: with `credential`, or the last that the question allows.

        Raises LookupError where there is none.
        """
        manner = replace(_TRUE, **lies)
        used = credential or self._allowed(options)
        used.counter += self.step
        client = self._client("webauthn.get", options, manner)
        data = self._data(used, manner, 0)
        signature = used.sign(data + hashlib.sha256(client).digest())
        handle = used.user_handle if manner.user_handle is None else manner.user_handle
        response = {
            "clientDataJSON": base64url(client),
            "authenticatorData": base64url(data),
            "signature": base64url(_bent(signature, manner)),
            **({"userHandle": base64url(handle)} if handle else {}),
            **manner.changed,
        }
        return _credential(used.id if manner.id is None else manner.id, response, {})

    def _allowed(self, options: dict[str, Any]) -> Credential:
        allowed = {_octets(each["id"]) for each in options.get("allowCredentials") or ()}
        for held in reversed(self.credentials):
            if held.rp_id == options["rpId"] and (not allowed or held.id in allowed):
                return held
        raise LookupError("NotAllowedError: there is no passkey for it")

    def _client(self, kind: str, options: dict[str, Any], manner: Manner) -> bytes:
        """What the browser says (section 5.8.1)."""
        challenge = options["challenge"] if manner.challenge is None else base64url(manner.challenge)
        said = {
            "type": manner.type or kind,
            "challenge": challenge,
            "origin": self.origin if manner.origin is None else manner.origin,
            "crossOrigin": False,
            **manner.says,
        }
        return json.dumps(said, separators=(",", ":")).encode()

    def _data(self, used: Credential, manner: Manner, flags: int) -> bytes:
        """What the authenticator says (section 6.1)."""
        eligible = self.eligible if manner.eligible is None else manner.eligible
        backed_up = self.backed_up if manner.backed_up is None else manner.backed_up
        flags |= _PRESENT * manner.present | _VERIFIED * manner.verified
        flags |= _ELIGIBLE * eligible | _BACKED_UP * backed_up
        counter = used.counter if manner.counter is None else manner.counter
        rp_id = used.rp_id if manner.rp_id is None else manner.rp_id
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big")


def _key(algorithm: Algorithm) -> Credential:
    """A new key pair."""
    match algorithm:
        case "ES256" | "ES384":
            curve = ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1()
            made = ec.generate_private_key(curve)
            point, size = made.public_key().public_numbers(), (curve.key_size + 7) // 8
            x, y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
            kind, name = (-7, 1) if algorithm == "ES256" else (-35, 2)
            public = {1: 2, 3: kind, -1: name, -2: x, -3: y}
            return Credential(b"", public, lambda data: made.sign(data, ec.ECDSA(SHA256())))
        case "EdDSA":
            ed = ed25519.Ed25519PrivateKey.generate()
            return Credential(b"", {1: 1, 3: -8, -1: 6, -2: ed.public_key().public_bytes_raw()}, ed.sign)
        case "RS256" | "RS256-1024":
            size = 2048 if algorithm == "RS256" else 1024
            rs = rsa.generate_private_key(65537, size)  # nosec B505  # too short on purpose: to be refused
            n = rs.public_key().public_numbers().n.to_bytes(size // 8, "big")
            return Credential(
                b"",
                {1: 3, 3: -257, -1: n, -2: b"\x01\x00\x01"},
                lambda data: rs.sign(data, padding.PKCS1v15(), SHA256()),
            )


def _credential(identifier: bytes, response: dict[str, Any], extensions: dict[str, Any]) -> str:
    said = {
        "id": base64url(identifier),
        "rawId": base64url(identifier),
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": extensions,
        "response": response,
    }
    return json.dumps(said)


def _bent(signature: bytes, manner: Manner) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1]) if manner.tampered else signature


def _octets(written: str) -> bytes:
    return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
