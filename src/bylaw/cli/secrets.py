"""bylaw secrets: make one, judge one."""

from __future__ import annotations

import sys

import click

from bylaw.cli.common import fail, out
from bylaw.controls import secrets as control


@click.group("secrets")
def group() -> None:
    """Secrets: made here, kept in the environment."""


@group.command()
@click.option("--name", metavar="NAME", help="Print NAME=secret, for a .env file.")
def new(name: str | None) -> None:
    """Print a new secret of 256 random bits."""
    out.print(f"{name}={control.new()}" if name else control.new(), markup=False)


@group.command()
def judge() -> None:
    """Read a secret from standard input and say whether it is one. It is never printed."""
    weak = control.weakness(sys.stdin.buffer.read().decode("utf-8", "replace"))
    if weak is not None:
        fail(f"no secret: {weak}; make one: bylaw secrets new")
    out.print("strong enough")
