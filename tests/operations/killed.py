"""A process that is killed while it imports: nothing that it would have done afterwards is done."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bylaw.identity import Identity
from bylaw.imports import Counts
from bylaw.operations.imports import desk, working
from bylaw.site import Site
from bylaw.verify.starting import Elsewhere
from tests.applications import parts
from tests.applications.flask_app import POLICY


class Dying:
    """Saves like the application, and has the process killed (SIGKILL) in the `last` call of it: before
    anything of that batch is saved, or after all of it is, and before it is committed."""

    def __init__(self, last: int, *, after: bool) -> None:
        self.left, self.after = last, after

    def __call__(
        self, connection: Connection, rows: Sequence[parts.PartRow], who: Identity, options: Any
    ) -> Counts:
        self.left -= 1
        if not self.left and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        made = parts.save(connection, rows, who, options)
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return made


def work(elsewhere: Elsewhere, plan: list[tuple[str, int, bool]]) -> None:
    """Work on each import in a process of its own, which is killed at its point of the plan."""
    for number, last, after in plan:
        child = os.fork()
        if not child:
            site: Site = elsewhere.site(Path(POLICY))
            site.imports.importer(
                "parts",
                title="Parts",
                model=parts.PartRow,
                permission="note:create",
                options=parts.PartOptions,
            )(Dying(last, after=after))
            desk.of(site.house).by_hand = True
            working.at_once(site.house, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise RuntimeError(f"it was not killed: {status}")
