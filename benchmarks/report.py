"""The figures as tables, on the terminal as in `benchmarks/README.md`, and as the plot of the README."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
README: Final = HERE / "README.md"
PLOT: Final = HERE.parent / "docs/images/cost.svg"
_MARK: Final = re.compile(r"(<!-- figures -->\n).*(<!-- /figures -->)", re.DOTALL)
Figures = dict[str, Any]
"""What a run measured, by section, as JSON."""


def text(figures: Figures) -> str:
    """Every section that was measured, as Markdown."""
    machine = figures["machine"]
    said = [
        (
            f"Python {machine['python']}, {machine['system']}, {machine['cores']} shared cores, load "
            f"{machine['load']} at the start. A ratio is the median of the rounds, each paired within "
            "itself, [5th to 95th percentile]."
        )
    ]
    for name, section in _SECTIONS.items():
        if name in figures:
            said.append(section(figures[name]))
    return "\n\n".join(said) + "\n"


def write(figures: Figures) -> None:
    """Put the tables into the README of this folder."""
    before = README.read_text("utf-8")
    README.write_text(_MARK.sub(lambda m: f"{m[1]}\n{text(figures)}\n{m[2]}", before), "utf-8")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    marks = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))


def _spread(found: dict[str, float], places: int = 2) -> str:
    return f"{found['median']:.{places}f} [{found['p5']:.{places}f} to {found['p95']:.{places}f}]"


def _requests(found: dict[str, Any]) -> str:
    rows = []
    for row in found["rows"]:
        if not row["against"]:
            rows.append((row["name"], f"{row['micros']['median']:,.1f}", "", "", ""))
        for pair in row["against"]:
            budget = _kept(pair["ratio"]["median"] <= found["budget"]) if pair["budget"] else ""
            rows.append(
                (
                    f"{row['name']}, against {pair['name'].partition(', ')[2]}",
                    f"{row['micros']['median']:,.1f}",
                    _spread(pair["ratio"]),
                    f"{pair['added']['median']:+,.1f}",
                    budget,
                )
            )
    return (
        "### One request of somebody signed in, in process, all controls on\n\n"
        "Processor time of the process.\n\n"
        + _table(("request", "µs", "ratio", "added µs", f"budget {found['budget']}"), rows)
        + f"\n\n{found['queries']} queries in {found['requests']:,} guarded requests."
    )


def _http(rows: list[dict[str, Any]]) -> str:
    table = [
        (
            f"{row['server']}: {row['name']}",
            f"{row['per_second']['median']:,.0f}",
            _spread(row["share"]),
            f"{row['p50']:.1f}",
            f"{row['p99']:.1f}",
            _spread(row["slower"]),
        )
        for row in rows
    ]
    return (
        "### Over HTTP: one worker, 32 connections\n\n"
        "Budgets: 0.85 of the bare application that sends the same headers, ten times the peers, a p99 "
        "within 1.3 of it.\n\n"
        + _table(
            ("application", "requests/s", "of bare, same headers", "p50 ms", "p99 ms", "p99 ÷ bare's"), table
        )
    )


def _redis(found: dict[str, Any]) -> str:
    rows = [(row["name"], f"{row['micros']['median']:.0f}", _spread(row["ratio"])) for row in found["rows"]]
    return (
        f"### All limits of a request on Redis, against a PING through the same client\n\nBudget "
        f"{found['budget']}.\n\n" + _table(("call", "µs", "ratio"), rows)
    )


def _storms(rows: list[dict[str, Any]]) -> str:
    table = [
        (
            w["server"] + ("" if w["heeded"] else ", Retry-After not heeded"),
            f"{w['quiet']['p99']:.1f}",
            f"{w['storm']['p50']:.1f}",
            f"{w['storm']['p99']:.1f}",
            f"{w['ratio']:.1f}",
            f"{w['signed_in']:.1f}",
            f"{w['refused']:.1f}",
            f"{w['resident_before']} → {w['resident_after']}",
        )
        for w in rows
    ]
    head = ("server", "quiet p99 ms", "storm p50", "p99", "÷ quiet p99", "sign-ins/s", "refused/s", "MiB")
    return (
        "### A storm: 32 clients sign in in a closed loop, somebody signed in reads meanwhile\n\n"
        "Budget: a p99 of 3 times the quiet one.\n\n" + _table(head, table)
    )


def _scale(found: dict[str, Any]) -> str:
    memory = found["memory"]
    rows = [
        (f"{cost['accounts']:,}", _spread(cost["known"], 0), _spread(cost["unknown"], 0))
        for cost in found["accounts"]
    ]
    return (
        "### As people become many\n\n"
        + _table(("accounts", "request, session remembered, µs", "asked of the database, µs"), rows)
        + f"\n\n{memory['sessions']:,} remembered sessions hold {memory['mebibytes']:.0f} MiB; the oldest "
        "leave when there are more than the policy's `store.cached_sessions`."
    )


def _revocations(rows: list[dict[str, Any]]) -> str:
    table = [
        (
            f"{row['kind']}, {row['database']}",
            f"{row['latency']['count']:,}",
            f"{row['latency']['p50']:.0f}",
            f"{row['latency']['p99']:.0f}",
            f"{row['latency']['worst']:.0f}",
            f"{row['queries']} in {row['asked']:,}",
        )
        for row in rows
    ]
    head = ("credential", "changes", "p50 ms", "p99", "worst", "queries in requests meanwhile")
    return (
        "### Ended in one process, refused in another\n\n"
        "From before the commit to the last request that another process let in, which held the credential "
        "in memory. Promised: 1,000 ms, `store.revocation_bound`.\n\n" + _table(head, table)
    )


def _uploads(rows: list[dict[str, Any]]) -> str:
    table = [
        (
            row["name"],
            f"{row['millis']['median']:,.1f}",
            "" if row["name"].endswith(": bare") else _spread(row["ratio"], 1),
            f"{row['processor']['median']:,.1f}",
            "" if row["name"].endswith(": bare") else _spread(row["processor_ratio"], 1),
        )
        for row in rows
    ]
    return (
        "### Taking a file: a PDF that does not shrink, in process\n\n"
        "The bare application saves what it is sent. Behind bylaw the file is metered, examined, hashed, "
        "looked into by ClamAV (with a handful of signatures; a full set takes longer), written once, "
        "confirmed by the disk, and recorded. Real time, and the processor's in this process.\n\n"
        + _table(("upload", "ms", "ratio", "processor ms", "ratio"), table)
    )


def _imports(rows: list[dict[str, Any]]) -> str:
    table = [
        (
            row["name"],
            f"{row['seconds']['median']:.2f}",
            f"{row['rows'] / row['seconds']['median']:,.0f}",
            "" if row["name"] == "bare" else _spread(row["ratio"]),
            f"{row['mebibytes']:.0f}",
        )
        for row in rows
    ]
    return (
        f"### Importing a table of {rows[0]['rows']:,} rows and six columns into SQLite\n\n"
        "Real time. Bare is `csv` and bulk insert, 500 rows at once, in one transaction, and looks at "
        "nothing; validated is the same with a Pydantic model. An import is all that bylaw does between the "
        "start and the last row: headings, model, progress that survives a crash, the permission before "
        "each batch. "
        "Memory is by how much the process grew at its peak, one process for each run.\n\n"
        + _table(("variant", "s", "rows/s", "ratio", "MiB"), table)
    )


def _kept(kept: bool) -> str:
    return "kept" if kept else "**missed**"


_SECTIONS: Final[dict[str, Callable[[Any], str]]] = {
    "requests": _requests,
    "http": _http,
    "redis": _redis,
    "storms": _storms,
    "scale": _scale,
    "revocations": _revocations,
    "uploads": _uploads,
    "imports": _imports,
}


def plot(figures: Figures, file: Path = PLOT) -> None:
    """Draw what bylaw and what the peers add to a request. Needs pygal (`make bench` has it)."""
    import pygal
    from pygal.style import Style

    added: dict[str, dict[str, float]] = {"bylaw": {}, "peers": {}}
    for row in figures["requests"]["rows"]:
        for pair in row["against"]:
            if pair["name"].endswith(", bare"):
                what, _, which = row["name"].partition(", ")
                added[which][what] = pair["added"]["median"]
    asked = list(added["bylaw"])
    style = Style(
        background="transparent",
        plot_background="transparent",
        colors=("#1f6feb", "#b35900"),
        font_family="system-ui, sans-serif",
        label_font_size=15,
        value_font_size=15,
        value_label_font_size=15,
        major_label_font_size=15,
        legend_font_size=15,
        title_font_size=18,
        foreground="#57606a",
        foreground_strong="#57606a",
        foreground_subtle="#8c959f",
    )
    chart = pygal.HorizontalBar(
        style=style,
        width=860,
        height=360,
        logarithmic=True,
        range=(1, 20_000),
        zero=1,
        truncate_label=-1,
        show_x_guides=False,
        print_values=True,
        print_values_position="top",
        value_formatter=lambda value: f"{value:,.0f} µs",
        legend_at_bottom=True,
        show_y_guides=True,
        js=(),
        disable_xml_declaration=True,
        no_prefix=True,
        title="Added to one request of somebody signed in (logarithmic)",
    )
    chart.y_labels = [1, 10, 100, 1_000, 10_000]
    chart.x_labels = list(reversed(asked))
    chart.add("bylaw, all controls", [added["bylaw"].get(name) for name in reversed(asked)])
    chart.add("extensions glued together", [added["peers"].get(name) for name in reversed(asked)])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(chart.render(is_unicode=True), "utf-8")
