"""Evidence: what a verification saw of a policy, kept beside it so that a document can cite it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from bylaw.controls import CONTROLS
from bylaw.controls.exemptions import PUBLIC, Row
from bylaw.verify.matrix import Cell
from bylaw.verify.runner import Report

FILE = "evidence.json"


@dataclass(frozen=True, slots=True)
class Proof:
    """A control's probes and sabotages, counted."""

    passed: int = 0
    failed: int = 0
    not_examined: int = 0
    sabotages: int = 0
    caught: int = 0
    unseen: tuple[str, ...] = ()
    """Why probes could not look."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One verification with its sabotages and its matrix."""

    date: str
    policy: str
    controls: dict[str, Proof] = field(default_factory=dict)
    routes: int = 0
    identities: int = 0
    requests: int = 0
    as_declared: int = 0
    public: tuple[dict[str, str], ...] = ()
    """What answers without an identity: what, why, and who answers for it (see exemptions)."""


def fingerprint(policy_file: Path) -> str:
    """What the evidence is of: the policy's text and the probes that there are."""
    names = [f"{c.name}.{p.name}" for c in CONTROLS for p in c.probes]
    names += [f"{c.name}!{s.name}" for c in CONTROLS for s in c.sabotages]
    text = policy_file.read_bytes() + "\n".join(names).encode()
    return sha256(text).hexdigest()[:16]


def gather(
    policy_file: Path, when: date, report: Report, cells: list[Cell], rows: Iterable[Row] = ()
) -> Evidence:
    """The evidence of a report that holds both probes and sabotages; `rows` are those of the register."""
    proofs = {}
    for control in CONTROLS:
        mine = [result for result in report.results if result.control == control.name]
        broken = [caught for caught in report.sabotages if caught.control == control.name]
        proofs[control.name] = Proof(
            passed=sum(r.outcome == "pass" for r in mine),
            failed=sum(r.outcome == "fail" for r in mine),
            not_examined=sum(r.outcome == "not_examined" for r in mine),
            sabotages=len(broken),
            caught=sum(caught.by is not None for caught in broken),
            unseen=tuple(r.evidence for r in mine if r.outcome == "not_examined"),
        )
    return Evidence(
        date=when.isoformat(),
        policy=fingerprint(policy_file),
        controls=proofs,
        routes=len({(c.method, c.path) for c in cells}),
        identities=len({c.role for c in cells}),
        requests=len(cells),
        as_declared=sum(c.as_declared for c in cells),
        public=tuple(
            {"what": row.what, "reason": row.reason, "owner": row.owner} for row in rows if row.of == PUBLIC
        ),
    )


def write(evidence: Evidence, policy_file: Path) -> Path:
    """Keep the evidence beside the policy."""
    file = policy_file.parent / FILE
    file.write_text(json.dumps(asdict(evidence), indent=2) + "\n", "utf-8")
    return file


def read(policy_file: Path) -> Evidence | None:
    """The evidence beside the policy; None where there is none. Raises LookupError for what is none."""
    file = policy_file.parent / FILE
    if not file.is_file():
        return None
    try:
        data: dict[str, Any] = json.loads(file.read_text("utf-8"))
        proofs = {
            name: Proof(**{**proof, "unseen": tuple(proof["unseen"])})
            for name, proof in data.pop("controls").items()
        }
        public = tuple(
            {key: str(row[key]) for key in ("what", "reason", "owner")} for row in data.pop("public", ())
        )
        return Evidence(**data, controls=proofs, public=public)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LookupError(f"{file} is no evidence; run: bylaw verify --write") from None
