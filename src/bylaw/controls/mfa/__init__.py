"""Second factors: knowing the password is not enough, and a sensitive step asks once more.

Threat: a password that was guessed, stolen or used elsewhere (CWE-308); a code that is guessed, used twice
or read off a screen (CWE-307, CWE-294); a session that was left open or taken, used to make itself at home
(CWE-306). Mechanism: an account may hold authenticator apps (TOTP, RFC 6238), passkeys and ten recovery
codes; a session that has shown one factor of an account that holds a second opens nothing but the page for
it. Each code counts once, tries are counted before they are looked at, secrets are encrypted at rest. A
role can require a second factor, a route or an operation one, or a proof of lately (step-up, RFC 9470).
Source: NIST SP 800-63B-4 sections 2.2, 3.1.2 and 3.1.4; OWASP Multifactor Authentication; ASVS 5.0.0 6.5.
It does not stop a page that looks like this one and passes the code on at once: passkeys do.
"""

from __future__ import annotations

import base64
import hmac
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import pyotp
from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls import roles
from bylaw.controls.mfa import probes, sabotages
from bylaw.house import House
from bylaw.identity import SIGNED_IN, STEP_UP, Identity, StepUp, asking
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason, Refused

WRONG = Reason(
    "mfa.wrong",
    401,
    "That code is not right.",
    "No authenticator app of the account shows this code now, it was used already, or it is no recovery "
    "code of the account. The answer is the same for each. Is the clock of the device right?",
)
WAIT = Reason(
    "mfa.wait",
    429,
    "Too many wrong codes. Wait a little, then try again.",
    "The account or the address has used up its free failures (the numbers are [lockout]'s); Retry-After "
    "says when one more try is taken. No code was looked at.",
)
SHUT = Reason(
    "mfa.shut",
    403,
    "Too many wrong codes. Ask an administrator to unlock signing in with this address.",
    "The account has had [lockout] most wrong codes in a row. Whoever tried them knows its password: have "
    "its owner choose another, then unlock it (`bylaw user unlock`). Passkeys still work.",
)
NEEDED = Reason(
    "mfa.needed",
    409,
    "This is the last second factor of an account that must have one.",
    "The account's role is one of [mfa] required. Add another second factor, then remove this one.",
)
UNKNOWN = Reason(
    "mfa.unknown",
    404,
    "There is no such second factor.",
    "The account holds no authenticator app with this id; somebody else's are nobody's business.",
)
FULL = Reason(
    "mfa.full",
    409,
    "There are as many authenticator apps as an account may have.",
    "Every app makes codes that are right at the same moment: more apps, more to guess. Remove one first.",
)
OVER = Reason(
    "mfa.over",
    409,
    "Setting it up took too long, or was begun elsewhere. Begin again.",
    "A new authenticator app is confirmed with a code in the browser in which it was begun, within ten "
    "minutes and once.",
)

STEP: Final = 30
"""Seconds for which a code is shown (RFC 6238 section 5.2; ASVS 6.5.5)."""
DIGITS: Final = 6
"""20 bits (ASVS 6.5.4)."""
SECRET_BYTES: Final = 20
"""160 bits, as RFC 4226 section 4 (R6) recommends."""
MOST: Final = 5
"""Authenticator apps of one account: each makes codes that a guess may hit."""
CODES: Final = 10
"""Recovery codes at a time."""
FEW: Final = 3
"""Recovery codes left, from which on their owner is told with each that is used."""
PURPOSE: Final = "totp"
"""Of the key that secrets are encrypted with."""
LONGEST: Final = 64
"""Characters of a code that are looked at: a recovery code with as many blanks again."""
_GROUP: Final = 4
_GROUPS: Final = 6
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's: nothing in it looks like something else."""
_LOOKALIKE: Final = str.maketrans("oil", "011")


class Settings(control.Settings):
    """Second factors, who must have one, and how lately a sensitive step wants a proof."""

    required: tuple[str, ...] = ()
    """Roles that must have a second factor: without one, signing in ends at setting one up."""

    fresh: Duration = Field(600, ge=60, le=3600)
    """How long ago the latest proof may be where an account itself is changed."""

    drift: int = Field(1, ge=0, le=2)
    """Steps of 30 seconds by which a device's clock may be off, each way."""

    def below_standard(self) -> Iterable[Below]:
        if self.drift > 1:
            yield Below("drift", f"{self.drift} steps", "1 step of 30 seconds", "RFC 6238 5.2")


def required(policy: Policy, held: frozenset[str]) -> bool:
    """Whether somebody with these roles must show a second factor."""
    return not held.isdisjoint(policy.of(Settings).required)


def demand_fresh(house: House, who: Identity) -> None:
    """Go on only if whoever asks has shown lately that it is he, and nobody acts as him. Raises Refused
    (StepUp, ACTING)."""
    who.demand_self()
    rule = asking(SIGNED_IN, max_age=house.policy.of(Settings).fresh)
    if rule.too_old(who, house.now()):
        raise StepUp(rule)


def is_fresh(house: House, who: Identity) -> bool:
    """Whether whoever asks has shown it lately enough, and would not be asked once more."""
    try:
        demand_fresh(house, who)
    except Refused:
        return False
    return True


# Codes of an authenticator app: RFC 6238 over RFC 4226, by pyotp


def step_at(now: float) -> int:
    """The number of the time step at `now` (seconds since 1970)."""
    return int(now) // STEP


def matching(settings: Settings, secret: bytes, code: str, now: float) -> list[int]:
    """The time steps around `now` at which the secret makes this code, the latest first.

    Each is compared, and in constant time: how long it takes tells nothing.
    """
    at = step_at(now)
    made = pyotp.HOTP(base32(secret), digits=DIGITS)
    steps = range(at + settings.drift, max(0, at - settings.drift) - 1, -1)
    given = code.encode("utf-8", "surrogatepass")
    return [s for s in steps if hmac.compare_digest(made.at(s).encode(), given)]


def base32(secret: bytes) -> str:
    """A secret as people type it into an app."""
    return base64.b32encode(secret).decode()


def address(policy: Policy, secret: bytes, email: str) -> str:
    """The `otpauth://` address that an app reads from a picture."""
    made = pyotp.TOTP(base32(secret), digits=DIGITS, interval=STEP)
    return made.provisioning_uri(name=email, issuer_name=policy.app.name.replace(":", " "))


def place(row_id: str, user_id: str) -> str:
    """Where an encrypted secret belongs: copied to another row or person it is unreadable."""
    return f"{PURPOSE} {row_id} {user_id}"


# Recovery codes


def make_code(house: House) -> str:
    """A recovery code: 120 random bits, so that a plain hash of it can be kept (ASVS 6.5.2 asks for a slow
    one below 112)."""
    count = _GROUP * _GROUPS
    drawn = "".join(_ALPHABET[byte % 32] for byte in house.ports.entropy(count))
    return "-".join(drawn[n : n + _GROUP] for n in range(0, count, _GROUP))


def typed(code: str) -> str:
    """A code as it was meant: without blanks and hyphens, whatever the case."""
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", code[:LONGEST]).casefold())


def is_app_code(text: str) -> bool:
    """Whether a typed code is one that an app shows, and no recovery code."""
    return len(text) == DIGITS and text.isascii() and text.isdecimal()


def kept(user_id: str, text: str) -> str:
    """What a recovery code is hashed from: whose it is, so that one account's code is no other's."""
    return f"recovery {user_id} {text.translate(_LOOKALIKE)}"


def _conflicts(policy: Policy) -> Iterator[Conflict]:
    settings, grants = policy.of(Settings), policy.of(roles.Settings).grants
    unknown = sorted(set(settings.required) - set(grants))
    if unknown:
        yield Conflict(
            "mfa.required",
            f"names what is no role: {', '.join(unknown)}",
            f"of {', '.join(sorted(grants)) or 'the roles in [roles]'}",
        )
    if settings.off:
        yield Conflict("mfa.off", "a password alone would open accounts that have more", "leave the key out")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    who = " and ".join(filter(None, (", ".join(settings.required[:-1]), "".join(settings.required[-1:]))))
    return [
        (
            f"Whoever holds the role {who} must show a second factor: without one, signing in ends at the "
            "page that sets one up."
            if settings.required
            else "A second factor is everybody's own choice; no role has to have one."
        ),
        (
            "Authenticator apps (TOTP, RFC 6238: six digits, 30 seconds), passkeys and ten recovery codes; "
            "no text message, no mail. After the first factor a session opens nothing but the page for the "
            "second."
        ),
        (
            f"A code counts once, also when it comes twenty times at once; a clock may be off by "
            f"{settings.drift} step{'s' if settings.drift != 1 else ''} each way."
        ),
        (
            "The secrets of apps are encrypted with a key of their own (AES-256-GCM), bound to their row and "
            "their owner; of recovery codes only the SHA-256 is kept. Both are shown once."
        ),
        (
            "Wrong codes are counted for the account before they are looked at, with [lockout]'s waits and "
            "its end; when the waiting begins the owner is told by mail that his password is known."
        ),
        (
            "Adding a second factor ends every session that has shown one, removing one every other session; "
            "each is told by mail, as is the use of a recovery code."
        ),
        (
            f"Changing the account itself asks for a proof that is at most {spoken(settings.fresh)} old; "
            "routes and operations can ask for one, and for a second factor (RFC 9470)."
        ),
    ]


CONTROL = Control(
    name="mfa",
    title="Second factors",
    settings=Settings,
    statement=_statement,
    reasons=(WRONG, WAIT, SHUT, NEEDED, UNKNOWN, FULL, OVER, STEP_UP),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S3-083", "S1-156"),
    asvs=("6.3.3", "6.5.1", "6.5.2", "6.5.3", "6.5.4", "6.5.5", "6.6.3", "7.5.1", "7.5.3"),
)
