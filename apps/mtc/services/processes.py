"""Processes, the order of their subprocesses, what those use and cost."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from apps.mtc.models import (
    Alternative,
    Lot,
    LotChoice,
    OtherCost,
    Process,
    Subprocess,
    Usage,
    Variant,
)
from apps.mtc.services import attachments, audit, records
from apps.mtc.services.errors import ConflictError, MissingError
from apps.mtc.validators.processes import CostDraft, SubprocessDraft, UsageDraft

MOST_SUBPROCESSES = 200


class Files(Protocol):
    """What removes the files of something that goes: ``bylaw.files``."""

    def remove_all(self, connection: Any, subject: str, /) -> int: ...


def remove_process(session: Session, process: Process, files: Files) -> None:
    """Delete a process that no lot was ever planned for, with its files: a lot's history needs it."""
    # Locked: of two who delete it at once the second finds nothing; whoever attaches a file meanwhile waits.
    if session.scalar(select(Process.id).where(Process.id == process.id).with_for_update()) is None:
        raise MissingError("There is no process with this number.")
    if session.scalar(select(Lot.id).where(Lot.process_id == process.id).limit(1)) is not None:
        raise ConflictError(f"{process.name} has production lots and cannot be deleted.")
    subject = attachments.subject(process)
    records.remove(session, process, process.contents())
    files.remove_all(session, subject)


def add_subprocess(session: Session, process: Process, draft: SubprocessDraft) -> Subprocess:
    if len(process.subprocesses) >= MOST_SUBPROCESSES:
        raise ConflictError(f"A process has at most {MOST_SUBPROCESSES} subprocesses.")
    last = max((part.position for part in process.subprocesses), default=0)
    return records.add(session, Subprocess(process=process, position=last + 1, **draft.model_dump()))


def move_subprocess(session: Session, part: Subprocess, direction: str) -> None:
    """Change places with the neighbour above or below; at the end of the list, do nothing."""
    order = list(part.process.subprocesses)
    here = order.index(part)
    there = here - 1 if direction == "up" else here + 1
    if not 0 <= there < len(order):
        return
    order[here], order[there] = order[there], order[here]
    with audit.changing(session, part, action="move"):
        for position, other in enumerate(order, start=1):
            other.position = position
    session.expire(part.process, ["subprocesses"])


def remove_subprocess(session: Session, part: Subprocess) -> None:
    for usage in part.usages:
        _forget_choices(session, usage)
    records.remove(session, part, part.contents())


def add_usage(session: Session, part: Subprocess, draft: UsageDraft) -> Usage:
    alternatives = _alternatives(session, draft.variant_ids)
    return records.add(
        session,
        Usage(subprocess=part, label=draft.label, quantity=draft.quantity, alternatives=alternatives),
    )


def alter_usage(session: Session, usage: Usage, draft: UsageDraft) -> Usage:
    """Change a usage; what planned lots had chosen is forgotten where it is no longer allowed."""
    wanted = _alternatives(session, draft.variant_ids)
    kept = {old.variant_id: old for old in usage.alternatives}
    with audit.changing(session, usage):
        usage.label, usage.quantity = draft.label, draft.quantity
        usage.alternatives = [kept.get(new.variant_id, new) for new in wanted]
        stale = delete(LotChoice).where(
            LotChoice.usage_id == usage.id, LotChoice.variant_id.not_in(draft.variant_ids)
        )
        session.execute(stale)
    return usage


def remove_usage(session: Session, usage: Usage) -> None:
    _forget_choices(session, usage)
    records.remove(session, usage)


def add_cost(session: Session, part: Subprocess, draft: CostDraft) -> OtherCost:
    return records.add(session, OtherCost(subprocess=part, **draft.model_dump()))


def _alternatives(session: Session, variant_ids: list[int]) -> list[Alternative]:
    for variant_id in variant_ids:
        records.refer(session, Variant, variant_id, "variant_ids")
    return [Alternative(variant_id=variant_id) for variant_id in variant_ids]


def _forget_choices(session: Session, usage: Usage) -> None:
    session.execute(delete(LotChoice).where(LotChoice.usage_id == usage.id))
