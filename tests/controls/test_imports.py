"""Imports: what the policy may say of them, and what is refused at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from bylaw.controls import imports
from bylaw.errors import PolicyError
from bylaw.pages import standing
from tests.controls.houses import Builder

POLICY = """
[app]
name = "Rooms"
[roles]
admin = ["*"]
"""
FILES = """
[uploads]
kinds = ["csv", "pdf"]
"""


@pytest.mark.requirement("S1-088", "C-29")
@pytest.mark.parametrize("kinds", ["", '[uploads]\nkinds = ["pdf", "png"]\n'])
def test_without_tables_there_are_no_imports(tmp_path: Path, kinds: str) -> None:
    """A policy that takes no CSV and no XLSX has no pages of imports, and says why nothing is lost."""
    policy = Builder(tmp_path).policy(POLICY + kinds)
    assert "imports" in policy.idle
    assert "[uploads] kinds has neither csv nor xlsx" in str(policy.of(imports.Settings).because)
    assert not imports.used(policy)
    assert not [e.name for e in standing(policy) if e.name.startswith("import")]


@pytest.mark.requirement("S1-088")
def test_with_tables_the_pages_are_there(tmp_path: Path) -> None:
    """Four pages, and the reader's limits are the policy's."""
    policy = Builder(tmp_path).policy(POLICY + FILES + "[imports]\nrows = 10\ncolumns = 3\ncell = 5\n")
    assert imports.used(policy)
    names = [e.name for e in standing(policy) if e.name.startswith("import")]
    assert names == ["imports", "import", "import_errors", "import_download"]
    limits = imports.limits(policy)
    assert (limits.rows, limits.columns, limits.cell) == (10, 3, 5)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("rows = 100\ncells = 99", "imports.cells"),
        ("running = 5\nunfinished = 4", "imports.unfinished"),
        ("columns = 151", "imports.columns"),
        ("rows = 0", "imports.rows"),
        ('kept = "1m"', "imports.kept"),
    ],
)
def test_values_that_cannot_be_kept_are_refused(tmp_path: Path, written: str, key: str) -> None:
    """Each problem names its key."""
    with pytest.raises(PolicyError) as error:
        Builder(tmp_path).policy(f"{POLICY}{FILES}[imports]\n{written}\n")
    assert key in str(error.value)


def test_the_statement_tells_the_limits(tmp_path: Path) -> None:
    """What SECURITY.md says is what the policy says."""
    policy = Builder(tmp_path).policy(f'{POLICY}{FILES}[imports]\nrows = 1234\nkept = "7d"\nrunning = 1\n')
    said = " ".join(imports.CONTROL.statement(policy))
    for fact in ("1,234 rows", "kept for 7 days", "at most 1 imports under way"):
        assert fact in said
