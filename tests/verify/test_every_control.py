"""Every control on both test applications: its promises hold, and each way of breaking it is noticed.

What a control's probes see on another policy stands in its own test file.
"""

from __future__ import annotations

from typing import Any

import pytest

from bylaw.control import Control, Probe, Sabotage
from bylaw.controls import CONTROLS
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.runner import attempt, broken
from tests.applications.stacks import COSTLY, hurry


def _each(kind: str) -> list[Any]:
    return [
        pytest.param(control, found, id=f"{control.name}-{found.name}")
        for control in CONTROLS
        for found in getattr(control, kind)
    ]


def prepared(laboratory: Laboratory, control: Control) -> Laboratory:
    if control.name not in COSTLY:
        hurry(laboratory)
    return laboratory


# A class each: tests of one module run in one process, tests of several classes side by side.


class TestPromises:
    @pytest.mark.parametrize(("control", "probe"), _each("probes"))
    def test_the_promise_holds(self, laboratory: Laboratory, control: Control, probe: Probe) -> None:
        """Every probe passes on the healthy application."""
        result = attempt(control, probe, prepared(laboratory, control))
        assert result.outcome == "pass", result.evidence


class _Sabotages:
    framework: str

    @pytest.mark.parametrize(("control", "way"), _each("sabotages"))
    def test_every_sabotage_is_noticed(
        self, benches: dict[str, Bench], control: Control, way: Sabotage
    ) -> None:
        """A control that is broken on purpose is caught by one of its probes, which says what it saw: one
        that stumbles has noticed nothing, it would stumble over anything."""
        with broken(way), benches[self.framework].laboratory() as laboratory:
            prepared(laboratory, control)
            results = (attempt(control, probe, laboratory) for probe in control.probes)
            caught = next((r for r in results if r.outcome == "fail" and not r.stumbled), None)
        assert caught is not None, way.title
        assert caught.evidence


class TestSabotagesInFlask(_Sabotages):
    framework = "flask"


class TestSabotagesInFastapi(_Sabotages):
    framework = "fastapi"


def test_every_control_has_both() -> None:
    """No promise without a probe, and no probe without a defect that it was seen to notice."""
    assert {control.name for control in CONTROLS if not control.probes} == set()
    assert {control.name for control in CONTROLS if not control.sabotages} == set()
