"""The policy: `bylaw.toml` and the environment, read strictly into one frozen value.

Whatever cannot be kept refuses to start, and every problem is reported at once with file, line,
key, what was found and what is accepted. Secrets never stand in the file, only where they come
from (`env:NAME`, `file:/path`; `env:NAME?` may be absent; `env:NAME or text` has a stand-in, in
development alone).
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError

from bylaw import toml_lines
from bylaw.control import Below, Control, Duration, Section, Settings
from bylaw.errors import PolicyError, Problem

Environment = Literal["production", "development"]
PROFILES: Final = ("standard", "fips")
_BYPASSES: Final = ("FLASK_DEBUG", "TESTING", "BYLAW_TESTING")
"""Variables that switch protection off somewhere; none may be set in production (C-30, C-33)."""

S = TypeVar("S", bound=Settings)


class App(Section):
    """The application."""

    name: str = Field("Application", min_length=1, max_length=80)
    """The name people know it by."""

    base_url: str = Field("env:BASE_URL", pattern=r"^https?://[^/?#@\s]+$")
    """Scheme and host that people reach it at; every link and mail is built from it alone."""

    profile: Literal["standard", "fips"] = "standard"
    """The set of values below what is written here. `standard` is today's highest standard."""

    contact: str | None = None
    """Where a vulnerability is reported: an address or URL, printed in SECURITY.md."""

    @property
    def origin(self) -> str:
        """The application's own origin (RFC 6454), in lower case and without a default port."""
        scheme, _, host = self.base_url.lower().partition("://")
        return f"{scheme}://{host.removesuffix(':443' if scheme == 'https' else ':80')}"

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https://")


class Store(Section):
    """The database that users, sessions and the audit log live in."""

    database: SecretStr = Field(SecretStr("env:DATABASE_URL"))
    """SQLAlchemy URL: `sqlite:///path` (WAL), or `postgresql+psycopg://…`."""

    revocation_bound: Duration = Field(1, ge=1, le=60)
    """Seconds within which every process heeds a change of a user's standing."""

    cached_sessions: int = Field(100_000, ge=0)
    """How many sessions a process remembers at most."""


class Mail(Section):
    """Where mail goes."""

    sender: str = "no-reply@localhost"
    """The From address."""

    server: SecretStr | None = None
    """`env:SMTP_URL`: smtp://user:password@host:587 (STARTTLS) or smtps://host:465."""

    directory: str | None = None
    """Write messages into this directory instead of sending them (development)."""


class Pages(Section):
    """bylaw's own pages and their JSON twins."""

    prefix: str = Field("/auth", pattern=r"^/[a-z0-9/_-]*[a-z0-9]$")
    """Where they are mounted."""

    home: str = Field("/", pattern=r"^/([^/\\].*)?$")
    """Where people go after signing in."""

    aliases: dict[str, str] = {}
    """Further paths at which one of bylaw's own endpoints answers as well."""

    stylesheet: str | None = Field(None, pattern=r"^/([^/\\].*)?$")
    """A stylesheet of the application, loaded after bylaw's own."""


_SECTIONS: Final[dict[str, type[Section]]] = {
    "app": App, "store": Store, "mail": Mail, "pages": Pages,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the application promises, ready to be enforced, probed and printed."""

    file: Path
    environment: Environment
    app: App
    store: Store
    mail: Mail
    pages: Pages
    controls: dict[str, Settings]
    written: dict[str, Any] = field(repr=False)
    """The tables as written (references unresolved), for the document."""
    where: toml_lines.Lines = field(repr=False)

    @property
    def production(self) -> bool:
        return self.environment == "production"

    def of(self, settings: type[S]) -> S:
        """The settings of a control, by their type."""
        return cast(S, next(s for s in self.controls.values() if type(s) is settings))

    def below_standard(self) -> Iterator[tuple[str, Below, str | None]]:
        """Every value below today's standard: (section, what, because)."""
        for name, settings in self.controls.items():
            for below in settings.below_standard():
                yield name, below, settings.because


def load(
    file: str | os.PathLike[str],
    controls: Iterable[Control],
    environ: Mapping[str, str] | None = None,
) -> Policy:
    """Read the policy for `controls` (the registry). Raises PolicyError with every problem."""
    path = Path(file)
    environ = os.environ if environ is None else environ
    return _Reading(path, {control.name: control for control in controls}, environ).policy()


def sections(controls: Iterable[Control]) -> dict[str, type[Section]]:
    """Every table that a policy may have: bylaw's own and one for each control."""
    return {**_SECTIONS, **{control.name: control.settings for control in controls}}


class _Reading:
    """One reading of a policy file, gathering every problem on its way."""

    def __init__(
        self, path: Path, controls: dict[str, Control], environ: Mapping[str, str]
    ) -> None:
        self.path = path
        self.controls = controls
        self.problems: list[Problem] = []
        self.environment = self._environment(environ)
        self.environ = {**self._dotenv(), **environ}
        self.sources: dict[tuple[str, ...], str] = {}
        self.where = toml_lines.Lines(path.name, {})

    # The way of a policy: text -> tables -> overlay -> references -> sections -> conflicts.

    def policy(self) -> Policy:
        tables = self._layer(self._tables())
        written = deepcopy(tables)
        self._bypasses()
        self._unknown_sections(tables)
        sections = {
            name: self._section(name, model, tables.get(name, {}))
            for name, model in self._models().items()
        }
        self._give_up_on_problems()
        policy = Policy(
            file=self.path,
            environment=self.environment,
            app=cast(App, sections["app"]),
            store=cast(Store, sections["store"]),
            mail=cast(Mail, sections["mail"]),
            pages=cast(Pages, sections["pages"]),
            controls={name: cast(Settings, sections[name]) for name in self.controls},
            written=written,
            where=self.where,
        )
        self._base_url(policy)
        self._off_without_because(policy)
        for control in self.controls.values():
            for conflict in control.conflicts(policy):
                key = tuple(conflict.key.split("."))
                self._report(key, conflict.why, conflict.accepted)
        self._give_up_on_problems()
        return policy

    def _models(self) -> dict[str, type[Section]]:
        return sections(self.controls.values())

    def _environment(self, environ: Mapping[str, str]) -> Environment:
        """Production unless the process was asked for development (C-33)."""
        asked = environ.get("BYLAW_ENV", "production").strip().lower()
        if asked not in ("production", "development"):
            self.problems.append(
                Problem("BYLAW_ENV", repr(asked), "no such environment",
                        'production (the default) or development')
            )
        return "development" if asked == "development" else "production"

    def _dotenv(self) -> dict[str, str]:
        """The variables of `.env` beside the policy, or where the process was started."""
        for place in (self.path.parent / ".env", Path.cwd() / ".env"):
            if place.is_file():
                readable = place.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
                if self.environment == "production" and readable:
                    self.problems.append(
                        Problem(str(place.name), "readable by others", "it holds secrets",
                                f"chmod 600 {place.name}")
                    )
                return {k: v for k, v in dotenv_values(place).items() if v is not None}
        return {}

    def _tables(self) -> dict[str, Any]:
        try:
            text = self.path.read_text("utf-8")
        except OSError as error:
            raise PolicyError(
                f"{self.path} cannot be read", [Problem(str(self.path), "not readable", error.strerror or "",
                                         "make one: bylaw init")]
            ) from None
        except UnicodeDecodeError:
            raise PolicyError(
                f"{self.path} cannot be read", [Problem(str(self.path), "not UTF-8 text", "TOML is UTF-8")]
            ) from None
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(
                f"{self.path} cannot be read", [Problem(self.path.name, "not TOML", str(error))]
            ) from None
        self.where = toml_lines.Lines(self.path.name, toml_lines.lines(text))
        return tables

    def _layer(self, tables: dict[str, Any]) -> dict[str, Any]:
        """Profile, then the file, then [development] where that was asked for."""
        overlay = tables.pop("development", {})
        app = tables.get("app")
        profile = app.get("profile", "standard") if isinstance(app, dict) else "standard"
        layered = _profile(profile) if profile in PROFILES else {}
        _merge(layered, tables)
        if not isinstance(overlay, dict):
            self._report(("development",), "a table is expected", "[development]")
        elif self.environment == "development":
            _merge(layered, overlay)
            self.where.overlay("development")
        return layered

    def _bypasses(self) -> None:
        if self.environment != "production":
            return
        for name in _BYPASSES:
            if self.environ.get(name, "").strip().lower() not in ("", "0", "false", "no"):
                self.problems.append(
                    Problem(name, "set in production",
                            "it switches protection off or shows internals to visitors",
                            "unset it, or ask for development: BYLAW_ENV=development")
                )

    def _unknown_sections(self, tables: dict[str, Any]) -> None:
        known = list(self._models())
        for name in [name for name in tables if name not in known]:
            self._report((name,), "no such section", _nearest(name, [*known, "development"]))

    def _section(self, name: str, model: type[Section], table: object) -> Section | None:
        if not isinstance(table, dict):
            self._report((name,), "a table is expected", f"[{name}]")
            return None
        table = deepcopy(table)
        for key, info in model.model_fields.items():
            default = info.default
            text = default.get_secret_value() if isinstance(default, SecretStr) else default
            if isinstance(text, str) and text.startswith(("env:", "file:")):
                table.setdefault(key, text)
        before = len(self.problems)
        table = self._resolve(table, (name,))
        if len(self.problems) > before:
            return None
        try:
            return model.model_validate_json(json.dumps(table, default=str))
        except ValidationError as error:
            for found in error.errors(include_url=False, include_context=True):
                self._invalid(name, model, cast(dict[str, Any], found))
            return None

    def _resolve(self, value: Any, path: tuple[str, ...]) -> Any:
        """References to the environment and to files, replaced by what they name."""
        if isinstance(value, dict):
            resolved = {k: self._resolve(v, (*path, k)) for k, v in value.items()}
            return {k: v for k, v in resolved.items() if v is not _ABSENT}
        if isinstance(value, list):
            parts = [self._resolve(v, (*path, str(i))) for i, v in enumerate(value)]
            return [part for part in parts if part is not _ABSENT]
        if isinstance(value, str) and value.startswith("env:"):
            return self._variable(value[4:], path)
        if isinstance(value, str) and value.startswith("file:"):
            return self._file(Path(value[5:]), path)
        return value

    def _variable(self, name: str, path: tuple[str, ...]) -> object:
        name, _, stand_in = name.partition(" or ")
        optional = name.endswith("?")
        name = name.rstrip("?")
        self.sources[path] = name
        if stand_in and self.environment == "production":
            # A fallback that nobody notices in production is how one key signs everywhere (C-07).
            self._report(path, "has a stand-in, which only [development] may have", f'"env:{name}"')
            return ""
        value = self.environ.get(name, "")
        if value.strip():
            return value
        if stand_in:
            return stand_in
        if optional:
            return _ABSENT
        if path == ("secrets", "key") and self.environment == "development":
            return os.urandom(32).hex()  # per process: it signs nothing that outlives it (C-07)
        self.problems.append(
            Problem(name, "not set", f"needed by {'.'.join(path)} ({self.where.at(path)})",
                    _REMEDIES.get(path, f"set {name} in the environment or in .env"))
        )
        return value

    def _file(self, file: Path, path: tuple[str, ...]) -> object:
        self.sources[path] = str(file)
        try:
            return file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.problems.append(
                Problem(str(file), "not readable", f"needed by {'.'.join(path)}",
                        "a text file that this process may read")
            )
            return ""

    def _invalid(self, section: str, model: type[Section], error: dict[str, Any]) -> None:
        loc = tuple(str(part) for part in error["loc"])
        path = (section, *loc)
        if error["type"] == "extra_forbidden":
            names = _names(model, loc[:-1])
            self._report(path, "no such key", _nearest(loc[-1], names))
            return
        accepted = _accepted(error)
        secret = _is_secret(model, loc) or path in self.sources
        found = "" if secret or isinstance(error["input"], dict) else f" = {_toml(error['input'])}"
        self._report(path, error["msg"].removeprefix("Value error, "), accepted, found)

    def _base_url(self, policy: Policy) -> None:
        placeholders = ("yourdomain", "example.com", "example.org", "example.net", "localhost")
        if policy.production and any(word in policy.app.base_url for word in placeholders):
            self._report(("app", "base_url"), "a placeholder, not where people reach it",
                         'the real address, e.g. "https://mtc.acme.eu"',
                         f" = {policy.app.base_url!r}")

    def _off_without_because(self, policy: Policy) -> None:
        for name, settings in policy.controls.items():
            if settings.off and not settings.because:
                self._report((name, "off"), "a control is switched off without a reason",
                             'because = "…" (it is printed in SECURITY.md)', " = true")

    def _report(
        self, path: tuple[str, ...], why: str, accepted: str = "", found: str = ""
    ) -> None:
        key = f"[{path[0]}]" if len(path) == 1 else ".".join(path) + found
        where = self.sources.get(path) or self.where.at(path)
        self.problems.append(Problem(where, key, why, accepted))

    def _give_up_on_problems(self) -> None:
        if self.problems:
            raise PolicyError(f"{self.path} is not a policy that can be kept", self.problems)


_ABSENT: Final = object()
_REMEDIES: Final = {
    ("secrets", "key"): "make one: bylaw secrets new",
    ("app", "base_url"): "where people reach it, e.g. https://mtc.acme.eu",
    ("store", "database"): "e.g. postgresql+psycopg://user:password@host/name or sqlite:///app.db",
}


def _profile(name: str) -> dict[str, Any]:
    text = resources.files("bylaw").joinpath("profiles", f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def _merge(into: dict[str, Any], over: dict[str, Any]) -> None:
    """Lay `over` upon `into`: tables are merged, everything else is replaced."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"nearest: {near[0]}" if near else f"known: {', '.join(known)}"


def _names(model: type[Section], loc: tuple[str, ...]) -> list[str]:
    """The keys that are known in the table at `loc`."""
    current: Any = model
    for part in loc:
        if part.isdigit():
            continue
        annotation = current.model_fields[part].annotation if hasattr(
            current, "model_fields") and part in current.model_fields else None
        inner = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        if not inner:
            break
        current = inner[0]
    return list(getattr(current, "model_fields", {}))


def _is_secret(model: type[Section], loc: tuple[str, ...]) -> bool:
    info = model.model_fields.get(loc[0]) if loc else None
    return info is not None and "SecretStr" in str(info.annotation)


def _toml(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _accepted(error: dict[str, Any]) -> str:
    """What may be written instead, in the words of the file."""
    context = error.get("ctx", {})
    match error["type"]:
        case "literal_error":
            return f"one of {context['expected']}"
        case "greater_than_equal":
            return f"{context['ge']} or more"
        case "less_than_equal":
            return f"{context['le']} or less"
        case "missing":
            return "this key must be written"
        case "string_type" | "string_pattern_mismatch":
            return f"text like {context['pattern']}" if "pattern" in context else 'text: "…"'
        case "bool_type" | "bool_parsing":
            return "true or false"
        case "int_type" | "int_parsing" | "int_from_float":
            return "a whole number"
        case "list_type" | "tuple_type":
            return 'a list: ["…"]'
        case "dict_type" | "model_type":
            return "a table"
    return ""
