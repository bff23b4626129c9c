"""Running probes, and breaking controls on purpose to see that the probes notice."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from bylaw.control import Broken, Control, CouldNotLook, Probe, Sabotage
from bylaw.controls import CONTROLS
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.people import forget_hashes
from bylaw.verify.target import Target

Outcome = Literal["pass", "fail", "not_examined"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe saw. `not_examined` is never counted as a pass; `evidence` says why."""

    control: str
    probe: str
    title: str
    outcome: Outcome
    severity: str
    evidence: str
    requirements: tuple[str, ...] = ()
    stumbled: bool = False
    """The probe itself went wrong: a failure, since an unexpected state is no proof."""

    def as_json(self) -> dict[str, Any]:
        return {
            "control": self.control,
            "probe": self.probe,
            "outcome": self.outcome,
            "severity": self.severity,
            "evidence": self.evidence,
            "title": self.title,
            "requirements": list(self.requirements),
        }


@dataclass(frozen=True, slots=True)
class Caught:
    """A sabotage and the probe that noticed it, or None where none did."""

    control: str
    sabotage: str
    title: str
    by: str | None
    evidence: str = ""


@dataclass(slots=True)
class Report:
    """All that one verification saw."""

    results: list[Result] = field(default_factory=list)
    sabotages: list[Caught] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        return sum(1 for result in self.results if result.outcome == outcome)

    @property
    def kept(self) -> bool:
        """Whether every promise held and every sabotage was noticed; looking at nothing is no proof."""
        looked = self.count("pass") > 0 or (not self.results and bool(self.sabotages))
        return looked and not self.count("fail") and all(s.by is not None for s in self.sabotages)


_INHERITED: Final = object()
Progress = Callable[[Control, "Result | Caught"], None]


def _silent(control: Control, seen: Result | Caught) -> None:
    """Tell nobody."""


def on_trial(policy: Any, only: Iterable[str] = ()) -> list[Control]:
    """The controls that the policy has on, or those named."""
    wanted = set(only)
    return [c for c in CONTROLS if not policy.controls[c.name].off and (not wanted or c.name in wanted)]


def verify(bench: Bench, *, only: Iterable[str] = (), progress: Progress = _silent) -> Report:
    """Run every probe of every control, each control in a laboratory of its own."""
    report = Report()
    with bench.laboratory() as first:
        controls = on_trial(first.policy, only)
    for control in controls:
        with bench.laboratory() as laboratory:
            for probe in control.probes:
                result = attempt(control, probe, laboratory)
                report.results.append(result)
                progress(control, result)
    return report


def attempt(control: Control, probe: Probe, laboratory: Laboratory) -> Result:
    """Run one probe. What it raises by mistake is a failure: an unexpected state is no proof."""
    outcome: Outcome
    stumbled = False
    try:
        outcome, evidence = "pass", probe.run(laboratory)
    except CouldNotLook as why:
        outcome, evidence = "not_examined", str(why)
    except Broken as broken:
        outcome, evidence = "fail", str(broken)
    except Exception as error:
        logging.getLogger("bylaw.verify").debug("probe %s", probe.name, exc_info=error)
        outcome, evidence = "fail", f"the probe could not go on: {type(error).__name__}: {error}"
        stumbled = True
    return Result(
        control.name, probe.name, probe.title, outcome, probe.severity, evidence, probe.requirements, stumbled
    )


def sabotage(
    bench: Bench, *, only: Iterable[str] = (), jobs: int = 1, progress: Progress = _silent
) -> Report:
    """Break every control in each of its ways, and see which probe notices.

    `jobs` processes do it, each with defects of its own: what one breaks is whole in the others. The order
    of what is reported is the registry's, however many there are.
    """
    report = Report()
    with bench.laboratory() as first:
        controls = on_trial(first.policy, only)
    ways = [(control, way) for control in controls for way in control.sabotages]
    for (control, _), caught in zip(ways, _tried(bench, ways, jobs), strict=True):
        report.sabotages.append(caught)
        progress(control, caught)
    return report


def _tried(bench: Bench, ways: list[tuple[Control, Sabotage]], jobs: int) -> Iterator[Caught]:
    """What became of each, in order. A target that only this process knows is tried in this process."""
    if jobs < 2 or not bench.target.importable:
        yield from (_try(bench, control, way) for control, way in ways)
        return
    context = multiprocessing.get_context("spawn")  # not forked: threads would not come along
    begin = (bench.target.name, bench.template, str(Path.cwd()))
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=begin) as pool:
        yield from pool.map(_try_by_name, *zip(*((c.name, w.name) for c, w in ways), strict=True))


_BENCH: list[Bench] = []
"""The bench of a process that tries sabotages for another one."""


def _begin(target: str, template: Path, folder: str) -> None:
    """Be such a process."""
    os.chdir(folder)
    _BENCH.append(Bench(Target.afresh(target), template))
    atexit.register(_BENCH[0].close)


def _try_by_name(control: str, way: str) -> Caught:
    found = next(c for c in CONTROLS if c.name == control)
    return _try(_BENCH[0], found, next(s for s in found.sabotages if s.name == way))


def _try(bench: Bench, control: Control, way: Sabotage) -> Caught:
    with broken(way):
        try:
            with bench.laboratory() as laboratory:
                for probe in control.probes:
                    # A probe that stumbles has not noticed: it would stumble over anything.
                    result = attempt(control, probe, laboratory)
                    if result.outcome == "fail" and not result.stumbled:
                        return Caught(control.name, way.name, way.title, probe.name, result.evidence)
        except Exception as error:  # a defect by which nothing starts is none that a probe has noticed
            logging.getLogger("bylaw.verify").debug("sabotage %s", way.name, exc_info=error)
            return Caught(control.name, way.name, way.title, None, f"the laboratory did not start: {error}")
    return Caught(control.name, way.name, way.title, None)


@contextmanager
def broken(way: Sabotage) -> Iterator[None]:
    """The control with this defect, for as long as the block lasts."""
    undo: list[tuple[Any, str, Any]] = []

    def patch(thing: Any, name: str, value: Any) -> None:
        before = getattr(thing, name)
        # What a class inherits is not put into it afterwards: it would hide the next defect of its base.
        undo.append((thing, name, before if name in vars(thing) else _INHERITED))
        setattr(thing, name, value)

    try:
        way.apply(patch)
        yield
    finally:
        for thing, name, before in reversed(undo):
            if before is _INHERITED:
                delattr(thing, name)
            else:
                setattr(thing, name, before)
        forget_hashes()
