"""What teams glue together today, around the same resource: the two stacks that bylaw is compared with.

Each is put together as its parts' own documentation says. Limits are counted in memory and never reached;
sessions and users are in SQLite. What they need is installed by `make bench`, in an environment of its
own: nothing of it is a part of bylaw.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

PARTS: Final = (
    "fastapi_users",
    "slowapi",
    "secure",
    "starlette_csrf",
    "aiosqlite",
    "flask_security",
    "flask_sqlalchemy",
    "flask_limiter",
    "flask_cors",
    "flask_talisman",
    "flask_wtf",
)
LIMITS: Final = ["1000000 per day", "1000000 per hour", "1000000 per minute"]
EMAIL: Final = "peer@people.test"
PARTNER: Final = "https://partner.acme.eu"
DIRECTORY: Final = "BENCHMARK_DIRECTORY"
"""The variable that tells a served stack where its data is kept, and what its client sends."""
Carried = list[tuple[str, str]]
"""Header fields of somebody signed in: the cookies, and the CSRF token for a change."""


def missing() -> list[str]:
    """The parts that are not installed here."""
    return [name for name in PARTS if find_spec(name) is None]


def leave(directory: Path, carried: Carried) -> None:
    """Write down what a client of a served stack sends."""
    (directory / "carried").write_text("\n".join(f"{name}: {value}" for name, value in carried))


def left(directory: Path) -> Carried:
    """What `leave` wrote down."""
    lines = (directory / "carried").read_text().splitlines()
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
