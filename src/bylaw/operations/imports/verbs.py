"""What a person does with an import: begin, say how the file is to be read, check, start, cancel, discard."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from sqlalchemy import Connection

from bylaw.controls import audit, errors, imports
from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.identity import API_KEY, Identity
from bylaw.keys import base64url
from bylaw.operations.files import Files, Given, StoredFile
from bylaw.operations.imports import columns as meaning
from bylaw.operations.imports import desk, forms, looking, working
from bylaw.operations.imports.importers import Importer
from bylaw.reasons import Refused
from bylaw.store import imports as store
from bylaw.store import users
from bylaw.store.imports import Import

MODES: Final = ("all", "good")
LISTED: Final = 50
"""Imports that are listed."""
AT_ONCE: Final = 64 * 1024
"""Bytes of a file that is checked and imported in the request itself: nobody waits for a worker over it."""


def begin(
    house: House,
    name: str,
    given: Given | StoredFile,
    *,
    by: Identity,
    options: dict[str, Any] | None = None,
) -> Import:
    """An import of the file, its columns looked at; nothing of it is imported yet.

    Raises Refused: not permitted, too many of them, not taken as a file, not readable as a table.
    MisuseError where the application has no importer of that name.
    """
    importer = desk.of(house).find(name)
    if importer is None:
        raise MisuseError(f"there is no importer {name!r}")
    by.demand(importer.permission)
    with house.store.reading() as connection:
        _not_too_many(house, connection, by)
    files = Files(house)
    file = files.take(given, by=by, kinds=imports.KINDS) if isinstance(given, Given) else given
    if file.kind not in imports.KINDS:
        raise Refused(imports.UNREADABLE, detail="Tables are read from CSV and XLSX.")
    texts = {key: str(value) for key, value in (options or {}).items()}
    chosen: dict[str, Any] = {"options": {**{o.name: o.default for o in forms.asked(importer)}, **texts}}
    row = _row(house, importer, file, by, chosen)
    with house.store.transaction() as connection:
        users.hold(connection, by.id)
        _not_too_many(house, connection, by)  # asked again: another may have been begun meanwhile
        store.add(connection, row)
        files.attach(connection, file.id, f"import:{row['id']}", by=by)
        _record(house, connection, by, "import_begun", row["id"], {"importer": name, "file": file.name})
    return find(house, by, row["id"]) if file.held else _first_look(house, by, row["id"])


def _not_too_many(house: House, connection: Connection, by: Identity) -> None:
    settings = house.policy.of(imports.Settings)
    if store.count(connection, by.id, (store.OPEN, *store.UNDER_WAY)) >= settings.unfinished:
        raise Refused(imports.TOO_MANY)


def _first_look(house: House, by: Identity, import_id: str) -> Import:
    """The import with what is seen of its file; what is no table leaves nothing behind."""
    try:
        return looked_at(house, by, import_id)
    except Refused:
        with house.store.transaction() as connection:
            working.forget(house, connection, _own(connection, by, import_id))
        raise


def _row(
    house: House,
    importer: Importer,
    file: StoredFile,
    by: Identity,
    chosen: dict[str, Any],
) -> dict[str, Any]:
    now = house.now()
    return {
        "id": base64url(house.ports.entropy(16)),
        "importer": importer.name,
        "user_id": by.id,
        "acting": by.acting or None,
        # What a key may not, the worker may not either, who knows the account alone.
        "scopes": sorted(by.permissions.patterns) if by.method == API_KEY else None,
        "file_id": file.id,
        "name": file.name,
        "kind": file.kind,
        "size": file.size,
        "digest": file.digest,
        "state": store.OPEN,
        "mode": "all",
        "chosen": chosen,
        "seen": {},
        "found": {},
        "created_at": now,
        "changed_at": now,
    }


# Whose it is


def listing(house: House, by: Identity) -> list[Import]:
    """One's own imports, the newest first."""
    with house.store.reading() as connection:
        return store.of_user(connection, by.id, limit=LISTED)


def find(house: House, by: Identity, import_id: str) -> Import:
    """One's own import. Raises Refused (404) alike where it is somebody else's or not there (A163)."""
    with house.store.reading() as connection:
        return _own(connection, by, import_id)


def _own(connection: Connection, by: Identity, import_id: str) -> Import:
    row = store.find(connection, import_id) if len(import_id) <= 22 and import_id.isascii() else None
    if row is None or not _is_of(row, by):
        raise Refused(imports.UNKNOWN)
    return row


def _is_of(row: Import, by: Identity) -> bool:
    """Whether the import is this person's. A key that may less than the one who began it opens nothing."""
    return bool(by.id) and row.user_id == by.id


def looked_at(house: House, by: Identity, import_id: str) -> Import:
    """The same, with its first look where the file had still to be checked for malware when it was begun.
    Raises Refused as `find`; `uploads.held` while it is being checked."""
    row = find(house, by, import_id)
    if row.seen or row.state != store.OPEN:
        return row
    importer = _importer(house, row)
    seen = looking.look(house, importer, row, row.chosen)
    with house.store.transaction() as connection:
        columns = looking.columns_for(connection, by.id, importer.name, seen)
        chosen = {**row.chosen, "columns": columns}
        store.change(connection, row.id, when=[store.OPEN], now=house.now(), seen=seen, chosen=chosen)
    return find(house, by, import_id)


def _importer(house: House, row: Import) -> Importer:
    importer = desk.of(house).find(row.importer)
    if importer is None:
        raise Refused(imports.STATE, detail="The application does not import this any more.")
    return importer


# Choosing


def read_as(
    house: House, by: Identity, import_id: str, *, encoding: str, delimiter: str, sheet: str, row: str
) -> Import:
    """Have the file read another way: what is empty is found out. Its columns are suggested anew."""
    found = find(house, by, import_id)
    importer = _importer(house, found)
    if row and not (row.isascii() and row.isdigit() and 0 < int(row) <= 1_048_576):
        raise Refused(errors.INVALID, fields={"row": "the number of the row that holds the headings"})
    chosen = {
        **found.chosen,
        "encoding": encoding,
        "delimiter": "\t" if delimiter in ("tab", "\\t") else delimiter,
        "sheet": sheet,
        "row": int(row or 0),
    }
    seen = looking.look(house, importer, found, chosen)
    with house.store.transaction() as connection:
        chosen["columns"] = looking.columns_for(connection, by.id, importer.name, seen)
        _changed(house, connection, by, found, chosen=chosen, seen=seen, found={}, because="")
    return find(house, by, import_id)


def choose(
    house: House, by: Identity, import_id: str, *, columns: list[str], options: dict[str, str]
) -> Import:
    """Say what the columns mean and what is asked beside the file; it is remembered for such headings.
    Raises Refused with all that is wrong, by field."""
    found = looked_at(house, by, import_id)
    importer = _importer(house, found)
    headings = list(found.seen["headings"])
    wrong: dict[str, str] = {}
    reason = imports.COLUMNS
    try:
        columns = meaning.judged(
            columns,
            headings,
            importer.targets,
            needs_all=importer.arrange is None,
            shown=lambda index: headings[index] or f"column {index + 1}",
        )
    except Refused as refused:
        wrong.update(refused.fields)
    try:
        forms.options(importer, options)
    except Refused as refused:
        reason = reason if wrong else refused.reason
        wrong.update(refused.fields)
    if wrong:
        raise Refused(reason, fields=wrong)
    chosen = {**found.chosen, "columns": columns, "options": options}
    with house.store.transaction() as connection:
        _changed(house, connection, by, found, chosen=chosen, found={}, because="")
        store.remember(connection, by.id, importer.name, meaning.set_of(headings), columns, house.now())
    return find(house, by, import_id)


def _changed(house: House, connection: Connection, by: Identity, row: Import, /, **values: Any) -> None:
    """Change an import that is one's own, open, and as it was looked at. Raises Refused."""
    _held(connection, by, row)
    if not store.change(connection, row.id, when=[store.OPEN], now=house.now(), **values):
        raise Refused(imports.STATE)


def _held(connection: Connection, by: Identity, row: Import) -> None:
    """Let what somebody does with his imports be done one after the other. Raises Refused where another
    window of his has changed this one since it was looked at: nobody has judged the two together."""
    users.hold(connection, by.id)
    now = _own(connection, by, row.id)
    if (now.chosen, now.seen) != (row.chosen, row.seen):
        raise Refused(imports.STATE, detail="It was changed elsewhere meanwhile; look at it again.")


def fingerprint(row: Import) -> str:
    """File, reading, columns and options as one."""
    facts = [row.importer, row.digest, row.chosen, row.seen.get("row")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def repeated(connection: Connection, row: Import) -> Import | None:
    """The import that this one would only repeat: done, or under way."""
    if not row.user_id or row.ended:
        return None
    return store.imported_like(connection, row.user_id, fingerprint(row))


# Running


def check(house: House, by: Identity, import_id: str) -> Import:
    """A dry run: every row is validated, and saved in a transaction that is rolled back."""
    return _run(house, by, import_id, store.CHECKING, "all", again=True)


def start(house: House, by: Identity, import_id: str, *, mode: str, again: bool = False) -> Import:
    """Import it: `all` rows or none, or the `good` ones. Asked for twice, it is started once.

    Raises Refused: not permitted any more, under way in too many places, or imported already and not
    `again`.
    """
    if mode not in MODES:
        raise Refused(errors.INVALID, fields={"mode": f"one of {', '.join(MODES)}"})
    row = find(house, by, import_id)
    if row.state in (store.RUNNING, store.DONE):
        return row
    return _run(house, by, import_id, store.RUNNING, mode, again=again)


def _run(house: House, by: Identity, import_id: str, state: str, mode: str, *, again: bool) -> Import:
    row = looked_at(house, by, import_id)
    importer = _importer(house, row)
    by.demand(importer.permission)
    meaning.judged(
        row.chosen.get("columns", []),
        row.seen.get("headings", []),
        importer.targets,
        needs_all=importer.arrange is None,
    )
    forms.options(importer, row.chosen.get("options", {}))
    settings = house.policy.of(imports.Settings)
    with house.store.transaction() as connection:
        _held(connection, by, row)  # two starts at once are judged and counted one after the other
        if not again and repeated(connection, row) is not None:
            raise Refused(imports.REPEATED)
        if store.count(connection, by.id, store.UNDER_WAY) >= settings.running:
            raise Refused(imports.TOO_MANY)
        now = house.now()
        if not store.change(
            connection,
            import_id,
            when=[store.OPEN],
            now=now,
            state=state,
            mode=mode,
            fingerprint=fingerprint(row),
            found={},
            because="",
            done=0,
            at_row=0,
            started_at=now,
            cancel_at=None,
        ):
            raise Refused(imports.STATE)
        store.forget_notes(connection, import_id)
        store.release(connection, import_id)
        if state == store.RUNNING:
            facts = {"importer": row.importer, "file": row.name, "mode": mode}
            _record(house, connection, by, "import_started", import_id, facts)
    if row.size <= AT_ONCE and not desk.of(house).by_hand:
        working.at_once(house, import_id)
    return find(house, by, import_id)


def cancel(house: House, by: Identity, import_id: str) -> Import:
    """Have it ended: at once where it waits, else between two batches. What has ended stays as it is."""
    if find(house, by, import_id).ended:
        raise Refused(imports.STATE)
    _stop(house, import_id)
    with house.store.transaction() as connection:
        row = _own(connection, by, import_id)
        if store.change(
            connection,
            import_id,
            when=[store.OPEN],
            now=house.now(),
            state=store.CANCELLED,
            because="Cancelled. Nothing was imported.",
            finished_at=house.now(),
        ) or working.end_waiting(house, connection, row):
            _record(
                house,
                connection,
                by,
                "import_cancelled",
                import_id,
                {"importer": row.importer, "file": row.name},
            )
        else:
            store.change(connection, import_id, when=store.UNDER_WAY, now=house.now(), cancel_at=house.now())
    return find(house, by, import_id)


def _stop(house: House, import_id: str) -> None:
    """Tell the run of this process: on SQLite nothing else can while it goes on in one transaction."""
    work = desk.of(house).works.get(import_id)
    if work is not None:
        work.cancelled.set()


def discard(house: House, by: Identity, import_id: str) -> None:
    """Forget it with its file and all that was told of it. What it imported stays. Raises Refused while it
    is under way."""
    row = find(house, by, import_id)
    if row.under_way:
        raise Refused(imports.STATE)
    with house.store.transaction() as connection:
        if not store.change(connection, import_id, when=(store.OPEN, *store.ENDED), now=house.now()):
            raise Refused(imports.STATE)
        working.forget(house, connection, row)
        _record(
            house, connection, by, "import_discarded", import_id, {"importer": row.importer, "file": row.name}
        )


def _record(
    house: House, connection: Connection, by: Identity, action: str, import_id: str, facts: dict[str, Any]
) -> None:
    audit.record(
        house,
        connection,
        action=action,
        actor=by,
        entity_type="import",
        entity_id=import_id,
        changes=facts,
    )
