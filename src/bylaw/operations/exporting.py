"""Tables that leave: safe to open, streamed, and on record.

Threat: a cell that runs where the table is opened (CWE-1236), and data leaving in bulk that nobody can tell
of afterwards. Mechanism: `bylaw.spreadsheet` writes the cells; a record of the audit log says who took what,
how many rows, by which filter, and whether all of it left. The last piece leaves only when the record is
written: no export is complete without one. Source: OWASP CSV Injection; ASVS 5.0.0 1.2.10, 16.2; S1-111.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from bylaw.controls import audit, errors
from bylaw.errors import MisuseError
from bylaw.exchange import Exchange, current, enter, leave
from bylaw.house import House
from bylaw.operations.files.headers import disposition
from bylaw.reasons import Refused
from bylaw.spreadsheet import write_csv, write_xlsx

FORMATS: Final = {
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""What a table can be written as, and its media type."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)
_LONGEST_FILTER: Final = 1000


class Export:
    """An answer that gives a table out, for any framework: status, header pairs, and its pieces.

    `close` is to be called whatever becomes of the answer: it records what had left until then.
    """

    def __init__(
        self,
        house: House,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Iterable[object]],
        form: str,
        filtered: str,
    ) -> None:
        self.status = 200
        self.name = f"{name}-{datetime.fromtimestamp(house.now(), UTC):%Y-%m-%d}.{form}"
        self.headers = [
            *_ALWAYS,
            ("Content-Type", FORMATS[form]),
            ("Content-Disposition", disposition(self.name)),
        ]
        self.rows = 0
        """How many have been written."""
        self._house = house
        self._exchange = current()
        self._what = (name, form, filtered)
        self._source = iter(rows)
        self._recorded = False
        counted = self._counted()
        self._made = (
            write_csv(_headed(columns, counted), bom=True)
            if form == "csv"
            else write_xlsx(counted, columns, title=name)
        )
        self._next: bytes | None = None

    @property
    def pieces(self) -> Export:
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = self._ahead() if self._next is None else self._next
            self._next = self._ahead()
        except BaseException as error:
            if not isinstance(error, StopIteration):
                self._record("failure")
            raise
        if not self._next:
            self._record("success")
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Let go of the rows. Where not all of them left, that is recorded."""
        self._record("failure")
        for each in (self._made, self._source):
            if hasattr(each, "close"):
                each.close()

    def __enter__(self) -> Export:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ahead(self) -> bytes:
        """The piece after; nothing at the end."""
        return next(self._made, b"")

    def _counted(self) -> Iterator[Iterable[object]]:
        for row in self._source:
            self.rows += 1
            yield row

    def _record(self, outcome: str) -> None:
        if self._recorded:
            return
        self._recorded = True
        name, form, filtered = self._what
        facts: dict[str, Any] = {"format": form, "rows": self.rows, "complete": outcome == "success"}
        if filtered:
            facts["filter"] = audit.printable(filtered, _LONGEST_FILTER)
        with _within(self._exchange), self._house.store.transaction() as connection:
            audit.record(
                self._house,
                connection,
                action="export",
                outcome=outcome,
                entity_type="export",
                entity_id=name,
                changes={key: {"old": None, "new": value} for key, value in facts.items()},
            )


class _within:  # noqa: N801 - reads as a word: with _within(exchange)
    """In the exchange that asked for the export: its pieces may be made when the view has long returned."""

    def __init__(self, exchange: Exchange | None) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        self._token = enter(self._exchange)

    def __exit__(self, *_: object) -> None:
        leave(self._token)


def export(
    house: House,
    name: str,
    columns: Sequence[str],
    rows: Iterable[Iterable[object]],
    *,
    form: str = "csv",
    filtered: str = "",
) -> Export:
    """The rows as a table in the format `form`, as an attachment `name` with the day and the ending.

    Raises Refused (422) for a format that is none of FORMATS, MisuseError for a name that is no plain one.
    """
    if form not in FORMATS:
        accepted = ", ".join(FORMATS)
        raise Refused(errors.INVALID, detail=f"Accepted formats: {accepted}.", fields={"format": accepted})
    if not _NAME.fullmatch(name):
        raise MisuseError(f"an export has a name of letters, digits, - and _, not {name!r}")
    return Export(house, name, columns, rows, form, filtered)


def _headed(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[Iterable[object]]:
    yield columns
    yield from rows
