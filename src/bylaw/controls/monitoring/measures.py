"""What is measured off the request path: how large the database is, and how old the last copy of it.

A disk that fills stops every change and every record of one; nobody looks at a backup until it is needed
(S2-042, S2-043).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bylaw.quantities import spoken, weighed
from bylaw.store import backup, size

if TYPE_CHECKING:
    from bylaw.controls.monitoring import Settings
    from bylaw.house import House

log = logging.getLogger("bylaw.monitoring")

EVERY: Final = 60
"""Seconds between two looks at sizes and copies."""
ROWS_EVERY: Final = 900
"""Seconds between two counts of rows: a table of millions takes a moment."""
SAID_FOR: Final = 86_400
"""Seconds for which a warning is not repeated."""
HELP: Final = {
    "database_bytes": "Size of the database, and of SQLite's log beside it.",
    "database_rows": "Rows of the tables that grow; PostgreSQL's own estimate there.",
    "database_limit_bytes": "The size from which on it is a warning (monitoring.database_size).",
    "database_over_limit": "Whether it is.",
    "files": "Uploaded files, by their state; every five minutes.",
    "file_bytes": "Their bytes, by their state.",
    "scanner_answers": "Whether the malware scanner answered when it was last asked; every half minute.",
    "backup_taken_seconds": "When the last copy in monitoring.backups was taken; 0: there is none.",
    "backup_overdue": "Whether that is longer ago than monitoring.backup_age.",
}


class Measures:
    """Looks now and then, keeps what it saw in the house's gauges, and warns in the log."""

    def __init__(self, house: House, settings: Callable[[], Settings]) -> None:
        self._house = house
        self._settings = settings
        self._looked_at = self._counted_at = float("-inf")
        self._said: dict[str, float] = {}

    def look(self) -> None:
        """A chore: measure where it is time to."""
        if not self._settings().off and self._house.now() - self._looked_at >= EVERY:
            self._looked_at = self._house.now()
            self.measure()

    def measure(self) -> None:
        """Measure now."""
        settings, gauges = self._settings(), self._house.gauges
        with self._house.store.reading() as connection:
            found = size.bytes_of(connection)
            if self._house.now() - self._counted_at >= ROWS_EVERY:
                self._counted_at = self._house.now()
                rows = size.rows_of(connection)
                gauges["database_rows"] = {f'table="{name}",': count for name, count in rows.items()}
        gauges["database_bytes"] = {f'part="{part}",': count for part, count in found.items()}
        limit, total = settings.database_size, sum(found.values())
        gauges["database_limit_bytes"] = {"": limit} if limit else {}
        gauges["database_over_limit"] = {"": int(total > limit)} if limit else {}
        self._warn(
            "size",
            0 < limit < total,
            f"the database has {total / 1024**2:,.0f} MB, more than monitoring.database_size "
            f"({weighed(limit)}): look at what grows (bylaw_database_rows), or at retention",
        )
        self._look_at_backups(settings)

    def _look_at_backups(self, settings: Settings) -> None:
        gauges = self._house.gauges
        if not settings.backups:
            gauges.pop("backup_taken_seconds", None)
            gauges.pop("backup_overdue", None)
            return
        # By the machine's clock, as the files are dated.
        taken = backup.last_taken(Path(settings.backups))
        overdue = taken is None or time.time() - taken > settings.backup_age
        gauges["backup_taken_seconds"] = {"": taken or 0}
        gauges["backup_overdue"] = {"": int(overdue)}
        self._warn(
            "backup",
            overdue,
            f"there is no copy of the database in {settings.backups} that is younger than "
            f"{spoken(settings.backup_age)}: bylaw db backup {settings.backups}",
        )

    def _warn(self, what: str, wrong: bool, text: str) -> None:
        """Once a day for as long as it lasts; again at once when it was well in between."""
        if not wrong:
            self._said.pop(what, None)
        elif self._house.now() - self._said.get(what, float("-inf")) >= SAID_FOR:
            self._said[what] = self._house.now()
            log.warning("%s", text)
