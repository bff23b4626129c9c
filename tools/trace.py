"""Which line of the three source policies is proven, and by what: docs/traceability.md.

    python -m tools.trace            write the page
    python -m tools.trace --check    exit 1 when the page is stale, naming the rows
    python -m tools.trace --json     the same facts for programs, on standard output

Tests name what they prove by `@pytest.mark.requirement("S1-017")` and are read, not run; probes and
statements name it in their control; what only a person or the repository's house can attest stands
in docs/requirements/attestations.toml with the files that show it. An id that does not exist, a
marker that pytest would never collect and an attestation whose file says otherwise are errors
(exit 2): a proof that is not there is worse than none.
"""

from __future__ import annotations

import argparse
import ast
import datetime as dt
import difflib
import importlib
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path("docs/requirements")
PAGE = Path("docs/traceability.md")
SOURCES = ("S1", "S2", "S3")
TESTS = ("tests", "apps")
TESTS_SHOWN = 3
TEXT_WIDTH = 110

Kind = Literal["test", "probe", "attestation", "statement"]
KINDS: tuple[Kind, ...] = get_args(Kind)


ATTACK = re.compile(r"A\d{3}")


class TraceError(Exception):
    """The trace cannot be drawn. One line for each problem, all at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__("\n".join(problems))


class Probe(Protocol):
    """What is read of a probe."""

    @property
    def name(self) -> str: ...
    @property
    def requirements(self) -> tuple[str, ...]: ...


class Control(Protocol):
    """What is read of a control; `requirements` too, where it has them."""

    @property
    def name(self) -> str: ...
    @property
    def probes(self) -> Sequence[Probe]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A requirement, or a contradiction between requirements, that has to be proven."""

    id: str
    source: str
    area: str
    text: str
    status: str
    resolution: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """What proves a line. `link` is relative to the page, `where` is what an error names."""

    kind: Kind
    label: str
    link: str
    where: str
    id: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Every line, and the proofs of each by its id."""

    lines: tuple[Line, ...]
    proofs: dict[str, tuple[Proof, ...]]

    def of(self, source: str) -> list[Line]:
        """The lines of a source: S1, S2, S3, or C for the contradictions."""
        return [line for line in self.lines if line.source == source]

    def count(self, lines: Sequence[Line]) -> dict[str, int]:
        """How many lines there are, are proven, are proven by each kind, are only stated, are nothing yet."""
        kinds = [{proof.kind for proof in self.proofs[line.id]} for line in lines]
        by_kind: dict[str, int] = {k: sum(k in found for found in kinds) for k in KINDS}
        stated = sum(found == {"statement"} for found in kinds)
        nothing = sum(not found for found in kinds)
        proven = len(lines) - stated - nothing
        return {"lines": len(lines), "proven": proven, **by_kind, "only stated": stated, "not yet": nothing}


# What has to be proven


def lines_of(folder: Path) -> tuple[Line, ...]:
    """The requirements and contradictions written in a folder."""
    lines: list[Line] = []
    for source in SOURCES:
        table = _toml(folder / f"{source.lower()}.toml")
        lines += [_requirement(source, row) for row in table["requirement"]]
        _counted(source, table, lines)
    table = _toml(folder / "contradictions.toml")
    lines += [_contradiction(row) for row in table["contradiction"]]
    _counted("C", table, lines)
    return tuple(lines)


def _toml(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def _requirement(source: str, row: dict[str, str]) -> Line:
    return Line(row["id"], source, row["area"], row["text"], row["status"])


def _contradiction(row: dict[str, str]) -> Line:
    return Line(row["id"], "C", row["where"], row["clash"], "", row["resolution"])


def _counted(source: str, table: dict[str, Any], lines: Sequence[Line]) -> None:
    """Refuse a list with a gap, a duplicate, or another number of lines than it says."""
    count = table["source"]["count"]
    width = 2 if source == "C" else 3
    expected = [f"{source}-{number:0{width}}" for number in range(1, count + 1)]
    if [line.id for line in lines if line.source == source] != expected:
        raise TraceError([f"{source}: the ids are not {expected[0]} to {expected[-1]}, in order"])


# Proofs by tests


def tests_in(root: Path) -> tuple[list[Proof], list[str]]:
    """The proofs that the tests' files name, and the markers that prove nothing."""
    proofs: list[Proof] = []
    problems: list[str] = []
    for path in sorted(path for folder in TESTS for path in (root / folder).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        reader = _Markers(name)
        reader.visit(ast.parse(path.read_text(encoding="utf-8"), filename=name))
        proofs += reader.proofs
        problems += reader.problems
    return proofs, problems


class _Markers(ast.NodeVisitor):
    """Reads `pytest.mark.requirement(...)` wherever it stands: on a function, a class, a module
    (`pytestmark`) or a parameter set. What is skipped or expected to fail proves nothing.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.proofs: list[Proof] = []
        self.problems: list[str] = []
        self._scope: list[str] = []
        self._off = 0
        self._collected = file.rpartition("/")[2].startswith("test_") or file.endswith("_test.py")

    def visit_Module(self, node: ast.Module) -> None:
        self._enter(node, None, collected=self._collected)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node, node.name, collected=node.name.startswith("Test"))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node, node.name, collected=node.name.startswith("test"))

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node, node.name, collected=node.name.startswith("test"))

    def visit_Call(self, node: ast.Call) -> None:
        if _mark(node.func) == "requirement":
            self._read(node)
        self.generic_visit(node)

    def _enter(self, node: _Scope, name: str | None, *, collected: bool) -> None:
        before = self._collected, self._off
        self._collected = self._collected and collected
        self._off += _switched_off(node)
        self._scope += [name] if name else []
        self.generic_visit(node)
        self._scope = self._scope[:-1] if name else self._scope
        self._collected, self._off = before

    def _read(self, call: ast.Call) -> None:
        where = f"{self.file}:{call.lineno}"
        label = "::".join([self.file, *self._scope])
        if not self._collected:
            self.problems.append(f"{where}: pytest does not collect {label}, so it proves nothing")
        for argument in call.args:
            value = argument.value if isinstance(argument, ast.Constant) else None
            if not isinstance(value, str):
                self.problems.append(f"{where}: a requirement's id must be written out as text")
            elif not self._off:
                self.proofs.append(Proof("test", label, f"../{self.file}", where, value))


_Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _mark(node: ast.expr) -> str | None:
    """`name` of `pytest.mark.name` or `mark.name`, called or not."""
    if isinstance(node, ast.Call):
        return _mark(node.func)
    if not isinstance(node, ast.Attribute):
        return None
    owner = node.value
    is_mark = isinstance(owner, ast.Attribute) and owner.attr == "mark"
    return node.attr if is_mark or (isinstance(owner, ast.Name) and owner.id == "mark") else None


def _switched_off(node: _Scope) -> bool:
    """Whether pytest skips it, or expects it to fail, whatever happens."""
    marks: list[ast.expr] = [] if isinstance(node, ast.Module) else list(node.decorator_list)
    for child in node.body:
        if isinstance(child, ast.Assign) and "pytestmark" in map(ast.unparse, child.targets):
            whole = child.value
            marks += whole.elts if isinstance(whole, ast.List | ast.Tuple) else [whole]
    return any(_mark(mark) in ("skip", "xfail") for mark in marks)


# Proofs by controls and people


def registry() -> Sequence[Control]:
    """bylaw's controls."""
    try:
        controls: Sequence[Control] = importlib.import_module("bylaw.controls").CONTROLS
    except (ImportError, AttributeError) as error:
        raise TraceError(
            [f"bylaw.controls.CONTROLS cannot be read ({error}): is bylaw installed here?"]
        ) from error
    return controls


def probes_of(controls: Sequence[Control]) -> Iterator[Proof]:
    """The proofs by attack on the running application."""
    for control in controls:
        for probe in control.probes:
            name = f"{control.name}.{probe.name.removeprefix(f'{control.name}.')}"
            link = f"controls/{control.name}.md"
            for id_ in probe.requirements:
                yield Proof("probe", name, link, f"probe {name}", id_)


def statements_of(controls: Sequence[Control]) -> Iterator[Proof]:
    """What the controls' sentences of SECURITY.md state."""
    for control in controls:
        stated: tuple[str, ...] = getattr(control, "requirements", ())
        for id_ in stated:
            link = f"controls/{control.name}.md"
            yield Proof("statement", control.name, link, f"control {control.name}", id_)


def attestations_in(path: Path, root: Path) -> tuple[list[Proof], list[str]]:
    """What people attest, and the attestations that their own files do not bear out."""
    proofs: list[Proof] = []
    problems: list[str] = []
    for id_, entry in _toml(path).items():
        where = f"{path.relative_to(root).as_posix()} [{id_}]"
        problems += [f"{where}: {problem}" for problem in _contested(entry, root)]
        # The files were looked at above: the first is the one to open.
        files = list(entry.get("files", {}))
        label = f"{entry.get('statement')} ({entry.get('by')}, {entry.get('date')})"
        proofs.append(Proof("attestation", label, f"../{files[0]}" if files else "", where, id_))
    return proofs, problems


def _contested(entry: dict[str, Any], root: Path) -> Iterator[str]:
    for key in ("by", "statement"):
        if not str(entry.get(key, "")).strip():
            yield f"`{key}` is missing"
    if type(entry.get("date")) is not dt.date:
        yield "`date` is missing, or not a date"
    if not entry.get("files"):
        yield "no file shows it; name one in `files`"
    for file, passage in entry.get("files", {}).items():
        path = root / file
        if not path.is_file():
            yield f"{file} does not exist"
        elif passage not in path.read_text(encoding="utf-8"):
            yield f"{file} does not say {passage!r}"


# The two together


def trace(root: Path = ROOT, controls: Sequence[Control] | None = None) -> Trace:
    """Every line with its proofs. Raises TraceError with every problem found."""
    lines = lines_of(root / FOLDER)
    known = [line.id for line in lines]
    controls = registry() if controls is None else controls
    tested, problems = tests_in(root)
    attested, contested = attestations_in(root / FOLDER / "attestations.toml", root)
    found = [*tested, *probes_of(controls), *statements_of(controls), *attested]
    # A probe may name a published attack as well (A088): that is no requirement, and no mistake.
    found = [proof for proof in found if not ATTACK.fullmatch(proof.id)]
    problems += contested
    problems += [_unknown(proof, known) for proof in found if proof.id not in known]
    if problems:
        raise TraceError(problems)
    proofs = {id_: _sorted(proof for proof in found if proof.id == id_) for id_ in known}
    return Trace(lines, proofs)


def _unknown(proof: Proof, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(proof.id.upper(), known, n=1, cutoff=0)[0]
    return f"{proof.where}: no requirement {proof.id!r}; nearest: {nearest}"


def _sorted(proofs: Iterable[Proof]) -> tuple[Proof, ...]:
    """Without repetitions: a test may name an id on itself, its class and its parameters."""
    one = {(proof.kind, proof.label): proof for proof in proofs}
    return tuple(sorted(one.values(), key=lambda proof: (KINDS.index(proof.kind), proof.label)))


# The page

HEAD = """\
# Traceability

Generated by `python -m tools.trace`; do not edit. Every checkable line of the three source policies
([requirements](requirements/README.md)) and what proves it here:

- *test*: a test of this repository;
- *probe*: an attack that `bylaw verify` makes on the running application;
- *attestation*: a person's word, with the file that shows it;
- *statement*: a sentence that the control prints in SECURITY.md. Alone it promises and does not prove:
  *only stated*;
- **not yet**: nothing.

A line may be proven in several ways, so that the kinds add up to more than "proven".
"""


def page(traced: Trace) -> str:
    """The page, the same for the same facts."""
    parts = [HEAD, *_counts(traced), "", "## Requirements", "", *_requirements(traced)]
    parts += ["", "## Contradictions", "", *_contradictions(traced)]
    return "\n".join(parts) + "\n"


def _counts(traced: Trace) -> Iterator[str]:
    groups = {source: traced.of(source) for source in SOURCES}
    groups["S1 to S3"] = [line for lines in groups.values() for line in lines]
    groups["C"] = traced.of("C")
    columns = list(traced.count([]))
    yield f"| source | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for name, lines in groups.items():
        yield f"| {name} | {' | '.join(map(str, traced.count(lines).values()))} |"


def _requirements(traced: Trace) -> Iterator[str]:
    yield "| id | requirement | what proves it |"
    yield "|---|---|---|"
    for source in SOURCES:
        lines = traced.of(source)
        for area in dict.fromkeys(line.area for line in lines):
            yield f"| **{source}** | **{area}** | |"
            for line in lines:
                if line.area == area:
                    text = textwrap.shorten(line.text, TEXT_WIDTH, placeholder=" …")
                    yield f"| {line.id} | {_plain(text)} | {_proven(traced.proofs[line.id])} |"


def _contradictions(traced: Trace) -> Iterator[str]:
    yield "| id | where | resolved as | what proves it |"
    yield "|---|---|---|---|"
    for line in traced.of("C"):
        proven = _proven(traced.proofs[line.id])
        yield f"| {line.id} | {_plain(line.area)} | {_plain(line.resolution)} | {proven} |"


def _proven(proofs: Sequence[Proof]) -> str:
    kinds = {proof.kind for proof in proofs}
    if kinds == {"statement"}:
        return f"*only stated* {_some(proofs)}"
    cells = [f"*{kind}* {_some([p for p in proofs if p.kind == kind])}" for kind in KINDS if kind in kinds]
    return "<br>".join(cells) or "**not yet**"


def _some(proofs: Sequence[Proof]) -> str:
    """The proofs of one kind; of the tests only the first few."""
    shown = proofs[:TESTS_SHOWN] if proofs[0].kind == "test" else proofs
    more = f" and {len(proofs) - len(shown)} more" if len(shown) < len(proofs) else ""
    return f"{', '.join(map(_linked, shown))}{more}"


def _linked(proof: Proof) -> str:
    label = _plain(proof.label) if proof.kind == "attestation" else f"`{proof.label}`"
    return f"[{label}]({proof.link})"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in a table, without making links of addresses."""
    return re.sub(r"([\\`*_\[\]<|~])", r"\\\1", text).replace("://", r"\://")


# The command


def as_json(traced: Trace) -> str:
    """The facts of the page, unshortened."""
    lines = [
        {
            "id": line.id,
            "area": line.area,
            "text": line.text,
            **({"status": line.status} if line.status else {"resolution": line.resolution}),
            "proofs": [
                {"kind": proof.kind, "label": proof.label, "at": proof.where}
                for proof in traced.proofs[line.id]
            ],
        }
        for line in traced.lines
    ]
    counts = {source: traced.count(traced.of(source)) for source in (*SOURCES, "C")}
    return json.dumps({"counts": counts, "lines": lines}, indent=2, ensure_ascii=False) + "\n"


def stale_rows(before: str, now: str) -> list[str]:
    """The rows that differ between two versions of the page, by their id or their first words."""
    changed = difflib.ndiff(before.splitlines(), now.splitlines())
    rows = [line[2:] for line in changed if line[:2] in ("- ", "+ ") and line[2:].strip()]
    return list(dict.fromkeys(_row_name(row) for row in rows))


def _row_name(row: str) -> str:
    match = re.match(r"\| \**(\S[^|*]*?)\** \|", row)
    return match[1] if match else textwrap.shorten(row, 40, placeholder=" …")


def main(
    arguments: Sequence[str] | None = None,
    *,
    root: Path = ROOT,
    controls: Sequence[Control] | None = None,
    say: Callable[[str], object] = sys.stdout.write,
) -> int:
    """Write, check or print the trace. 0: as it should be, 1: the page is stale, 2: no trace."""
    parser = argparse.ArgumentParser(prog="python -m tools.trace", description=PAGE.as_posix())
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is stale")
    parser.add_argument("--json", action="store_true", help="print the facts instead of writing")
    options = parser.parse_args(arguments)
    try:
        traced = trace(root, controls)
    except TraceError as error:
        say(f"{error}\n")
        return 2
    if options.json:
        say(as_json(traced))
    if options.check:
        return _check(root / PAGE, page(traced), say)
    if not options.json:
        (root / PAGE).write_text(page(traced), encoding="utf-8")
        totals = traced.count([line for line in traced.lines if line.source != "C"])
        say(f"{PAGE.as_posix()}: {totals['proven']} of {totals['lines']} requirements proven\n")
    return 0


def _check(path: Path, now: str, say: Callable[[str], object]) -> int:
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if before == now:
        return 0
    rows = ", ".join(stale_rows(before, now)) or "blank lines"
    say(f"{PAGE.as_posix()} is stale: {rows}\n    write it again: python -m tools.trace\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
