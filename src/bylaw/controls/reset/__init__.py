"""Password reset: whoever reads the mailbox of an account may choose its password anew, once for each link.

Threat: a link that is used twice, kept, guessed, made from a forged Host, or handed on by Referer, logs and
history (CWE-640, CWE-598); an answer that tells who has an account (CWE-204); a reset that leaves the thief's
session alive (CWE-613) or steps around the second factor. Mechanism: 256 random bits in a mail to the
account's own address, kept as SHA-256; opening the link moves it into a short ceremony of this browser; it is
used up in the transaction that sets the password, which ends whatever the account holds and tells its owner;
asking is answered alike, and mailed off the request path. Source: OWASP Forgot Password, NIST SP 800-63B-4
3.1.6 and 4.2, ASVS 5.0.0 6.4.3 and 7.4.3; S1-011 to S1-017, C-34, C-35, C-40, C-41.
It does not protect an account whose mailbox somebody else reads: a second factor does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Control
from bylaw.controls import passwords, proxies
from bylaw.controls.reset import probes, sabotages
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason, Refused
from bylaw.store.counters import Group, Limit, Lost

CLOSED = Reason(
    "reset.closed",
    403,
    "An administrator resets passwords here.",
    "The policy has [reset] off = true: nobody can ask for a link. Those from administrators still work.",
)
ENDED = Reason(
    "reset.ended",
    400,
    "This link is no longer good. Ask for a new one.",
    "The link was used, has run out, was ended by a newer one or by a change of the account, or never was "
    "one. The answer is the same for all of these, and nothing was changed.",
)
WAIT = Reason(
    "reset.wait",
    429,
    "Too many links were asked for from here. Wait a little, then try again.",
    "The address has used up [reset] per_address; Retry-After says when one more may be asked for. It is "
    "counted whether there are such accounts or not.",
)

_HOUR = 3600


class Settings(control.Settings):
    """How a forgotten password is replaced."""

    lifetime: Duration = Field(_HOUR, ge=300, le=86400)
    """How long a mailed link is good for (NIST SP 800-63B-4 4.2: 24 hours at most)."""

    per_account: int = Field(5, ge=1, le=20)
    """Links an hour that one account is sent; asking for more sends nothing, and the last stays good."""

    per_address: int = Field(20, ge=1, le=1000)
    """Links an hour that may be asked for from one address (IPv6: one /64), for whatever accounts."""

    def below_standard(self) -> Iterable[Below]:
        if self.lifetime > _HOUR:
            yield Below(
                "lifetime", spoken(self.lifetime), "1 hour", "OWASP Forgot Password; ASVS 5.0.0 6.5.5"
            )


@cache
def _group(count: int) -> Group:
    """One limit for each number: counters know it by what it is, not by what it says."""
    return (Limit(count, _HOUR, "reset"),)


def pace(house: House, address: str) -> None:
    """Count that somebody asks for a link from `address`. Raises Refused: he must wait.

    While the counters are lost nothing is counted here: each account's own limit stands in the database.
    """
    settings = house.policy.of(Settings)
    if not house.paced or not address:
        return
    try:
        take = house.counters.over((_group(settings.per_address),))
        _, left, ends = take((proxies.group(address),), house.now())
    except Lost:
        return
    if left < 0:
        wait = max(1, math.ceil(ends - house.now()))
        raise Refused(WAIT, headers=(("Retry-After", str(wait)),))


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    return [
        (
            "Whoever has forgotten a password is mailed a link to choose another; no page, mail or program "
            "ever tells the old one. Asking is answered alike, after equal work, for every address."
        ),
        (
            f"A link is good once, for {spoken(settings.lifetime)}, and only until a newer one, or a change "
            "of the password, the address or the account's standing. Of its 256 random bits the SHA-256 is "
            "kept; its address is the policy's, whatever the request says."
        ),
        (
            "Opening it moves it into a short ceremony of this browser: the address bar, other sites and "
            "the log do not see it. Opening alone uses up nothing, since mail scanners open links."
        ),
        (
            "A new password ends everything that the account holds (see [what ends with "
            "what](#what-ends-with-what)), is told to the owner by mail, and signs nobody in: the second "
            "factor is asked for as always."
        ),
        (
            f"One account is sent {settings.per_account} links an hour, of which the last stays good; from "
            f"one address (IPv6: /64) {settings.per_address} may be asked for."
        ),
    ]


CONTROL = Control(
    name="reset",
    title="Password reset",
    settings=Settings,
    statement=_statement,
    reasons=(CLOSED, ENDED, WAIT),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    idle=passwords.missing,
    requirements=(
        "S1-011",
        "S1-012",
        "S1-013",
        "S1-014",
        "S1-015",
        "S1-016",
        "S1-017",
        "C-34",
        "C-35",
        "C-40",
        "C-41",
    ),
    asvs=("6.3.8", "6.4.3", "7.4.3", "14.2.1"),
)
