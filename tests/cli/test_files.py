"""bylaw files: what an operator types to see what there is, to compare it, and to clear away."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bylaw.cli import main
from bylaw.identity import Identity
from bylaw.operations import accounts
from bylaw.operations.files import Given, StoredFile
from bylaw.site import Site
from tests.content import making

UPLOADS = '\n[uploads]\nkinds = ["png"]\nstorage = "kept"\n'


def bylaw(*words: str) -> Result:
    result = CliRunner().invoke(main, words, prog_name="bylaw")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def two(project: Path) -> Iterator[list[StoredFile]]:
    """Two files: one that belongs to a process, and one that nothing wanted yet."""
    policy = project / "bylaw.toml"
    policy.write_text(policy.read_text("utf-8") + UPLOADS, "utf-8")
    assert bylaw("db", "upgrade").exit_code == 0
    site = Site(policy)
    site.open(serving=False)
    with site.house.store.transaction() as connection:
        ann = Identity(accounts.add_unaddressed(site.house, connection, "Ann", by=None))
    given = (Given(f"{name}.png", "image/png", io.BytesIO(making.png())) for name in ("one", "two"))
    yield [site.files.take(next(given), by=ann, subject="process:17"), site.files.take(next(given), by=ann)]
    site.close()


def test_what_there_is(two: list[StoredFile]) -> None:
    """Each file with what it belongs to, its size and its state; for a program a line of JSON each."""
    said = bylaw("files", "list").output
    assert f"{two[0].id}  process:17  one.png  " in said
    assert f"{two[1].id}  (not attached)  two.png  " in said
    assert said.splitlines()[-1] == f"2 clean ({two[0].size + two[1].size:,} bytes)"
    (line,) = bylaw("files", "list", "--subject", "process:17", "--json").output.splitlines()
    assert {k: json.loads(line)[k] for k in ("id", "digest", "state")} == {
        "id": two[0].id,
        "digest": two[0].digest,
        "state": "clean",
    }
    assert bylaw("files", "list", "--state", "held", "--json").output == ""


def test_comparing_finds_what_is_wrong(two: list[StoredFile], project: Path) -> None:
    """After a restore: which files are not what was taken, with an exit code for a script."""
    assert bylaw("files", "verify").output == "2 compared, 0 wrong\n"
    (place,) = (project / "kept").rglob(two[0].id)
    place.write_bytes(b"something else")
    result = bylaw("files", "verify")
    assert result.exit_code == 1
    assert "process:17  one.png" in result.output
    told = json.loads(bylaw("files", "verify", "--json").output)
    assert (told["compared"], [each["id"] for each in told["wrong"]]) == (2, [two[0].id])


def test_sweeping(two: list[StoredFile], project: Path) -> None:
    """Nothing that is needed goes, however often it is called; what no row names goes when one has looked."""
    said = "0 that nothing needed, 0 removed, 0 without a row, 0 unfinished\n"
    assert bylaw("files", "sweep").output == said
    assert bylaw("files", "sweep", "--orphans").output == said
    assert len([path for path in (project / "kept").rglob("*") if path.is_file()]) == 2


def test_scanning_anew_without_a_scanner_says_so(two: list[StoredFile]) -> None:
    """A policy without a scanner has nothing to look with: no file becomes anything else by that."""
    bylaw("files", "rescan")
    assert bylaw("files", "list").output.splitlines()[-1].startswith("2 clean")


def test_the_storage_is_the_policys(two: list[StoredFile], project: Path) -> None:
    """A relative directory is below where the process is started."""
    assert {path.name for path in (project / "kept").rglob("*") if path.is_file()} == {f.id for f in two}
