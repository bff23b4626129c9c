"""Imports: what somebody does with a table, from its columns to the rows that are in the application."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from bylaw.controls import imports
from bylaw.identity import SIGNED_IN
from bylaw.operations.imports import desk, faults, forms, telling, verbs
from bylaw.operations.imports.importers import Importer
from bylaw.pages.endpoints import Call, Done, Endpoint, File, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused
from bylaw.spreadsheet import ENCODINGS
from bylaw.store.imports import Import

_SHOWN: Final = 10
"""Rows that are told on the page itself; all of them are below it."""


def _list(call: Call) -> Show:
    found = [telling.told(call.house, row) for row in verbs.listing(call.house, call.who)]
    return Show(
        "imports.html",
        {"imports": found, "states": telling.STATES, "here": "imports", "notice": call.query("notice")},
        data={"imports": found},
    )


def _show(call: Call) -> Show:
    call.parameters(())
    row, held = _looked_at(call)
    told = telling.told(call.house, row)
    importer = desk.of(call.house).find(row.importer)
    errors = telling.notes(call.house, row, "error", limit=_SHOWN)
    skipped = telling.notes(call.house, row, "skipped", limit=_SHOWN)
    data = {**told, "told": [telling.as_json(note) for note in (*errors, *skipped)]}
    if told["progress"] is not None:
        data["progress_said"] = telling.progress_said(told["progress"])
    if call.api or importer is None:
        return Show("import_gone.html", {"about": told, "here": ""}, data=data)
    before = telling.repeats(call.house, row)
    data["repeats"] = before.id if before is not None else ""
    return Show(
        "import.html",
        {
            "about": told,
            "row": row,
            "held": held,
            "fields": importer.targets,
            "asked": forms.asked(importer),
            "samples": _samples(row),
            "sample": row.found.get("sample", []),
            "repeated": row.seen.get("repeated", []),
            "labels": _labels(told, importer),
            "labels_of": {target.name: target.label for target in importer.targets},
            "errors": errors,
            "skipped": skipped,
            "sentence": faults.sentence,
            "before": before,
            "encodings": tuple(ENCODINGS),
            "delimiters": telling.DELIMITERS,
            "states": telling.STATES,
            "refused": row.found.get("refused", {}),
            "checked": told["checked"] and row.found.get("checked_as") == verbs.fingerprint(row),
            "progress_said": data.get("progress_said", ""),
            "page": f"{call.urls['imports']}/{row.id}",
            "here": "",
        },
        data=data,
    )


def _labels(told: dict[str, Any], importer: Importer) -> dict[str, str]:
    """What a fault is about, for the list at the head of the page that leads to it."""
    found = {f"column-{n}": heading or f"Column {n}" for n, heading in enumerate(told["headings"], 1)}
    return {**found, **{f"option-{each.name}": each.label for each in forms.asked(importer)}}


def _looked_at(call: Call) -> tuple[Import, str]:
    """The import, and why its file cannot be looked at yet."""
    try:
        return verbs.looked_at(call.house, call.who, call.argument), ""
    except Refused as refused:
        if refused.reason is imports.UNKNOWN:
            raise
        return verbs.find(call.house, call.who, call.argument), refused.detail or refused.reason.title


def _samples(row: Import) -> list[list[str]]:
    """What stands below each heading: the first few cells that say something."""
    below = [cells for _, cells in row.seen.get("below", [])]
    found = []
    for index in range(len(row.seen.get("headings", []))):
        texts = [cells[index] for cells in below if index < len(cells) and cells[index].strip()]
        found.append(texts[:3])
    return found


def _change(call: Call) -> Done:
    house, who, values, number = call.house, call.who, call.values, call.argument
    match values["action"]:
        case "read":
            how = {name: values[name] for name in ("encoding", "delimiter", "sheet", "row")}
            row = verbs.read_as(house, who, number, **how)
        case "choose":
            row = _choose(call)
        case "check":
            if values["column"]:
                _choose(call)
            row = verbs.check(house, who, number)
        case "start":
            row = verbs.start(
                house, who, number, mode=values["mode"] or "all", again=values["again"] == "yes"
            )
        case "cancel":
            row = verbs.cancel(house, who, number)
        case _:
            verbs.discard(house, who, number)
            return Done(f"{call.urls['imports']}?notice=discarded", {"message": "Discarded."})
    return Done(f"{call.urls['imports']}/{quote(number)}", telling.told(house, row))


def _choose(call: Call) -> Import:
    row = verbs.find(call.house, call.who, call.argument)
    importer = desk.of(call.house).find(row.importer)
    if importer is None:
        raise Refused(imports.STATE, detail="The application does not import this any more.")
    columns = call.values["column"] or row.chosen.get("columns", [])
    return verbs.choose(
        call.house, call.who, call.argument, columns=columns, options=_options(call, importer, row)
    )


def _options(call: Call, importer: Importer, row: Import) -> dict[str, str]:
    """What was given, or what was chosen before where nothing was."""
    if not call.values["option"]:
        return dict(row.chosen.get("options", {}))
    return forms.given(importer, call.values["option"], call.values["value"])


# What was not imported


def _errors(call: Call) -> Show | File:
    row = verbs.find(call.house, call.who, call.argument)
    asked = call.parameters(("kind", "after"))
    kind = asked["kind"] if asked["kind"] in ("error", "skipped") else "error"
    after = _number(asked["after"])
    found = telling.notes(call.house, row, kind, after=after)
    more = found[-1].id if len(found) == telling.PAGE else None
    page = f"{call.urls['import_errors']}/{row.id}?kind={kind}"
    about = telling.told(call.house, row)
    return Show(
        "import_errors.html",
        {
            "about": about,
            "notes": found,
            "kind": kind,
            "told": row.found.get("told", {}).get(kind, 0),
            "after": after,
            "first": page,
            "more": f"{page}&after={more}" if more else "",
            "page": f"{call.urls['imports']}/{row.id}",
            "here": "",
        },
        data={"notes": [telling.as_json(note) for note in found], "after": more},
    )


def _number(text: str) -> int:
    """A note's number, behind which a page begins; the first page where it is none."""
    return min(int(text), 2**31 - 1) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _download(call: Call) -> File:
    row = verbs.find(call.house, call.who, call.argument)
    return File(
        "import-errors.csv", "text/csv; charset=utf-8; header=present", telling.errors_csv(call.house, row)
    )


_FIELDS: Final = (
    Field("action", choices=("read", "choose", "check", "start", "cancel", "discard")),
    Field("encoding", "Encoding", required=False, limit=20),
    Field("delimiter", "Delimiter", required=False, limit=3, choices=("", ",", ";", "|", "tab")),
    Field("sheet", "Sheet", required=False, limit=100),
    Field("row", "Row of the headings", required=False, limit=7),
    Field("column", "Columns", required=False, many=True, limit=64),
    Field("option", "Options", required=False, many=True, limit=64),
    Field("value", "Values", required=False, many=True, limit=forms.LONGEST),
    Field("mode", "Which rows", required=False, choices=("", *verbs.MODES)),
    Field("again", "Import it again", required=False, choices=("", "yes")),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("imports", "imports", "api_imports", SIGNED_IN, _list, title="Your imports", needs=imports.used),
    Endpoint(
        "import",
        "imports/",
        "api_imports/",
        SIGNED_IN,
        _show,
        _change,
        _FIELDS,
        "An import",
        needs=imports.used,
    ),
    Endpoint(
        "import_errors",
        "imports/rows/",
        "api_imports/rows/",
        SIGNED_IN,
        _errors,
        title="Rows that were not imported",
        needs=imports.used,
    ),
    Endpoint(
        "import_download",
        "imports/download/",
        "",
        SIGNED_IN,
        _download,
        title="Rows that were not imported, as CSV",
        needs=imports.used,
    ),
)
