"""The policy: `bylaw.toml` and the environment, read strictly into one frozen value.

Whatever cannot be kept refuses to start, and every problem is reported at once with file, line,
key, what was found and what is accepted. Secrets never stand in the file, only where they come
from (`env:NAME`, `file:/path`; `env:NAME?` may be absent; `env:NAME or text` has a stand-in, in
development alone).
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from bylaw import rules, toml_lines
from bylaw.control import Below, Control, Duration, Section, Settings, seconds
from bylaw.errors import PolicyError, Problem

Environment = Literal["production", "development"]
PROFILES: Final = ("standard", "fips")
_BYPASSES: Final = ("FLASK_DEBUG", "TESTING", "BYLAW_TESTING")
"""Variables that switch protection off somewhere; none may be set in production (C-30, C-33)."""
_PATH: Final = r"^/([^/\\\x00-\x20\x7f][^\x00-\x20\x7f]*)?$"
"""A path of this site: `//` and `/\\` would name another one."""
_ORIGIN: Final = r"^https?://([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"
"""Scheme, host and port in ASCII: browsers send a name of other letters in its punycode."""

S = TypeVar("S", bound=Settings)
_Key = tuple[str, ...]
"""The way to a key from the top of the policy; an item of a list by its number."""


class App(Section):
    """The application."""

    name: str = Field("Application", min_length=1, max_length=80)
    """The name people know it by."""

    base_url: str = Field("env:BASE_URL", pattern=_ORIGIN, examples=["https://mtc.acme.eu"])
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


MANY_USERS: Final = 100
"""People at the same moment above whom the source policies, too, say PostgreSQL (S2-063)."""


class Store(Section):
    """The database that users, sessions and the audit log live in."""

    database: SecretStr = Field(SecretStr("env:DATABASE_URL"))
    """SQLAlchemy URL: `sqlite:///path` (WAL), or `postgresql+psycopg://…`."""

    revocation_bound: Duration = Field(1, ge=1, le=60)
    """Seconds within which every process heeds a change of a user's standing."""

    cached_sessions: int = Field(100_000, ge=0)
    """How many sessions a process remembers at most."""

    concurrent_users: int | None = Field(None, ge=1)
    """How many people use it at the same moment, where that is known: for more than a hundred, SQLite is
    below what is recommended."""

    def below_standard(self) -> Iterator[Below]:
        """The values that are below what is recommended."""
        if (self.concurrent_users or 0) > MANY_USERS and self.database.get_secret_value().startswith(
            "sqlite"
        ):
            yield Below(
                "concurrent_users",
                f"{self.concurrent_users:,} on SQLite",
                f"{MANY_USERS}, or PostgreSQL",
                "one writer at a time (SQLite, Appropriate Uses)",
            )


class Mail(Section):
    """Where mail goes."""

    sender: str = "no-reply@localhost"
    """The From address."""

    server: SecretStr | None = None
    """`env:SMTP_URL`: smtp://host:587 (STARTTLS) or smtps://host:465. It may hold user and password."""

    user: str | None = None
    """The name to log in to the server with."""

    password: SecretStr | None = Field(SecretStr("env:SMTP_PASSWORD?"))
    """The password to log in with; needed where there is a user."""

    directory: str | None = None
    """Write messages into this directory instead of sending them (development)."""


class Pages(Section):
    """bylaw's own pages and their JSON twins."""

    prefix: str = Field("/auth", pattern=r"^(/[a-z0-9_-]+)+$", examples=["/auth", "/account"])
    """Where they are mounted."""

    home: str = Field("/", pattern=_PATH, examples=["/", "/dashboard"])
    """Where people go after signing in."""

    aliases: dict[str, str] = Field(default_factory=dict, examples=[{"/login": "/auth/login"}])
    """Further paths at which one of bylaw's own endpoints answers as well."""

    stylesheet: str | None = Field(None, pattern=_PATH, examples=["/static/site.css"])
    """A stylesheet of the application, loaded after bylaw's own."""


class PathRule(Section):
    """Who may call a path: permission, signed_in or public, one of them."""

    path: str = Field(pattern=rules.PATH, examples=["/notes/{id}", "/files/*"])
    """The path; `{name}` stands for one segment, `*` at the end for whatever is below. The nearest counts."""

    methods: tuple[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"], ...] = ("GET",)
    """The methods that are answered there; HEAD goes with GET."""

    permission: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*$", examples=["note:read"]
    )
    """Whoever holds it may."""

    signed_in: bool = False
    """Whoever is signed in may."""

    public: str | None = Field(None, min_length=10, examples=["the front page"])
    """Everybody may, and this is why."""

    second_factor: bool = False
    """Only with a session that has shown two factors."""

    max_age: Duration = Field(0, ge=0)
    """Only with a proof that is at most this old; 0 asks for none."""


class Access(Section):
    """Who may call what by path, for an application whose framework bylaw does not know."""

    routes: tuple[PathRule, ...] = ()
    """The application's paths. Where there are any, a path without a rule is not there for anybody."""


_SECTIONS: Final[dict[str, type[Section]]] = {
    "app": App,
    "store": Store,
    "mail": Mail,
    "pages": Pages,
    "access": Access,
}


class Unread(LookupError):
    """A section is asked for that could not be read, while the other problems are gathered."""


class _Missing:
    """Stands where a section could not be read."""

    def __getattr__(self, name: str) -> Any:
        raise Unread(name)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the application promises, ready to be enforced, probed and printed."""

    file: Path
    environment: Environment
    app: App
    store: Store
    mail: Mail
    pages: Pages
    access: Access
    controls: dict[str, Settings]
    written: dict[str, Any] = field(repr=False)
    """The tables as written (references unresolved), for the document."""
    where: toml_lines.Lines = field(repr=False)
    idle: frozenset[str] = frozenset()
    """Controls that are off because the one that they belong to is: nothing is lost by that."""
    older: dict[str, str] = field(default_factory=dict)
    """Variables that were read by an earlier name, which is in their place here."""
    testing: bool = False
    """Whether TESTING is set: other providers' sign-in is played, and asks nobody. Never in production."""

    @property
    def production(self) -> bool:
        return self.environment == "production"

    def of(self, settings: type[S]) -> S:
        """The settings of a control, by their type."""
        for found in self.controls.values():
            if type(found) is settings:
                return found
        raise Unread(settings.__module__)

    def below_standard(self) -> Iterator[tuple[str, Below, str | None]]:
        """Every value below today's standard: (section, what, because)."""
        for below in self.store.below_standard():
            yield "store", below, None
        for name, settings in self.controls.items():
            for below in () if name in self.idle else settings.below_standard():
                yield name, below, settings.because


def load(
    file: str | os.PathLike[str],
    controls: Iterable[Control],
    environ: Mapping[str, str] | None = None,
) -> Policy:
    """Read the policy for `controls` (the registry). Raises PolicyError with every problem."""
    path = Path(file)
    environ = os.environ if environ is None else environ
    try:
        return _Reading(path, {control.name: control for control in controls}, environ).policy()
    except RecursionError:
        raise _unreadable(path, "nested too deeply", "a policy has a few levels") from None


def sections(controls: Iterable[Control]) -> dict[str, type[Section]]:
    """Every table that a policy may have: bylaw's own and one for each control."""
    return {**_SECTIONS, **{control.name: control.settings for control in controls}}


class _Reading:
    """One reading of a policy file, gathering every problem on its way."""

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
        self.sources: dict[_Key, str] = {}
        """What a key's value was taken from: a variable's name or a file."""
        self.taken: dict[_Key, str] = {}
        """The values taken: none of them may stand in an error."""
        self.older: dict[str, str] = {}
        self.shifted: dict[_Key, _Key] = {}
        """List items that moved up because an optional one before them is absent."""
        self.where = toml_lines.Lines(path.name, {})

    # The way of a policy: text -> tables -> overlay -> references -> sections -> conflicts.

    def policy(self) -> Policy:
        tables = self._layer(self._tables())
        written = deepcopy(tables)
        self._open_dotenv()
        self._bypasses()
        self._unknown_sections(tables)
        sections = {
            name: self._section(name, model, tables.get(name, {})) for name, model in self._models().items()
        }
        own = {name: sections[name] or _Missing() for name in _SECTIONS}
        read = {name: cast(Settings, sections[name]) for name in self.controls if sections[name]}
        policy = Policy(
            file=self.path,
            environment=self.environment,
            app=cast(App, own["app"]),
            store=cast(Store, own["store"]),
            mail=cast(Mail, own["mail"]),
            pages=cast(Pages, own["pages"]),
            access=cast(Access, own["access"]),
            controls=read,
            written=written,
            where=self.where,
            older=self.older,
            testing=self.environment == "development" and any(map(self._on, _BYPASSES[1:])),
        )
        policy = self._idle(policy)
        for check in (
            self._address,
            self._placeholders,
            self._off_without_because,
            self._access,
            *self._conflicts(),
        ):
            # What needs a section that could not be read has to wait; all the rest is said at once.
            with suppress(Unread):
                check(policy)
        self._give_up_on_problems()
        return policy

    def _idle(self, policy: Policy) -> Policy:
        """The policy with those controls off that have nothing to do under it."""
        off = {}
        for control in self.controls.values():
            with suppress(Unread):
                why = control.idle(policy)
                if why and not policy.controls[control.name].off:
                    off[control.name] = policy.controls[control.name].model_copy(
                        update={"off": True, "because": why}
                    )
        return replace(policy, controls={**policy.controls, **off}, idle=frozenset(off))

    def _conflicts(self) -> Iterator[Callable[[Policy], None]]:
        """What each control has to say about values that cannot be kept together."""
        for control in self.controls.values():

            def check(policy: Policy, control: Control = control) -> None:
                for conflict in control.conflicts(policy):
                    self._report(tuple(conflict.key.split(".")), conflict.why, conflict.accepted)

            yield check

    def _models(self) -> dict[str, type[Section]]:
        return sections(self.controls.values())

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

    def _tables(self) -> dict[str, Any]:
        try:
            text = self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise _unreadable(self.path, "not UTF-8 text", "TOML is UTF-8") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = getattr(error, "strerror", None) or "no file has this name"
            raise _unreadable(self.path, "not readable", why, "make one: bylaw init") from None
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _unreadable(self.path, "not TOML", str(error)) from None
        except ValueError:  # Python refuses to read a number of thousands of digits
            raise _unreadable(self.path, "not TOML", "a number in it is endless") from None
        self.where = toml_lines.Lines(self.path.name, toml_lines.lines(text))
        return tables

    def _layer(self, tables: dict[str, Any]) -> dict[str, Any]:
        """Profile, then the file, then [development] where that was asked for."""
        overlay = tables.pop("development", {})
        if not isinstance(overlay, dict):
            self._report(("development",), "a table is expected", "[development]")
        elif self.environment == "development":
            _merge(tables, overlay)
            self.where.overlay("development")
        app = tables.get("app")
        asked = app.get("profile") if isinstance(app, dict) else None
        # Resolved here already: its values lie below all others.
        asked = self._resolve(asked, ("app", "profile"))
        layered = profile(asked if asked in PROFILES else "standard")
        _merge(layered, tables)
        return layered

    def _bypasses(self) -> None:
        if self.environment != "production":
            return
        for name in _BYPASSES:
            if self._on(name):
                self.problems.append(
                    Problem(
                        name,
                        "set in production",
                        "it switches protection off or shows internals to visitors",
                        "unset it, or ask for development: BYLAW_ENV=development",
                    )
                )

    def _on(self, name: str) -> bool:
        """Whether a variable switches something on."""
        return self.environ.get(name, "").strip().lower() not in ("", "0", "false", "no")

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
            if isinstance(text, str) and _REFERENCE.match(text):
                table.setdefault(key, text)
        before = len(self.problems)
        self._written_secrets(name, model, table)
        table = cast(dict[str, Any], self._resolve(table, (name,)))
        for key, info in model.model_fields.items():
            if key not in table and str(default_text(info)).endswith("?"):
                table[key] = None  # the variable is absent: what names it must not be taken for a secret
        try:
            section = model.model_validate_json(json.dumps(table, default=str))
            return section if len(self.problems) == before else None
        except ValidationError as error:
            for found in error.errors(include_url=False, include_context=True):
                self._invalid(name, model, table, cast(dict[str, Any], found))
        except ValueError:  # Python refuses to write a number of thousands of digits
            self._report((name,), "a number in it is endless")
        return None

    def _written_secrets(self, name: str, model: type[Section], table: dict[str, Any]) -> None:
        """A secret may not stand in the policy, which many read and no rotation reaches (S1-061)."""
        for key in [key for key in table if _is_secret(model, (key,))]:
            for path, value in _leaves((name, key), table[key]):
                if value == default_text(model.model_fields[key]):
                    continue  # everybody knows it: it opens nothing
                if isinstance(value, str) and not _REFERENCE.match(value) and _is_open(value):
                    table.pop(key, None)
                    self._report(path, "written out, where everybody reads it", '"env:NAME" or "file:/path"')

    def _resolve(self, value: Any, path: _Key) -> Any:
        """References to the environment and to files, replaced by what they name."""
        if isinstance(value, dict):
            resolved = {k: self._resolve(v, (*path, k)) for k, v in value.items()}
            return {k: v for k, v in resolved.items() if v is not _ABSENT}
        if isinstance(value, list):
            return self._items(value, path)
        if not isinstance(value, str) or not _REFERENCE.match(value):
            return value
        kind, _, name = value.partition(":")
        found = self._variable(name, path) if kind == "env" else self._file(name, path)
        if isinstance(found, str):
            self.taken[path] = found
        return found

    def _items(self, value: list[Any], path: _Key) -> list[Any]:
        items: list[Any] = []
        for number, each in enumerate(value):
            written = (*path, str(number))
            found = self._resolve(each, written)
            for one in _listed(found) if written in self.sources else [found]:
                if one is not _ABSENT:
                    if number != len(items):
                        self.shifted[(*path, str(len(items)))] = written
                    items.append(one)
        return items

    def _variable(self, text: str, path: _Key) -> object:
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
                _REMEDIES.get(path, f"set {name} in the environment or in .env"),
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

    def _file(self, name: str, path: _Key) -> object:
        self.sources[path] = name
        try:
            return Path(name).read_text("utf-8").strip()
        except (OSError, ValueError):  # ValueError: not UTF-8, or a NUL in the name
            self.problems.append(
                Problem(
                    _toml(name)[1:-1],
                    "not readable",
                    f"needed by {'.'.join(path)} ({self.where.at(path)})",
                    "a text file that this process may read",
                )
            )
            return _ABSENT

    def _invalid(
        self, section: str, model: type[Section], written: dict[str, Any], error: dict[str, Any]
    ) -> None:
        loc = tuple(str(part) for part in error["loc"])
        path = (section, *loc)
        table, key = _table_of(model, loc)
        if error["type"] == "extra_forbidden":
            self._report(path, "no such key", _nearest(key, table.model_fields))
            return
        if error["type"] == "missing" and path in self.sources:
            return  # said already: its variable is not set
        # What a reference names is not for an error's reader, nor is a table around one.
        hidden = _is_secret(model, loc) or any(taken[: len(path)] == path for taken in self.taken)
        value = _at(written, error["loc"], error["input"])
        found = "" if hidden or isinstance(value, dict) else f" = {_toml(value)}"
        self._report(path, *_explained(error, table.model_fields.get(key)), found)

    def _address(self, policy: Policy) -> None:
        """Where people reach it must be somewhere."""
        host = _host(policy.app.base_url)
        if not host:
            self._report(
                ("app", "base_url"),
                "no address",
                'e.g. "https://mtc.acme.eu"',
                f" = {_toml(policy.app.base_url)}",
            )
        elif policy.production and reserved(host):
            self._report(
                ("app", "base_url"),
                "a placeholder, not where people reach it",
                'the real address, e.g. "https://mtc.acme.eu"',
                f" = {_toml(policy.app.base_url)}",
            )

    def _placeholders(self, policy: Policy) -> None:
        """What stands in the documentation is nobody's database and nobody's mail (S1-070, S2-055)."""
        for path, secret in (
            (("store", "database"), policy.store.database),
            (("mail", "server"), policy.mail.server),
            (("mail", "user"), policy.mail.user),
            (("mail", "password"), policy.mail.password),
        ):
            text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            if policy.production and text is not None and placeholder(text):
                self._report(path, "a published placeholder", _REMEDIES.get(path, ""))

    def _access(self, policy: Policy) -> None:
        """Rules by path that cannot be kept: no program must have to guess which of two counts."""
        for number, why, accepted in rules.faults(policy.access.routes):
            self._report(("access", "routes", str(number)), why, accepted)

    def _off_without_because(self, policy: Policy) -> None:
        for name, settings in policy.controls.items():
            if settings.off and not (settings.because or "").strip():
                self._report(
                    (name, "off"),
                    "a control is switched off without a reason",
                    'because = "…" (it is printed in SECURITY.md)',
                    " = true",
                )

    def _report(self, path: _Key, why: str, accepted: str = "", found: str = "") -> None:
        path = self.shifted.get(path, path)
        key = f"[{path[0]}]" if len(path) == 1 else ".".join(path) + found
        where = self.sources.get(path) or self.where.at(path)
        self.problems.append(Problem(where, self._masked(key), self._masked(why), accepted))

    def _masked(self, text: str) -> str:
        """`text` without any value that a reference named: a control may quote what it refuses."""
        for path, value in self.taken.items():
            if len(value) > 5 and path != ("app", "base_url"):
                for spelling in (value, repr(value)[1:-1], _toml(value)[1:-1]):
                    text = text.replace(spelling, "•••")
        return text

    def _give_up_on_problems(self) -> None:
        if self.problems:
            # A variable that two keys name, or the profile's, is met more than once.
            problems = dict.fromkeys(self.problems)
            raise PolicyError(f"{self.path} is not a policy that can be kept", problems)


def _unreadable(path: Path, what: str, why: str, accepted: str = "") -> PolicyError:
    """The error of a file that is not even a policy; the line is taken from the parser's words."""
    line = re.search(r" \(at line (\d+), column \d+\)$", why)
    where = f"{path.name}:{line[1]}" if line else path.name
    why = why[: line.start()] if line else why
    return PolicyError(f"{path} cannot be read", [Problem(where, what, why, accepted)])


_ABSENT: Final = object()
_REFERENCE: Final = re.compile("(env|file):")
_VARIABLE: Final = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<optional>\?)?( or (?P<stand_in>.+))?", re.DOTALL
)
_OLDER: Final = {"REDIS_URL": ("RATELIMIT_STORAGE_URL", "RATELIMIT_STORAGE_URI")}
"""Names under which a variable was known before. Flask-Limiter reads the last, and its users wrote either."""
_PLACEHOLDER: Final = re.compile(r"your_\w+_here|yourdomain|your-domain", re.IGNORECASE)
_RESERVED: Final = ("example", "invalid", "test", "localhost", "example.com", "example.org", "example.net")
"""Names that are nobody's, for documentation and tests (RFC 2606, RFC 6761)."""
_REMEDIES: Final[dict[tuple[str, ...], str]] = {
    ("secrets", "key"): "make one: bylaw secrets new",
    ("app", "base_url"): "where people reach it, e.g. https://mtc.acme.eu",
    ("store", "database"): "e.g. postgresql+psycopg://user:password@host/name or sqlite:///app.db",
    ("rate_limits", "store"): "e.g. rediss://:password@host:6379/0",
    ("mail", "server"): "e.g. smtps://user:password@mail.acme.eu:465",
    ("mail", "user"): "what the mail server gave out, or nothing",
    ("mail", "password"): "what the mail server gave out, or nothing",
}


def profile(name: str) -> dict[str, Any]:
    """What the profile `name` writes below a policy."""
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
    near = get_close_matches(name, known, n=1)
    return f"nearest: {near[0]}" if near else f"known: {', '.join(known)}"


def _table_of(model: type[Section], loc: _Key) -> tuple[type[Section], str]:
    """The table that the key at `loc` stands in, and the key: sections hold tables and lists of them."""
    table, key = model, ""
    for part in loc:
        if key in table.model_fields:
            inner = getattr(table.model_fields[key].annotation, "__args__", ())
            table = next((a for a in inner if hasattr(a, "model_fields")), table)
        elif key and table.EACH is not None:
            table = table.EACH
        key = key if part.isdigit() else part
    return table, key


def _leaves(path: _Key, value: Any) -> list[tuple[_Key, Any]]:
    """The values in `value`, each with its path."""
    if isinstance(value, list):
        return [leaf for i, v in enumerate(value) for leaf in _leaves((*path, str(i)), v)]
    return [(path, value)]


def _is_secret(model: type[Section], loc: _Key) -> bool:
    if not loc:
        return False
    table, key = _table_of(model, loc)
    info = model.model_fields.get(loc[0]) or table.model_fields.get(key)
    return info is not None and "SecretStr" in str(info.annotation)


def placeholder(secret: str) -> bool:
    """Whether it is what a documentation has in the place of a secret or an address (S1-070)."""
    return _PLACEHOLDER.search(secret) is not None


def default_text(info: FieldInfo) -> object:
    """A key's default as text, where it is a secret's: where one comes from, or that there is none."""
    return info.default.get_secret_value() if isinstance(info.default, SecretStr) else info.default


def _listed(value: object) -> list[object]:
    """The texts that a variable in a list stands for: one, or as many as a JSON list of them has."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):
            found = json.loads(value)
            if isinstance(found, list) and all(isinstance(each, str) for each in found):
                return found
    return [value]


def _is_open(secret: str) -> bool:
    """Whether a secret would be given away by this text: an address without a password is none."""
    try:
        return "://" not in secret or urlsplit(secret).password is not None
    except ValueError:
        return True


def _host(url: str) -> str:
    """The host that `url` names, empty where it is none or its port cannot be one."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.port != 0 else ""
    except ValueError:
        return ""


def reserved(host: str) -> bool:
    """Whether no visitor's browser could reach `host`."""
    host = host.lower().rstrip(".")
    if any(host == name or host.endswith(f".{name}") for name in _RESERVED):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _PLACEHOLDER.search(host) is not None
    return address.is_loopback or address.is_unspecified


def _toml(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _at(table: Any, loc: tuple[str | int, ...], otherwise: Any) -> Any:
    """What is written at `loc`; `otherwise` where nothing is."""
    for part in loc:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return table


def _explained(error: dict[str, Any], info: FieldInfo | None) -> tuple[str, str]:
    """What is wrong with a value and what may be written instead, in the words of the file."""
    context = error.get("ctx", {})
    examples = (info.examples if info is not None else None) or ()
    lasting = info is not None and any(getattr(m, "func", None) is seconds for m in info.metadata)
    unit = " seconds" if lasting else ""
    match error["type"]:
        case "literal_error":
            return "no such value", f"one of {context['expected'].replace(chr(39), chr(34))}"
        case "greater_than_equal":
            return "too small", f"{context['ge']}{unit} or more"
        case "less_than_equal":
            return "too large", f"{context['le']}{unit} or less"
        case "string_too_short" | "too_short":
            return "too short", f"{context['min_length']} or more"
        case "string_too_long" | "too_long":
            return "too long", f"{context['max_length']} or fewer"
        case "missing":
            return "not written", "this key has no default"
        case "string_pattern_mismatch" if examples:
            return "not of this form", f"e.g. {' or '.join(map(_toml, examples))}"
        case "string_pattern_mismatch":
            return "not of this form", context["pattern"]
        case "string_type":
            return "text is expected", '"…"'
        case "bool_type":
            return "true or false is expected", ""
        case "int_type":
            return "a whole number is expected", ""
        case "list_type" | "tuple_type":
            return "a list is expected", '["…"]'
        case "dict_type" | "model_type":
            return "a table is expected", ""
        case kind if kind.startswith("date_"):
            return "a date is expected", "e.g. 2027-03-31"
    return str(error["msg"]).removeprefix("Value error, "), ""
