"""The register's tables: a thing, and every version that it ever had.

Nothing is changed in place and nothing is deleted: a change is a further row, with who made it and when. What
a row may say is asked of the database as well (S3-024): no program that writes past this one writes nonsense.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, String, Text, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

Change = Literal["created", "updated", "restored", "deleted"]
Status = Literal["proposed", "active", "paused", "closed"]
TITLE: Final = 200
"""Characters of a title."""


class Base(DeclarativeBase):
    pass


class Moment(TypeDecorator[datetime]):
    """A time with its zone; SQLite would give it back without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        # SQLite compares text: of two zones, the later hour could be the earlier moment.
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def _one_of(column: str, words: Any) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in get_args(words))
    return CheckConstraint(f"{column} IN ({listed})", name=f"one_of_{column}")


class Version:
    """What every version says besides its content."""

    number: Mapped[int] = mapped_column(primary_key=True)
    """1, 2, 3, … within its thing: two changes at once cannot both be number 4."""
    change: Mapped[str] = mapped_column(String(16))
    restored_from: Mapped[int | None] = mapped_column(default=None)
    author_id: Mapped[str] = mapped_column(String(36), index=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805 - SQLAlchemy's declared_attr is a class method
        return (_one_of("change", Change), CheckConstraint("number >= 1", name="counted"))


class Thing:
    """What has versions."""

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner_id: Mapped[str] = mapped_column(String(36), index=True)


class Project(Thing, Base):
    """A project of the register."""

    __tablename__ = "projects"


class ProjectVersion(Version, Base):
    __tablename__ = "project_versions"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE))
    summary: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805 - SQLAlchemy's declared_attr is a class method
        return (_one_of("change", Change), CheckConstraint("number >= 1"), _one_of("status", Status))


class Document(Thing, Base):
    """A document of a project."""

    __tablename__ = "documents"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)


class DocumentVersion(Version, Base):
    __tablename__ = "document_versions"
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id"), primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE))
    body: Mapped[str] = mapped_column(Text)
