"""The tables of a policy that are bylaw's own: application, database, mail, pages, rules by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from pydantic import Field, SecretStr

from bylaw import rules
from bylaw.control import Below, Control, Section
from bylaw.identity import PERMISSION
from bylaw.quantities import Duration

PROFILES: Final = ("standard", "fips")


_PATH: Final = r"^/([^/\\\x00-\x20\x7f][^\x00-\x20\x7f]*)?$"
"""A path of this site: `//` and `/\\` would name another one."""


_ORIGIN: Final = r"^https?://([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"
"""Scheme, host and port in ASCII: browsers send a name of other letters in its punycode."""


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

    permission: str | None = Field(None, pattern=rf"^{PERMISSION.pattern}$", examples=["note:read"])
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


SECTIONS: Final[dict[str, type[Section]]] = {
    "app": App,
    "store": Store,
    "mail": Mail,
    "pages": Pages,
    "access": Access,
}


def sections(controls: Iterable[Control]) -> dict[str, type[Section]]:
    """Every table that a policy may have: bylaw's own and one for each control."""
    return {**SECTIONS, **{control.name: control.settings for control in controls}}
