"""The planner's tables: a planning session, what people contribute to it, and who supports what.

`planning` is what S2 calls a session; the word session is kept for being signed in.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# Without it SQLite gives the number of a deleted row to the next one: a token for `planning:17` would open
# the planning that comes after the seventeenth.
KEEP_IDS = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = KEEP_IDS


class Moment(TypeDecorator[datetime]):
    """A time with its zone; SQLite would give it back without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class State(enum.StrEnum):
    """How far a planning is: what participants may do depends on it."""

    PREPARED = "prepared"
    OPEN = "open"
    CLOSED = "closed"


class Planning(Base):
    """A planning session: a question, with categories to contribute to."""

    __tablename__ = "plannings"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    prompt: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[State] = mapped_column(
        Enum(State, native_enum=False, values_callable=lambda e: [m.value for m in e], length=16),
        default=State.PREPARED,
    )
    placing: Mapped[bool] = mapped_column(default=False)
    """Whether participants may place contributions on the plan."""
    plan_image: Mapped[str] = mapped_column(String(64), default="")
    """Which of the plans that come with the application (see plans.py); empty for none."""
    facilitator_id: Mapped[str] = mapped_column(String(36), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)

    categories: Mapped[list[Category]] = relationship(
        order_by="Category.position", cascade="all, delete-orphan", back_populates="planning"
    )
    groups: Mapped[list[Group]] = relationship(order_by="Group.id", cascade="all, delete-orphan")
    batches: Mapped[list[Batch]] = relationship(order_by="Batch.made_at", cascade="all, delete-orphan")

    @property
    def scope(self) -> str:
        """Its name where a role is given for it alone."""
        return f"planning:{self.id}"


class Category(Base):
    """What a contribution may be: a vision, a problem, an objective, an action …"""

    __tablename__ = "planning_categories"
    __table_args__ = (UniqueConstraint("planning_id", "name"), KEEP_IDS)
    id: Mapped[int] = mapped_column(primary_key=True)
    planning_id: Mapped[int] = mapped_column(ForeignKey("plannings.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(40))
    hint: Mapped[str] = mapped_column(String(200), default="")
    position: Mapped[int] = mapped_column(default=0)

    planning: Mapped[Planning] = relationship(back_populates="categories")


class Group(Base):
    """Contributions that a facilitator has put together."""

    __tablename__ = "contribution_groups"
    id: Mapped[int] = mapped_column(primary_key=True)
    planning_id: Mapped[int] = mapped_column(ForeignKey("plannings.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))


class Contribution(Base):
    """What somebody contributed, and where on the plan it belongs."""

    __tablename__ = "contributions"
    __table_args__ = (
        CheckConstraint("(x IS NULL) = (y IS NULL)", name="placed"),
        CheckConstraint("x BETWEEN 0 AND 1 AND y BETWEEN 0 AND 1", name="within"),
        KEEP_IDS,
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    planning_id: Mapped[int] = mapped_column(ForeignKey("plannings.id", ondelete="CASCADE"), index=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("planning_categories.id"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("contribution_groups.id", ondelete="SET NULL"))
    author_id: Mapped[str] = mapped_column(String(36), index=True)
    text: Mapped[str] = mapped_column(String(1000))
    hidden: Mapped[bool] = mapped_column(default=False)
    hidden_because: Mapped[str] = mapped_column(String(200), default="")
    """What its author is told."""
    x: Mapped[float | None]
    """From the left edge of the plan, 0 to 1."""
    y: Mapped[float | None]
    """From its upper edge, 0 to 1."""
    created_at: Mapped[datetime] = mapped_column(Moment)

    category: Mapped[Category] = relationship(lazy="joined")
    group: Mapped[Group | None] = relationship(lazy="joined")
    support: Mapped[list[Support]] = relationship(cascade="all, delete-orphan", lazy="selectin")


class Support(Base):
    """That somebody supports a contribution: once."""

    __tablename__ = "contribution_support"
    __table_args__ = ()
    contribution_id: Mapped[int] = mapped_column(
        ForeignKey("contributions.id", ondelete="CASCADE"), primary_key=True
    )
    supporter_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)


class Batch(Base):
    """Participants' cards that were made together. The tokens on them are kept nowhere.

    Its id is drawn when the form for it is shown: a form that is sent twice (a second press, Reload, Back)
    makes no second batch.
    """

    __tablename__ = "card_batches"
    __table_args__ = ()
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    planning_id: Mapped[int] = mapped_column(ForeignKey("plannings.id", ondelete="CASCADE"), index=True)
    made_by: Mapped[str] = mapped_column(String(36))
    made_at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    """When its tokens were revoked before that."""

    cards: Mapped[list[Card]] = relationship(
        order_by="Card.number", cascade="all, delete-orphan", lazy="selectin"
    )


class Card(Base):
    """One participant's card, by the number that is printed on it."""

    __tablename__ = "cards"
    __table_args__ = ()
    batch_id: Mapped[str] = mapped_column(ForeignKey("card_batches.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    participant_id: Mapped[str] = mapped_column(String(36), index=True)
    """The account that its token opens."""
