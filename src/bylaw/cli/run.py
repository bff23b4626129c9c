"""bylaw run: serve an application, for development or for production."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

import click

from bylaw.cli.common import fail, out, spoken
from bylaw.controls import email, passwords, roles, tokens
from bylaw.identity import permissions_of
from bylaw.operations import administering
from bylaw.operations import tokens as access_tokens
from bylaw.site import Site
from bylaw.store import assignments, users
from bylaw.store.users import User
from bylaw.verify.target import Target

THREADS = 32
EMAIL = "admin@example.com"
"""The first administrator's address, which no mail reaches."""


@click.command(short_help="Serve an application.")
@click.argument("app")
@click.option(
    "--development", is_flag=True, help="Set everything up: database, sample data, a first administrator."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=int, help="Default: the port of base_url, else 8000.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes that answer.")
@click.option("--no-serve", is_flag=True, help="Set up and say where things are, then stop.")
@spoken
def run(app: str, development: bool, host: str, port: int | None, workers: int, no_serve: bool) -> None:
    """Serve APP (package.module or package.module:factory).

    Production unless asked otherwise: then secrets, database and routes must be in order, or nothing
    starts.
    """
    if development:
        os.environ["BYLAW_ENV"] = "development"
        if port is not None:  # another address is another site: its pages, links and origin go by it
            os.environ.setdefault("BASE_URL", f"http://127.0.0.1:{port}")
    os.environ["WEB_CONCURRENCY"] = str(workers)  # what a control asks that counts in this process alone
    target = Target.named(app)
    made = target.factory()
    protected: Any = _protected(made)
    protected.ready()
    site: Site = protected.site
    port = port or _port(site)
    if not no_serve:
        _demand_free(host, port)
    _say_where(site)
    if development:
        if target.sample is not None:
            target.sample(protected)
        _first_administrator(site)
    out.print(f"\n  {site.policy.app.base_url}\n", markup=False)
    site.close()
    if not no_serve:
        _serve(app, "wsgi" if hasattr(made, "wsgi_app") else "asgi", host, port, workers)


def _protected(app: Any) -> Any:
    found = getattr(app, "extensions", {}).get("bylaw") or getattr(getattr(app, "state", None), "bylaw", None)
    if found is None and hasattr(app, "site"):
        return app  # an adapter's Gated: any WSGI or ASGI application
    if found is None:
        fail("the application has no Bylaw(app, …)")
    return found


def _port(site: Site) -> int:
    last = site.policy.app.base_url.rpartition(":")[2]
    return int(last) if last.isdigit() else 8000


def _demand_free(host: str, port: int) -> None:
    """Say now that somebody else serves there, before anything is made or shown once."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            fail(f"{host}:{port} cannot be served: {error.strerror}; name another with --port")


def _say_where(site: Site) -> None:
    policy = site.policy
    mail = policy.mail.directory or ("by SMTP" if policy.mail.server else "nowhere: [mail] is empty")
    if not email.on(policy):
        mail = "none is sent"
    engine = site.house.store.engine
    database = engine.url.database if engine.dialect.name == "sqlite" else engine.dialect.name
    out.print(f"{policy.app.name} · {policy.environment}", markup=False)
    for label, value in (("policy", policy.file), ("database", database), ("mail", mail)):
        out.print(f"  {label:<10}{_near(value)}", markup=False)


def _near(value: object) -> str:
    """A path as seen from here, where it is below here."""
    path = Path(str(value))
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return str(value)


def _first_administrator(site: Site) -> None:
    """Make an administrator where there is none; what he signs in with is shown once and kept nowhere."""
    managing = _managing(site)
    with site.house.store.reading() as connection:
        there = [who for role in managing for who in assignments.with_role(connection, role)]
        first = users.by_id(connection, there[0]) if there else None
    if first is not None:
        _say("sign in", f"{first.email}   ({_another(site, first.email)})")
    elif managing and passwords.on(site.policy):
        _with_password(site, managing[0])
    elif managing and tokens.used(site.policy):
        _with_token(site, managing[0])


def _managing(site: Site) -> list[str]:
    """The roles that may manage users, the one that may do everything first."""
    grants = site.policy.of(roles.Settings).grants
    able = [role for role in grants if permissions_of([role], grants).allow(roles.MANAGE_USERS)]
    return sorted(able, key=lambda role: ("*" not in grants[role], role))


def _another(site: Site, email: str) -> str:
    """How whoever is there already gets in where he has forgotten by what."""
    what, command = ("token", f"token new {email}")
    if passwords.on(site.policy):
        what, command = ("password", f"user password {email}")
    return f"a new {what}: BYLAW_ENV=development bylaw {command} -p {_near(site.policy.file)}"


def _with_password(site: Site, role: str) -> None:
    password = secrets.token_urlsafe(15) + "!1aA"
    _make(site, role, password=password)
    _say("sign in", EMAIL)
    _say("password", f"{password}   (shown this once)")


def _with_token(site: Site, role: str) -> None:
    made = _make(site, role, password=None)
    given = access_tokens.issue(site.house, administering.SYSTEM, made.id, name="The first start")
    _say("sign in", f"{given.secret}   (shown this once)")


def _make(site: Site, role: str, *, password: str | None) -> User:
    return administering.create(
        site.house,
        administering.SYSTEM,
        email=EMAIL,
        name="First administrator",
        password=password,
        granted=[role],
        confirmed=True,  # no mail reaches it, and its secret was made for whoever reads this
    )


def _say(label: str, text: str) -> None:
    out.print(f"  {label:<10}{text}", markup=False)


def _serve(app: str, interface: str, host: str, port: int, workers: int) -> None:
    try:
        from granian.constants import Interfaces
        from granian.server import Server
    except ImportError:
        fail("the server is not installed: pip install 'bylaw[run]'")
    module, _, attribute = app.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    name, factory = Target.attribute(app)
    # A sign-in that waits for its hash holds a thread: there must be others left.
    threads = {"blocking_threads": THREADS, "backpressure": 2 * THREADS} if interface == "wsgi" else {}
    options: dict[str, Any] = {
        "address": host,
        "port": port,
        "interface": Interfaces(interface),
        "workers": workers,
        "factory": factory,
        "log_access": True,
        "websockets": interface == "asgi",
        **threads,
    }
    Server(f"{module}:{attribute or name}", **options).serve()
