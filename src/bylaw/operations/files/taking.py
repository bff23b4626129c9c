"""Taking a file in: judged, examined and scanned where nobody can reach it, then kept, then known.

The order is what makes it safe to be killed at any step. Until the last one there is a nameless file that
goes with the process, or bytes that no row names and that the sweep takes; with the last one, a transaction,
there is the row, its record, and bytes that the disk has confirmed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from contextvars import copy_context
from dataclasses import replace
from typing import Any, BinaryIO, Final, cast

from sqlalchemy import Connection

from bylaw import content
from bylaw.content import Facts, Hostile
from bylaw.controls import audit, malware, uploads
from bylaw.controls.malware import Scanned
from bylaw.controls.uploads import names, reasons
from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.files.given import Given
from bylaw.operations.files.keeping import storage_of, unstored
from bylaw.quantities import weighed
from bylaw.reasons import Refused
from bylaw.storage import PIECE, Unstored
from bylaw.store import files
from bylaw.store.engine import plain
from bylaw.store.files import CLEAN, HELD, StoredFile

LONGEST_SUBJECT: Final = 120
"""Characters of what a file may belong to."""


def take(
    house: House, given: Given, *, by: Identity, kinds: Iterable[str], subject: str, connection: Any
) -> StoredFile:
    """See `Files.take`."""
    belongs = demand_subject(subject) if subject else ""
    name = names.cleaned(given.name)
    try:
        if not belongs:
            with house.store.reading() as reading:
                _demand_room(house, reading, by)
        judged = uploads.judge(house.policy, given.name, given.media_type, kinds=_both(given.kinds, kinds))
        with _scratch(house) as scratch, ExitStack() as stack:
            _receive(house, given.stream, scratch)
            stream, facts = _examined(house, scratch, judged.kind, stack)
            scanned = malware.admitted(house, stream)
            file = _described(house, stream, facts, scanned, by)
            file = replace(file, name=judged.name, kind=judged.kind, **_belonging(house, belongs))
            _keep(house, file, stream, by, connection)
    except Unstored as error:
        raise unstored(house, error) from error
    except Refused as refused:
        facts_of_it = {
            "name": name,
            "reason": refused.reason.code,
            "why": malware.why(refused) or refused.detail,
            "subject": belongs,
        }
        _tell(house, connection, lambda c: _record(house, c, by, "upload_validation", "", facts_of_it))
        raise
    house.count("files.taken")
    return file


def _both(declared: tuple[str, ...], wanted: Iterable[str]) -> tuple[str, ...]:
    """What its route and its view take, where both say something: never more than either."""
    asked = tuple(wanted)
    if not declared or not asked:
        return declared or asked
    common = tuple(kind for kind in asked if kind in declared)
    if not common:
        raise MisuseError(f"the route takes {', '.join(declared)}, and its view {', '.join(asked)}")
    return common


def demand_subject(subject: str) -> str:
    """What a file belongs to is the application's to say. Raises MisuseError for what is nothing."""
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise MisuseError(
            f"a file belongs to something named in 1 to {LONGEST_SUBJECT} characters: process:17"
        )
    return subject


def _receive(house: House, stream: BinaryIO, scratch: BinaryIO) -> None:
    """Take what comes, up to the limit, piece by piece. Raises Refused."""
    left: int = house.policy.of(uploads.Settings).size
    first = left
    while piece := stream.read(PIECE):
        left -= len(piece)
        if left < 0:
            raise Refused(reasons.TOO_LARGE, detail=f"At most {weighed(first)}.")
        _write(scratch, piece)
    with _room():
        scratch.flush()
    if left == first:
        raise Refused(reasons.of("empty"))


def _write(scratch: BinaryIO, piece: bytes) -> None:
    with _room():
        scratch.write(piece)


@contextmanager
def _scratch(house: House) -> Iterator[BinaryIO]:
    """A place to examine a file in. Where there was no room for its last bytes, closing it fails again."""
    scratch = storage_of(house).scratch()
    try:
        yield scratch
    finally:
        with suppress(OSError):
            scratch.close()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unstored(f"no room to examine a file: {error.strerror}") from error


def _examined(house: House, scratch: BinaryIO, kind: str, stack: ExitStack) -> tuple[BinaryIO, Facts]:
    """What is kept of it, and what is known of that: the file itself, or its picture made anew."""
    settings = house.policy.of(uploads.Settings)
    limits = uploads.limits(settings)
    try:
        with _room():
            facts = content.examine(scratch, kind, limits)
            if not (settings.reencode and content.KINDS[kind].image):
                return scratch, facts
            anew = stack.enter_context(content.reencoded(scratch, kind, limits))
            return anew, content.examine(anew, kind, limits)
    except Hostile as hostile:
        raise Refused(reasons.of(hostile.code), detail=hostile.detail) from hostile


def _described(house: House, stream: BinaryIO, facts: Facts, scanned: Scanned, by: Identity) -> StoredFile:
    stream.seek(0)
    digest = hashlib.file_digest(cast(Any, stream), "sha256").hexdigest()
    return StoredFile(
        id=base64.b32encode(house.ports.entropy(14)).decode().lower()[:22],
        subject="",
        name="",
        kind="",
        size=stream.tell(),
        digest=digest,
        state=CLEAN if scanned.clean else HELD,
        created_at=house.now(),
        user_id=by.id or None,
        width=facts.width or None,
        height=facts.height or None,
        scanned_by=audit.printable(scanned.scanner, 120),
        scanned_at=house.now() if scanned.clean and scanned.scanner else None,
        because=audit.printable(scanned.why, 200),
    )


def _belonging(house: House, subject: str) -> dict[str, Any]:
    return {"subject": subject, "attached_at": house.now()} if subject else {}


def _keep(house: House, file: StoredFile, stream: BinaryIO, by: Identity, connection: Any) -> None:
    """The bytes first, confirmed by the disk; then the row with its record.

    What has no row is nobody's, and the sweep takes it. Not we, where writing the row has failed: whether the
    commit has arrived only the database knows, and a row without its bytes would be a file that was lost.
    """
    stream.seek(0)
    storage = storage_of(house)
    storage.write_once(file.id, stream)
    with house.store.transaction() if connection is None else nullcontext(plain(connection)) as transaction:
        if not file.subject:
            files.hold_unattached(transaction, file.user_id)
            try:
                _demand_room(house, transaction, by)
            except Refused:
                storage.delete(file.id)  # of no row yet
                raise
        files.add(transaction, file)
        facts = {"name": file.name, "kind": file.kind, "size": file.size, "digest": file.digest}
        more = {"state": file.state, "subject": file.subject}
        _record(house, transaction, by, "upload_stored", file.id, {**facts, **more})


def _demand_room(house: House, connection: Connection, by: Identity) -> None:
    """Whether somebody may give one file more that belongs to nothing yet. Asked before anything of it is
    read, and again when it is kept, since another may have been meanwhile."""
    most: int = house.policy.of(uploads.Settings).waiting
    if files.unattached(connection, by.id or None) >= most:
        raise Refused(reasons.WAITING, detail=f"At most {most:,}; each is cleared away after a day.")


def _tell(house: House, connection: Any, record: Callable[[Connection], None]) -> None:
    """Record a refusal. Not in the application's transaction, which ends with it, nor beside that, since
    SQLite has one writer: then it is written by the next round of chores, as of this request."""
    if connection is not None:
        context = copy_context()
        house.later.append(lambda c: context.run(record, c))
        return
    with house.store.transaction() as own:
        record(own)


def _record(
    house: House, connection: Connection, by: Identity, action: str, file_id: str, facts: dict[str, Any]
) -> None:
    audit.record(
        house,
        connection,
        action=action,  # of the OWASP Logging Vocabulary
        actor=by,
        outcome="success" if file_id else "failure",
        entity_type="file",
        entity_id=file_id,
        changes=facts,
    )
