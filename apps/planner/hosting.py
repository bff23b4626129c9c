"""Whoever makes a planning hosts it: a role within that planning alone, given with it."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from apps.planner.models import Planning
from bylaw.controls import audit
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import standing
from bylaw.operations.standing import Event
from bylaw.store import assignments

HOST: Final = "host"


def appoint(house: House, db: Session, who: Identity, planning: Planning) -> None:
    """Give whoever made a planning the role of its host, in the transaction that makes it.

    Nobody could ask for the role: it is for an object that did not exist before, and made by whoever gets it.
    """
    connection, because = db.connection(), "made the planning"
    assignments.grant(connection, who.id, HOST, scope=planning.scope, by=who.id, because=because)
    # As with every change of roles: each process asks again, and the session gets another id.
    standing.end(house, connection, who.id, Event.ROLES_CHANGED)
    audit.record(
        house,
        connection,
        action="privilege_permissions_changed",
        actor=who,
        entity_type="user",
        entity_id=who.id,
        changes={"role": HOST, "within": planning.scope, "reason": because},
    )
