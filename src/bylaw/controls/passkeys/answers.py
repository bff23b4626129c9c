"""What an authenticator answers: read, and held against the question (WebAuthn Level 3 sections 7.1, 7.2)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import webauthn
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    encode_cbor,
    parse_attestation_object,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm
from webauthn.helpers.structs import AttestationFormat, AuthenticatorTransport, CredentialDeviceType

from bylaw.keys import base64url

LONGEST_ID: Final = 1023
"""Bytes of a credential id (WebAuthn Level 3 section 7.1)."""
SHORTEST_ID: Final = 16
"""The same section 4: at least 16 bytes, of which 100 bits cannot be guessed."""
ALGORITHMS: Final = (
    Algorithm.EDDSA,
    Algorithm.ECDSA_SHA_256,
    Algorithm.RSASSA_PKCS1_v1_5_SHA_256,
)
_RSA_BITS: Final = 2048
_UNATTESTED: Final = (AttestationFormat.NONE, AttestationFormat.PACKED)
"""What browsers send where no attestation is asked for: nothing, or the key's own signature."""
_TRANSPORTS: Final = {each.value for each in AuthenticatorTransport}


def octets(written: str) -> bytes:
    """The bytes of it. Raises ValueError for any other spelling of the same."""
    try:
        data = base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise ValueError("not base64url") from None
    if base64url(data) != written:
        raise ValueError("not base64url")
    return data


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, and where: all that an answer is held against."""

    challenge: bytes = field(repr=False)
    rp_id: str
    origins: list[str]


class Rejected(Exception):
    """An answer does not hold. The text is for the audit log alone."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a browser sent, read but not yet believed."""

    credential_id: str
    user_handle: str
    transports: tuple[str, ...]
    discoverable: bool
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Made:
    """A new credential that holds."""

    credential_id: str
    public_key: bytes = field(repr=False)
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A use of a credential that holds."""

    sign_count: int
    backup_eligible: bool
    backed_up: bool


def read(credential: str) -> Said:
    """What PublicKeyCredential.toJSON() gave. Raises ValueError where it is not of that shape."""
    try:
        raw = json.loads(credential)
        response = raw["response"]
        said = Said(
            credential_id=_text(raw["id"]),
            user_handle=_text(response.get("userHandle") or ""),
            transports=tuple(each for each in response.get("transports") or () if each in _TRANSPORTS),
            discoverable=_resident(raw) is not False,
            raw=raw,
        )
        octets(said.credential_id)
        octets(_text(response["clientDataJSON"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("not what a browser makes of a passkey") from None
    return said


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("text is expected")
    return value


def _resident(raw: dict[str, Any]) -> object:
    """Whether the credential can be found without being named, as far as the browser says."""
    said = raw.get("clientExtensionResults")
    props = said.get("credProps") if isinstance(said, dict) else None
    return props.get("rk") if isinstance(props, dict) else None


def made(asked: Asked, said: Said) -> Made:
    """A registration that holds (WebAuthn Level 3 section 7.1). Raises Rejected."""
    try:
        _asked_here(asked, said)
        verified = webauthn.verify_registration_response(
            credential=said.raw,
            expected_challenge=asked.challenge,
            expected_rp_id=asked.rp_id,
            expected_origin=asked.origins,
            require_user_presence=True,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        _usable(verified.credential_public_key)
        data = parse_attestation_object(octets(said.raw["response"]["attestationObject"])).auth_data
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of a stranger's bytes
        raise Rejected(_why(error)) from None
    if verified.fmt not in _UNATTESTED:
        raise Rejected(f"attestation {verified.fmt}, which nobody asked for")
    if base64url(verified.credential_id) != said.credential_id:
        raise Rejected("the credential is another one than it says")
    if not SHORTEST_ID <= len(verified.credential_id) <= LONGEST_ID:
        raise Rejected(f"a credential id of {len(verified.credential_id)} bytes")
    return Made(
        said.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        verified.aaguid,
        backup_eligible=data.flags.be,
        backed_up=data.flags.bs,
    )


def shown(asked: Asked, said: Said, *, public_key: bytes | None) -> Shown:
    """A use that holds (WebAuthn Level 3 section 7.2). Raises Rejected; without a key always, after the
    same work."""
    try:
        _asked_here(asked, said)
        verified = webauthn.verify_authentication_response(
            credential=said.raw,
            expected_challenge=asked.challenge,
            expected_rp_id=asked.rp_id,
            expected_origin=asked.origins,
            credential_public_key=public_key or _nobodys_key(),
            credential_current_sign_count=0,  # what a counter means is decided by `grown`
            require_user_verification=True,
        )
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of a stranger's bytes
        raise Rejected("nobody's passkey" if public_key is None else _why(error)) from None
    if public_key is None:
        raise Rejected("nobody's passkey")
    return Shown(
        verified.new_sign_count,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
    )


def grown(before: int, now: int) -> bool:
    """Whether a counter says nothing against its passkey: it has grown, or is always 0 (section 6.1.1)."""
    return now > before or now == before == 0


def _asked_here(asked: Asked, said: Said) -> None:
    """What the library does not look at: another site's frame, and other spellings of the same bytes."""
    response = said.raw["response"]
    data = json.loads(octets(response["clientDataJSON"]))
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        raise Rejected("asked in another site's frame")
    if data["challenge"] != base64url(asked.challenge):
        raise Rejected("the answer to another question")
    for name in ("authenticatorData", "signature", "attestationObject"):
        if name in response:
            octets(response[name])


def _usable(public_key: bytes) -> None:
    """Raise Rejected for a key that would be stored and never fit, or that is too weak."""
    decoded = decode_credential_public_key(public_key)
    key = decoded_public_key_to_cryptography(decoded)
    match decoded.alg, key:
        case Algorithm.ECDSA_SHA_256, EllipticCurvePublicKey(curve=SECP256R1()):
            fits = True
        case Algorithm.EDDSA, Ed25519PublicKey():
            fits = True
        case Algorithm.RSASSA_PKCS1_v1_5_SHA_256, RSAPublicKey(key_size=bits):
            fits = bits >= _RSA_BITS
        case _:
            fits = False
    if not fits:
        raise Rejected("a key that is not taken")


@cache
def _nobodys_key() -> bytes:
    """A key that fits nobody: where a passkey is unknown, an answer costs the same work (C-41)."""
    point = generate_private_key(SECP256R1()).public_key().public_numbers()
    x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
    return encode_cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})


def _why(error: Exception) -> str:
    """What was wrong, for the audit log; never what was sent."""
    if isinstance(error, Rejected):
        return str(error)
    return next((why for start, why in _WHY.items() if str(error).startswith(start)), type(error).__name__)


_WHY: Final = {
    "Unexpected client data type": "the answer to another kind of question",
    "Unexpected client data origin": "given to another origin",
    "Unexpected RP ID hash": "given to another site",
    "User was not present": "nobody was present",
    "User presence was required": "nobody was present",
    "User verification is required": "nobody was verified",
    "Could not verify authentication signature": "the signature does not fit",
    "Unsupported credential public key alg": "an algorithm that is not taken",
}
