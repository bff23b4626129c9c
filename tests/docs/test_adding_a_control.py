"""docs/adding-a-control.md: what the page adds works, and changes nothing but what the page says."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bylaw import controls, document, order, policy
from bylaw.control import Control
from bylaw.document import evidence
from bylaw.errors import PolicyError
from bylaw.verify import runner
from bylaw.verify.laboratory import Bench
from tests.docs import pages
from tests.house import test_names
from tests.policy.goldens import USUAL

PAGE = pages.ROOT / "docs/adding-a-control.md"
FILES = {block.name: block.text for block in pages.blocks(PAGE) if block.name}


def load(name: str, file: str, folder: Path) -> ModuleType:
    """A module of the page, as if it stood where the page says."""
    path = folder / Path(file).name
    path.write_text(FILES[file], "utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def row() -> tuple[str, str, str]:
    """The row that the page adds to the order."""
    table = next(b.text for b in pages.blocks(PAGE) if b.text.startswith("ENTER = "))
    found: tuple[str, str, str] = ast.literal_eval(re.findall(r"\(\"arrive\".*?\)", table)[0])
    return found


@pytest.fixture
def methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The control of the page, in the registry and in the order."""
    module: Any = load("bylaw.controls.methods", "src/bylaw/controls/methods.py", tmp_path)
    monkeypatch.setattr(controls, "methods", module, raising=False)
    registry = tuple(sorted((*controls.CONTROLS, module.CONTROL), key=lambda control: control.name))
    for place in (controls, runner, document, evidence):
        monkeypatch.setattr(place, "CONTROLS", registry)
    monkeypatch.setattr(order, "ENTER", (row(), *order.ENTER))
    yield module
    del sys.modules["bylaw.controls.methods"]


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_its_promise_is_kept_and_each_sabotage_is_noticed(
    methods: Any, benches: dict[str, Bench], framework: str
) -> None:
    """Healthy, every probe passes; broken in each of its ways, one fails."""
    control: Control = methods.CONTROL
    bench = benches[framework]
    report = runner.verify(bench, only=["methods"])
    assert [(r.probe, r.outcome) for r in report.results] == [(p.name, "pass") for p in control.probes]
    caught = runner.sabotage(bench, only=["methods"]).sabotages
    assert [c.sabotage for c in caught if c.by is None] == []
    assert len(caught) == len(control.sabotages) == 2


def test_the_policy_has_its_section(methods: Any, tmp_path: Path) -> None:
    """`[methods]` is read, checked, and says what is below the standard."""
    file = tmp_path / "bylaw.toml"
    file.write_text('[methods]\nspoken = ["GET", "POST", "TRACE"]\nbecause = "an old client"\n')
    found = policy.load(file, controls.CONTROLS, USUAL)
    assert [(name, below.key) for name, below, _ in found.below_standard()] == [("methods", "spoken")]
    file.write_text('[methods]\nspoken = ["GET"]\n')
    with pytest.raises(PolicyError, match="without POST nobody could sign in"):
        policy.load(file, controls.CONTROLS, USUAL)


def test_the_document_has_its_chapter(methods: Any, tmp_path: Path) -> None:
    """SECURITY.md says the sentence, and does not claim that anything was proven."""
    (tmp_path / "bylaw.toml").touch()
    text = document.security_md(policy.load(tmp_path / "bylaw.toml", controls.CONTROLS, USUAL), None)
    assert "## Methods\n\nOnly GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE are answered" in text


def test_its_own_tests_pass(methods: Any, tmp_path: Path) -> None:
    """The tests that the page shows are collected and hold."""
    tests = load("page_test_methods", "tests/controls/test_methods.py", tmp_path)
    ran = 0
    for name, test in vars(tests).items():
        if name.startswith("test_"):
            for value in test.pytestmark[0].args[1]:
                test(value)
                ran += 1
    assert ran == 12


def test_the_house_would_accept_it(methods: Any) -> None:
    """Docstring, reasons and titles are as the test of names wants them."""
    control: Control = methods.CONTROL
    for part in ("Threat:", "Mechanism", "Source:", "It does not"):
        assert part in (methods.__doc__ or "")
    for title in [p.title for p in control.probes] + [s.title for s in control.sabotages]:
        assert test_names.SENTENCE.fullmatch(title)
    for reason in control.reasons:
        assert reason.control == "methods"
        assert test_names.SENTENCE.fullmatch(reason.help)
