"""A verification tells pass, fail and could not look apart, and notices a control that is broken."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from bylaw.control import Broken, Control, CouldNotLook, Patch, probe, sabotage
from bylaw.controls import headers, passwords
from bylaw.errors import PolicyError, Problem
from bylaw.verify import reports, runner
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.people import forget_hashes


@probe("low", "S1-001")
def holds(lab: Laboratory) -> str:
    """It holds."""
    return "seen"


@probe("high", "S1-002")
def breaks(lab: Laboratory) -> str:
    """It does not hold."""
    raise Broken("200 to a stranger")


@probe("high")
def cannot_look(lab: Laboratory) -> str:
    """It cannot be looked at."""
    raise CouldNotLook("no such route")


@probe("high")
def stumbles(lab: Laboratory) -> str:
    """The probe itself goes wrong."""
    raise KeyError("surprise")


def _control(**parts: object) -> Control:
    return Control(
        name="headers", title="Example", settings=headers.Settings, statement=lambda policy: [], **parts
    )  # type: ignore[arg-type]


@pytest.fixture
def bench(benches: dict[str, Bench]) -> Bench:
    return benches["flask"]


def _report(bench: Bench, monkeypatch: pytest.MonkeyPatch, control: Control) -> runner.Report:
    monkeypatch.setattr(runner, "CONTROLS", (control,))
    return runner.verify(bench)


def test_outcomes_are_told_apart(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be looked at is never counted as a pass; a stumbling probe proves nothing."""
    report = _report(bench, monkeypatch, _control(probes=(holds, breaks, cannot_look, stumbles)))
    assert [r.outcome for r in report.results] == ["pass", "fail", "not_examined", "fail"]
    assert (report.count("pass"), report.count("fail"), report.count("not_examined")) == (1, 2, 1)
    assert not report.kept
    assert "KeyError" in report.results[3].evidence


def test_the_json_report_has_its_published_shape(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program finds control, probe, outcome, severity, evidence and requirements."""
    report = _report(bench, monkeypatch, _control(probes=(holds, breaks)))
    data = json.loads(reports.as_json(report))
    assert {"control", "probe", "outcome", "severity", "evidence", "requirements"} <= set(data["results"][0])
    assert data["results"][0]["requirements"] == ["S1-001"]
    assert data["counts"] == {"pass": 1, "fail": 1, "not_examined": 0}


def test_junit_shows_what_could_not_be_looked_at_as_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CI system must not show it green."""
    report = _report(bench, monkeypatch, _control(probes=(holds, breaks, cannot_look)))
    suite = ElementTree.fromstring(reports.as_junit(report))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert len(suite.findall("./testcase/failure")) == 1


def test_a_control_s_line_names_its_worst(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAIL before could not look before pass."""
    many = _report(bench, monkeypatch, _control(probes=(holds, breaks, cannot_look)))
    assert reports.control_line(many, "headers") == ("FAIL", "breaks: 200 to a stranger")
    some = _report(bench, monkeypatch, _control(probes=(holds, cannot_look)))
    assert reports.control_line(some, "headers") == ("pass", "1 could not look: no such route")
    none = _report(bench, monkeypatch, _control(probes=(cannot_look,)))
    assert reports.control_line(none, "headers") == ("could not look", "no such route")
    assert (
        reports.summary(_report(bench, monkeypatch, _control(probes=(holds,))))
        == "1 pass · 0 FAIL · 0 not examined"
    )


class Thing:
    """Something that a sabotage can break."""

    value = "right"


@probe("high")
def looks_at_the_thing(lab: Laboratory) -> str:
    """The thing is right."""
    if Thing.value != "right":
        raise Broken(Thing.value)
    return "right"


@sabotage
def the_thing_is_wrong(patch: Patch) -> None:
    """The thing is wrong."""
    patch(Thing, "value", "wrong")


@sabotage
def nothing_that_matters(patch: Patch) -> None:
    """Something else is different."""
    patch(Thing, "__doc__", "other")


def test_a_sabotage_is_caught_or_reported_as_unnoticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that cannot fail is found out; afterwards everything is as it was."""
    control = _control(probes=(looks_at_the_thing,), sabotages=(the_thing_is_wrong, nothing_that_matters))
    monkeypatch.setattr(runner, "CONTROLS", (control,))
    seen = []
    report = runner.sabotage(bench, progress=lambda c, caught: seen.append(caught))
    assert [caught.by for caught in report.sabotages] == ["looks_at_the_thing", None]
    assert not report.kept
    assert seen == report.sabotages
    assert Thing.value == "right"


def test_a_laboratory_that_does_not_start_is_no_catch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sabotage that keeps the application from starting has not been noticed by a probe."""

    @sabotage
    def start_fails(patch: Patch) -> None:
        """Nothing starts."""

        def refuse(self: Bench, environ: object = None) -> Laboratory:
            raise PolicyError("no", [Problem("", "", "")])

        patch(Bench, "laboratory", refuse)

    caught = runner._try(bench, _control(probes=(holds,)), start_fails)
    assert caught.by is None
    assert "did not start" in caught.evidence


def test_a_control_that_is_off_is_not_on_trial(bench: Bench) -> None:
    """Nothing is promised, so nothing is attacked; a name narrows the trial."""
    with bench.laboratory() as laboratory:
        names = [c.name for c in runner.on_trial(laboratory.policy, ["csrf"])]
    assert names == ["csrf"]


@pytest.mark.parametrize("name", ["kept_in_clear", "pepper_left_out"])
def test_a_defect_leaves_no_hash_behind(bench: Bench, name: str) -> None:
    """People of the next laboratory sign in: what a defect stored is nobody's hash afterwards."""
    way = next(each for each in passwords.CONTROL.sabotages if each.name == name)
    forget_hashes()
    with runner.broken(way), bench.laboratory() as laboratory:
        laboratory.person("editor")
    with bench.laboratory() as laboratory:
        assert laboratory.sign_in(laboratory.person("editor")).status == 200
