"""Secrets: where they come from, how strong they are, and how they are changed.

Threat: a published placeholder or a fallback key that signs for everybody (CVE-2023-27524), a key
in the repository, a rotation that nobody dares (CWE-798, CWE-1392). Mechanism: secrets come from
the environment or a file; known, short, repetitive and spoken ones refuse to start; one key per
purpose is derived (HKDF, RFC 5869), and previous secrets are accepted until they are taken out.
Source: ASVS 5.0.0 11.5, 13.2.3, 13.3; C-07, C-19, C-21.
It does not keep the environment itself secret.
"""

from __future__ import annotations

import itertools
import math
import re
import secrets as entropy
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from pydantic import Field, SecretStr

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.secrets import probes, sabotages
from bylaw.policy import Policy, database

BITS: Final = 256
LEAST_BITS: Final = 160
"""What a sample of 43 random characters shows of its 256 bits: 183 or more in 200,000 samples. A
text of n characters can show n·log2(n) at most, however random it is."""
MOST_WORDS: Final = 0.4
"""The share of a secret that may read as words: 0.23 at most in 90,000 random samples, 0.5 and more
in sentences, pass phrases and rows of keys."""
MOST_PIECES: Final = 5
"""Pieces between blanks, of which no generator makes any: the words of a sentence may all be short."""

PUBLISHED: Final = frozenset(
    {
        "fallback-dev-key",
        "your_secret_key_here",
        "your_admin_token_here",
        "admin123",
        "dev",
        "development",
        "secret",
        "secret_key",
        "secret-key",
        "changeme",
        "change-me",
        "change_me",
        "changethis",
        "password",
        "test",
        "testing",
        "default",
        "example",
        "placeholder",
        "insecure",
        "none",
        "null",
        "admin",
        "your-secret-key",
        "supersecret",
        "super-secret",
        "mysecretkey",
        "0x3f8a2b...c7d9e1f4",
        "gocspx-abc123...xyz789",
        "123456789.apps.googleusercontent.com",
        "postgresql://user:password@host:5432/dbname",
        "thisismyscretkey",
        "\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    }
)
"""Values that stand in somebody's documentation or in the source policies (C-07, C-19, S1-070,
S2-055, S2-079; the keys of the Flask and FastAPI tutorials; CVE-2023-27524)."""
_BEGINS: Final = ("your_", "your-", "change", "replace", "insert", "example", "todo")
_ENDS: Final = ("_here", "-here")
_TO_FILL_IN: Final = re.compile(r"<[\w .,:/-]+>|\$?\{+[\w .,:/-]+\}+")
"""Whole, as one bracket alone is what one random key in base85 out of forty begins or ends with."""
_HOLDS: Final = (
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "fallback",
    "insecure",
    "example",
    "xxxxxxxx",
    "...",
    "…",
)
"""What a placeholder looks like. Long enough, or at an end, so that no random value is taken for one."""


class Settings(control.Settings):
    """Where the application's secret comes from."""

    key: SecretStr = Field(SecretStr("env:SECRET_KEY"))
    """The secret that every key is derived from: 256 bits at least (`bylaw secrets new`)."""

    min_length: int = Field(43, ge=43)
    """Characters that a secret has at least: 43 in URL-safe base64, 64 in hexadecimal."""

    previous: tuple[SecretStr, ...] = ()
    """Secrets of before, accepted until they are taken out: what they made goes on working."""


def weakness(
    value: str, *, min_length: int = 43, least_bits: float = LEAST_BITS, most_words: float = MOST_WORDS
) -> str | None:
    """Why `value` is no secret, None when it is one. The answer never holds the value."""
    text = value.strip()
    if not text:
        return "empty"
    if placeholder(text):
        return "a published placeholder"
    if len(text) < min_length:
        return f"too short ({len(text)} characters)"
    if not text.isprintable():
        return "not one line of text"
    if _repeats(text):
        return "one piece over and over"
    if bits(text) < least_bits:
        return f"too regular (about {int(bits(text))} bits)"
    if _spoken(text) > most_words:
        return "made of words"
    return None


def placeholder(text: str) -> bool:
    """Whether `text` stands in somebody's documentation, or for a value that is to be filled in."""
    text = text.strip().strip("\"'").lower()
    return (
        text in PUBLISHED
        or _TO_FILL_IN.fullmatch(text) is not None
        or text.startswith(_BEGINS)
        or text.endswith(_ENDS)
        or any(word in text for word in _HOLDS)
    )


def bits(text: str) -> float:
    """How many bits `text` can hold at most, by how often each of its characters occurs."""
    total = len(text)
    return -sum(n * math.log2(n / total) for n in Counter(text).values())


def _repeats(text: str) -> bool:
    """Whether the text is one piece repeated, or runs up or down the alphabet."""
    if (text + text).find(text, 1) < len(text):
        return True
    steps = [ord(b) - ord(a) for a, b in itertools.pairwise(text)]
    return Counter(steps).most_common(1)[0][1] > len(text) * 0.6


@lru_cache(maxsize=1)
def _words() -> frozenset[str]:
    """Words, names, rows of keys and passwords of 5 to 12 characters, in lower case."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(word for words in FREQUENCY_LISTS.values() for word in words if 5 <= len(word) <= 12)


def _spoken(text: str) -> float:
    """The share of the text that reads as words."""
    if len(text.split()) > MOST_PIECES:
        return 1.0
    text, words = text.lower(), _words()
    at = covered = 0
    while at < len(text):
        found = next((n for n in range(12, 4, -1) if text[at : at + n] in words), 0)
        covered += found
        at += found or 1
    return min(1.0, covered / len(text))


def new() -> str:
    """A new secret of 256 random bits, as 64 hexadecimal characters."""
    return entropy.token_hex(BITS // 8)


def ring(policy: Policy) -> list[bytes]:
    """The secrets of the key ring, the current one first."""
    settings = policy.of(Settings)
    return [s.get_secret_value().strip().encode() for s in (settings.key, *settings.previous)]


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.off:
        yield Conflict("secrets.off", "anybody could sign", "leave the key out")
    for key, secret in _named(settings):
        weak = weakness(secret.get_secret_value(), min_length=settings.min_length)
        if weak is not None:
            yield Conflict(key, weak, "make one: bylaw secrets new")
    values = [secret.get_secret_value().strip() for _, secret in _named(settings)]
    if len(set(values)) < len(values):
        yield Conflict("secrets.previous", "holds the same secret twice", "each secret once")
    yield from _database(policy, values)


def _named(settings: Settings) -> list[tuple[str, SecretStr]]:
    previous = [(f"secrets.previous.{i}", s) for i, s in enumerate(settings.previous)]
    return [("secrets.key", settings.key), *previous]


def _database(policy: Policy, others: list[str]) -> Iterable[Conflict]:
    """The database's own password (S1-127; C-43: random rather than composed)."""
    try:
        url = database.address(policy.store.database.get_secret_value())
    except ValueError as error:
        yield Conflict("store.database", str(error), database.ACCEPTED)
        return
    if not policy.production or url.host in (None, "", "localhost", "127.0.0.1", "::1"):
        return
    password = str(url.password or "")
    if len(password) < 20 or placeholder(password) or bits(password) < 64:
        yield Conflict(
            "store.database", "its password is missing, short or guessable", "20 random characters or more"
        )
    elif password in others:
        yield Conflict(
            "store.database", "its password is the application's secret", "a secret of its own for each"
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    sentences = [
        (
            "Secrets come from the environment or from files, never from the policy or the code. A "
            "missing, published, short, regular or spoken one refuses to start, and no answer, log or "
            "message repeats one."
        ),
        (
            "Each purpose has a key of its own, derived from the application's secret. A new secret ends "
            "nothing: the previous one is accepted until it is taken out."
        ),
    ]
    if settings.previous:
        sentences.append(f"Previous secrets still accepted: {len(settings.previous)}.")
    return sentences


CONTROL = Control(
    name="secrets",
    title="Secrets",
    settings=Settings,
    statement=_statement,
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=(
        "S1-061",
        "S1-062",
        "S1-063",
        "S1-068",
        "S1-069",
        "S1-070",
        "S1-126",
        "S1-127",
        "S2-012",
        "S2-013",
        "S2-034",
        "S2-036",
        "S2-055",
        "S2-079",
        "C-07",
        "C-19",
        "C-21",
        "C-43",
    ),
    asvs=("6.3.2", "11.5.1", "13.2.3", "13.3.1", "13.3.4"),
)
