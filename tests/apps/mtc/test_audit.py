"""No change without its record: one row per action, with old and new values."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from apps.mtc.models import Item, Process, Subprocess, Supplier
from apps.mtc.services import audit, processes, records
from apps.mtc.services.audit import AuditedSession, UnrecordedChangeError
from apps.mtc.services.errors import ConflictError
from apps.mtc.validators.processes import SubprocessDraft, UsageDraft
from tests.apps.mtc.conftest import NoFiles, Records, Workshop


@pytest.mark.requirement("S1-114")
def test_an_update_records_the_old_and_the_new_value_of_what_changed(
    session: AuditedSession, audit_rows: Records
) -> None:
    """An update records the old and the new value of what changed."""
    process = records.add(session, Process(name="Old Name", description="same"))
    audit_rows.clear()
    records.alter(session, process, {"name": "New Name", "description": "same"})
    assert audit_rows == [
        {
            "action": "update",
            "entity_type": "process",
            "entity_id": str(process.id),
            "changes": {"name": {"old": "Old Name", "new": "New Name"}},
        }
    ]


@pytest.mark.requirement("S1-112")
def test_each_modification_of_a_process_yields_exactly_one_row(
    session: AuditedSession, audit_rows: Records, workshop: Workshop
) -> None:
    """Each modification of a process yields exactly one row."""
    variant = workshop.variant("V1", "1")
    audit_rows.clear()
    process = records.add(session, Process(name="P"))
    part = processes.add_subprocess(session, process, SubprocessDraft(name="one"))
    processes.add_subprocess(session, process, SubprocessDraft(name="two"))
    usage = processes.add_usage(session, part, UsageDraft(quantity=Decimal(2), variant_ids=[variant.id]))
    processes.move_subprocess(session, part, "down")
    processes.remove_usage(session, usage)
    processes.remove_subprocess(session, part)
    processes.remove_process(session, process, NoFiles())
    session.commit()
    assert [(row["action"], row["entity_type"]) for row in audit_rows] == [
        ("create", "process"),
        ("create", "subprocess"),
        ("create", "subprocess"),
        ("create", "usage"),
        ("move", "subprocess"),
        ("delete", "usage"),
        ("delete", "subprocess"),
        ("delete", "process"),
    ]


def test_an_update_that_changes_nothing_records_nothing(session: AuditedSession, audit_rows: Records) -> None:
    """An update that changes nothing records nothing."""
    item = records.add(session, Item(name="Bolt"))
    audit_rows.clear()
    records.alter(session, item, {"name": "Bolt"})
    assert audit_rows == []


def test_deleting_records_what_was_deleted_with_all_that_hung_on_it(
    session: AuditedSession, audit_rows: Records
) -> None:
    """Deleting records what was deleted with all that hung on it."""
    process = records.add(session, Process(name="P", subprocesses=[Subprocess(position=1, name="s")]))
    processes.remove_process(session, process, NoFiles())
    old = audit_rows[-1]["changes"]["subprocesses"]["old"]
    assert old[0]["name"] == "s"


@pytest.mark.requirement("S1-112")
def test_a_change_that_nobody_recorded_is_not_committed(session: AuditedSession) -> None:
    """A change that nobody recorded is not committed."""
    session.add(Supplier(name="Acme"))
    with pytest.raises(UnrecordedChangeError):
        session.commit()


def test_a_session_without_a_recorder_cannot_change_anything(engine: Engine) -> None:
    """A session without a recorder cannot change anything."""
    with Session(engine) as plain, pytest.raises(UnrecordedChangeError):
        audit.created(plain, Supplier(name="Acme"))


def test_a_record_that_fails_takes_the_change_with_it(engine: Engine) -> None:
    """A record that fails takes the change with it."""

    def broken(*_: object, **__: object) -> None:
        raise OSError("the log is full")

    with AuditedSession(engine, record=broken) as session, pytest.raises(OSError, match="full"):
        records.add(session, Supplier(name="Acme"))
    with AuditedSession(engine, record=broken) as session:
        assert session.query(Supplier).count() == 0


def test_a_second_thing_of_the_same_name_is_a_conflict(session: AuditedSession) -> None:
    """A second thing of the same name is a conflict."""
    records.add(session, Item(name="Bolt"))
    session.commit()
    with pytest.raises(ConflictError, match="This item exists already"):
        records.add(session, Item(name="Bolt"))
