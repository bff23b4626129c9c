"""A database of MTC's own for each test, with a list in the place of the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from apps.mtc import database
from apps.mtc.models import Item, Price, Supplier, Variant
from apps.mtc.services import records
from apps.mtc.services.audit import AuditedSession
from bylaw.store.engine import connect
from bylaw.testing import Bench, Client, Laboratory, Reply, Target

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TODAY = NOW.date()


class Records(list[dict[str, Any]]):
    """Stands where ``Bylaw.record`` stands and keeps what it is told."""

    def __call__(self, session: object, /, **row: Any) -> None:
        self.append(row)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path}/mtc.db")
    database.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def audit_rows() -> Records:
    return Records()


@pytest.fixture
def session(engine: Engine, audit_rows: Records) -> Iterator[AuditedSession]:
    with database.open_session(engine, audit_rows) as session:
        yield session


class NoFiles:
    """Stands where ``bylaw.files`` stands, for what nothing is attached to; keeps whose files were to go."""

    def __init__(self) -> None:
        self.gone: list[str] = []

    def remove_all(self, connection: object, subject: str, *, by: object = None) -> int:
        self.gone.append(subject)
        return 0


class Workshop:
    """Makes the things that most tests need, in one line each."""

    def __init__(self, session: AuditedSession) -> None:
        self.session = session
        self.supplier = records.add(session, Supplier(name="Acme"))

    def variant(
        self, name: str, *amounts: str, currency: str = "EUR", since: date = date(2026, 1, 1)
    ) -> Variant:
        """A variant of an item of its own, with a price for each amount."""
        item = records.add(self.session, Item(name=f"{name} item"))
        variant = records.add(self.session, Variant(item=item, name=name))
        for amount in amounts:
            price = Price(
                variant=variant,
                supplier=self.supplier,
                amount=Decimal(amount),
                currency=currency,
                valid_from=since,
            )
            records.add(self.session, price)
        return variant


@pytest.fixture
def workshop(session: AuditedSession) -> Workshop:
    return Workshop(session)


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """MTC's database with the sample data, copied for every laboratory."""
    bench = Bench(Target.named("apps.mtc"))
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def shared(bench: Bench) -> Iterator[Laboratory]:
    """The same for a whole module, where each test works on things of its own."""
    with bench.laboratory() as laboratory:
        yield laboratory


@pytest.fixture
def mtc(bench: Bench) -> Iterator[Laboratory]:
    """MTC behind bylaw, in production, with the sample data and people of every role."""
    with bench.laboratory() as laboratory:
        yield laboratory


def multipart(*files: tuple[str, bytes, str], **fields: str) -> tuple[bytes, list[tuple[str, str]]]:
    """The body of a form with files in its field `file`, and its header: (name, bytes, claimed type)."""
    edge = "a1b2c3"
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in fields.items()
    ]
    for name, data, kind in files:
        head = (
            f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        )
        parts.append(head.encode() + data)
    body = b"".join(f"--{edge}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{edge}--\r\n".encode()
    return body, [("Content-Type", f"multipart/form-data; boundary={edge}")]


def send(client: Client, path: str, *files: tuple[str, bytes, str], **fields: str) -> Reply:
    """Post such a form, as a page of MTC does."""
    body, headers = multipart(*files, **fields)
    return client.act("POST", path, body=body, headers=headers)
