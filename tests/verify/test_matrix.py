"""The matrix measures: a route that answers otherwise than its rule says is found."""

from __future__ import annotations

import pytest

from bylaw.exchange import Exchange
from bylaw.gate import Gate
from bylaw.identity import PUBLIC, AccessRule
from bylaw.verify import matrix, reports
from bylaw.verify.laboratory import Laboratory


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/<int:number>", "/a/999999"),
        ("/a/<number>/b", "/a/999999/b"),
        ("/a/<path:rest>", "/a/nothing/here"),
        ("/a/<float(min=1):x>", "/a/999999.5"),
        ("/a/{number}", "/a/999999"),
        ("/a/{rest:path}", "/a/nothing/here"),
        ("/a/{id:uuid}", "/a/00000000-0000-4000-8000-000000000000"),
    ],
)
def test_a_sample_fits_the_route_and_names_nothing(path: str, expected: str) -> None:
    """Every parameter gets a value that its type takes."""
    assert expected == matrix.sample(path)


def test_a_hole_shows(flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A route that lets in whom its rule refuses is marked, in the table and in the sum."""

    def anybody(self: Gate, exchange: Exchange, rule: AccessRule) -> bool:
        exchange.permitted = True
        return True

    monkeypatch.setattr(Gate, "allows", anybody)
    declared = [row for row in flask_laboratory.routes() if row[1] == "/report"]
    monkeypatch.setattr(Laboratory, "routes", lambda self: declared)
    cells = matrix.measure(flask_laboratory)
    wrong = [cell.role for cell in cells if not cell.as_declared]
    assert wrong == [matrix.NOBODY, "editor", "user"]
    titles, rows = reports.matrix_rows(cells)
    assert titles[:4] == ["method", "path", "rule", matrix.NOBODY]
    assert "yes !" in rows[0]
    assert reports.matrix_summary(cells) == "1 routes × 5 identities = 2 of 5 requests as declared"


def test_a_rule_that_no_request_asked_for_is_not_examined(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another route answered: whatever it said proves nothing about this one."""
    declared = [("GET", "/", AccessRule("permission", "vault:open"))]
    monkeypatch.setattr(Laboratory, "routes", lambda self: declared)
    assert {"not_examined"} == {cell.seen for cell in matrix.measure(laboratory)}


def test_a_websocket_is_not_counted_as_examined(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not asked is said to be not examined."""
    monkeypatch.setattr(Laboratory, "routes", lambda self: [("WEBSOCKET", "/ws", PUBLIC)])
    assert {"not_examined"} == {cell.seen for cell in matrix.measure(laboratory)}
