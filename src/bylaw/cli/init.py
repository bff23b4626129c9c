"""bylaw init: a policy to begin with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bylaw.cli.common import fail, out, spoken
from bylaw.controls import secrets
from bylaw.schema import policy_schema

_POLICY = """\
#:schema ./bylaw.schema.json
# The security policy of {name}. `bylaw check` reads it as a start would; `bylaw verify` attacks the
# running application with it; `bylaw document` prints it as SECURITY.md.
# What is not written here has bylaw's default: today's highest standard.

[app]
name = {text}
base_url = "env:BASE_URL"            # the address people see; links and mails are built from it

[store]
database = "env:DATABASE_URL"        # sqlite:///app.db, or postgresql+psycopg://…

[secrets]
key = "env:SECRET_KEY"               # made by: bylaw secrets new

[roles]
{roles}

[signup]
open = false                         # administrators make accounts: bylaw user add

# Layered over the rest only when BYLAW_ENV=development: production is the default.
[development]
app.base_url = "http://127.0.0.1:{port}"
store.database = "sqlite:///var/development.db"
mail.directory = "var/mail"
"""

_ROLES = {
    "basic": """\
admin = ["*"]
user = ["*:read"]""",
    "manager": """\
admin = ["*"]                        # everything, and who may do what
manager = ["*:read", "process:*", "lot:*", "report:*"]
user = ["*:read", "entry:create"]    # reads, and enters basic data""",
    "editor": """\
admin = ["*"]
editor = ["*:read", "document:create", "document:update:own", "document:delete:own"]
viewer = ["*:read"]""",
}
"""Sets of roles to begin with (C-22): the nouns are examples, for those of the application."""

_LINES = {
    "flask": """\
from flask import Flask
from bylaw.flask import Bylaw, permit, public

app = Flask(__name__)
bylaw = Bylaw(app, "bylaw.toml")

@app.get("/")
@public("the front page")
def home():
    return "hello"
""",
    "fastapi": """\
from typing import Annotated
from fastapi import FastAPI
from bylaw.fastapi import Bylaw, Identity, Permit, Public

app = FastAPI()
bylaw = Bylaw(app, "bylaw.toml")

@app.get("/", dependencies=[Public("the front page")])
def home():
    return "hello"
""",
}


@click.command(short_help="Write a policy to begin with.")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--name", help="What people know the application by (default: the directory's name).")
@click.option(
    "--framework",
    type=click.Choice(sorted(_LINES)),
    default="flask",
    show_default=True,
    help="Which five lines to show.",
)
@click.option(
    "--roles",
    type=click.Choice(sorted(_ROLES)),
    default="basic",
    show_default=True,
    help="Which roles to begin with: basic (admin, user), manager (admin, manager, user) or editor (admin, "
    "editor of one's own, viewer).",
)
@spoken
def init(directory: Path, name: str | None, framework: str, roles: str) -> None:
    """Write a policy, its schema and a .env to begin with. Nothing that exists is touched."""
    directory.mkdir(parents=True, exist_ok=True)
    policy, env = directory / "bylaw.toml", directory / ".env"
    if policy.exists():
        fail(f"{policy} is there already; change it, and ask `bylaw check`")
    name = _printable(name or directory.resolve().name)[:80] or "Application"
    port = 5000 if framework == "flask" else 8000
    policy.write_text(
        _POLICY.format(name=name, text=json.dumps(name), port=port, roles=_ROLES[roles]), "utf-8"
    )
    out.print(f"{policy}  the policy")
    schema = directory / "bylaw.schema.json"
    if not schema.exists():
        schema.write_text(json.dumps(policy_schema(), indent=2) + "\n", "utf-8")
        out.print(f"{schema}  for the editor: bylaw schema writes it again")
    if not env.exists():
        env.touch(mode=0o600)
        env.write_text(f"SECRET_KEY={secrets.new()}\n")
        out.print(f"{env}  a new secret, readable by you alone: keep it out of git", markup=False)
    _ignore(directory / ".gitignore")
    out.print(f"\nFive lines for {framework}:\n", markup=False)
    out.print(_LINES[framework], markup=False)
    out.print(
        "Then: BYLAW_ENV=development bylaw check    and: bylaw run <module> --development", markup=False
    )


def _printable(name: str) -> str:
    """A name as one line of a policy."""
    return "".join(c for c in name if c.isprintable()).strip()


def _ignore(file: Path) -> None:
    """Keep secrets and databases out of git."""
    have = file.read_text("utf-8").splitlines() if file.exists() else []
    wanted = [line for line in (".env", "*.db", "*.db-wal", "*.db-shm", "var/") if line not in have]
    if wanted:
        file.write_text("\n".join([*have, *wanted]) + "\n", "utf-8")
