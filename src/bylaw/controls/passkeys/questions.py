"""What an authenticator is asked, as browsers read it (WebAuthn Level 3 sections 5.1.8 and 5.1.9)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import webauthn
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from bylaw.controls.passkeys.answers import ALGORITHMS, octets


def creation(
    *,
    rp_id: str,
    app: str,
    challenge: bytes,
    timeout: int,
    user_handle: str,
    email: str,
    name: str,
    registered: Iterable[tuple[str, list[str]]],
) -> dict[str, Any]:
    """The question for a new passkey, for PublicKeyCredential.parseCreationOptionsFromJSON()."""
    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name=app,
        user_id=octets(user_handle),
        user_name=email,
        user_display_name=name or email,
        challenge=challenge,
        timeout=timeout * 1000,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(registered),
        supported_pub_key_algs=list(ALGORITHMS),
    )
    return {**json.loads(webauthn.options_to_json(options)), "extensions": {"credProps": True}}


def request(
    *, rp_id: str, challenge: bytes, timeout: int, allowed: Iterable[tuple[str, list[str]]] = ()
) -> dict[str, Any]:
    """The question to a passkey, for parseRequestOptionsFromJSON(); to strangers it names none."""
    options = webauthn.generate_authentication_options(
        rp_id=rp_id,
        challenge=challenge,
        timeout=timeout * 1000,
        allow_credentials=_descriptors(allowed) or None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    asked: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return asked


def _descriptors(known: Iterable[tuple[str, list[str]]]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=octets(credential), transports=[AuthenticatorTransport(each) for each in transports] or None
        )
        for credential, transports in known
    ]
