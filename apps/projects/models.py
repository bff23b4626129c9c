"""The register's tables: a thing, and every version that it ever had.

Nothing is changed in place and nothing is deleted: a change is a further row, with who made it and when.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import DateTime, ForeignKey, String, Text, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

Change = Literal["created", "updated", "restored", "deleted"]


class Base(DeclarativeBase):
    pass


class Moment(TypeDecorator[datetime]):
    """A time with its zone; SQLite would give it back without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Version:
    """What every version says besides its content."""

    number: Mapped[int] = mapped_column(primary_key=True)
    """1, 2, 3, … within its thing: two changes at once cannot both be number 4."""
    change: Mapped[str] = mapped_column(String(16))
    restored_from: Mapped[int | None] = mapped_column(default=None)
    author_id: Mapped[str] = mapped_column(String(36), index=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)


class Thing:
    """What has versions."""

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner_id: Mapped[str] = mapped_column(String(36), index=True)


class Project(Thing, Base):
    """A project of the register."""

    __tablename__ = "projects"
    versions: Mapped[list[ProjectVersion]] = relationship(
        order_by="ProjectVersion.number.desc()", lazy="raise", cascade="all"
    )
    """The newest first."""


class ProjectVersion(Version, Base):
    __tablename__ = "project_versions"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))


class Document(Thing, Base):
    """A document of a project."""

    __tablename__ = "documents"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    versions: Mapped[list[DocumentVersion]] = relationship(
        order_by="DocumentVersion.number.desc()", lazy="raise", cascade="all"
    )


class DocumentVersion(Version, Base):
    __tablename__ = "document_versions"
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id"), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
