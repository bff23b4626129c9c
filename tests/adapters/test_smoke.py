"""Both applications stand behind the gate."""

from __future__ import annotations

import pytest

from bylaw.verify import matrix
from bylaw.verify.laboratory import Laboratory


def test_a_signed_in_reader_reads(laboratory: Laboratory) -> None:
    """Somebody with the permission gets the answer, nobody gets 401."""
    assert laboratory.ordinary().get("/api/notes").status == 200
    assert laboratory.visitor().get("/api/notes").status == 401


@pytest.mark.requirement("S1-027", "S1-028", "S1-029", "S1-030", "S1-032", "S1-033")
def test_every_route_answers_as_declared(laboratory: Laboratory) -> None:
    """Every route by every role and by nobody: what the rules say is what happens."""
    cells = matrix.measure(laboratory)
    assert [cell for cell in cells if not cell.as_declared] == []
    assert len(cells) == len(laboratory.routes()) * (len(laboratory.roles) + 1)
