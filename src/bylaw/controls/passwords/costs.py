"""What guessing a password costs an attacker who has the table, for whoever chooses the price of a hash.

Argon2id: a ceiling, which no plain implementation exceeds. Each guess moves 1 KiB x m x (2 + 3(t - 1))
bytes through the card's memory (RFC 9106 section 3.1.2: a block is written in the first pass, and read once
more in each further one), and a card that is rented by the hour moves 4.8 TB/s (NVIDIA H200). Measured
implementations on other cards reached 59 to 92% of it. PBKDF2-SHA256: 10,900 guesses a second at 600,000
rounds, published for an H100 SXM (github.com/javydekoning/aws-hashcat, hashcat 6.2.6), whose processor the
H200 shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BANDWIDTH: Final = 4.8e12
"""Bytes a second that one H200 moves."""
USD_PER_HOUR: Final = 3.0
LISTED: Final = 10_000_000
"""Passwords of a leaked list, of which half are tried before the right one, on average."""
RANDOM: Final = 62**8
"""Passwords of eight random letters and digits."""
_PBKDF2_ROUNDS_A_SECOND: Final = 10_900 * 600_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attacker with one such card can do."""

    guesses_per_second: float

    @property
    def listed_seconds(self) -> float:
        """Until a password of the leaked list is found, on average."""
        return LISTED / 2 / self.guesses_per_second

    @property
    def listed_usd(self) -> float:
        return self.listed_seconds / 3600 * USD_PER_HOUR

    @property
    def random_usd(self) -> float:
        """Until eight random letters and digits are found, on average."""
        return RANDOM / 2 / self.guesses_per_second / 3600 * USD_PER_HOUR


def moved(kib: int, passes: int) -> int:
    """Bytes that one Argon2id guess moves through memory."""
    return 1024 * kib * (2 + 3 * (passes - 1))


def argon2id(kib: int, passes: int) -> Cost:
    """At most so much."""
    return Cost(BANDWIDTH / moved(kib, passes))


def pbkdf2_sha256(rounds: int) -> Cost:
    return Cost(_PBKDF2_ROUNDS_A_SECOND / rounds)
