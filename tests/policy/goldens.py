"""A policy and its whole outcome in one file: what stands in it, around it, and what becomes of it.

[signup]                          the policy
role = "boss"
=== environment                   variables over the usual ones; `-NAME` takes one away
BYLAW_ENV=development
=== file .env 0644                a file beside the policy, with its mode
DATABASE_URL=sqlite:///app.db
=== refused                       the error, word for word
=== kept                          or some of the settings, resolved

`{secret}`, `{other}` and `{third}` stand for good secrets, `{short}` for one of 63 characters.

python -m tests.policy.goldens    writes every outcome anew; read the difference before you keep it
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from bylaw import policy
from bylaw.controls import CONTROLS
from bylaw.errors import PolicyError
from bylaw.policy import Policy

FOLDER = Path(__file__).parent / "goldens"
# Made, not written: what stands in a repository is nobody's secret, and somebody's first guess.
SECRET, OTHER, THIRD = (sha256(f"policy goldens {n}".encode()).hexdigest() for n in range(3))
_MADE = {"{secret}": SECRET, "{other}": OTHER, "{third}": THIRD, "{short}": SECRET[:63]}
USUAL = {"BASE_URL": "https://mtc.acme.eu", "DATABASE_URL": "sqlite:///app.db", "SECRET_KEY": SECRET}


@dataclass
class Golden:
    """One file, read."""

    path: Path
    text: str = ""
    environment: list[str] = field(default_factory=list)
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    outcome: str = ""
    expected: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """What the policy is read with."""
        found = dict(USUAL)
        for line in self.environment:
            name, _, value = line.partition("=")
            if name.startswith("-"):
                found.pop(name[1:], None)
            else:
                found[name] = value
        return found

    def write(self, outcome: str, expected: str) -> None:
        """Keep another outcome."""
        head = self.path.read_text("utf-8").partition(f"=== {self.outcome}\n")[0]
        self.path.write_text(f"{head}=== {outcome}\n{expected}", "utf-8")


def read(path: Path) -> Golden:
    """The golden in a file."""
    golden = Golden(path)
    text = path.read_text("utf-8")
    for name, value in _MADE.items():
        text = text.replace(name, value)
    parts = re.split(r"^=== (.+)\n", text, flags=re.MULTILINE)
    golden.text = parts[0]
    for marker, body in zip(parts[1::2], parts[2::2], strict=True):
        match marker.split():
            case ["environment"]:
                golden.environment = body.splitlines()
            case ["file", name, mode]:
                golden.files[name] = (int(mode, 8), body)
            case ["refused" | "kept" as outcome]:
                golden.outcome, golden.expected = outcome, body
            case _:
                raise ValueError(f"{path}: {marker}")
    return golden


def files(folder: str) -> list[Path]:
    return sorted((FOLDER / folder).glob("*.golden"))


def load(golden: Golden, directory: Path) -> Policy:
    """Read its policy in a directory of its own. Raises PolicyError."""
    (directory / "bylaw.toml").write_text(golden.text, "utf-8")
    for name, (mode, body) in golden.files.items():
        (directory / name).write_text(body, "utf-8")
        (directory / name).chmod(mode)
    with contextlib.chdir(directory):
        return policy.load("bylaw.toml", CONTROLS, golden.variables)


def outcome(golden: Golden, directory: Path) -> tuple[str, str]:
    """What becomes of it: ("refused", the error) or ("kept", the settings that it asks about)."""
    try:
        read = load(golden, directory)
    except PolicyError as error:
        return "refused", str(error)
    return "kept", "".join(f"{key} = {_shown(read, key)}\n" for key in _keys(golden))


def _keys(golden: Golden) -> Iterator[str]:
    asked = golden.expected if golden.outcome == "kept" else "app.base_url\n"
    for line in asked.splitlines():
        yield line.partition(" = ")[0]


def _shown(read: Policy, key: str) -> str:
    name, _, rest = key.partition(".")
    found = getattr(read, name, None) or read.controls[name]
    return json.dumps(getattr(found, rest) if rest else found, ensure_ascii=False, default=str)


if __name__ == "__main__":
    for file in sorted(FOLDER.rglob("*.golden")):
        with tempfile.TemporaryDirectory() as directory:
            golden = read(file)
            golden.write(*outcome(golden, Path(directory)))
