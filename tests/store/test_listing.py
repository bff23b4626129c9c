"""Finding accounts and reading their history: a page at a time, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from bylaw.store import Store, audit, users
from bylaw.store.tables import passkeys, role_assignments, totp_secrets
from bylaw.store.tables import users as table
from bylaw.store.users import Wanted, name_key

NAMES = ("Ärger Alba", "bert", "Zoë Zeta", "50% _off_", "Bertha", "bernd")


def _add(store: Store, number: int, **values: Any) -> str:
    user_id = f"{number:036}"
    row = {
        "id": user_id,
        "email": f"p{number:05}@x.test",
        "name": f"Person {number}",
        "epoch": 1,
        "created_at": 1.0,
        "confirmed_at": 1.0,
        **values,
    }
    with store.transaction() as connection:
        connection.execute(insert(table).values(**row))
    return user_id


@pytest.fixture
def crowd(store: Store) -> Store:
    """Thirty accounts; of some the names are telling, of some the state."""
    for number in range(30):
        values: dict[str, Any] = {"name": NAMES[number]} if number < len(NAMES) else {}
        if number % 10 == 7:
            values["disabled_at"] = 2.0
        if number % 5 == 4:
            values["confirmed_at"] = None
        _add(store, number, **values)
    with store.transaction() as connection:
        for number in range(30):
            user_id = f"{number:036}"
            role = "admin" if number in (3, 20) else "user"
            connection.execute(insert(role_assignments).values(user_id=user_id, role=role, granted_at=1.0))
        connection.execute(
            insert(totp_secrets).values(
                id="t", user_id=f"{5:036}", name="phone", secret="sealed", created_at=1.0
            )
        )
        connection.execute(
            insert(passkeys).values(
                id="k",
                user_id=f"{6:036}",
                name="key",
                credential_id="c",
                public_key=b"k",
                user_handle="h",
                transports=[],
                created_at=1.0,
            )
        )
    return store


def numbers(store: Store, wanted: Wanted, *, limit: int = 50, after: str = "") -> list[int]:
    with store.reading() as connection:
        return [int(u.id) for u in users.page(connection, wanted, limit=limit, after=after).users]


def all_pages(store: Store, wanted: Wanted, limit: int) -> list[int]:
    """Every account, a page at a time."""
    found: list[int] = []
    after = ""
    with store.reading() as connection:
        while True:
            page = users.page(connection, wanted, after=after, limit=limit)
            assert len(page.users) <= limit
            assert page.after == "" or page.after > after
            found += [int(user.id) for user in page.users]
            after = page.after
            if not after:
                return found


FOUND: list[tuple[Wanted, list[int]]] = [
    (Wanted(), list(range(30))),
    (Wanted(search="p0001"), list(range(10, 20))),
    (Wanted(search="P00011@"), [11]),
    (Wanted(search="0001"), []),
    (Wanted(search="BERT"), [1, 4]),
    (Wanted(search="arger"), [0]),
    (Wanted(search="ÄRGER a"), [0]),
    (Wanted(search="zoe"), [2]),
    (Wanted(search="50% _"), [3]),
    (Wanted(search="50%%"), []),
    (Wanted(search="%"), []),
    (Wanted(search="_"), []),
    (Wanted(search="\\"), []),
    (Wanted(search="' OR '1'='1"), []),
    (Wanted(search="p", anywhere=True), list(range(30))),
    (Wanted(search="alba", anywhere=True), [0]),
    (Wanted(search="0007@", anywhere=True), [7]),
    (Wanted(search="% _", anywhere=True), [3]),
    (Wanted(search="%", anywhere=True), [3]),
    (Wanted(search="\\", anywhere=True), []),
    (Wanted(role="admin"), [3, 20]),
    (Wanted(role="nobody"), []),
    (Wanted(role="admin", search="p0002"), [20]),
    (Wanted(disabled=True), [7, 17, 27]),
    (Wanted(disabled=True, search="Person 1"), [17]),
    (Wanted(unconfirmed=True), [4, 9, 14, 19, 24, 29]),
    (Wanted(unconfirmed=True, search="bert"), [4]),
    (Wanted(unconfirmed=True, disabled=True), []),
    (Wanted(without_factor=True, search="p0000"), [0, 1, 2, 3, 4, 7, 8, 9]),
    (Wanted(without_factor=True, role="admin"), [3, 20]),
    (Wanted(without_factor=True), [n for n in range(30) if n not in (5, 6)]),
]


def test_who_is_found(crowd: Store) -> None:
    """The same accounts in the same order, however long a page is; wildcards are letters (A097)."""
    for wanted, found in FOUND:
        for limit in (1, 3, 50):
            assert all_pages(crowd, wanted, limit) == found, (wanted, limit)


@pytest.mark.parametrize(
    "wanted", [Wanted(search="zeta", anywhere=True), Wanted(without_factor=True), Wanted(role="user")]
)
def test_a_page_looks_at_so_many_and_no_more(
    crowd: Store, monkeypatch: pytest.MonkeyPatch, wanted: Wanted
) -> None:
    """Where no index helps, a page ends with what was looked at, says so, and the next one goes on there."""
    everybody = all_pages(crowd, wanted, 50)
    monkeypatch.setattr(users, "WINDOW", 4)
    monkeypatch.setattr(users, "_FEW", 3)
    assert all_pages(crowd, wanted, 50) == everybody
    with crowd.reading() as connection:
        page = users.page(connection, wanted)
        assert page.unfinished
        assert page.after == "p00003@x.test"
        assert not users.page(connection, wanted, after="p00025@x.test").unfinished


def test_a_name_is_found_however_it_is_written(store: Store) -> None:
    """Case and accents make no difference, also after the name was changed."""
    user_id = _add(store, 1, name="René Straße")
    for text in ("rene", "RENÉ", "René STRASSE"):
        assert numbers(store, Wanted(search=text)) == [1]
    with store.transaction() as connection:
        users.change(connection, user_id, name="Åse")
    assert numbers(store, Wanted(search="ase")) == [1]
    assert numbers(store, Wanted(search="rene")) == []
    assert len(name_key("\ufdfa" * 120)) == 240  # one letter that folds to eighteen


def test_an_account_shows_what_its_row_holds(crowd: Store) -> None:
    """The listing's accounts are whole, and the same as when they are looked up one by one."""
    with crowd.reading() as connection:
        for user in users.page(connection, Wanted(search="p", anywhere=True)).users:
            assert users.by_id(connection, user.id) == user
        assert users.addresses(connection, [f"{3:036}", "nobody"]) == {f"{3:036}": "p00003@x.test"}


# History


def _record(store: Store, second: int, **facts: Any) -> None:
    with store.transaction() as connection:
        audit.add(
            connection,
            {
                "timestamp": datetime.fromtimestamp(second, UTC),
                "action": "update",
                "changes": {},
                **facts,
            },
        )


def test_a_history_is_what_was_done_to_and_by_somebody(store: Store) -> None:
    """By him, to him, by another in his name, by him in another's; nothing else, and nothing twice."""
    _record(store, 1, user_id="ann")
    _record(store, 2, user_id="boss", entity_type="user", entity_id="ann")
    _record(store, 3, user_id="ann", acting="boss")
    _record(store, 4, user_id="bert", acting="ann")
    _record(store, 5, user_id="ann", entity_type="user", entity_id="ann", action="own")
    _record(store, 6, user_id="bert", entity_type="lot", entity_id="ann")

    def seconds(user_id: str, **how: Any) -> list[float]:
        with store.reading() as connection:
            return [row["timestamp"].timestamp() for row in audit.history(connection, user_id, **how)]

    assert seconds("ann") == [5, 4, 3, 2, 1]
    assert seconds("boss") == [3, 2]
    assert seconds("nobody") == []
    assert seconds("ann", action="own") == [5]
    assert seconds("ann", since=datetime.fromtimestamp(3, UTC)) == [5, 4, 3]
    assert seconds("ann", until=datetime.fromtimestamp(3, UTC)) == [2, 1]
    with store.reading() as connection:
        first = audit.history(connection, "ann", limit=2)
        assert len(first) == 2
    assert seconds("ann", before=first[-1]["id"], limit=2) == [3, 2]
