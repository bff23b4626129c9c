"""bylaw import: what an operator types to see what people import, and to end it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bylaw.cli import main
from bylaw.site import Site
from bylaw.store import imports as store
from bylaw.store.imports import Note


@pytest.fixture
def folder(project: Path) -> Path:
    """A folder with a policy and its database, in which one import was checked and another waits."""
    assert bylaw("db", "upgrade").exit_code == 0
    site = Site(project / "bylaw.toml")
    facts: dict[str, Any] = {
        "user_id": None, "file_id": "f", "kind": "csv", "size": 1, "digest": "d", "mode": "all",
        "chosen": {}, "seen": {}, "changed_at": 1.0, "importer": "lots",
    }  # fmt: skip
    found = {"counts": {"created": 3, "updated": 0, "unchanged": 0}, "errors": 1, "skipped": 0}
    with site.house.store.transaction() as connection:
        for id_, state, at in (("first", store.OPEN, 1.0), ("second", store.RUNNING, 2.0)):
            row = {"id": id_, "name": f"{id_}.csv", "state": state, "created_at": at, "found": found}
            store.add(connection, {**facts, **row})
        assert store.claim(connection, "second", now=site.house.now(), until=site.house.now() + 60)
        store.note(connection, "first", [Note(4, "a whole number is accepted", "Count", "many")])
    site.close()
    return project


def bylaw(*words: str) -> Result:
    result = CliRunner().invoke(main, words, prog_name="bylaw")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.requirement("S1-088")
def test_imports_are_listed_shown_and_cancelled(folder: Path) -> None:
    """The newest first; one with what is wrong with its rows; ended once, with a reason, and not twice."""
    listed = bylaw("import", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["second", "first"]
    assert "being imported  3 new, 0 changed, 1 not taken" in listed[0]
    facts = [
        json.loads(line) for line in bylaw("import", "list", "--json", "--limit", "1").stdout.splitlines()
    ]
    assert [(each["id"], each["created"], each["errors"]) for each in facts] == [("second", 3, 1)]
    shown = bylaw("import", "show", "first").stdout
    assert "row 4, Count: “many”: a whole number is accepted" in shown
    assert json.loads(bylaw("import", "show", "first", "--json").stdout)["told"]
    assert bylaw("import", "cancel", "second", "--reason", "wrong year").stdout.startswith(
        "it ends with the batch"
    )
    assert bylaw("import", "cancel", "first", "--reason", "wrong year").stdout == "cancelled\n"
    for words in (("first", "--reason", "again"), ("nobodys", "--reason", "x"), ("second", "--reason", " ")):
        assert bylaw("import", "cancel", *words).exit_code == 1
    assert bylaw("import", "show", "nobodys").exit_code == 1
