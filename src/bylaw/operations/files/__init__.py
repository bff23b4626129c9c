"""Files of an application: taken through one way in, kept, given out to whoever may have them, removed.

Taking judges a name, examines a content and has it scanned where nobody can reach it; what is kept is known
by a random id, belongs to a `subject` of the application's own (`process:17`), and is given out as an
attachment to whoever the application lets see that subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.files import attaching, giving, taking, thumbnails
from bylaw.operations.files.given import Given
from bylaw.operations.files.giving import Sending
from bylaw.store import files
from bylaw.store.files import StoredFile

__all__ = ["Files", "Given", "Sending", "StoredFile"]


class Files:
    """`site.files`, and `bylaw.files` in Flask and FastAPI.

    `connection`, where it is asked for, is the application's own Session or Connection on `bylaw.engine`:
    what is said about a file holds when that transaction does.
    """

    def __init__(self, house: House) -> None:
        self.house = house

    def take(
        self,
        given: Given,
        *,
        by: Identity,
        kinds: Iterable[str] = (),
        subject: str = "",
        connection: Any = None,
    ) -> StoredFile:
        """Take a file in: its name, its kind, its content and its size are judged, it is scanned, and kept.

        `kinds` are extensions within the policy's own, beside what the route has declared. With a `subject`
        it belongs there from the start; otherwise `attach` says where, within a day. Its row is written in
        the transaction of `connection` where there is one, otherwise at once.

        Raises Refused (`uploads.*`, `malware.*`) with what is wrong, and MisuseError for a subject that is
        none.
        """
        return taking.take(self.house, given, by=by, kinds=kinds, subject=subject, connection=connection)

    def attach(
        self, connection: Any, file_id: str, subject: str, *, by: Identity | None = None
    ) -> StoredFile:
        """Say, in the application's own transaction, what a file belongs to. Only whoever gave it may (`by`,
        or whoever makes the current request), and once. Raises Refused (404)."""
        return attaching.attach(self.house, connection, file_id, subject, by)

    def of(self, subject: str) -> list[StoredFile]:
        """What belongs to `subject`, the oldest first; what is still being checked (`held`) is among it, and
        what was withdrawn (`refused`), so that people see what happened. Neither can be downloaded."""
        taking.demand_subject(subject)
        with self.house.store.reading() as connection:
            return files.of(connection, subject)

    def find(self, file_id: str, subject: str) -> StoredFile:
        """The file, if it belongs to `subject`. Raises Refused (404) where it is another's or not there,
        which is recorded."""
        return giving.find(self.house, file_id, subject)

    def open(self, file_id: str, subject: str) -> BinaryIO:
        """The bytes of a clean file, for the application itself (an import), as a stream in which one can go
        back. Close it. Raises Refused."""
        return giving.opened_clean(self.house, file_id, subject)

    def download(
        self,
        file_id: str,
        subject: str,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sending:
        """The answer that gives the file out, as an attachment (RFC 6266), whole or in part (RFC 9110 section
        14). `method` and `headers` are the current request's where they are left out.

        Who may see the subject is the application's to ask, before. Raises Refused: 404 where the file is
        another's, 423 where it is still being checked, 410 where it was withdrawn.
        """
        return giving.download(self.house, file_id, subject, method, headers)

    def thumbnail(
        self,
        file_id: str,
        subject: str,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sending:
        """The answer that shows a small picture of an image, its pixels made anew. Raises Refused (404 where
        there is none)."""
        return thumbnails.thumbnail(self.house, file_id, subject, method, headers)

    def remove(self, connection: Any, file_id: str, subject: str, *, by: Identity | None = None) -> None:
        """Have a file go, in the application's own transaction. Nobody gets it from then on; its bytes follow
        within minutes. Raises Refused (404)."""
        attaching.remove(self.house, connection, file_id, subject, by)

    def remove_all(self, connection: Any, subject: str, *, by: Identity | None = None) -> int:
        """Have everything of a subject go with it; how many files that were."""
        return attaching.remove_all(self.house, connection, subject, by)
