"""What a person types and sees, as text: run, and compared.

    $ bylaw secrets new                    a command; `NAME=value` before it, `echo text |` before that
    <secret>                               what it prints: <secret>, <id>, <date> and <time> stand for
    $ bylaw role explain user note:drop    what differs each time, … for what is left out
    no: user holds note:read
    [1]                                    its exit code, where it is not 0

`python -m tests.cli.transcript` writes what the commands of `transcripts/` print today.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from bylaw.cli import main
from bylaw.controls import secrets

FOLDER = Path(__file__).parent / "transcripts"
SECRET = secrets.new()
POLICY = """\
[app]
name = "Notes"

[roles]
admin = ["*"]
user = ["note:read", "note:update:own"]
"""
_MASKS = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r"\b[0-9a-f]{64}\b", "<secret>"),
    (r"\b20\d\d-\d\d-\d\d(T[0-9:.+]+)?\b", "<date>"),
    (r"\b\d\d:\d\d UTC\b", "<time>"),
    (r" +\d+\.\d s\b", "  <time>"),
    (r"(?<=password  )\S+(?= +\(shown)", "<password>"),
    (r"\b\d+\.\d\ds\b", "<time>"),
)
Run = Callable[[str, Mapping[str, str]], tuple[str, int]]
"""Runs a command line with further variables: what it printed, and its exit code."""


@dataclass
class Exchange:
    """One command, and what a person saw."""

    command: str
    output: str = ""

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.output}"


def parse(text: str) -> list[Exchange]:
    """The commands of a transcript. A line that ends in a backslash goes on in the next."""
    found: list[Exchange] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines(keepends=True):
        if line.startswith("$ "):
            found.append(Exchange(line[2:].rstrip("\n")))
        elif found:
            found[-1].output += line
    return found


def masked(text: str) -> str:
    """`text` without what differs each time."""
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def perform(exchanges: list[Exchange], run: Run) -> list[Exchange]:
    """The same commands with what they print now. `{secret}` in one stands for a good secret."""
    return [
        Exchange(each.command, outcome(*run(*_variables(each.command.replace("{secret}", SECRET)))))
        for each in exchanges
    ]


def outcome(output: str, code: int) -> str:
    shown = masked(output)
    if shown and not shown.endswith("\n"):
        shown += "\n"
    return shown + (f"[{code}]\n" if code else "")


def matches(expected: str, seen: str) -> bool:
    """Whether `seen` is what was expected; a line `…` stands for any lines, and … for any text."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in expected.strip("\n").split("\n")
    )
    return re.fullmatch(pattern, seen.strip("\n") + "\n") is not None


def _variables(command: str) -> tuple[str, dict[str, str]]:
    """A command line without the variables before it, and those."""
    variables = {}
    while match := re.match(r"([A-Z_]+)=(\S*) ", command):
        variables[match[1]] = match[2]
        command = command[match.end() :]
    return command, variables


def _said(said: str) -> str:
    r"""What is piped in: `echo one\ntwo` is two lines."""
    return said.removeprefix("echo ").replace("\\n", "\n") + "\n" if said else ""


def here(command: str, variables: Mapping[str, str]) -> tuple[str, int]:
    """Run in this process."""
    said, _, command = command.rpartition(" | ")
    words = shlex.split(command)
    if words[0] != "bylaw":
        raise ValueError(f"not a command of bylaw: {command}")
    result = CliRunner().invoke(main, words[1:], input=_said(said), env=dict(variables), prog_name="bylaw")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output, result.exit_code


def elsewhere(directory: Path, environ: Mapping[str, str]) -> Run:
    """Runs in processes of their own, as from a shell in `directory`."""

    def run(command: str, variables: Mapping[str, str]) -> tuple[str, int]:
        said, _, command = command.rpartition(" | ")
        words = shlex.split(command)
        words = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        done = subprocess.run(
            words,
            cwd=directory,
            env={**environ, **variables},
            text=True,
            check=False,
            timeout=100,
            input=_said(said),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout, done.returncode

    return run


def inside(directory: Path, environ: Mapping[str, str]) -> Run:
    """As from a shell in `directory`, in this process, which has imported everything already."""

    def run(command: str, variables: Mapping[str, str]) -> tuple[str, int]:
        before = dict(os.environ), list(sys.path), set(sys.modules)
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level  # a command that serves logs to its terminal
        os.environ.clear()
        os.environ.update(environ)
        try:
            with contextlib.chdir(directory):
                return here(command, variables)
        finally:
            os.environ.clear()
            os.environ.update(before[0])
            sys.path[:] = before[1]
            root.handlers[:] = handlers
            root.setLevel(level)
            for name in set(sys.modules) - before[2]:
                file = getattr(sys.modules[name], "__file__", None)
                if file is not None and Path(file).is_relative_to(directory):
                    del sys.modules[name]

    return run


@contextlib.contextmanager
def project(directory: Path) -> Iterator[None]:
    """Stand in a folder with a policy and the variables that it needs, and none that are not its own."""
    (directory / "bylaw.toml").write_text(POLICY, "utf-8")
    before = dict(os.environ)
    for name in ("BYLAW_ENV", "SMTP_URL", "FLASK_DEBUG", "TESTING", "BYLAW_TESTING"):
        os.environ.pop(name, None)
    os.environ.update(BASE_URL="https://notes.acme.eu", DATABASE_URL="sqlite:///notes.db", SECRET_KEY=SECRET)
    try:
        with contextlib.chdir(directory):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    for file in sorted(FOLDER.glob("*.txt")):
        with tempfile.TemporaryDirectory() as folder, project(Path(folder)):
            performed = perform(parse(file.read_text("utf-8")), here)
        file.write_text("\n".join(map(str, performed)), "utf-8")
