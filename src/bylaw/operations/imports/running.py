"""Running an import: a dry run, all rows or none, or the good ones.

All that a batch does and how far the import is then are one transaction, behind the fence of whoever has
claimed it: a process that is killed loses nothing that was told as done and doubles nothing, and one that
was taken over writes nothing more. A dry run, and one of all rows or none, is one transaction as a whole.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from bylaw.controls import audit, imports
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.imports import faults, forms, source
from bylaw.operations.imports.desk import Desk, Work
from bylaw.operations.imports.importers import (
    WHOLE,
    Arranged,
    Counts,
    Importer,
    Noted,
    Record,
    Rejected,
    Skipped,
    Wrong,
)
from bylaw.operations.imports.source import Good
from bylaw.operations.imports.standing import Cancelled, Ended, Lost, asking
from bylaw.operations.imports.tally import Tally, counted, shown, stays
from bylaw.reasons import Refused
from bylaw.spreadsheet import Sheet
from bylaw.store import imports as store
from bylaw.store.imports import Import, Note

log = logging.getLogger("bylaw.imports")

BATCH: Final = 500
"""Rows of one transaction, and of one call of `save`."""
LEASE: Final = 60
"""Seconds for which an import is its worker's alone; told anew with each batch."""
TRIES: Final = 8
"""How often an import is begun anew whose worker ended without a word: what takes the process down does so
each time."""
_SAMPLE: Final = 10
"""Records of a dry run that are shown as they would be imported."""
_NOTED: Final = 50
"""Things about the whole file that are told."""
_SAID: Final = 400
"""Characters of a refusal that are told, with a sentence behind it."""
_TOLD_EVERY: Final = 1.0
_REFUSALS: Final = (IntegrityError, DataError, Refused, ValueError, OverflowError)
"""What `save` may raise about a row."""
_LIMITS: Final = "54"
"""SQLSTATE class "program limit exceeded": PostgreSQL has it for a text that is too long for an index, and
its driver calls that operational, as if the database were away."""


class _Undone(Exception):
    """Nothing of it is to stay."""


class Run:
    """One run of an import, by whoever has claimed it."""

    def __init__(self, house: House, desk: Desk, importer: Importer, row: Import, fence: int) -> None:
        self.house, self.desk, self.importer, self.row, self.fence = house, desk, importer, row, fence
        self.columns = source.columns_of(row)
        self.work = Work()
        self.tally = Tally()
        self.done = 0
        self._most = house.policy.of(imports.Settings).errors
        self._told_at = time.monotonic()

    @property
    def dry(self) -> bool:
        return self.row.state == store.CHECKING

    def go(self) -> None:
        """Do it, and say how it ended. Raises Lost, and what the database raises when it is away."""
        self.desk.works[self.row.id] = self.work
        try:
            self._go()
        except Cancelled:
            self._end(store.OPEN if self.dry else store.CANCELLED, f"Cancelled. {self._stays()}")
        except Ended as ended:
            self._end(store.FAILED, f"{ended} {self._stays()}", outcome="refused")
        except Rejected as rejected:
            self.tally = Tally(noted=self.tally.noted)
            self._end(
                store.OPEN, str(rejected), refused={rejected.field: str(rejected)} if rejected.field else {}
            )
        except Refused as refused:
            if self._nothing_stays:
                self._end(store.OPEN, _said(refused))
            else:
                self._end(store.FAILED, f"{_said(refused)} {self._stays()}")
        except (Lost, OperationalError):
            raise
        except Exception:
            log.exception("import %s could not go on", self.row.id)
            said = "A mistake of the application ended it. It is logged, with the number of this import."
            self._end(store.FAILED, f"{said} {self._stays()}", outcome="failure")
        finally:
            self.desk.works.pop(self.row.id, None)

    def _go(self) -> None:
        options = forms.options(self.importer, self.row.chosen.get("options", {}))
        with source.of_import(self.house, self.row) as sheet:
            if self._nothing_stays:
                self._at_once(sheet, options)
            else:
                self._in_batches(sheet, options)

    @property
    def _nothing_stays(self) -> bool:
        """Whether nothing of it was imported where it did not come to its end."""
        return self.dry or self.row.mode == "all" or self.importer.whole

    # The two ways

    def _in_batches(self, sheet: Sheet, options: Any) -> None:
        """The good rows: what is committed stays, whatever happens then."""
        self.tally, self.done = Tally.of(self.row.found), self.row.done
        with closing(self._read(sheet, options, self.done)) as batches:
            for items in batches:
                self._commit(items, options)
        self._note(sheet.notes)
        with self.house.store.transaction() as connection:
            self._finish(connection, self._still_mine(connection))

    def _commit(self, items: list[Arranged], options: Any) -> None:
        """A batch and how far the import is, in one transaction."""
        before = copy.deepcopy(self.tally)
        try:
            with self.house.store.transaction() as connection:
                who = self._still_mine(connection)
                self._take(connection, who, items, options)
                self._write(connection, done=self.done)
        except BaseException:
            self.tally = before  # what was rolled back is not told
            raise

    def _at_once(self, sheet: Sheet, options: Any) -> None:
        """All rows in one transaction; of a dry run, and where a row cannot be taken, nothing stays."""
        try:
            with (
                self.house.store.transaction() as connection,
                closing(self._read(sheet, options, 0)) as batches,
            ):
                who = self._still_mine(connection)
                for items in batches:
                    who = self._still_mine(connection)
                    self._take(connection, who, items, options)
                    self._tell()
                self._note(sheet.notes)
                if self.dry or (self.tally.errors and self.row.mode == "all"):
                    raise _Undone
                self._finish(connection, who)
        except _Undone:
            count = self.tally.errors
            said = "" if self.dry else f"Nothing was imported: {count:,} of the rows cannot be taken."
            self._end(store.OPEN, said, checked=True)

    def _read(self, sheet: Sheet, options: Any, passed: int) -> Generator[list[Arranged], None, None]:
        """The rows of the file in batches, from behind those that an earlier worker has committed."""
        size = WHOLE + 1 if self.importer.whole else BATCH
        with source.walked(sheet) as rows:
            items = source.arranged(self.importer, rows, self.columns, options)
            following = islice(items, passed, None)
            while batch := self._batch(following, size):
                yield batch

    def _batch(self, items: Iterator[Arranged], size: int) -> list[Arranged]:
        if not self.importer.whole:
            return list(islice(items, size))
        batch, records = [], 0
        for item in items:
            batch.append(item)
            records += isinstance(item, Record)
            if records >= size:
                raise Refused(imports.UNREADABLE, detail=f"At most {WHOLE:,} records are taken together.")
        return batch

    # A batch

    def _take(self, connection: Connection, who: Identity, items: list[Arranged], options: Any) -> None:
        good: list[Good] = []
        for item in items:
            match item:
                case Record():
                    judged = source.validated(self.importer, item, self.columns)
                    if isinstance(judged, Good):
                        good.append(judged)
                    else:
                        self._error(*judged)
                    self.work.row = item.row
                case Skipped(number, why):
                    self.tally.skipped += 1
                    self.tally.tell(replace(faults.note(number, "", "", why), kind="skipped"), self._most)
                    self.work.row = number
                case Wrong():
                    self._error(faults.of_wrong(item))
                    self.work.row = item.row
                case Noted(why):
                    self._note([why])
        self.done += len(items)
        if good and not (self.tally.errors and self.row.mode == "all" and not self.dry):
            self._save(connection, who, good, options)

    def _save(self, connection: Connection, who: Identity, good: list[Good], options: Any) -> None:
        """Have the application save the rows together; where it does not take them all, one by one."""
        try:
            with connection.begin_nested():
                self._saved(self._call(connection, who, good, options), good)
        except (*_REFUSALS, OperationalError) as error:
            if isinstance(error, OperationalError) and not _too_large(error):
                raise
            if self.importer.whole:
                field = error.field if isinstance(error, Rejected) else ""
                raise Rejected(faults.of_saving(error, 0).said, field=field) from None
            if len(good) == 1:
                self._error(faults.of_saving(error, good[0].record.row))
                return
            middle = len(good) // 2
            # By halves: of five hundred rows one that is not taken costs some twenty calls, not five hundred.
            self._save(connection, who, good[:middle], options)
            self._save(connection, who, good[middle:], options)

    def _call(self, connection: Connection, who: Identity, good: list[Good], options: Any) -> Counts:
        made = self.importer.save(connection, [each.row for each in good], who, options)
        return Counts(created=len(good)) if made is None else made

    def _saved(self, counts: Counts, good: list[Good]) -> None:
        self.tally.counts += counts
        self.tally.good += len(good)
        if self.dry:
            for each in good[: _SAMPLE - len(self.tally.sample)]:
                self.tally.sample.append(shown(each))

    def _note(self, said: list[str]) -> None:
        """Something about the whole file, once."""
        told = self.tally.noted
        told.extend(dict.fromkeys(each for why in said if (each := audit.printable(why, 300)) not in told))
        del told[_NOTED:]

    def _error(self, *notes: Note) -> None:
        """A row that cannot be taken, with all that is wrong with it."""
        self.tally.errors += 1
        for note in notes:
            self.tally.tell(note, self._most)

    # Whose it is, and how far

    def _still_mine(self, connection: Connection) -> Identity:
        """Go on only while it is ours, wanted, and its owner may. Raises Lost, Cancelled, Ended."""
        if not store.hold(connection, self.row.id, self.fence, until=self.house.now() + LEASE):
            raise Lost
        if self.desk.closing.is_set():
            raise Lost
        if self.work.cancelled.is_set() or store.cancelled(connection, self.row.id):
            raise Cancelled
        return asking(self.house, connection, self.row, self.importer)

    def _write(self, connection: Connection, **values: Any) -> None:
        """Write how far it is, with what is told of its rows."""
        store.note(connection, self.row.id, self.tally.taken())
        # It has got further: only tries that get nowhere are counted.
        found = {**self.tally.as_json(), "tries": 0}
        store.tell(connection, self.row.id, at_row=self.work.row, found=found, **values)

    def _tell(self) -> None:
        """Say how far it is while the transaction goes on; on SQLite nobody else can write then."""
        if self.house.store.engine.dialect.name == "sqlite" or time.monotonic() - self._told_at < _TOLD_EVERY:
            return
        self._told_at = time.monotonic()
        with self.house.store.transaction() as connection:
            store.tell(connection, self.row.id, at_row=self.work.row)

    def _finish(self, connection: Connection, who: Identity) -> None:
        """It is done, in the transaction of its last rows."""
        now = self.house.now()
        values = {"rows": self.work.row, "finished_at": now, "because": "", "found": self.tally.as_json()}
        store.note(connection, self.row.id, self.tally.taken())
        store.change(connection, self.row.id, when=[store.RUNNING], now=now, state=store.DONE, **values)
        store.release(connection, self.row.id, self.fence)
        self._record(connection, "import_finished", "success", actor=who)
        self.house.count("imports.finished")

    def _end(
        self,
        state: str,
        said: str,
        *,
        outcome: str = "success",
        checked: bool = False,
        refused: dict[str, str] | None = None,
    ) -> None:
        """Say how it ended, where nothing more is imported."""
        now = self.house.now()
        with self.house.store.transaction() as connection:
            if not store.hold(connection, self.row.id, self.fence, until=0.0):
                raise Lost
            store.note(connection, self.row.id, self.tally.taken())
            found = {**self.tally.as_json(), "checked": checked, "refused": refused or {}}
            if checked:
                found["checked_as"] = self.row.fingerprint
            ended = {"finished_at": now} if state in store.ENDED else {}
            store.change(
                connection,
                self.row.id,
                when=store.UNDER_WAY,
                now=now,
                state=state,
                because=said[:500],
                found=found,
                cancel_at=None,
                at_row=self.work.row,
                rows=self.work.row if checked else self.row.rows,
                **ended,
            )
            if not self.dry:
                action = {store.CANCELLED: "import_cancelled"}.get(state, "import_failed")
                if action == "import_failed" and outcome == "success":
                    outcome = "failure"
                self._record(connection, action, outcome, why=said)
        self.house.count(f"imports.{'checked' if self.dry else state}")

    def _stays(self) -> str:
        return stays(0 if self._nothing_stays else self.tally.good)

    def _record(self, connection: Connection, action: str, outcome: str, **facts: Any) -> None:
        counts = self.tally.counts
        kept = counted(counts) if action == "import_finished" or not self._nothing_stays else {}
        changes = {
            "importer": self.row.importer,
            "file": self.row.name,
            **kept,
            "errors": self.tally.errors,
            "skipped": self.tally.skipped,
            **({"why": facts["why"]} if facts.get("why") else {}),
        }
        audit.record(
            self.house,
            connection,
            action=action,
            outcome=outcome,
            actor=facts.get("actor", self.row.user_id or ""),
            entity_type="import",
            entity_id=self.row.id,
            changes=changes,
        )


def _too_large(error: OperationalError) -> bool:
    return str(getattr(error.orig, "sqlstate", "")).startswith(_LIMITS)


def _said(refused: Refused) -> str:
    return (refused.detail or refused.reason.title)[:_SAID]
