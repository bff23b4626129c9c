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
from bylaw.controls import roles
from bylaw.identity import permissions_of
from bylaw.operations import administering
from bylaw.site import Site
from bylaw.store import assignments, users
from bylaw.verify.laboratory import Target

THREADS = 32


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
    """Make an administrator where there is none; the password is shown once and kept nowhere."""
    grants = site.policy.of(roles.Settings).grants
    managing = [r for r in sorted(grants) if permissions_of([r], grants).allow(roles.MANAGE_USERS)]
    with site.house.store.reading() as connection:
        there = [who for role in managing for who in assignments.with_role(connection, role)]
        first = users.by_id(connection, there[0]) if there else None
    if first is not None:
        out.print(
            f"  {'sign in':<10}{first.email}   (a new password: BYLAW_ENV=development bylaw user "
            f"password {first.email} -p {_near(site.policy.file)})",
            markup=False,
        )
        return
    if not managing:
        return
    password = secrets.token_urlsafe(15) + "!1aA"
    email = "admin@example.com"
    administering.create(
        site.house,
        administering.SYSTEM,
        email=email,
        name="First administrator",
        password=password,
        granted=[managing[0]],
        confirmed=True,  # no mail reaches it, and its password was made for whoever reads this
    )
    out.print(f"  {'sign in':<10}{email}", markup=False)
    out.print(f"  {'password':<10}{password}   (shown this once)", markup=False)


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
