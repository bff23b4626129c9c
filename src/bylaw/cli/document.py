"""bylaw document: print the policy and its evidence as SECURITY.md."""

from __future__ import annotations

import difflib
import re
from hashlib import sha256
from pathlib import Path

import click

from bylaw import document as documents
from bylaw import policy as policies
from bylaw.cli.common import fail, out, policy_file, spoken
from bylaw.controls import CONTROLS
from bylaw.document import evidence
from bylaw.verify.world import defaults


@click.command(short_help="Print policy and evidence as SECURITY.md.")
@click.argument("app", required=False)
@click.option("--check", is_flag=True, help="Write nothing; fail when the document is not current.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Where to write it (default: SECURITY.md beside the policy).",
)
@spoken
def document(app: str | None, check: bool, output: Path | None) -> None:
    """Write SECURITY.md of APP's production policy (a policy file, or the application's module).

    The document depends on the policy and its evidence alone, never on this machine's secrets.
    """
    file = policy_file(app)
    text = printed(file)
    target = output or file.parent / "SECURITY.md"
    if not check:
        target.write_text(text, "utf-8")
        out.print(f"{target}", markup=False)
        return
    current = target.read_text("utf-8") if target.exists() else ""
    if current != text:
        drift = difflib.unified_diff(
            current.splitlines(), text.splitlines(), str(target), "policy and evidence", lineterm="", n=1
        )
        fail(
            f"{target} is not what the policy and its evidence say; run: bylaw document\n"
            + "\n".join(list(drift)[:40])
        )
    out.print(f"{target} is current", markup=False)


def printed(file: Path) -> str:
    """The document of a policy file. Raises LookupError where the evidence is of another policy."""
    policy = policies.load(file, CONTROLS, stand_ins(file))
    found = evidence.read(file)
    if found is not None and found.policy != evidence.fingerprint(file):
        raise LookupError(
            f"{file.parent / evidence.FILE} is evidence of another policy or of other probes; "
            "run: bylaw verify --write"
        )
    return documents.security_md(policy, found)


def stand_ins(file: Path | None = None) -> dict[str, str]:
    """Variables that a document needs only to be there, those that `file` names too: it prints none."""
    usual = defaults("sqlite:///unused.db")
    text = file.read_text("utf-8", "replace") if file is not None and file.is_file() else ""
    alike = {
        "base_url": usual["BASE_URL"],
        "database": usual["DATABASE_URL"],
        "server": "smtps://mail.invalid",
        "store": "rediss://cache.invalid",
    }
    found = {}
    for key, name in _NAMED.findall(text):
        # Always the same, so that the document is: and as good as random, as a secret must be.
        found[name] = alike.get(key) or sha256(name.encode()).hexdigest()
    return {**found, **usual}


_NAMED = re.compile(r"""(?:(\w+)\s*=\s*)?["']env:(\w+)["']""")
