"""MTC's tables come from its migrations, and nobody is served on old ones."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import OperationalError

import apps.mtc
from apps.mtc import database
from apps.mtc.models import Base, Item, Lot, Price, Process, Supplier, Variant
from apps.mtc.services import records
from apps.mtc.services.audit import AuditedSession
from bylaw.errors import PolicyError
from bylaw.store import migrate
from bylaw.store.engine import connect
from bylaw.testing import Laboratory, Target
from tests.apps.mtc.conftest import NOW, TODAY


def test_the_migrations_make_exactly_the_tables_of_the_models(engine: Engine) -> None:
    """The migrations make exactly the tables of the models."""
    with engine.connect() as connection:
        options = {"version_table": database.VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    """Upgrading again changes nothing."""
    database.upgrade(engine)
    assert database.is_current(engine)


def test_an_empty_database_is_not_current() -> None:
    """An empty database is not current."""
    assert not database.is_current(create_engine("sqlite://"))


def test_the_tables_of_bylaw_and_of_mtc_live_side_by_side(tmp_path: Path) -> None:
    """The tables of bylaw and of mtc live side by side."""
    engine = connect(f"sqlite:///{tmp_path}/both.db")
    migrate.upgrade(engine)
    database.upgrade(engine)
    assert {"audit_log", "items", "alembic_version_mtc"} <= set(inspect(engine).get_table_names())
    assert migrate.current(engine) == migrate.latest()
    engine.dispose()


def test_production_refuses_old_tables_and_names_the_command() -> None:
    """Production refuses old tables and names the command."""
    target = Target("apps.mtc without its tables", apps.mtc.create_app)
    with pytest.raises(RuntimeError, match=r"run: flask --app apps\.mtc database upgrade"):
        Laboratory(target)


def test_development_upgrades_by_itself() -> None:
    """Development upgrades by itself."""
    target = Target("apps.mtc", apps.mtc.create_app, environ={"BYLAW_ENV": "development"})
    with Laboratory(target) as laboratory:
        assert database.is_current(laboratory.bylaw.site.house.store.engine)


def test_the_command_upgrades(mtc: Laboratory) -> None:
    """The command upgrades."""
    result = mtc.app.test_cli_runner().invoke(args=["database", "upgrade"])
    assert result.output == "MTC's tables are up to date.\n"


def test_the_command_loads_the_sample_data_once(mtc: Laboratory) -> None:
    """The command loads the sample data once."""
    result = mtc.app.test_cli_runner().invoke(args=["database", "sample"])
    assert result.output == "The sample data is loaded.\n"


def test_a_database_that_is_away_is_said_without_its_name(mtc: Laboratory) -> None:
    """A database that is away is said without its name."""
    error = OperationalError("SELECT * FROM items", {}, OSError("host db.internal is down"))
    with mtc.app.test_request_context("/api/upf/items"):
        body, status, _ = mtc.app.handle_user_exception(error)
    assert status == 503
    assert "db.internal" not in body
    assert "SELECT" not in body


def test_a_base_currency_that_is_none_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base currency that is none refuses to start."""
    monkeypatch.setenv("MTC_BASE_CURRENCY", "Euro")
    with pytest.raises((RuntimeError, PolicyError), match="three letters"):
        apps.mtc.create_app()


def test_amounts_come_back_exactly_as_they_went_in(session: AuditedSession) -> None:
    """Amounts come back exactly as they went in."""
    item = records.add(session, Item(name="i"))
    variant = records.add(session, Variant(item=item, name="v"))
    supplier = records.add(session, Supplier(name="s"))
    for text in ("0.1", "1000", "123456789.123456", "0.000001"):
        price = Price(
            variant=variant,
            supplier=supplier,
            amount=Decimal(text),
            currency="EUR",
            valid_from=TODAY,
        )
        records.add(session, price)
        session.commit()
        session.expire_all()
        assert f"{price.amount:f}" == text


def test_ids_of_deleted_rows_are_never_given_again(session: AuditedSession) -> None:
    """Ids of deleted rows are never given again."""
    first = records.add(session, Item(name="one"))
    number = first.id
    records.remove(session, first)
    session.commit()
    assert records.add(session, Item(name="two")).id > number


def test_moments_come_back_in_utc(session: AuditedSession) -> None:
    """Moments come back in utc."""
    process = records.add(session, Process(name="p"))
    lot = records.add(session, Lot(process=process, quantity=1, planned_at=NOW, planned_by="a"))
    session.commit()
    session.expire_all()
    assert lot.planned_at == NOW
    assert lot.planned_at.tzinfo is UTC
