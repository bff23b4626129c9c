"""Giving a file out: to whoever may see what it belongs to, as an attachment, as it was taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from bylaw.controls import audit
from bylaw.controls.uploads import reasons
from bylaw.exchange import current
from bylaw.house import House
from bylaw.operations.files import headers, ranges
from bylaw.operations.files.reading import Pieces, opened, seekable
from bylaw.operations.files.taking import demand_subject
from bylaw.reasons import Refused
from bylaw.storage import NAME
from bylaw.store import files
from bylaw.store.files import CLEAN, HELD, VISIBLE, StoredFile


@dataclass(slots=True)
class Sending:
    """An answer that gives a file out, for any framework: status, header pairs, and its pieces.

    `pieces.close()` lets go of the file, and is to be called whatever becomes of the answer.
    """

    status: int
    headers: list[tuple[str, str]]
    pieces: Pieces


def find(house: House, file_id: str, subject: str) -> StoredFile:
    """See `Files.find`. What is another's answers like what is not there, and takes as long."""
    demand_subject(subject)
    with house.store.reading() as connection:
        file = files.find(connection, file_id) if NAME.fullmatch(file_id) else None
    if file is None or file.subject != subject or file.state not in VISIBLE:
        _record(house, file_id if NAME.fullmatch(file_id) else "", "failure", {"subject": subject})
        raise Refused(reasons.UNKNOWN)
    return file


def clean(house: House, file_id: str, subject: str) -> StoredFile:
    """The file, if it may be given out. Raises Refused."""
    file = find(house, file_id, subject)
    if file.state == HELD:
        raise Refused(reasons.HELD, headers=(("Retry-After", "60"),))
    if file.state != CLEAN:
        raise Refused(reasons.WITHDRAWN)
    return file


def opened_clean(house: House, file_id: str, subject: str) -> BinaryIO:
    """See `Files.open`."""
    return seekable(house, opened(house, clean(house, file_id, subject)))


def download(
    house: House, file_id: str, subject: str, method: str | None, sent: Mapping[str, str] | None
) -> Sending:
    """See `Files.download`."""
    file = clean(house, file_id, subject)
    method, values = asked(method, sent)
    part = ranges.part(method, values, file.size, headers.tag(file))
    found = None
    if part.status in (200, 206):
        # HEAD says what GET would: a file that was changed has no answer for either.
        found = opened(house, file, part.start, part.end if part.status == 206 else None)
    if method == "HEAD" and found is not None:
        found.close()
        found = None
    if found is not None:
        try:
            facts = {"name": file.name, "subject": subject, "bytes": part.end - part.start}
            _record(house, file.id, "success", facts)
        except BaseException:
            found.close()  # what cannot be recorded is not given out
            raise
    digest = file.digest if part.status == 200 else ""
    return Sending(part.status, headers.of(file, part), Pieces(found, part.end - part.start, digest, file.id))


def asked(method: str | None, sent: Mapping[str, str] | None) -> tuple[str, Callable[[str], list[str]]]:
    """The method and the header fields of a request: those that are given, or the current request's."""
    exchange = current()
    method = method or (exchange.method if exchange is not None else "GET")
    if sent is not None:
        fields = {name.lower(): value for name, value in sent.items()}
        return method, lambda name: [fields[name]] if name in fields else []
    return method, exchange.headers.all if exchange is not None else lambda name: []


def _record(house: House, file_id: str, outcome: str, facts: dict[str, Any]) -> None:
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action="sensitive_read",  # of the OWASP Logging Vocabulary
            outcome=outcome,
            entity_type="file",
            entity_id=file_id,
            changes=facts,
        )
