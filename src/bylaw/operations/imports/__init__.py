"""Imports of an application: its importers, and what a person does with a table, from the file to its rows.

@bylaw.imports.importer("lots", title="Production lots", model=LotRow, permission="lot:create")
def save(connection, rows, who, options) -> Counts: ...

made = bylaw.imports.begin("lots", given, by=who)      # then redirect to made.url
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.files import Given, StoredFile
from bylaw.operations.imports import desk, verbs, working
from bylaw.operations.imports.importers import Arrange, Headings, Importer, Suggest
from bylaw.store.imports import Import

__all__ = ["Begun", "Importer", "Imports"]

Saves = TypeVar("Saves", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Begun:
    """An import that was begun: its id, and the page where its owner goes on with it."""

    id: str
    url: str
    importer: str
    name: str


class Imports:
    """`site.imports`, and `bylaw.imports` in Flask and FastAPI."""

    def __init__(self, house: House) -> None:
        self.house = house

    def importer(
        self,
        name: str,
        *,
        title: str,
        model: type[BaseModel],
        permission: str,
        key: tuple[str, ...] = (),
        options: type[BaseModel] | None = None,
        arrange: Arrange | None = None,
        headings: Headings | None = None,
        suggest: Suggest | None = None,
        whole: bool = False,
    ) -> Callable[[Saves], Saves]:
        """Have a function save the rows of a kind of import.

        It is called as `save(connection, rows, who, options) -> Counts` with rows that `model` has taken, in
        batches of at most 500, in bylaw's transaction (never commit it). It raises ValueError or Refused for
        a row that it does not take: the batch is divided until that row is found. `key` names the fields by
        which a row is the same as one that is there.

        `arrange` reads files that are no plain table, `headings` finds the row of their headings, `suggest`
        what their columns mean; `whole` has all rows saved by one call. `options` is a model of what is asked
        beside the file. Raises MisuseError for a name that is taken, and for a permission that is none.
        """

        def declare(save: Saves) -> Saves:
            made = Importer(
                name, title, model, permission, save, key, options, arrange, headings, suggest, whole
            )
            desk.of(self.house).add(made)
            return save

        return declare

    def begin(
        self, name: str, given: Given | StoredFile, *, by: Identity, options: dict[str, Any] | None = None
    ) -> Begun:
        """Begin an import of a file that somebody sent: taken through the one way in, and looked at. Nothing
        is imported before its owner says so on the page at `url`.

        Raises Refused: not permitted, not taken as a file (`uploads.*`, `malware.*`), no table
        (`imports.unreadable`), too many under way. MisuseError where there is no such importer.
        """
        row = verbs.begin(self.house, name, given, by=by, options=options)
        return Begun(row.id, f"{self.url}/{row.id}", row.importer, row.name)

    @property
    def url(self) -> str:
        """The page of one's own imports."""
        return f"{self.house.policy.pages.prefix}/imports"

    @property
    def names(self) -> dict[str, Importer]:
        """The importers, by name."""
        return dict(desk.of(self.house).importers)

    def of(self, who: Identity) -> list[Import]:
        """Somebody's imports, the newest first."""
        return verbs.listing(self.house, who)

    def work(self) -> int:
        """Work on what is due now, in this thread: for commands and tests; how many runs there were."""
        return working.work(self.house)
