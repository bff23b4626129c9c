"""SECURITY.md: printed from the policy and its evidence, so that it says only what holds."""

from __future__ import annotations

from bylaw.control import Control
from bylaw.controls import CONTROLS
from bylaw.document import endings
from bylaw.document.evidence import Evidence, Proof
from bylaw.policy import Policy

__all__ = ["security_md"]

_HEAD = """\
<!-- Printed by `bylaw document` from bylaw.toml and evidence.json. Change the policy, not this page. -->
# Security of {name}

> **Audience:** developers, security researchers and operations teams.

What is said here is enforced on every request by bylaw, from one policy file. A promise stands with
the evidence that it holds: probes attack the running application, and each control is broken on
purpose to see that its probes notice.
"""


def security_md(policy: Policy, evidence: Evidence | None) -> str:
    """The whole document. `evidence` must be of this policy, or None."""
    parts = [_HEAD.format(name=policy.app.name), _proof(evidence), _layers(policy)]
    parts += [_control(policy, control, evidence) for control in CONTROLS]
    parts += [endings.section(evidence), _below(policy), _reporting(policy)]
    return "\n".join(part.strip() + "\n" for part in parts if part)


def _proof(evidence: Evidence | None) -> str:
    if evidence is None:
        return "**Nothing here has been proven yet:** run `bylaw verify`."
    passed = sum(p.passed for p in evidence.controls.values())
    failed = sum(p.failed for p in evidence.controls.values())
    unseen = sum(p.not_examined for p in evidence.controls.values())
    ways = sum(p.sabotages for p in evidence.controls.values())
    caught = sum(p.caught for p in evidence.controls.values())
    return (
        f"Verified {evidence.date}: {passed} probes passed, {failed} failed, {unseen} could not "
        f"look; {caught} of {ways} sabotages were noticed. Access was measured by "
        f"{evidence.requests} requests ({evidence.routes} routes as {evidence.identities} "
        f"identities), {evidence.as_declared} of them as declared."
    )


def _layers(policy: Policy) -> str:
    rows = [
        f"| [{c.title}](#{_anchor(c.title)}) | {'**off**' if policy.controls[c.name].off else 'on'}"
        f" | {', '.join(c.asvs)} |"
        for c in CONTROLS
    ]
    return "\n".join(["## Layers", "", "| control | state | ASVS 5.0.0 |", "|---|---|---|", *rows])


def _anchor(title: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in title.lower())


def _control(policy: Policy, control: Control, evidence: Evidence | None) -> str:
    settings = policy.controls[control.name]
    lines = [f"## {control.title}", ""]
    if settings.off:
        return "\n".join([*lines, f"**Switched off** ({settings.because})."])
    for sentence in control.statement(policy):
        lines += [sentence, ""] if sentence.startswith("- ") else [sentence]
        if sentence.startswith("- "):
            lines.insert(len(lines) - 2, "")
    if control.name == "exemptions" and evidence is not None and evidence.public:
        lines += ["", *_public(evidence)]
    lines += [
        "",
        _evidence_line(
            control,
            evidence.controls.get(control.name) if evidence else None,
            evidence.date if evidence else "",
        ),
    ]
    below = list(settings.below_standard())
    if below:
        keys = ", ".join(f"`{b.key}`" for b in below)
        lines += ["", f"*Below today's standard: {keys} ([why](#below-todays-standard)).*"]
    return "\n".join(lines)


def _public(evidence: Evidence) -> list[str]:
    """What was public when it was verified."""
    rows = [f"| `{_cell(r['what'])}` | {_cell(r['reason'])} | {_cell(r['owner'])} |" for r in evidence.public]
    return ["| public | because | who answers for it |", "|---|---|---|", *rows]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _evidence_line(control: Control, proof: Proof | None, when: str) -> str:
    code = f"Code: `bylaw.controls.{control.name}`."
    asvs = f"ASVS {', '.join(control.asvs)}. " if control.asvs else ""
    if proof is None or not proof.passed + proof.failed + proof.not_examined:
        return f"*Not proven by a probe. {asvs}{code}*"
    if proof.failed:
        return f"**Not kept: {proof.failed} of its probes failed on {when}.** *{asvs}{code}*"
    seen = "" if proof.caught == proof.sabotages else f" ({proof.sabotages - proof.caught} unnoticed)"
    text = f"Proven {when} by {proof.passed} probes, seen to fail against {proof.caught} sabotages{seen}."
    if proof.not_examined:
        text += f" {proof.not_examined} could not look: {'; '.join(sorted(set(proof.unseen)))}."
    return f"*{text} {asvs}{code}*"


def _below(policy: Policy) -> str:
    rows = [
        f"| `{section}.{below.key}` | {below.value} | {below.standard} | {below.source} | "
        f"{because or 'no reason given'} |"
        for section, below, because in policy.below_standard()
    ]
    if not rows:
        return "## Below today's standard\n\nNothing."
    return "\n".join(
        [
            "## Below today's standard",
            "",
            "| setting | value | standard | source | because |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _reporting(policy: Policy) -> str:
    contact = policy.app.contact
    where = f"to **{contact}**" if contact else "to the maintainers in private (no contact is set)"
    return (
        f"## Reporting a vulnerability\n\nPlease report it {where}, not in a public issue: what it is, "
        "how to reproduce it, what it leads to and, if you have one, a suggested fix. You will be "
        "credited if you wish."
    )
