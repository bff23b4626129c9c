"""SECURITY.md says what the policy and the evidence say, and nothing that was not seen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bylaw import document, policy
from bylaw.cli.document import printed, stand_ins
from bylaw.controls import CONTROLS
from bylaw.controls.exemptions import PUBLIC, Row
from bylaw.document import evidence
from bylaw.document.evidence import Proof
from bylaw.verify.runner import Caught, Report, Result

_BASE = """
[app]
name = "Example"
[roles]
admin = ["*"]
user = ["note:read"]
[signup]
open = true
role = "user"
"""


def _policy(tmp_path: Path, text: str = "") -> policy.Policy:
    file = tmp_path / "bylaw.toml"
    file.write_text(_BASE + text)
    return policy.load(file, CONTROLS, stand_ins())


def _evidence(when: str = "2026-11-21", **proof: int) -> evidence.Evidence:
    return evidence.Evidence(
        date=when,
        policy="p",
        controls={"csrf": Proof(**proof)},  # type: ignore[arg-type]
        routes=3,
        identities=2,
        requests=6,
        as_declared=6,
    )


@pytest.mark.requirement("S1-001", "S1-002")
def test_it_names_its_audience_and_every_layer(tmp_path: Path) -> None:
    """All three audiences; a section for each control."""
    text = document.security_md(_policy(tmp_path), None)
    assert "developers, security researchers and operations teams" in text
    for control in CONTROLS:
        assert f"## {control.title}\n" in text


def test_nothing_is_claimed_without_evidence(tmp_path: Path) -> None:
    """A document of an unproven policy says so, for the whole and for each control."""
    rules = _policy(tmp_path)
    text = document.security_md(rules, None)
    assert "Nothing here has been proven yet" in text
    in_use = [control for control in CONTROLS if control.name not in rules.idle]
    assert len(in_use) == text.count("Not proven by a probe.")
    assert {control.name for control in CONTROLS if control not in in_use} == {"imports", "malware"}


def test_evidence_is_cited_with_what_failed_and_what_was_not_seen(tmp_path: Path) -> None:
    """A failed probe turns the sentence round; an unseen one is counted apart."""
    rules = _policy(tmp_path)
    good = document.security_md(rules, _evidence(passed=12, sabotages=4, caught=4))
    assert "Proven 2026-11-21 by 12 probes, seen to fail against 4 sabotages." in good
    bad = document.security_md(rules, _evidence(passed=11, failed=1))
    assert "Not kept: 1 of its probes failed on 2026-11-21" in bad
    unseen = document.security_md(rules, _evidence(passed=1, not_examined=1, sabotages=2, caught=1))
    assert "1 could not look" in unseen
    assert "(1 unnoticed)" in unseen


def test_a_control_that_is_off_is_printed_as_loudly_as_one_that_is_on(tmp_path: Path) -> None:
    """The reason stands where the promise would."""
    text = document.security_md(
        _policy(tmp_path, '[csrf]\noff = true\nbecause = "another layer does it"\n'), None
    )
    assert "**Switched off** (another layer does it)." in text


def test_a_value_below_the_standard_is_printed_with_its_reason(tmp_path: Path) -> None:
    """Whoever reads the document learns what is weaker than it could be."""
    text = document.security_md(
        _policy(tmp_path, '[passwords]\nmin_length = 8\nbecause = "the old policy"\n'), None
    )
    assert "| `passwords.min_length` | 8 | 15 " in text
    assert "the old policy" in text
    assert "## Below today's standard\n\nNothing." in document.security_md(_policy(tmp_path), None)


@pytest.mark.parametrize(
    "change",
    [
        "[passwords]\nmin_length = 20\n",
        '[passwords]\nhash = "pbkdf2-sha256"\n',
        '[passwords]\ncomposition = ["digit"]\n',
        "[passwords]\nmax_length = 200\n",
        "[sessions]\nidle = 600\n",
        "[sessions]\nabsolute = 7200\n",
        '[cookies]\nsame_site = "Strict"\n',
        '[cookies]\nreadable = ["theme"]\n',
        "[csrf]\nstatus = 400\n",
        '[csrf]\nheader = "X-Other"\n',
        '[csrf]\nfield = "other"\n',
        '[csrf]\ntrusted_origins = ["https://partner.eu"]\n',
        "[headers]\nhsts = 31536000\n",
        '[headers]\nframe_ancestors = ["https://partner.eu"]\n',
        '[headers]\nscript_src = ["https://cdn.eu"]\n',
        '[headers]\nxss_protection = "1; mode=block"\nbecause = "an old scanner"\n',
        "[store]\nrevocation_bound = 5\n",
    ],
)
def test_changing_what_is_enforced_changes_what_is_said(tmp_path: Path, change: str) -> None:
    """No setting that matters is left out of the document."""
    before = document.security_md(_policy(tmp_path), None)
    assert before != document.security_md(_policy(tmp_path, change), None)


def test_evidence_goes_round_and_belongs_to_one_policy(tmp_path: Path) -> None:
    """Evidence is kept beside the policy, and is none of a policy that was changed since."""
    rules = _policy(tmp_path)
    report = Report(
        [
            Result("csrf", "a", "A", "pass", "high", "seen"),
            Result("csrf", "b", "B", "not_examined", "high", "no route"),
        ],
        [Caught("csrf", "s", "S", "a")],
    )
    gathered = evidence.gather(rules.file, date(2026, 11, 21), report, [])
    assert tmp_path / "evidence.json" == evidence.write(gathered, rules.file)
    assert gathered == evidence.read(rules.file)
    assert Proof(1, 0, 1, 1, 1, ("no route",)) == gathered.controls["csrf"]
    assert "no route" in printed(rules.file)
    rules.file.write_text(_BASE + "[csrf]\nstatus = 400\n")
    with pytest.raises(LookupError, match="evidence of another policy"):
        printed(rules.file)


def test_the_document_holds_no_secret_of_this_machine(tmp_path: Path) -> None:
    """It is printed with stand-ins: the same on every machine."""
    rules = _policy(tmp_path)
    assert printed(rules.file) == printed(rules.file)


@pytest.mark.requirement("S1-043", "S1-044")
def test_what_was_public_is_printed_with_its_reason(tmp_path: Path) -> None:
    """The register as it was verified is kept with the evidence, read again and printed in its section."""
    rows = [
        Row(PUBLIC, "GET /", "the front | page", "platform", None, ""),
        Row("csrf", "/hook", "a machine calls it", "platform", date(2026, 12, 1), ""),
    ]
    rules = _policy(tmp_path)
    gathered = evidence.gather(rules.file, date(2026, 11, 21), Report(), [], rows)
    evidence.write(gathered, rules.file)
    read = evidence.read(rules.file)
    assert read == gathered
    section = document.security_md(rules, read).partition("## Exemptions\n")[2].partition("\n## ")[0]
    assert "| `GET /` | the front \\| page | platform |" in section
    assert "/hook" not in section, "what the policy exempts is printed from the policy"
