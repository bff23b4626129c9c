"""Lockout: guessing a password takes longer with each failure, and ends at the hundredth.

Threat: guessing one account's password from many addresses, or one password at many accounts (CWE-307);
a lock that a stranger turns against the owner (CWE-645); a lock that tells who has an account (CWE-204).
Mechanism: a failure is counted for the account that was named, whether it exists or not, and for the
address; the attempt is counted before the password is looked at, so that a hundred at once are not a
hundred guesses; waits double up to an hour, and after `most` failures in a row strangers may not try at
all. A browser that signed in before bears a sealed cookie and has a count of its own, until its owner
forgets it; a mailed link lets the owner's browser try while strangers are shut out. Source: NIST SP
800-63B-4 3.2.2, OWASP Authentication and Device Cookies, ASVS 5.0.0 6.1.1 and 6.3.1; C-12, C-41.
It does not keep a person from choosing a password that the first five guesses find (see passwords).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls import cookies, passwords, signup
from bylaw.controls.lockout import probes, sabotages
from bylaw.controls.proxies import group
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.keys import base64url, digest
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason, Refused

WAIT = Reason(
    "lockout.wait",
    429,
    "Too many wrong passwords. Wait a little, then try again.",
    "The account or the address has used up its free failures; Retry-After says when one more try is "
    "taken. No password was looked at. The answer is the same for an account that does not exist.",
)
SHUT = Reason(
    "lockout.shut",
    403,
    "Too many wrong passwords. Have a link mailed that lets this browser try, or ask an administrator.",
    "The account has had [lockout] most failures in a row: strangers cannot try its password any more, "
    "browsers that signed in before can. The owner gets in by a mailed link; an administrator unlocks it, "
    "or sets a new password. The answer is the same for an account that does not exist.",
)
LINK = Reason(
    "lockout.link",
    410,
    "This link was used already, or is too old. Ask for another one.",
    "A link that lets a browser try the password opens that once, within an hour, and not after the "
    "account's password or address has changed. The answer is the same for a link that never was one.",
)

HARD: Final = 100
"""Consecutive failures that NIST SP 800-63B-4 3.2.2 allows at most."""
FORGOTTEN: Final = 365 * 86400
"""Seconds without a failure after which an account's count is dropped: far from anybody's patience,
and the table does not grow for ever."""
KNOWN_FOR: Final = 400 * 86400
"""Seconds for which a device is known after signing in; browsers keep no cookie longer (RFC 6265bis)."""
ACCOUNTS: Final = 4
"""Accounts at most that one browser is known for."""
DEVICES: Final = 20
"""Devices at most that an account is known from; the one that was not seen for longest goes first."""
_HOUR: Final = 3600
_NONCE_BYTES: Final = 16
_LONGEST_COOKIE: Final = 512
_LONGEST_NAME: Final = 320
_DOUBLINGS: Final = 32


class Settings(control.Settings):
    """How guessing a password is slowed down, and when it ends."""

    free: int = Field(5, ge=1, le=20)
    """Failures of an account in a row that cost no wait."""

    first: Duration = Field(30, ge=1)
    """The wait after them; it doubles with each further failure."""

    longest: Duration = Field(3600, ge=1, le=86400)
    """The longest wait."""

    most: int = Field(HARD, ge=2, le=HARD)
    """Failures of an account in a row after which strangers may not try its password any more."""

    per_address: int = Field(50, ge=1, le=10_000)
    """Failures an hour from one address (IPv6: one /64), whichever accounts they name."""

    def below_standard(self) -> Iterable[Below]:
        if self.off:
            yield Below("off", "true", f"at most {HARD} failures in a row", "NIST SP 800-63B-4 3.2.2")


# Whose failure it is


@dataclass(frozen=True, slots=True)
class Whence:
    """Where a password was sent from: the client's address, and what its device's cookie says."""

    address: str = ""
    device: str = field(default="", repr=False)


def whence(house: House, exchange: Exchange) -> Whence:
    device = exchange.cookie(cookies.name(house.policy, cookies.DEVICE))
    return Whence(exchange.client, device or "")


def subject(email: str) -> str:
    """Whose failures those for `email` are: one name for every spelling, also for what is no address.

    It may fold more together than signing in does, never less: no spelling opens an account whose
    failures are counted elsewhere.
    """
    try:
        return signup.address(email)
    except Refused:
        folded, before = email[:_LONGEST_NAME], ""
    # Each step may make work for another: what is left out joins a letter and its accent.
    while folded != before and len(folded) <= 8 * _LONGEST_NAME:
        before = folded
        seen = "".join(c for c in folded if not c.isspace() and c.isprintable())
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    try:
        return signup.address(folded)
    except Refused:
        return folded


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a count, the current secret's first; the others are of earlier secrets."""

    account: str
    """The key of the account that it is about, empty for an address."""
    all: tuple[str, ...]

    @property
    def current(self) -> str:
        return self.all[0]


def of_account(house: House, name: str) -> Keys:
    keys = tuple(house.keys.seals("lockout", f"account {name}"))
    return Keys(keys[0], keys)


def of_device(house: House, name: str, nonce: str) -> Keys:
    account = of_account(house, name).account
    return Keys(account, tuple(house.keys.seals("lockout", f"device {nonce} {name}")))


def of_address(house: House, address: str) -> Keys:
    return Keys("", tuple(house.keys.seals("lockout", f"address {group(address)}")))


# How long it must wait


def wait(settings: Settings, failures: int) -> int:
    """Seconds to wait after so many failures in a row."""
    if failures < settings.free:
        return 0
    doubled: int = settings.first * 2 ** min(failures - settings.free, _DOUBLINGS)
    return min(doubled, settings.longest)


def long(settings: Settings, failures: int) -> bool:
    """Whether so many failures in a row are those at which the owner is told: when the wait has become
    the longest, and when nobody may try any more."""
    begins = wait(settings, failures) == settings.longest > wait(settings, failures - 1)
    return begins or failures == settings.most


def trusted(settings: Settings, failures: int) -> bool:
    """Whether a device that failed so often in a row is still one that its owner sits at: not when
    somebody keeps guessing at it. Its failures are a stranger's from then on."""
    return failures < min(2 * settings.free, settings.most)


def interval(settings: Settings) -> float:
    """Seconds in which an address wins back one failure."""
    return _HOUR / settings.per_address


# Devices: the cookies of OWASP's page on slowing down online guessing


def nonce(house: House, device: str, name: str) -> str:
    """The number of the device that the cookie `device` speaks for with this account; empty: of none."""
    return next((n for n, issued, seal in _entries(device) if _ours(house, name, n, issued, seal)), "")


def _entries(device: str) -> list[tuple[str, str, str]]:
    """(nonce, issued, seal) for each account in a device's cookie."""
    if len(device) > _LONGEST_COOKIE:
        return []
    parts = [entry.split(".") for entry in device.split("~")[:ACCOUNTS]]
    return [(part[0], part[1], part[2]) for part in parts if len(part) == 3 and part[0]]


def _ours(house: House, name: str, number: str, issued: str, seal: str) -> bool:
    if not house.keys.sealed("lockout", f"cookie {number} {issued} {name}", seal):
        return False
    return issued.isdecimal() and int(issued) > house.now() - KNOWN_FOR


def fingerprint(number: str, name: str) -> str:
    """What is stored of a device's number and the account that it is known for: their digest."""
    return digest(f"{number} {name}")


def recognised(house: House, exchange: Exchange, email: str) -> str:
    """The fingerprint that the device's cookie speaks of; empty where it speaks of none for this account."""
    name = subject(email)
    number = nonce(house, whence(house, exchange).device, name)
    return fingerprint(number, name) if number else ""


def remember(house: House, exchange: Exchange, email: str, *, anew: bool = False) -> str:
    """Have the device that has just signed in to the account known by a cookie; its fingerprint.

    One that was known keeps its number: copies of its cookie share one count. `anew` gives it another,
    where its owner has forgotten the old one or the count of it should not go on.
    """
    policy, name = house.policy, subject(email)
    before = whence(house, exchange).device
    number = "" if anew else nonce(house, before, name)
    if not number:
        number = base64url(house.ports.entropy(_NONCE_BYTES))
    issued = str(int(house.now()))
    seal = house.keys.seal("lockout", f"cookie {number} {issued} {name}")
    others = [".".join(e) for e in _entries(before) if not _ours(house, name, *e)]
    value = "~".join([f"{number}.{issued}.{seal}", *others][:ACCOUNTS])
    exchange.set_cookie(cookies.make(policy, cookies.DEVICE, value, lifetime=KNOWN_FOR))
    return fingerprint(number, name)


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.longest < settings.first:
        yield Conflict(
            "lockout.longest",
            f"shorter than the first wait ({spoken(settings.first)})",
            "a wait that is at least as long as `first`",
        )
    if settings.most <= settings.free:
        yield Conflict(
            "lockout.most",
            f"the account would be shut before anybody had to wait (free = {settings.free})",
            f"{settings.free + 1} to {HARD}",
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    return [
        (
            f"After {settings.free} wrong passwords in a row for an account, each further try waits: "
            f"{spoken(settings.first)}, then twice as long, up to {spoken(settings.longest)}. Every "
            "spelling of the address counts as one, from wherever it is sent."
        ),
        (
            f"After {settings.most} in a row strangers may not try at all, until an administrator "
            "unlocks the account or its password is set anew. Its owner is told by mail, with a link that "
            "lets one browser try, once and within an hour; it signs nobody in and forgives strangers "
            "nothing."
        ),
        (
            f"One address (IPv6: /64) may fail {settings.per_address} times an hour, whichever accounts "
            "it names."
        ),
        (
            "The attempt is counted before the password is looked at: tries that come at once count as "
            "tries that come one by one. While it must wait nothing is hashed, and the answer is 429 "
            "with Retry-After, the same for accounts that do not exist."
        ),
        (
            "A browser that signed in before has a count of its own, so that strangers cannot lock the "
            f"owner out; after {2 * settings.free} failures in a row it is a stranger too, and at once when "
            "its owner forgets it."
        ),
        "Slowing down and shutting are recorded and logged as warnings (`bylaw.lockout`), once each.",
    ]


CONTROL = Control(
    name="lockout",
    title="Lockout",
    settings=Settings,
    statement=_statement,
    reasons=(WAIT, SHUT, LINK),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    idle=passwords.missing,  # codes are counted by the same numbers all the same (see operations/proving)
    requirements=("S1-138", "S1-156", "C-12", "C-41"),
    asvs=("6.1.1", "6.3.1", "6.3.8"),
)
