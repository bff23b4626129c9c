"""The command line: `bylaw --help`.

Exit codes: 0 what was asked for holds; 1 it does not (a problem, a failed probe, drift); 2 the call
itself was wrong.
"""

from __future__ import annotations

import click

from bylaw.cli import (
    check,
    database,
    document,
    files,
    imports,
    init,
    keys,
    matrix,
    roles,
    run,
    schema,
    secrets,
    tokens,
    tune,
    users,
    verify,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="bylaw")
def main() -> None:
    """A web application's security policy: written once, enforced, proven and printed."""


for command in (
    init.init,
    check.check,
    verify.verify,
    matrix.matrix,
    document.document,
    run.run,
    database.db,
    users.user,
    roles.role,
    keys.key,
    tokens.token,
    files.group,
    imports.group,
    secrets.group,
    tune.tune,
    schema.schema,
):
    main.add_command(command)
