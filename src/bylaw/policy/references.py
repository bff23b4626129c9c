"""Where a policy's values come from: the process's environment, `.env` beside it, files."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values

from bylaw import toml_lines
from bylaw.control import Control
from bylaw.errors import PolicyError, Problem
from bylaw.policy import database
from bylaw.policy.faults import Key, toml
from bylaw.policy.texts import listed
from bylaw.policy.value import Environment

_ABSENT: Final = object()
REFERENCE: Final = re.compile("(env|file):")
_VARIABLE: Final = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<optional>\?)?( or (?P<stand_in>.+))?", re.DOTALL
)
_OLDER: Final = {"REDIS_URL": ("RATELIMIT_STORAGE_URL", "RATELIMIT_STORAGE_URI")}
"""Names under which a variable was known before. Flask-Limiter reads the last, and its users wrote either."""
REMEDIES: Final[dict[tuple[str, ...], str]] = {
    ("secrets", "key"): "make one: bylaw secrets new",
    ("app", "base_url"): "where people reach it, e.g. https://mtc.acme.eu",
    ("store", "database"): database.ACCEPTED,
    ("rate_limits", "store"): "e.g. rediss://:password@host:6379/0",
    ("mail", "server"): "e.g. smtps://user:password@mail.acme.eu:465",
    ("mail", "user"): "what the mail server gave out, or nothing",
    ("mail", "password"): "what the mail server gave out, or nothing",
}


class References:
    """The values that a policy names, and every problem met on the way."""

    def __init__(self, path: Path, controls: dict[str, Control], environ: Mapping[str, str]) -> None:
        self.path = path
        self.dotenv: Path | None = None
        self.controls = controls
        self.problems: list[Problem] = []
        # From the process alone: a file that was left behind must not make production another place.
        self.environment = self._environment(environ)
        beside = self._dotenv()
        self.environ = {**beside, **environ}
        self._asked_beside(beside)
        self.sources: dict[Key, str] = {}
        """What a key's value was taken from: a variable's name or a file."""
        self.taken: dict[Key, str] = {}
        """The values taken: none of them may stand in an error."""
        self.older: dict[str, str] = {}
        self.shifted: dict[Key, Key] = {}
        """List items that moved up because an optional one before them is absent."""
        self.where = toml_lines.Lines(path.name, {})

    def _environment(self, environ: Mapping[str, str]) -> Environment:
        """Production unless the process was asked for development (C-33)."""
        asked = environ.get("BYLAW_ENV", "").strip().lower() or "production"
        if asked not in ("production", "development"):
            self.problems.append(
                Problem(
                    "BYLAW_ENV", repr(asked), "no such environment", "production (the default) or development"
                )
            )
        return "development" if asked == "development" else "production"

    def _dotenv(self) -> dict[str, str]:
        """The variables of `.env` beside the policy, or where the process was started."""
        for place in (self.path.parent / ".env", Path.cwd() / ".env"):
            if place.is_file():
                self.dotenv = place
                try:
                    return {k: v for k, v in dotenv_values(place).items() if v is not None}
                except (OSError, UnicodeDecodeError):
                    self.problems.append(
                        Problem(
                            place.name,
                            "not readable",
                            "it holds variables",
                            "UTF-8 text that this process may read",
                        )
                    )
        return {}

    def _asked_beside(self, dotenv: Mapping[str, str]) -> None:
        """Tell whoever asks for development in `.env` why it is not had that way."""
        asked = dotenv.get("BYLAW_ENV", "").strip() or "production"
        if self.environment == "production" and asked.lower() != "production":
            self.problems.append(
                Problem(
                    ".env",
                    f"BYLAW_ENV = {asked}",
                    "counts in the process alone",
                    f"BYLAW_ENV={asked} before the command, or take the line out",
                )
            )

    def _open_dotenv(self) -> None:
        """In production nobody but its owner may read `.env` (S1-069)."""
        if self.environment == "production" and self.dotenv is not None:
            others = stat.S_IRWXG | stat.S_IRWXO
            if self.dotenv.stat().st_mode & others:
                self.problems.append(
                    Problem(
                        self.dotenv.name,
                        "readable by others",
                        "it holds secrets",
                        f"chmod 600 {self.dotenv.name}",
                    )
                )

    def _on(self, name: str) -> bool:
        """Whether a variable switches something on."""
        return self.environ.get(name, "").strip().lower() not in ("", "0", "false", "no")

    def _resolve(self, value: Any, path: Key) -> Any:
        """References to the environment and to files, replaced by what they name."""
        if isinstance(value, dict):
            resolved = {k: self._resolve(v, (*path, k)) for k, v in value.items()}
            return {k: v for k, v in resolved.items() if v is not _ABSENT}
        if isinstance(value, list):
            return self._items(value, path)
        if not isinstance(value, str) or not REFERENCE.match(value):
            return value
        kind, _, name = value.partition(":")
        found = self._variable(name, path) if kind == "env" else self._file(name, path)
        if isinstance(found, str):
            self.taken[path] = found
        return found

    def _items(self, value: list[Any], path: Key) -> list[Any]:
        items: list[Any] = []
        for number, each in enumerate(value):
            written = (*path, str(number))
            found = self._resolve(each, written)
            for one in listed(found) if written in self.sources else [found]:
                if one is not _ABSENT:
                    if number != len(items):
                        self.shifted[(*path, str(len(items)))] = written
                    items.append(one)
        return items

    def _variable(self, text: str, path: Key) -> object:
        match = _VARIABLE.fullmatch(text)
        if match is None:
            self._report(path, "names no variable", '"env:NAME", or "env:NAME?" where it may be absent')
            return _ABSENT
        name, optional, stand_in = match["name"], match["optional"], match["stand_in"]
        if stand_in and self.environment == "production":
            # A fallback that nobody notices in production is how one key signs everywhere (C-07).
            self._report(path, "has a stand-in, which only [development] may have", f'"env:{name}"')
            return _ABSENT
        self.sources[path] = name
        value = self.environ.get(name, "") or self._by_older_name(name)
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            self._report(path, "not UTF-8 text")
            return _ABSENT
        if value.strip():
            return value
        if stand_in:
            return stand_in
        if optional:
            return _ABSENT
        if path in (("secrets", "key"), ("jwt", "key")) and self.environment == "development":
            return os.urandom(32).hex()  # per process: it signs nothing that outlives it (C-07)
        self.problems.append(
            Problem(
                name,
                "not set",
                f"needed by {'.'.join(path)} ({self.where.at(path)})",
                REMEDIES.get(path, f"set {name} in the environment or in .env"),
            )
        )
        return _ABSENT

    def _by_older_name(self, name: str) -> str:
        """What a variable says under a name of before, which is told: one that nobody reads would be a
        setting that silently does nothing (C-13)."""
        for older in _OLDER.get(name, ()):
            if value := self.environ.get(older, "").strip():
                self.older[name] = older
                return value
        return ""

    def _file(self, name: str, path: Key) -> object:
        self.sources[path] = name
        try:
            return Path(name).read_text("utf-8").strip()
        except (OSError, ValueError):  # ValueError: not UTF-8, or a NUL in the name
            self.problems.append(
                Problem(
                    toml(name)[1:-1],
                    "not readable",
                    f"needed by {'.'.join(path)} ({self.where.at(path)})",
                    "a text file that this process may read",
                )
            )
            return _ABSENT

    def _report(self, path: Key, why: str, accepted: str = "", found: str = "") -> None:
        path = self.shifted.get(path, path)
        key = f"[{path[0]}]" if len(path) == 1 else ".".join(path) + found
        where = self.sources.get(path) or self.where.at(path)
        self.problems.append(Problem(where, self._masked(key), self._masked(why), accepted))

    def _masked(self, text: str) -> str:
        """`text` without any value that a reference named: a control may quote what it refuses."""
        for path, value in self.taken.items():
            if len(value) > 5 and path != ("app", "base_url"):
                for spelling in (value, repr(value)[1:-1], toml(value)[1:-1]):
                    text = text.replace(spelling, "•••")
        return text

    def _give_up_on_problems(self) -> None:
        if self.problems:
            # A variable that two keys name, or the profile's, is met more than once.
            problems = dict.fromkeys(self.problems)
            raise PolicyError(f"{self.path} is not a policy that can be kept", problems)
