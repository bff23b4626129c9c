"""Access tokens: a person signs in with a token that was given to them; it opens a session and nothing else.

Threat: a token that is guessed, found in a repository, a log or a copy of the database, never expires, or
goes on working after it was taken back (CWE-798, CWE-522, CWE-613). Mechanism: 128 random bits or more under
a prefix that scanners know, of which the SHA-256 alone is kept; shown once; taken in the body of one request,
never from an address; it opens a session that ends with it, and no cookie holds it. It expires, its owner is
warned before, and revoking it ends its sessions in the same transaction. A first administrator's token comes
from the environment and must be changed. Source: OWASP ASVS 5.0.0 6.4.1, 7.4.1, 11.5.1, 14.2.1, NIST SP
800-63B-4 3.1.2; S2-004 to S2-012, S2-034 to S2-049, S2-065 to S2-068, C-06, C-40.
It does not bind a token to its owner: whoever has it is its owner until it is revoked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import Field, SecretStr

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls import roles, secrets
from bylaw.controls.tokens import form, probes, sabotages
from bylaw.keys import digest
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason

WRONG = Reason(
    "tokens.wrong",
    401,
    "That is no token that is good here.",
    "The token is unknown, mistyped, expired, revoked or of another environment, or its account is disabled: "
    "the answer is the same for all of them. Ask whoever gave it to you for another one.",
)
OFF = Reason(
    "tokens.off",
    403,
    "Nobody signs in with a token here.",
    "The policy does not have [tokens] sign_in = true.",
)
UNKNOWN = Reason(
    "tokens.unknown",
    404,
    "There is no such token.",
    "It is not one of the account's, or was revoked already. Nothing was changed.",
)
MANY = Reason(
    "tokens.many",
    409,
    "The account has as many tokens as it may have. Revoke one first.",
    "An account holds 25 tokens that are good at the same time: more than anybody keeps an eye on.",
)

MOST: Final = 25
"""Tokens that an account holds at the same time."""
MAX_NAME: Final = 64
"""Characters of a token's name."""
WARN_BEFORE: Final = 14 * 86400
"""Seconds before a token's end at which its owner is told (S2-038); of a shorter life, the last fifth."""
LEAST_CHARACTERS: Final = 22
"""Of a first administrator's token: 128 bits as `secrets.token_urlsafe(16)` writes them (S2-035)."""
LEAST_BITS: Final = 64
"""What a sample of 22 random characters shows of its 128 bits: 73 or more in 100,000 samples."""
MOST_WORDS: Final = 0.75
"""The share of it that may read as words: 0.55 at most in 50,000 random samples of 22 characters, among
which one word of a few letters is a large part."""
ISSUE: Final = "token:issue"
"""What giving tokens to others within one object asks for, where somebody does not manage users."""

FIRST: Final = "first"
VARIABLE: Final = "variable"
"""Where a token comes from that was not issued: from the environment at the first start, or later."""


class Settings(control.Settings):
    """Whether people sign in with tokens, and what tokens are."""

    sign_in: bool = False
    """Whether anybody signs in with an access token."""

    prefix: str = Field("bylaw", pattern=r"^[a-z][a-z0-9]{1,19}$", examples=["planner"])
    """What this application's tokens begin with, so that scanners know them: `planner_pat_…`, in development
    `planner_dev_…`. Staging has one of its own, e.g. from `env:TOKEN_PREFIX`."""

    bytes: int = Field(32, ge=16, le=64)
    """Random bytes of a token; 16 are 128 bits, in 26 characters that are typed from a card."""

    lifetime: Duration = Field(90 * 86400, ge=3600)
    """How long a token is good for, at most. Each can be given less."""

    never: bool = False
    """Whether a token may be made that never expires. Demands `because`."""

    bootstrap: SecretStr | None = None
    """`env:ADMIN_TOKEN?`: with it the first administrator signs in at the first start, and changes it."""

    def below_standard(self) -> Iterable[Below]:
        if self.never:
            yield Below("never", "true", "each token expires", "ASVS 5.0.0 13.3.4; C-06")
        if self.lifetime > 90 * 86400:
            yield Below("lifetime", spoken(self.lifetime), "90 days", "S2-038, C-06")


def used(policy: Policy) -> bool:
    """Whether anybody signs in with a token."""
    settings = policy.of(Settings)
    return settings.sign_in and not settings.off


def head(policy: Policy) -> str:
    """What each token of this application begins with, in this environment."""
    return form.head(policy.of(Settings).prefix, production=policy.production)


def stored(policy: Policy, token: str) -> str:
    """What is kept of a token: a digest of it and of the environment, so that a copy of development's table
    opens nothing in production (S2-039). Tokens are looked up by it alone: no comparison of secrets."""
    return digest(f"{policy.environment} {form.read(head(policy), token)}")


def elsewhere(policy: Policy, token: str) -> str:
    """What the other environment keeps of it: to notice one token in both."""
    other = "development" if policy.production else "production"
    return digest(f"{other} {form.read(head(policy), token)}")


def weakness(token: str) -> str | None:
    """Why a first administrator's token is none, None when it is one. The answer never holds it."""
    text = token.strip()
    if len(text) > form.LONGEST:
        return f"longer than {form.LONGEST} characters"
    return secrets.weakness(text, min_length=LEAST_CHARACTERS, least_bits=LEAST_BITS, most_words=MOST_WORDS)


def administrators(policy: Policy) -> list[str]:
    """The roles that may manage users, the ones that may do everything first."""
    grants = policy.of(roles.Settings).grants
    return sorted(roles.managing(policy), key=lambda role: ("*" not in grants[role], role))


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.never and not settings.because:
        yield Conflict(
            "tokens.never",
            "a token that nobody ends is found one day",
            'because = "…" beside it, or leave it out',
        )
    if settings.bootstrap is None:
        return
    if not used(policy):
        yield Conflict("tokens.bootstrap", "nobody signs in with a token here", "tokens.sign_in = true")
    if not roles.managing(policy):
        yield Conflict("tokens.bootstrap", "no role may manage users", 'a role with "*" or "user:manage"')
    value = settings.bootstrap.get_secret_value()
    weak = weakness(value)
    if weak is not None:
        yield Conflict("tokens.bootstrap", weak, "make one: bylaw token new --first")
    elif value.strip().encode() in secrets.ring(policy):
        yield Conflict("tokens.bootstrap", "the application's secret", "a value of its own")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not used(policy):
        return ["Nobody signs in with an access token."]
    sentences = [
        (
            f"People sign in with a token of {settings.bytes * 8} random bits, shown once and kept as its "
            f"SHA-256 alone. It begins with `{head(policy)}` and ends with a checksum, so that scanners find "
            "one in a repository or a log. It is a bearer token: whoever has it is signed in."
        ),
        (
            "It opens a session that ends as any other, and with the token at the latest; no cookie, address "
            "or log holds the token. Revoking it ends its sessions in every process within "
            f"{spoken(policy.store.revocation_bound)}."
        ),
        (
            f"A token is good for {spoken(settings.lifetime)} at most; its owner is warned before. "
            + _ever(settings)
        ),
        (
            "Nobody makes a token for another person who may more than himself. Who made it, for whom and "
            "until when, its use and its end are recorded."
        ),
    ]
    if "bootstrap" in policy.written.get("tokens", {}):
        sentences.append(
            "The first administrator's token comes from the environment, makes one administrator at the "
            "first start, and must be changed at the first sign-in; it is refused from then on. Published, "
            "short and guessable ones refuse to start."
        )
    return sentences


def _ever(settings: Settings) -> str:
    if not settings.never:
        return "None lives for ever."
    return "Some may be made that never expire: `bylaw token list --never` names and counts them."


CONTROL = Control(
    name="tokens",
    title="Access tokens",
    settings=Settings,
    statement=_statement,
    reasons=(WRONG, OFF, UNKNOWN, MANY),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=(
        "S2-004",
        "S2-005",
        "S2-011",
        "S2-012",
        "S2-035",
        "S2-037",
        "S2-038",
        "S2-039",
        "S2-040",
        "S2-045",
        "S2-046",
        "S2-047",
        "S2-048",
        "S2-049",
        "S2-065",
        "S2-067",
        "S2-068",
        "S2-079",
        "C-06",
        "C-40",
    ),
    asvs=("6.4.1", "7.4.1", "7.4.2", "11.5.1", "13.3.4", "14.2.1"),
)
