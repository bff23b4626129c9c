"""bylaw schema: the policy's JSON Schema, for editors."""

from __future__ import annotations

import json

import click

from bylaw.cli.common import out
from bylaw.schema import policy_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of a policy.

    With `#:schema ./bylaw.schema.json` as its first line, editors complete and check bylaw.toml.
    """
    out.print(json.dumps(policy_schema(), indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
