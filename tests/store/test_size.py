"""How large a database is, on both that there are."""

from __future__ import annotations

import pytest

from bylaw.store import Store, size, users


@pytest.mark.requirement("S2-043")
def test_a_database_says_how_large_it_is(store: Store) -> None:
    """Bytes by part and rows by table; PostgreSQL estimates rows itself, and may not have looked yet."""
    with store.transaction() as connection:
        users.add(
            connection,
            {
                "id": "u",
                "email": "u@acme.eu",
                "name": "",
                "password_hash": None,
                "epoch": 1,
                "created_at": 1.0,
            },
        )
    with store.reading() as connection:
        found, rows = size.bytes_of(connection), size.rows_of(connection)
    assert found["data"] > 0
    assert set(rows) == {table.name for table in size.TABLES}
    if store.engine.dialect.name == "sqlite":
        assert found["log"] > 0, "what was written is still in the log"
        assert rows["users"] == 1
    else:
        assert rows["users"] in (0, 1)
