"""The planner and the register under attack: their promises hold, and every route is as declared.

Here nothing is broken on purpose: what is shows in tests/verify, and in the evidence beside each policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from bylaw.control import Control
from bylaw.controls import CONTROLS
from bylaw.verify import matrix
from bylaw.verify.laboratory import Bench
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications.stacks import COSTLY, hurry


@pytest.fixture(scope="class")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A prepared database of the class's application, copied for each laboratory."""
    made = Bench(Target.afresh(f"apps.{request.cls.application}"))
    yield made
    made.close()


class _Attacked:
    """A class for each application: tests of several classes run side by side."""

    application: str
    idle: ClassVar[set[str]] = {"imports", "malware"}
    """Controls that have nothing to do here: no route takes a file."""
    unseen: ClassVar[set[tuple[str, str]]] = set()
    """Probes that have nothing to look at here, for the reason that they give."""

    @pytest.mark.parametrize("control", [pytest.param(control, id=control.name) for control in CONTROLS])
    def test_the_promises_hold(self, bench: Bench, control: Control) -> None:
        """Each probe of each control that the policy has on sees the promise kept."""
        with bench.laboratory() as laboratory:
            if control.name not in COSTLY:
                hurry(laboratory)
            if laboratory.policy.controls[control.name].off:
                assert control.name in self.idle, laboratory.policy.controls[control.name].because
                return
            results = [attempt(control, probe, laboratory) for probe in control.probes]
        assert [(r.probe, r.evidence) for r in results if r.outcome == "fail"] == []
        unseen = {(control.name, r.probe) for r in results if r.outcome == "not_examined"}
        assert unseen <= self.unseen, [r.evidence for r in results if r.outcome == "not_examined"]

    def test_every_route_is_as_declared(self, bench: Bench) -> None:
        """Each route, asked by nobody and by each role, lets in exactly whom its rule lets in."""
        with bench.laboratory() as laboratory:
            hurry(laboratory)
            cells = matrix.measure(laboratory)
        assert [cell for cell in cells if cell.seen not in (cell.expected, "not_examined")] == []
        examined = [cell for cell in cells if cell.as_declared]
        assert len(examined) > 0.9 * len(cells)


class TestPlanner(_Attacked):
    application = "planner"
    idle: ClassVar[set[str]] = {
        *_Attacked.idle,
        *("passwords", "passkeys", "signup", "reset", "lockout", "email", "jwt"),
    }
    unseen: ClassVar[set[tuple[str, str]]] = {("sessions", "every_credential_ends_everywhere")}


class TestProjects(_Attacked):
    application = "projects"
