"""What every table shares: exact numbers, UTC times, and what of a row the audit log shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, Enum, MetaData, Numeric, String, inspect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

PLACES = Decimal("0.000001")
# Without it SQLite gives the number of a deleted row to the next one, and the audit log's entries
# about the one would seem to be about the other.
KEEP_IDS = {"sqlite_autoincrement": True}


def tidy(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent (1E+3 becomes 1000)."""
    whole = value.to_integral_value()
    return whole.quantize(Decimal(1)) if value == whole else value.normalize()


class Exact(TypeDecorator[Decimal]):
    """A decimal that comes back as it went in.

    SQLite has no decimal column and would keep a float, so there it is text; it is therefore never
    compared or added up in SQL, only in Python.
    """

    impl = Numeric(30, 6)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(40))
        return dialect.type_descriptor(Numeric(30, 6))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        exact = value.quantize(PLACES)
        return format(tidy(exact), "f") if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else tidy(Decimal(value))


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    # SQLAlchemy hands the dialect to both; here it makes no difference.
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def one_of(kind: type[StrEnum]) -> Enum:
    """A text column that holds the values of an enumeration (not the names of its members)."""
    return Enum(
        kind,
        native_enum=False,
        length=10,
        values_callable=lambda members: [m.value for m in members],
    )


class Base(DeclarativeBase):
    """The base of MTC's tables (bylaw's own tables have another, in the same database)."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {Decimal: Exact, datetime: UtcDateTime}

    __table_args__: Any = KEEP_IDS

    # Columns that are too long or too dull to stand in the audit log.
    unaudited: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def kind(cls) -> str:
        """The entity type as the audit log names it: ``ExchangeRate`` is ``exchange_rate``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def audited(self) -> dict[str, object]:
        """The values that the audit log compares. Override to add what hangs on the row."""
        names = (column.key for column in inspect(type(self)).column_attrs)
        return {name: getattr(self, name) for name in names if name not in self.unaudited}
