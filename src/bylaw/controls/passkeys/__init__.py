"""Passkeys: signing in with a key that never leaves its device, and that no other site can ask for.

Threat: a password that was guessed, phished or used elsewhere too; a code that is typed into the wrong
site (CWE-308, CWE-294). Mechanism: WebAuthn. The server makes a random challenge for one browser, one
purpose and one answer; the browser binds the answer to this site's name and origin; the authenticator
knows its owner by a PIN or a biometric, so that one passkey is two factors. Nobody is named on the way in
and no list of credentials is given to strangers. Source: WebAuthn Level 3 sections 7.1, 7.2, 13.4 and
14.6; NIST SP 800-63B-4 sections 3.2.5 and B (syncable authenticators); ASVS 5.0.0 6.7.2.
It does not say who made an authenticator (no attestation is asked for), nor whether whoever keeps a
synced passkey keeps it well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from hashlib import sha256
from hmac import digest as hmac
from typing import Final, Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls.passkeys import probes, sabotages
from bylaw.house import House
from bylaw.keys import base64url
from bylaw.policy import Policy
from bylaw.quantities import spoken
from bylaw.reasons import Reason

EXPIRED = Reason(
    "passkeys.expired",
    400,
    "That took too long, or was begun in another window. Try again.",
    "No question to a passkey is open in this browser: it was answered already, is older than five "
    "minutes, or was asked for another purpose, another account or another session.",
)
NOT_ACCEPTED = Reason(
    "passkeys.not_accepted",
    401,
    "That passkey was not accepted.",
    "The answer of the authenticator does not hold, the passkey is nobody's, its owner may not sign in, or "
    "its counter went back. People are told no more than this; the audit log says which it was.",
)
NOT_REGISTERED = Reason(
    "passkeys.not_registered",
    422,
    "The passkey was not set up. Nothing was changed.",
    "The authenticator's answer does not hold: another origin or site, nobody verified, an algorithm or a "
    "key that is not taken, or a credential that is registered already.",
)
UNKNOWN = Reason(
    "passkeys.unknown",
    404,
    "You have no such passkey.",
    "The passkey is not there, or somebody else's.",
)
LAST = Reason(
    "passkeys.last",
    409,
    "This is the only way into your account. Set up another one first.",
    "The account has no password, no link to another provider and no other passkey.",
)
FULL = Reason(
    "passkeys.full",
    409,
    "There are too many passkeys. Remove one that you do not use.",
    "An account holds 20 passkeys at most.",
)
UNAVAILABLE = Reason(
    "passkeys.unavailable",
    404,
    "There are no passkeys here.",
    "The address in app.base_url is an IP address: passkeys are bound to a name.",
)

TIMEOUT: Final = 300
"""Seconds for which an answer is waited for (WebAuthn Level 3 section 15.1: 5 to 10 minutes)."""
CHALLENGE_BYTES: Final = 32
"""WebAuthn Level 3 section 13.4.3 asks for 16 at least."""
MOST: Final = 20
"""Passkeys of one account."""
LONGEST_NAME: Final = 64
_DOMAIN: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
_ORIGIN: Final = r"^https://[a-z0-9.-]+(:[1-9][0-9]{0,4})?$"


class Settings(control.Settings):
    """Which site passkeys are for, and what a counter that goes back means."""

    rp_id: str | None = Field(None, pattern=_DOMAIN, max_length=253)
    """The name that passkeys are bound to: the host of app.base_url, or a domain above it."""

    origins: tuple[str, ...] = ()
    """Further origins at or below that name that may ask for them, besides the application's own."""

    counter: Literal["refuse", "record"] = "refuse"
    """A passkey whose counter did not grow may have been copied: refuse it, or record it and go on."""

    def below_standard(self) -> Iterable[Below]:
        if self.off:
            yield Below("off", "true", "a phishing-resistant way to sign in", "NIST SP 800-63B-4 2.2.2")


def on(policy: Policy) -> bool:
    """Whether people set up passkeys and sign in by them."""
    return not policy.of(Settings).off


def rp_id(policy: Policy) -> str:
    """The relying party's id; empty where there are no passkeys."""
    settings = policy.of(Settings)
    if settings.off:
        return ""
    return settings.rp_id or ("" if _is_address(host(policy)) else host(policy))


def host(policy: Policy) -> str:
    """The host of app.base_url, without a port."""
    name = policy.app.origin.partition("://")[2]
    return name.partition("]")[0][1:] if name.startswith("[") else name.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origins(policy: Policy) -> list[str]:
    """Where an answer may come from, compared letter by letter."""
    return [policy.app.origin, *policy.of(Settings).origins]


def handle(house: House, user_id: str) -> str:
    """What a new authenticator is to know the account by: it says nothing about the account (WebAuthn
    Level 3 section 14.6.1), and is the same each time, so that an authenticator keeps one passkey."""
    return base64url(hmac(house.keys.derive("passkeys")[0], user_id.encode(), sha256))


# The policy


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings, own = policy.of(Settings), host(policy)
    if settings.off:
        return
    if settings.rp_id is not None and not _covers(settings.rp_id, own):
        yield Conflict(
            "passkeys.rp_id",
            f"browsers bind passkeys to the host of the page ({own}) or a domain above it",
            f'"{own}", or leave the key out',
        )
        return
    for index, origin in enumerate(settings.origins):
        name = origin.partition("://")[2].partition(":")[0]
        if not re.fullmatch(_ORIGIN, origin) or not _covers(rp_id(policy), name):
            yield Conflict(
                f"passkeys.origins.{index}",
                f"{origin!r} is no https origin at or below {rp_id(policy) or own}",
                f'e.g. "https://app.{rp_id(policy) or own}", in lower case and without a path',
            )


def _covers(domain: str, name: str) -> bool:
    """Whether passkeys of `domain` may be used at `name`; a whole top-level domain is nobody's."""
    if not domain or _is_address(name):
        return False
    return domain == name or ("." in domain and name.endswith(f".{domain}"))


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not rp_id(policy):
        return ["Passkeys are bound to a name, and this site is reached at an IP address: there are none."]
    return [
        (
            f"People sign in with a passkey of `{rp_id(policy)}`, or show one as the second factor. The "
            "authenticator must have verified its owner each time: a passkey is two factors at once."
        ),
        (
            f"A challenge is {CHALLENGE_BYTES} random bytes of the server, for one browser, one purpose, one "
            f"account and one answer, within {spoken(TIMEOUT)}. Origin ({', '.join(origins(policy))}), site, "
            "presence, verification, backup flags and signature are checked; no other site's frame may ask."
        ),
        (
            "Signing in names no account and lists no passkeys to strangers. One that is unknown, that was "
            "removed, or whose owner may not sign in gets the same answer, after the same work."
        ),
        (
            "Keys are ES256, EdDSA or RS256 (2,048 bits or more); no attestation is asked for, and the user "
            "handle says nothing about a person. A passkey of one account is never taken for another."
        ),
        (
            "A passkey whose counter did not grow is "
            + ("refused and recorded." if settings.counter == "refuse" else "recorded as a risk.")
            + " Adding and removing one ends other sessions, is told to the owner by mail and asks for a "
            "fresh proof; the last way into an account cannot be removed."
        ),
    ]


CONTROL = Control(
    name="passkeys",
    title="Passkeys",
    settings=Settings,
    statement=_statement,
    reasons=(EXPIRED, NOT_ACCEPTED, NOT_REGISTERED, UNKNOWN, LAST, FULL, UNAVAILABLE),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S3-083", "C-41"),
    asvs=("6.3.3", "6.5.7", "6.7.2"),
)
