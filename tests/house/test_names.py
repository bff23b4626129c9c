"""One name, five places: whatever the program has is documented, tested and in order, under its own name.

A control's name is its module, its section of the policy, its page, its test file and the beginning of its
reasons. This test walks the registry and names every partner that is missing.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bylaw import order, policy
from bylaw.cli import main as command_line
from bylaw.content.faults import FAULTS
from bylaw.control import Control, Settings
from bylaw.controls import CONTROLS
from bylaw.quantities import spoken
from bylaw.schema import default_of
from tests.cli.test_commands import commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "controls"
GOLDEN = Path(__file__).with_name("order.golden")
SENTENCE = re.compile(r'[A-Z`"\'(\[/*<0-9].*[.?!:)]["\')]?', re.DOTALL)

each_control = pytest.mark.parametrize("control", CONTROLS, ids=[control.name for control in CONTROLS])


def page(control: Control) -> str:
    file = PAGES / f"{control.name}.md"
    return file.read_text("utf-8") if file.is_file() else ""


def nothing(found: list[str], what: str) -> None:
    assert not found, "\n".join([f"{len(found)} times {what}:", *found])


def missing(control: Control, what: str, names: list[str]) -> None:
    assert not names, f"docs/controls/{control.name}.md does not have {what}: {', '.join(names)}"


# The control's five places


def test_the_registry_is_in_order_and_names_each_control_once() -> None:
    """Alphabetical, so that a new row has one place; the name of each is its own."""
    names = [control.name for control in CONTROLS]
    assert names == sorted(set(names))
    modules = {path.stem for path in (ROOT / "src/bylaw/controls").iterdir() if path.suffix == ".py"}
    folders = {path.parent.name for path in (ROOT / "src/bylaw/controls").glob("*/__init__.py")}
    assert (modules | folders) - {"__init__"} == set(names), "a room without a control, or one without a room"


@each_control
def test_a_control_has_its_module_section_page_and_tests(control: Control) -> None:
    """controls/csrf = [csrf] = docs/controls/csrf.md = tests/controls/test_csrf.py."""
    assert control.settings.__module__.startswith(f"bylaw.controls.{control.name}")
    assert policy.sections(CONTROLS)[control.name] is control.settings
    places = [PAGES / f"{control.name}.md", ROOT / "tests/controls" / f"test_{control.name}.py"]
    nothing([str(place.relative_to(ROOT)) for place in places if not place.is_file()], "is not there")


def test_no_page_and_no_test_is_of_a_control_that_is_not_there() -> None:
    """What was renamed or removed leaves nothing behind."""
    names = {control.name for control in CONTROLS}
    tests = {file.stem.removeprefix("test_") for file in (ROOT / "tests/controls").glob("test_*.py")}
    nothing(sorted(({file.stem for file in PAGES.glob("*.md")} | tests) - names), "of no control")


@each_control
def test_a_control_says_what_it_is(control: Control) -> None:
    """Its room begins with threat, mechanism, source and what it does not do; its page with its title."""
    module = __import__(f"bylaw.controls.{control.name}", fromlist=["CONTROL"])
    text = module.__doc__ or ""
    for part in ("Threat:", "Mechanism", "Source:", "It does not"):
        assert part in text, f"the docstring of bylaw.controls.{control.name} has no {part!r}"
    assert page(control).startswith(f"# {control.title}\n"), f"the page is not called {control.title}"
    assert control.asvs
    assert control.requirements


# Reasons


def reasons_in_the_code() -> Iterator[tuple[str, str]]:
    """(file, code) of every `Reason("…")` that is written down."""
    for file in sorted((ROOT / "src/bylaw").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Reason":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    yield file.relative_to(ROOT).as_posix(), str(first.value)
    for code in FAULTS:  # what is wrong with a file is said where files are read: a reason for each
        yield "src/bylaw/content/faults.py", f"uploads.{code}"


def test_every_reason_is_some_controls() -> None:
    """A refusal that no control knows is in no page and no document."""
    registered = {reason.code for control in CONTROLS for reason in control.reasons}
    lost = [f"{code} ({file})" for file, code in reasons_in_the_code() if code not in registered]
    nothing(lost, "a reason of no control")
    assert registered == {code for _, code in reasons_in_the_code()}


@each_control
def test_a_reason_begins_with_its_control_and_explains_itself(control: Control) -> None:
    """`csrf.cross_site` is csrf's; a public sentence for people, a longer one for the operator."""
    for reason in control.reasons:
        assert reason.control == control.name, reason.code
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", reason.code)
        assert SENTENCE.fullmatch(reason.title), reason.code
        assert SENTENCE.fullmatch(reason.help), reason.code
        assert 400 <= reason.status < 600
    missing(control, "the reasons", [r.code for r in control.reasons if f"`{r.code}`" not in page(control)])


# Settings


def own(settings: type[Settings]) -> dict[str, list[str]]:
    """The keys of a section that are its own, each with the ways in which its default may be written."""
    found = {}
    for key, info in settings.model_fields.items():
        if key not in Settings.model_fields:
            default = default_of(info)
            ways = [] if default is None else [json.dumps(default, ensure_ascii=False), str(default)]
            if isinstance(default, int) and not isinstance(default, bool):
                ways += [spoken(default), f"{default:,}"]
            found[key] = ways
    return found


@each_control
def test_every_setting_is_documented_with_its_default(control: Control) -> None:
    """A line of the page names the key and what it is when nobody writes it; so does the reference."""
    reference = (ROOT / "docs/policy.md").read_text("utf-8").partition(f"\n## [{control.name}]\n")[2]
    reference = reference.partition("\n## [")[0]
    for text, place in ((page(control), f"docs/controls/{control.name}.md"), (reference, "docs/policy.md")):
        lines = text.splitlines()
        lost = [
            key
            for key, ways in own(control.settings).items()
            if not any(f"`{key}`" in line and any(way in line for way in ways or [""]) for line in lines)
        ]
        assert lost == [], f"{place} does not name with its default: {', '.join(lost)}"


# Probes and sabotages


@each_control
def test_a_control_is_probed_and_each_probe_was_seen_to_fail(control: Control) -> None:
    """At least one probe and one planted defect; names that are told apart, sentences that say what of."""
    assert control.probes, "no probe"
    assert control.sabotages, "no sabotage: nobody has seen its probes fail"
    for kind in (control.probes, control.sabotages):
        names = [each.name for each in kind]
        assert len(names) == len(set(names))
        nothing([e.name for e in kind if not SENTENCE.fullmatch(e.title)], "a title that is no sentence")
    for what, named in (("the probes", control.probes), ("the sabotages", control.sabotages)):
        missing(control, what, [each.name for each in named if f"`{each.name}`" not in page(control)])


@each_control
def test_attacks_and_defects_stand_apart(control: Control) -> None:
    """Of a control that is a folder: its probes hold attacks, sabotages.py what they must notice."""
    if (ROOT / f"src/bylaw/controls/{control.name}.py").is_file():
        return
    places = {each.apply.__module__ for each in control.sabotages}
    assert places == {f"bylaw.controls.{control.name}.sabotages"}


# The order


def test_the_order_is_the_one_that_was_thought_about() -> None:
    """A control that moved in the request's path is a decision: this file changes with it."""
    tables = (("enter", order.ENTER), ("depart", order.DEPART))
    rows = [f"{table} {phase} {name}: {why}" for table, listed in tables for phase, name, why in listed]
    assert "\n".join(rows) + "\n" == GOLDEN.read_text("utf-8")


def test_every_row_of_the_order_is_a_step_and_every_step_a_row() -> None:
    """A row without a step does nothing; a step without a row is never taken."""
    rows = [(phase, name) for phase, name, _ in (*order.ENTER, *order.DEPART)]
    steps = [(phase, control.name) for control in CONTROLS for phase in control.steps]
    assert sorted(rows) == sorted(steps)
    assert all(why.strip() for _, _, why in (*order.ENTER, *order.DEPART))


# Commands and tests


def test_every_command_is_documented() -> None:
    """Each has its section in docs/commands.md, and stands in another page or the README as well."""
    reference = (ROOT / "docs/commands.md").read_text("utf-8")
    pages = [path for path in (ROOT / "docs").rglob("*.md") if path.name != "commands.md"]
    prose = "\n".join(path.read_text("utf-8") for path in [*pages, ROOT / "README.md"])
    for words, command in commands(command_line):
        if not hasattr(command, "commands"):
            called = " ".join(("bylaw", *words))
            assert f"## `{called}" in reference, called
            assert called in prose, f"{called} is in the reference alone: where would a person meet it?"


def without_a_sentence() -> Iterator[str]:
    for folder in ("tests", "apps"):
        for file in sorted((ROOT / folder).rglob("test_*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                    first = (ast.get_docstring(node) or "").partition("\n\n")[0]
                    if not re.fullmatch(r"\S.*[.?!:)]", first, re.DOTALL):
                        yield f"{file.relative_to(ROOT)}::{node.name}"


def test_every_test_tells_its_story_in_a_sentence() -> None:
    """Who reads a failing test learns first what was promised, or what the attacker did."""
    nothing(list(without_a_sentence()), "no sentence")
