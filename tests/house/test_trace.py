"""The trace from requirement to proof claims nothing that is not there."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tools import trace

ATTESTED = """
[S2-050]
by = "the maintainers"
date = 2026-11-21
statement = "ignored by git"
files = { ".gitignore" = ".env" }
"""


@dataclass(frozen=True)
class FakeProbe:
    name: str
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class FakeControl:
    name: str
    probes: tuple[FakeProbe, ...] = ()
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class OldControl:
    """A control that states nothing has no `requirements`."""

    name: str
    probes: tuple[FakeProbe, ...] = ()


@dataclass
class Copy:
    """A repository with the real requirements, and tests of our own."""

    root: Path
    controls: tuple[trace.Control, ...] = ()
    said: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> int:
        return trace.main(arguments, root=self.root, controls=self.controls, say=self.said.append)

    def page(self) -> str:
        assert self.run() == 0, self.said
        return (self.root / trace.PAGE).read_text(encoding="utf-8")

    def row(self, id_: str) -> str:
        """The last cell of an id's row."""
        (row,) = [line for line in self.page().splitlines() if line.startswith(f"| {id_} |")]
        return row.rpartition(" | ")[2].removesuffix(" |")

    def problems(self) -> list[str]:
        with pytest.raises(trace.TraceError) as refused:
            trace.trace(self.root, self.controls)
        return str(refused.value).splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    shutil.copytree(trace.ROOT / trace.FOLDER, tmp_path / trace.FOLDER)
    made = Copy(tmp_path)
    made.write("docs/requirements/attestations.toml", "")
    return made


# The page


def test_an_untested_repository_proves_nothing(copy: Copy) -> None:
    """An untested repository proves nothing."""
    page = copy.page()
    for row in ("| S1 | 164 | 0", "| S2 | 86 | 0", "| S3 | 87 | 0", "| S1 to S3 | 337 | 0", "| C | 44 | 0"):
        assert row in page
    assert page.count("| **not yet** |") == 337 + 44


def test_every_kind_of_proof_is_shown_and_counted_once(copy: Copy) -> None:
    """Every kind of proof is shown and counted once."""
    copy.write("tests/test_a.py", 'import pytest\n@pytest.mark.requirement("S2-050")\ndef test_it(): ...\n')
    copy.controls = (
        FakeControl("csrf", (FakeProbe("foreign", ("S2-050",)), FakeProbe("csrf.late")), ("S2-050",)),
        OldControl("old"),
    )
    copy.write(".gitignore", ".env\n")
    copy.write("docs/requirements/attestations.toml", ATTESTED)
    assert copy.row("S2-050") == (
        "*test* [`tests/test_a.py::test_it`](../tests/test_a.py)"
        "<br>*probe* [`csrf.foreign`](controls/csrf.md)"
        "<br>*attestation* [ignored by git (the maintainers, 2026-11-21)](../.gitignore)"
        "<br>*statement* [`csrf`](controls/csrf.md)"
    )
    assert "| S2 | 86 | 1 | 1 | 1 | 1 | 1 | 0 | 85 |" in copy.page()


def test_a_sentence_alone_promises_and_does_not_prove(copy: Copy) -> None:
    """A sentence alone promises and does not prove."""
    copy.controls = (FakeControl("csrf", requirements=("S2-016",)),)
    assert copy.row("S2-016") == "*only stated* [`csrf`](controls/csrf.md)"
    assert "| S2 | 86 | 0 | 0 | 0 | 0 | 1 | 1 | 85 |" in copy.page()


def test_of_many_tests_three_are_shown(copy: Copy) -> None:
    """Of many tests three are shown."""
    tests = "".join(f"def test_{n}(): ...\n" for n in range(5))
    marked = tests.replace("def", '@pytest.mark.requirement("C-05")\ndef')
    copy.write("tests/test_many.py", f"import pytest\n{marked}")
    shown = copy.row("C-05")
    assert shown.count("](../tests/test_many.py)") == 3
    assert shown.endswith("and 2 more")


def test_text_of_the_policies_is_shown_as_it_is(copy: Copy) -> None:
    """Text of the policies is shown as it is."""
    page = copy.page()
    assert r"Pattern: cur.execute(" in page
    assert r"(admin\|viewer\|editor)" in page  # a bare pipe would split the cell
    assert "'https://yourdomain.com'" not in page  # nobody's placeholder becomes a link


def test_the_page_is_the_same_for_the_same_facts(copy: Copy) -> None:
    """The page is the same for the same facts."""
    assert copy.page() == copy.page()


# What counts as a test


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("pytestmark = pytest.mark.requirement('S1-001')", ""),
        ("pytestmark = [pytest.mark.slow, pytest.mark.requirement('S1-001')]", ""),
        ("@pytest.mark.requirement('S1-001')\nclass TestIt: ...", "::TestIt"),
        ("class TestIt:\n    pytestmark = pytest.mark.requirement('S1-001')", "::TestIt"),
        ("class TestIt:\n    @mark.requirement('S1-001')\n    def test_x(self): ...", "::TestIt::test_x"),
        ("@pytest.mark.requirement('S2-002', 'S1-001')\nasync def test_x(): ...", "::test_x"),
        (
            """@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.requirement("S1-001"))])
def test_x(n): ...""",
            "::test_x",
        ),
    ],
)
def test_a_marker_is_found_wherever_pytest_takes_one(copy: Copy, source: str, label: str) -> None:
    """A marker is found wherever pytest takes one."""
    copy.write("apps/mtc/tests/test_a.py", f"import pytest\nfrom pytest import mark\n{source}\n")
    assert copy.row("S1-001") == (f"*test* [`apps/mtc/tests/test_a.py{label}`](../apps/mtc/tests/test_a.py)")


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.skip(reason='later')\n@pytest.mark.requirement('S1-001')\ndef test_x(): ...",
        "@pytest.mark.xfail\n@pytest.mark.requirement('S1-001')\ndef test_x(): ...",
        "@pytest.mark.skip\nclass TestIt:\n    @pytest.mark.requirement('S1-001')\n    def test_x(self): ...",
        "pytestmark = [pytest.mark.skip, pytest.mark.requirement('S1-001')]",
        "# @pytest.mark.requirement('S1-001')",
        "text = '''@pytest.mark.requirement('S1-001')'''",
        "@pytest.marker.requirement('S1-001')\ndef test_x(): ...",
    ],
)
def test_a_test_that_does_not_run_proves_nothing(copy: Copy, source: str) -> None:
    """A test that does not run proves nothing."""
    copy.write("tests/test_a.py", f"import pytest\n{source}\n")
    assert copy.row("S1-001") == "**not yet**"


def test_a_marker_that_pytest_would_not_collect_is_refused(copy: Copy) -> None:
    """A marker that pytest would not collect is refused."""
    marked = "import pytest\n@pytest.mark.requirement('S1-001')\n"
    copy.write("tests/conftest.py", f"{marked}def test_x(): ...\n")
    copy.write("tests/test_a.py", f"{marked}def helper(): ...\n")
    copy.write("tests/test_b.py", f"{marked}class Helper: ...\n")
    assert copy.problems() == [
        "tests/conftest.py:2: pytest does not collect tests/conftest.py::test_x, so it proves nothing",
        "tests/test_a.py:2: pytest does not collect tests/test_a.py::helper, so it proves nothing",
        "tests/test_b.py:2: pytest does not collect tests/test_b.py::Helper, so it proves nothing",
    ]


# What is refused


def test_an_unknown_id_is_refused_naming_file_line_and_the_nearest(copy: Copy) -> None:
    """An unknown id is refused naming file line and the nearest."""
    copy.write(
        "tests/test_a.py",
        "import pytest\n\n@pytest.mark.requirement('S1-001', 's1-017')\ndef test_x(): ...\n",
    )
    assert copy.run() == 2
    assert copy.said == ["tests/test_a.py:3: no requirement 's1-017'; nearest: S1-017\n"]
    assert not (copy.root / trace.PAGE).exists()


def test_an_unknown_id_of_a_control_or_a_person_is_refused_too(copy: Copy) -> None:
    """An unknown id of a control or a person is refused too."""
    copy.controls = (FakeControl("csrf", (FakeProbe("late", ("S9-001",)),), ("C-45",)),)
    copy.write("docs/requirements/attestations.toml", ATTESTED.replace("S2-050", "S2-50"))
    copy.write(".gitignore", ".env\n")
    probe, statement, attestation = copy.problems()
    assert probe.startswith("probe csrf.late: no requirement 'S9-001'; nearest: S")
    assert statement.startswith("control csrf: no requirement 'C-45'; nearest: C-")
    assert attestation.startswith("docs/requirements/attestations.toml [S2-50]: no requirement 'S2-50'")


def test_an_id_that_is_not_written_out_is_refused(copy: Copy) -> None:
    """An id that is not written out is refused."""
    copy.write("tests/test_a.py", "import pytest\n@pytest.mark.requirement(*IDS, 17)\ndef test_x(): ...\n")
    assert copy.problems() == ["tests/test_a.py:2: a requirement's id must be written out as text"] * 2


def test_an_attestation_that_its_files_do_not_bear_out_is_refused(copy: Copy) -> None:
    """An attestation that its files do not bear out is refused."""
    name = "docs/requirements/attestations.toml"
    copy.write(name, ATTESTED)
    assert copy.problems() == [f"{name} [S2-050]: .gitignore does not exist"]
    copy.write(".gitignore", "*.pyc\n")
    assert copy.problems() == [f"{name} [S2-050]: .gitignore does not say '.env'"]
    copy.write(name, '[S2-050]\nby = " "\ndate = "soon"\n')
    assert copy.problems() == [
        f"{name} [S2-050]: `by` is missing",
        f"{name} [S2-050]: `statement` is missing",
        f"{name} [S2-050]: `date` is missing, or not a date",
        f"{name} [S2-050]: no file shows it; name one in `files`",
    ]


def test_the_files_of_this_repository_bear_out_its_attestations() -> None:
    """The files of this repository bear out its attestations."""
    attested, contested = trace.attestations_in(trace.ROOT / trace.FOLDER / "attestations.toml", trace.ROOT)
    assert attested
    assert contested == []


def test_a_list_with_a_gap_is_refused(copy: Copy) -> None:
    """A list with a gap is refused."""
    path = copy.root / trace.FOLDER / "s2.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"S2-040"', '"S2-041"'), encoding="utf-8")
    assert copy.problems() == ["S2: the ids are not S2-001 to S2-086, in order"]


def test_without_bylaw_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bylaw the error says so."""
    monkeypatch.setitem(sys.modules, "bylaw.controls", None)
    with pytest.raises(trace.TraceError, match="is bylaw installed here"):
        trace.registry()


# The command


def test_check_is_silent_about_a_fresh_page(copy: Copy) -> None:
    """Check is silent about a fresh page."""
    copy.page()
    copy.said.clear()
    assert copy.run("--check") == 0
    assert copy.said == []


def test_check_names_the_rows_that_are_stale(copy: Copy) -> None:
    """Check names the rows that are stale."""
    copy.page()
    before = (copy.root / trace.PAGE).read_bytes()
    copy.said.clear()
    copy.write("tests/test_a.py", 'import pytest\npytestmark = pytest.mark.requirement("S3-010", "C-05")\n')
    assert copy.run("--check") == 1
    assert copy.said[0].splitlines() == [
        "docs/traceability.md is stale: S3, S1 to S3, C, S3-010, C-05",
        "    write it again: python -m tools.trace",
    ]
    assert (copy.root / trace.PAGE).read_bytes() == before  # looking changes nothing


def test_check_notices_a_missing_page_and_an_edited_one(copy: Copy) -> None:
    """Check notices a missing page and an edited one."""
    assert copy.run("--check") == 1
    edited = copy.page() + "\nAll of this is proven, trust us.\n"
    copy.write(trace.PAGE.as_posix(), edited)
    assert copy.run("--check") == 1
    assert "All of this is proven" in copy.said[-1]


def test_json_gives_the_whole_text_and_writes_nothing(copy: Copy) -> None:
    """Json gives the whole text and writes nothing."""
    copy.write("tests/test_a.py", 'import pytest\n\npytestmark = pytest.mark.requirement("S1-008")\n')
    assert copy.run("--json") == 0
    facts = json.loads(copy.said[0])
    assert facts["counts"]["S1"] == {
        "lines": 164, "proven": 1, "test": 1, "probe": 0, "attestation": 0, "statement": 0, "only stated": 0,
        "not yet": 163,
    }  # fmt: skip
    (line,) = [line for line in facts["lines"] if line["id"] == "S1-008"]
    assert line["text"].endswith("(space counts; colon is NOT in the set)")
    assert line["proofs"] == [{"kind": "test", "label": "tests/test_a.py", "at": "tests/test_a.py:3"}]
    assert not (copy.root / trace.PAGE).exists()
