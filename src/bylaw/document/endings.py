"""What ends with what: the table that the operations enforce, as a person reads it."""

from __future__ import annotations

from typing import Final

from bylaw.document.evidence import Evidence
from bylaw.operations.standing import HELD, TABLE, Ends

TITLE: Final = "What ends with what"
PROVEN_BY: Final = ("reset", "an_event_ends_what_the_table_says")
"""The control and its probe that look at every cell."""
_SESSIONS: Final = {
    "all": "all end",
    "others": "all others end",
    "weaker": "those with one factor end",
    "new id": "get a new id",
}


def endings() -> str:
    """The table itself: a row for each event, a column for each kind of thing that an account holds."""
    head = ["when", "sessions", *HELD.values()]
    rows = [[str(event), *_cells(ends)] for event, ends in TABLE.items()]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(ends: Ends) -> list[str]:
    return [_SESSIONS[ends.sessions], *("ends" if getattr(ends, name) else "stays" for name in HELD)]


def section(evidence: Evidence | None) -> str:
    """The section of SECURITY.md."""
    return "\n".join(
        [
            f"## {TITLE}",
            "",
            "Whatever changes an account's standing ends what must not outlive it, in the same transaction.",
            "The session in which it is done goes on where others end. With each of these events nobody acts",
            "as the account any longer, nor the account as somebody else.",
            "",
            endings(),
            "",
            _proof(evidence),
        ]
    )


def _proof(evidence: Evidence | None) -> str:
    control, name = PROVEN_BY
    proof = evidence.controls.get(control) if evidence is not None else None
    code = "Code: `bylaw.operations.standing`."
    if evidence is None or proof is None or not proof.passed or proof.failed or proof.not_examined:
        return f"*Not looked at by a probe yet. {code}*"
    cells = len(TABLE) * (len(HELD) + 3)
    return (
        f"*Each of its {cells} cells was looked at on {evidence.date} by the probe `{control}.{name}`: what "
        f"ends is over, and what stays is good. {code}*"
    )
