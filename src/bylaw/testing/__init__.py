"""For an application's own tests: the laboratory, its people and its faults, and every probe as a test.

# conftest.py                                  # test_security.py
pytest_plugins = []                            from bylaw.testing import probes
# pyproject.toml: [tool.pytest.ini_options]    test_promises = probes("apps.mtc")
# bylaw_app = "apps.mtc"
                                               def test_mine(bylaw_laboratory):
                                                   who = bylaw_laboratory.client("manager")
                                                   assert who.get("/api/upf/items").status == 200
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from bylaw.control import Broken, CouldNotLook
from bylaw.controls import CONTROLS
from bylaw.verify.client import Client, Reply
from bylaw.verify.fakes import FakeClock, Logs, Mailbox
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.people import PASSWORD
from bylaw.verify.target import Target
from bylaw.verify.world import BASE_URL

__all__ = [
    "BASE_URL",
    "PASSWORD",
    "Bench",
    "Broken",
    "Client",
    "CouldNotLook",
    "FakeClock",
    "Laboratory",
    "Logs",
    "Mailbox",
    "Reply",
    "Target",
    "bench",
    "probes",
]


@lru_cache(maxsize=8)
def bench(app: str) -> Bench:
    """Laboratories of an application by its name (`package.module:factory`), prepared once."""
    return Bench(Target.afresh(app))


def probes(app: str) -> Callable[..., None]:
    """A test function with one case per probe of every control.

    A probe that could not look fails the case too, with its reason: exclude it by name where that
    is known and accepted (`-k "not clamd"`).
    """
    import pytest

    cases = [(control, probe) for control in CONTROLS for probe in control.probes]

    @pytest.mark.parametrize(("control", "probe"), cases, ids=[f"{c.name}-{p.name}" for c, p in cases])
    def test_promises(control: Any, probe: Any) -> None:
        """The promise holds on the running application."""
        with bench(app).laboratory() as laboratory:
            if laboratory.policy.controls[control.name].off:
                return
            try:
                probe.run(laboratory)
            except (Broken, CouldNotLook) as seen:
                pytest.fail(f"{probe.title} {type(seen).__name__}: {seen}", pytrace=False)

    named: Callable[..., None] = test_promises
    return named
