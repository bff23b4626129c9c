"""What a verification saw, for people, programs and CI."""

from __future__ import annotations

import json
from collections import Counter
from xml.etree import ElementTree  # nosec B405 - written here, never parsed

from bylaw.verify.matrix import NOBODY, Cell
from bylaw.verify.runner import Report

_EXAMINED = ("pass", "fail")


def as_json(report: Report) -> str:
    """`{"results": […], "sabotages": […], "counts": {…}}`."""
    return json.dumps(
        {
            "results": [result.as_json() for result in report.results],
            "sabotages": [
                {
                    "control": s.control,
                    "sabotage": s.sabotage,
                    "caught": s.by is not None,
                    "by": s.by,
                    "evidence": s.evidence,
                }
                for s in report.sabotages
            ],
            "counts": {outcome: report.count(outcome) for outcome in ("pass", "fail", "not_examined")},
        },
        indent=2,
        ensure_ascii=False,
    )


def as_junit(report: Report) -> str:
    """JUnit XML, which CI systems show: what could not be looked at is an error, not a skip."""
    suite = ElementTree.Element(
        "testsuite",
        name="bylaw",
        tests=str(len(report.results)),
        failures=str(report.count("fail")),
        errors=str(report.count("not_examined")),
    )
    for result in report.results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"bylaw.{result.control}", name=result.probe
        )
        if result.outcome != "pass":
            kind = "failure" if result.outcome == "fail" else "error"
            ElementTree.SubElement(case, kind, message=result.evidence)
    return ElementTree.tostring(suite, encoding="unicode")


def control_line(report: Report, control: str) -> tuple[str, str]:
    """A control's outcome in a word, and what there is to say about it."""
    mine = [result for result in report.results if result.control == control]
    outcomes = Counter(result.outcome for result in mine)
    if outcomes["fail"]:
        worst = next(result for result in mine if result.outcome == "fail")
        return "FAIL", f"{worst.probe}: {worst.evidence}"
    if outcomes["not_examined"] == len(mine) and mine:
        return "could not look", mine[0].evidence
    if outcomes["not_examined"]:
        unseen = next(result for result in mine if result.outcome == "not_examined")
        return "pass", f"{outcomes['not_examined']} could not look: {unseen.evidence}"
    return "pass", ""


def summary(report: Report) -> str:
    """The last line: 211 pass · 1 FAIL · 2 not examined."""
    return (
        f"{report.count('pass')} pass · {report.count('fail')} FAIL · "
        f"{report.count('not_examined')} not examined"
    )


def matrix_rows(cells: list[Cell]) -> tuple[list[str], list[list[str]]]:
    """A table: a row per route, a column per role; a difference from the rule is marked."""
    roles = sorted({cell.role for cell in cells}, key=lambda role: (role != NOBODY, role))
    rows: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.path, cell.method, cell.rule), {})[cell.role] = cell
    marks = {"allowed": "yes", "refused": "–", "not_examined": "?"}
    table = [
        [
            method,
            path,
            rule,
            *[marks[by_role[role].seen] + ("" if by_role[role].as_declared else " !") for role in roles],
        ]
        for (path, method, rule), by_role in rows.items()
    ]
    return ["method", "path", "rule", *roles], table


def matrix_summary(cells: list[Cell]) -> str:
    """access 164 routes × 4 identities = 656 of 656 requests as declared."""
    routes = len({(cell.method, cell.path) for cell in cells})
    roles = len({cell.role for cell in cells})
    right = sum(1 for cell in cells if cell.as_declared)
    return f"{routes} routes × {roles} identities = {right} of {len(cells)} requests as declared"
