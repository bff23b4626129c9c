"""The documentation's own code, taken out of its pages and run.

    ```python app.py        a file: written into a folder of the page's own
    ```console              commands: run there, and their output compared (tests/cli/transcript.py)
    ```toml                 a piece of a policy: checked against the policy's schema
    ```python               anything else in Python: it must at least be Python

A table with the columns request, who and answer is sent to the page's application.

    python -m tests.docs.pages      runs every page and writes what its commands print today
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cli import transcript

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)```(\S*) *(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_ROW = re.compile(
    r"^\| `(GET|POST|PUT|DELETE|PATCH) ([^`]+)` \| ([^|]+) \| (\d{3})(?: `([^`]*)`)? \|$", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Row:
    """One request of a table: who sends it, and what is answered."""

    method: str
    path: str
    who: str
    status: int
    begins: str


def documents() -> list[Path]:
    """Every page that is written for people, the README first."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        lines = match[4].splitlines(keepends=True)
        body = "".join(line.removeprefix(match[1]) for line in lines)
        found.append(Block(match[2], match[3].strip(), body, text.count("\n", 0, match.start()) + 1))
    return found


def rows(page: Path) -> list[Row]:
    found = _ROW.findall(page.read_text("utf-8"))
    return [Row(verb, path, who.strip(), int(status), text) for verb, path, who, status, text in found]


def prose(page: Path) -> str:
    """A page without its code."""
    return _FENCE.sub("", page.read_text("utf-8"))


def environ() -> dict[str, str]:
    """What a shell has that nobody has prepared: nothing that a policy could take for its own."""
    import bylaw

    ours = [str(Path(bylaw.__file__).parents[1])]
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(ours),
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": os.environ.get("HOME", "/"),
    }


def walk(page: Path, folder: Path) -> Iterator[tuple[Block, transcript.Exchange, transcript.Exchange]]:
    """Follow a page from top to bottom; yields each command as it stands there and as it went."""
    quick, slow = transcript.inside(folder, environ()), transcript.elsewhere(folder, environ())

    def run(command: str, variables: Mapping[str, str]) -> tuple[str, int]:
        # What a page breaks on purpose is broken in a process of its own.
        here = command.startswith(("bylaw ", "echo ")) and "broken" not in command
        return (quick if here else slow)(command, variables)

    for block in blocks(page):
        if block.language == "console":
            for said in transcript.parse(block.text):
                yield block, said, transcript.perform([said], run)[0]
        elif block.name and "." in block.name:
            file = folder / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, "utf-8")
            if file.name == ".env":
                file.chmod(0o600)


def shape(text: str) -> str:
    """Counts and columns grow with every control: what a command says is compared, not how often."""
    return re.sub(r"(?<=\S)  +", "  ", re.sub(r"\d+", "#", text))


def rewrite(page: Path) -> None:
    """Put today's output under each command of a page, except where something is left out (…)."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for _, said, seen in walk(page, Path(folder)):
            if "…" not in said.output.replace("://…", "") and said.output:
                before, after = str(said).rstrip("\n"), str(seen).rstrip("\n")
                text = text.replace(before, after, 1)
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or [str(page) for page in documents()]:
        rewrite(Path(name))
