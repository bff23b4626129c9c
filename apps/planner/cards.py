"""Participants' cards: a token each, shown on one page, once, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import segno

from apps.planner.models import Batch, Card, Planning
from apps.planner.plannings import Plannings
from apps.planner.validators import CardsDraft
from bylaw.flask import Bylaw
from bylaw.house import House
from bylaw.operations import minting
from bylaw.store import bearers
from bylaw.store.tables import access_tokens

ROLE: Final = "participant"
QUIET: Final = 4
"""White modules around a QR code (ISO/IEC 18004)."""


class ShownError(ValueError):
    """The batch was made already: its cards were shown, and nobody can show them again."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A card as it is printed."""

    number: int
    token: str = field(repr=False)
    """In groups, as people type it."""
    code: str = field(repr=False)
    """The QR code of its link, as the path of an SVG."""
    size: int
    """Of that path, in modules."""


def make(
    bylaw: Bylaw, mine: Plannings, planning_id: int, draft: CardsDraft
) -> tuple[Planning, list[Printed]]:
    """Make accounts and tokens for so many participants, and the cards that show them this once.

    Batch, accounts and tokens are one transaction. Raises NotThereError, Refused, ShownError.
    """
    planning = mine.run(planning_id)
    if mine.db.get(Batch, draft.batch) is not None:
        raise ShownError
    now = mine.clock()
    ends_at = now + timedelta(days=draft.days)
    first = 1 + sum(len(batch.cards) for batch in planning.batches)
    numbers = range(first, first + draft.count)
    issued = bylaw.tokens.issue_many(
        mine.who,
        draft.count,
        ROLE,
        scope=planning.scope,
        names=[f"Participant {number}" for number in numbers],
        expires_at=ends_at.timestamp(),
        because=f"card of planning {planning.id}",
        connection=mine.db.connection(),
    )
    batch = Batch(id=draft.batch, planning_id=planning.id, made_by=mine.who.id, made_at=now, ends_at=ends_at)
    batch.cards = [
        Card(number=number, participant_id=each.account_id)
        for number, each in zip(numbers, issued, strict=True)
    ]
    planning.batches.append(batch)
    mine.done("cards_made", planning, batch=batch.id, cards=draft.count, days=draft.days)
    return planning, [
        _printed(number, bylaw.tokens.grouped(each.secret), bylaw.tokens.address(each.secret))
        for number, each in zip(numbers, issued, strict=True)
    ]


def _printed(number: int, token: str, link: str) -> Printed:
    code = segno.make(link, error="m", micro=False)
    rows = list(code.matrix)
    return Printed(number, token, "".join(_runs(rows)), len(rows) + 2 * QUIET)


def _runs(rows: Iterable[bytearray]) -> Iterator[str]:
    """Each run of dark modules as a piece of path."""
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            length = 0
            while x + length < len(row) and row[x + length]:
                length += 1
            if length:
                yield f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z"
            x += length + 1


def end(house: House, mine: Plannings, planning_id: int, batch_id: str) -> None:
    """Revoke a batch's tokens, and with them the sessions that they opened. Raises NotThereError, Refused."""
    planning = mine.run(planning_id)
    batch = next((each for each in planning.batches if each.id == batch_id), None)
    if batch is not None and batch.ended_at is None:
        _end(house, mine, planning, [batch])


def end_all(house: House, mine: Plannings, planning_id: int) -> None:
    """The same for every batch of a planning."""
    planning = mine.run(planning_id)
    _end(house, mine, planning, [batch for batch in planning.batches if batch.ended_at is None])


def _end(house: House, mine: Plannings, planning: Planning, batches: list[Batch]) -> None:
    connection, touched = mine.db.connection(), []
    for batch in batches:
        batch.ended_at = mine.clock()
        for card in batch.cards:
            for row in bearers.of_user(connection, access_tokens, card.participant_id):
                if row["revoked_at"] is None:
                    touched.append((card.participant_id, minting.end(house, connection, row)))
                    minting.record(
                        house,
                        connection,
                        "authn_token_revoked",
                        mine.who,
                        row["id"],
                        owner=card.participant_id,
                        name=row["name"],
                        reason=f"cards of planning {planning.id}",
                    )
        mine.done("cards_revoked", planning, batch=batch.id, cards=len(batch.cards))
    for account, ended in touched:  # once it is written
        minting.forget(house, account, ended)
