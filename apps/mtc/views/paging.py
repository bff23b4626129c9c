"""Lists in pages: so many rows, and the way to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import request, url_for
from sqlalchemy import Select

from apps.mtc.database import get_session
from apps.mtc.models import Base
from apps.mtc.services import records
from apps.mtc.validators.queries import PageQuery

T = TypeVar("T", bound=Base)


@dataclass(frozen=True)
class Listing(Generic[T]):
    rows: Sequence[T]
    total: int
    query: PageQuery

    @property
    def first(self) -> int:
        return self.query.offset + 1

    @property
    def last(self) -> int:
        return self.query.offset + len(self.rows)

    @property
    def earlier(self) -> str | None:
        if self.query.offset == 0:
            return None
        return self._address(max(self.query.offset - self.query.limit, 0))

    @property
    def later(self) -> str | None:
        return self._address(self.last) if self.rows and self.last < self.total else None

    @property
    def is_narrowed(self) -> bool:
        """Whether a search left something out."""
        return bool(self.query.model_dump(exclude_defaults=True, exclude={"limit", "offset"}))

    def _address(self, offset: int) -> str:
        kept = self.query.model_dump(exclude_defaults=True, mode="json") | {"offset": offset}
        return url_for(request.endpoint or "", **kept, **(request.view_args or {}))


def listing(query: PageQuery, statement: Select[T]) -> Listing[T]:
    rows, total = records.page(get_session(), statement, limit=query.limit, offset=query.offset)
    return Listing(rows, total, query)
