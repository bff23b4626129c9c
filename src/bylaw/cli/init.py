"""bylaw init: a policy to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from bylaw.cli.common import fail, out, spoken
from bylaw.controls import secrets

_POLICY = """\
#:schema ./bylaw.schema.json
# The security policy of {name}. `bylaw check` reads it as a start would; `bylaw verify` attacks the
# running application with it; `bylaw document` prints it as SECURITY.md.
# What is not written here has bylaw's default: today's highest standard.

[app]
name = "{name}"
base_url = "env:BASE_URL"            # the address people see; links and mails are built from it

[store]
database = "env:DATABASE_URL"        # sqlite:///app.db, or postgresql+psycopg://…

[secrets]
key = "env:SECRET_KEY"               # made by: bylaw secrets new

[roles]
admin = ["*"]
user = ["*:read"]

[signup]
open = false                         # administrators make accounts: bylaw user create

# Layered over the rest only when BYLAW_ENV=development: production is the default.
[development]
app.base_url = "http://127.0.0.1:{port}"
store.database = "sqlite:///var/development.db"
mail.directory = "var/mail"
"""

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


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--name", help="What people know the application by (default: the directory's name).")
@click.option("--framework", type=click.Choice(sorted(_LINES)), default="flask", show_default=True)
@spoken
def init(directory: Path, name: str | None, framework: str) -> None:
    """Write a policy and a .env to begin with. Nothing that exists is touched."""
    directory.mkdir(parents=True, exist_ok=True)
    policy, env = directory / "bylaw.toml", directory / ".env"
    if policy.exists():
        fail(f"{policy} is there already; change it, and ask `bylaw check`")
    name = (name or directory.resolve().name).replace('"', "'")
    policy.write_text(_POLICY.format(name=name, port=5000 if framework == "flask" else 8000))
    out.print(f"{policy}  the policy", markup=False)
    if not env.exists():
        env.touch(mode=0o600)
        env.write_text(f"SECRET_KEY={secrets.new()}\n")
        out.print(f"{env}  a new secret, readable by you alone: keep it out of git", markup=False)
    _ignore(directory / ".gitignore")
    out.print(f"\nFive lines for {framework}:\n", markup=False)
    out.print(_LINES[framework], markup=False)
    out.print("Then: BYLAW_ENV=development bylaw check    and: bylaw run <module> --development",
              markup=False)


def _ignore(file: Path) -> None:
    """Keep secrets and databases out of git."""
    have = file.read_text().splitlines() if file.exists() else []
    wanted = [line for line in (".env", "*.db", "*.db-wal", "*.db-shm", "var/")
              if line not in have]
    if wanted:
        file.write_text("\n".join([*have, *wanted]) + "\n")
