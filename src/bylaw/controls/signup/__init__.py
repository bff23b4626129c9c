"""Sign-up: who may make an account, and what a new one is.

Threat: a role or a flag chosen by the caller (CWE-915), an address taken twice by case or Unicode,
an answer that tells who has an account (CWE-204). Mechanism: address, name and password are all
that is read; the role is the policy's; an address has one canonical form; a taken one gets the
same answer after the same work, and its owner a mail. Source: OWASP Authentication, ASVS 5.0.0
2.2.1, 6.3.8 and 15.3.3; C-08, C-10.
It does not prove that the address belongs to whoever signs up: that is [email]'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from email_validator import EmailNotValidError, validate_email
from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls import email, passwords, roles
from bylaw.controls.signup import probes, sabotages
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason, Refused

CLOSED = Reason(
    "signup.closed",
    403,
    "Accounts are made by an administrator here.",
    "The policy has [signup] open = false.",
)
ADDRESS = Reason(
    "signup.address",
    422,
    "That is not a mail address.",
    "One address, as RFC 5321 has them: at most 254 characters, 64 of them before the @, no control "
    "characters, no list.",
)
TAKEN = Reason(
    "signup.taken",
    409,
    "There is an account with that address already.",
    "Only administrators are told; strangers get the same answer as for a free address.",
)

MAX_ADDRESS: Final = 254  # RFC 5321 section 4.5.3.1.3
MAX_NAME: Final = 120


class Settings(control.Settings):
    """Who may sign up, and as what."""

    open: bool = False
    """Whether strangers may make an account. Otherwise administrators do."""

    role: str | None = Field(None, pattern=r"^[a-z][a-z0-9_-]*$")
    """The role of whoever signs up. None: no role, only what every signed-in person may."""


def address(text: str, *, field: str = "email") -> str:
    """The one canonical form of a mail address: normalised and in lower case. Raises Refused."""
    try:
        if len(text) > MAX_ADDRESS:
            raise EmailNotValidError
        # Letters beyond ASCII before the @ look alike and fold together in ways that two programs
        # see differently (GitHub, 2019: a dotless i); after it, IDNA has one form for each.
        valid = validate_email(
            text,
            allow_smtputf8=False,
            check_deliverability=False,
            test_environment=True,
            strict=True,
        )
    except EmailNotValidError:
        raise Refused(ADDRESS, fields={field: "a mail address, e.g. name@company.com"}) from None
    # RFC 5321 lets a server tell Ann from ann; nobody does, and an attacker would like to.
    return str(valid.ascii_email).lower()


def new_roles(policy: Policy) -> frozenset[str]:
    """The roles of somebody who has just signed up. Raises Refused where nobody may."""
    settings = policy.of(Settings)
    if not settings.open or settings.off:
        raise Refused(CLOSED)
    return frozenset({settings.role} if settings.role else ())


def _idle(policy: Policy) -> str:
    """Strangers make accounts with a password or with another provider's account alone."""
    if passwords.on(policy) or _has_providers(policy):
        return ""
    return "people have neither passwords nor accounts of another provider"


def _has_providers(policy: Policy) -> bool:
    """Whether the policy names a provider (its control is asked by name: it imports this one)."""
    found = policy.controls.get("federated")
    return found is not None and not found.off and bool(getattr(found, "providers", None))


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.open and _idle(policy):
        yield Conflict("signup.open", f"nobody could sign up: {_idle(policy)}", "open = false")
    if settings.role is None:
        return
    if not roles.known(policy, settings.role):
        declared = ", ".join(sorted(policy.of(roles.Settings).grants))
        yield Conflict(
            "signup.role",
            f"{settings.role!r} is not in [roles]",
            f"one of {declared or 'the roles you declare'}",
        )
    elif settings.open and settings.role in roles.managing(policy):
        yield Conflict(
            "signup.role", "whoever signs up would manage users", f"a role without {roles.MANAGE_USERS}"
        )


def _start(house: House) -> Iterable[Conflict]:
    """A process that lets people sign up must be able to mail them."""
    policy, mail = house.policy, house.policy.mail
    settings = policy.of(Settings)
    mailed = house.ports.mail is not None or mail.server is not None or mail.directory is not None
    if policy.production and settings.open and email.must_confirm(policy) and not mailed:
        yield Conflict(
            "mail.server",
            "nobody who signs up could confirm an address: mail goes nowhere",
            'server = "env:SMTP_URL" in [mail]; or signup.open = false',
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not settings.open or settings.off:
        return ["Accounts are made by administrators; nobody can sign up."]
    role = f"the role `{settings.role}`" if settings.role else "no role"
    counts = (
        "The account opens nothing before its address is confirmed (see Mail and addresses)."
        if email.must_confirm(policy)
        else "The address need not be confirmed."
    )
    return [
        (
            f"Anybody may sign up and gets {role}, whatever the request says: only address, name and "
            "password are read, and any other field is refused."
            if passwords.on(policy)
            else f"Anybody whom another provider vouches for gets {role}, whatever it says of him."
        ),
        (
            "An address has one form, whatever its case or script; a taken one gets the same answer as "
            "a free one, and its owner a mail."
        ),
        counts,
    ]


CONTROL = Control(
    name="signup",
    title="Sign-up",
    settings=Settings,
    statement=_statement,
    reasons=(CLOSED, ADDRESS, TAKEN),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    idle=_idle,
    start=_start,
    requirements=("S1-090", "S3-031", "C-08", "C-10"),
    asvs=("2.2.1", "6.3.8", "15.3.3"),
)
