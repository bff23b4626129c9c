"""Attacks by tables, through an importer that exists only here: whoever the application lets import."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any, Final

from bylaw.control import Broken, Probe, probe
from bylaw.controls import imports
from bylaw.controls.imports.bench import Died, bench, numbered, operations, somebody, who_is
from bylaw.reasons import Refused

ROWS: Final = 1_050
"""Rows of a table that takes several batches."""
FORMULA: Final = "=HYPERLINK(1)"


# What is taken, and what is told


@probe("high", "S1-087", "S1-088")
def what_cannot_be_taken_is_told(lab: Any) -> str:
    """A row that the model does not take is told by row, column, value and what is accepted; it stays out."""
    with bench(lab) as here:
        client, who = somebody(lab)
        lines = ["first,1", "second,many", ",3", f"{'x' * 41},4", "third,0", "fifth,5,more"]
        number = here.begin(who, lines)
        here.run(who, number)
        told = client.get(f"{lab.api('import_errors').replace('{id}', '')}{number}").json()["notes"]
        seen = [(each["row"], each["column"], each["value"]) for each in told]
        wanted = [(3, "amount", "many"), (4, "name", ""), (5, "name", "x" * 41), (6, "amount", "0")]
        if seen != [*wanted, (7, "column 3", "more")] or not all(each["said"] for each in told):
            raise Broken(f"of five bad rows it is told: {json.dumps(told)[:300]}")
        ended = here.run(who, number, "good")
        if here.names() != ["first"] or ended.state != "done":
            raise Broken(f"imported: {here.names()}, {ended.state}")
    return "five bad rows told by row, column and value; the good one was imported"


@probe("high", "S1-088")
def a_dry_run_changes_nothing(lab: Any) -> str:
    """Checking a table asks model and database about every row, and leaves no row behind."""
    with bench(lab) as here:
        _, who = somebody(lab)
        number = here.begin(who, ["first,1", "refused by the database,2", "third,3"])
        seen = here.run(who, number)
        if here.count():
            raise Broken(f"{here.count()} rows are there after a dry run")
        if not here.calls or (seen.found["good"], seen.found["errors"]) != (2, 1):
            raise Broken(f"the dry run does not know what the database says: {seen.found}")
    return "two rows are good and one is not, says the dry run; none is there"


@probe("critical", "S1-088")
def all_rows_or_none(lab: Any) -> str:
    """Where one row of a thousand cannot be taken, none is imported, unless the good ones are asked for."""
    with bench(lab) as here:
        _, who = somebody(lab)
        number = here.begin(who, [*numbered(ROWS), "refused by the database,1"])
        ended = here.run(who, number, "all")
        if here.count() or ended.state != "open":
            raise Broken(f"{here.count()} rows stay of an import that was to take all or none")
        ended = here.run(who, number, "good")
        if here.count() != ROWS or (ended.state, ended.found["errors"]) != ("done", 1):
            raise Broken(f"{here.count()} of {ROWS} good rows, {ended.state}")
    return f"none of {ROWS + 1:,} rows, then the {ROWS:,} good ones"


# Once, whatever happens


@probe("high", "S1-088")
def the_same_file_twice_is_one_import(lab: Any) -> str:
    """Sending the same file again changes nothing, unless it is asked for."""
    with bench(lab) as here:
        _, who = somebody(lab)
        first = here.begin(who, numbered(3))
        here.run(who, first, "all")
        here.run(who, first, "all")
        second = here.begin(who, numbered(3))
        try:
            here.run(who, second, "all")
        except Refused as refused:
            if refused.reason is not imports.REPEATED:
                raise
        if here.count() != 3:
            raise Broken(f"{here.count()} rows of a file of three that was sent twice")
        here.run(who, second, "all", again=True)
        if here.count() != 6:
            raise Broken("a second time is refused although it is asked for")
    return "one import of a file that was sent twice; a second when asked for"


@probe("critical", "S1-088")
def a_worker_that_dies_loses_and_doubles_nothing(lab: Any) -> str:
    """A process is killed in the middle of an import; another goes on, and each row is there once."""
    with bench(lab) as here:
        _, who = somebody(lab)
        for mode, stays in (("good", True), ("all", False)):
            number = here.begin(who, [f"{mode} {line}" for line in numbered(ROWS)])
            here.verbs.start(lab.site.house, who, number, mode=mode)
            before = here.count()
            here.dies_at = before + 500
            try:
                here.work()
                raise Broken("nobody died")
            except Died:
                here.dies_at = 0
            if (here.count() > before) is not stays:
                raise Broken(f"{here.count() - before} rows of {mode} rows when the process died")
            if here.work():
                raise Broken("somebody else goes on before the one that died is given up")
            lab.clock.advance(operations("imports.running").LEASE + 1)
            here.work()
            ended = here.verbs.find(lab.site.house, who, number)
            if here.count() != before + ROWS or ended.state != "done":
                raise Broken(f"{here.count() - before} rows of {ROWS} ({mode}), {ended.state}")
            if len(set(here.names())) != here.count():
                raise Broken("rows are there twice")
            if ended.found["counts"]["created"] != ROWS:
                raise Broken(f"it is told that {ended.found['counts']} rows were imported")
    return f"{ROWS:,} rows each, once, in both modes, by two workers"


@probe("critical", "S1-088")
def who_was_taken_over_writes_nothing(lab: Any) -> str:
    """A worker that slept longer than its lease finds that another has its import, and writes nothing."""
    store = sys.modules["bylaw.store.imports"]
    with bench(lab) as here:
        _, who = somebody(lab)
        house = lab.site.house
        number = here.begin(who, numbered(ROWS))
        here.verbs.start(house, who, number, mode="good")
        working, running = operations("imports.working"), operations("imports.running")
        claimed = working._claimed(house, here.desk, number)
        if claimed is None:
            raise Broken("what waits is nobody's to work on")
        if working._claimed(house, here.desk, number) is not None:
            raise Broken("two workers have one import")
        lab.clock.advance(running.LEASE + 1)
        here.work()
        with suppress(operations("imports.standing").Lost):
            running.Run(house, here.desk, here.desk.find(here.name), *claimed).go()
        if here.count() != ROWS or store.ENDED[0] != here.verbs.find(house, who, number).state:
            raise Broken(f"{here.count()} rows of {ROWS}: the slow worker wrote, too")
    return f"{ROWS:,} rows once; the slow worker wrote none"


# Whose it is, and who may


@probe("critical", "S1-088", "C-29")
def somebody_elses_import_is_not_there(lab: Any) -> str:
    """Another's import is answered like none: page, twin, errors, download and every action."""
    with bench(lab) as here:
        _, who = somebody(lab)
        number = here.begin(who, ["secret name,many"])
        here.run(who, number)
        other, unknown = lab.administrator(), "A" * len(number)
        pages = [lab.api(name).replace("{id}", "") for name in ("import", "import_errors")]
        pages += [f"{lab.url(name)}/" for name in ("import", "import_errors", "import_download")]
        for page in pages:
            theirs, nobodys = other.get(f"{page}{number}"), other.get(f"{page}{unknown}")
            if theirs.status != 404 or "secret name" in theirs.text:
                raise Broken(f"{page} answers another with {theirs}")
            if theirs.code != nobodys.code:
                raise Broken(f"{page} tells another's import ({theirs}) from none ({nobodys})")
        for action in ("check", "start", "cancel", "discard", "choose", "read"):
            reply = other.act("POST", f"{pages[0]}{number}", json={"action": action})
            if reply.status != 404:
                raise Broken(f"{action} of another's import: {reply}")
        if number in other.get(lab.api("imports")).text:
            raise Broken("another's import is listed")
    return f"404 at {len(pages)} addresses and for 6 actions"


@probe("critical", "S1-089")
def the_permission_is_asked_until_the_end(lab: Any) -> str:
    """Whoever may not import begins nothing, and a role that is taken away ends what waits."""
    with bench(lab) as here:
        client, who = somebody(lab)
        nobody = lab.client()
        try:
            here.begin(who_is(lab, nobody), numbered(1))
            raise Broken("somebody without the permission begins an import")
        except Refused:
            pass
        number = here.begin(who, numbered(3))
        here.verbs.start(lab.site.house, who, number, mode="good")
        with lab.site.house.store.transaction() as connection:
            sys.modules["bylaw.store.users"].set_roles(connection, client.id, frozenset(), by=None)
        here.work()
        ended = here.verbs.find(lab.site.house, who, number)
        if here.count() or ended.state != "failed":
            raise Broken(f"{here.count()} rows by somebody whose role was taken away, {ended.state}")
        try:
            here.run(who_is(lab, client), here.begin(who, numbered(2)), "good")
            raise Broken("whoever lost the role starts another import")
        except Refused:
            pass
    return "refused at the beginning and at the start, ended where the role went meanwhile"


# How large it may be, and what is downloaded


@probe("high", "S1-088")
def a_table_has_limits(lab: Any) -> str:
    """Too many rows, columns or characters of a cell, and a quotation mark that is never closed, end it."""
    hostile = {
        "rows": [f"row {number},1" for number in range(60)],
        "characters": ["x" * 300 + ",1"],
        "columns": ["a,1" + "," * 40 + "z"],
        "a quotation mark": ['"never closed,1', *numbered(40)],
    }
    with bench(lab, rows=50, cell=200, columns=10, cells=400) as here:
        _, who = somebody(lab)
        for what, lines in hostile.items():
            try:
                number = here.begin(who, lines)
            except Refused as refused:
                if refused.reason is not imports.UNREADABLE or not refused.detail:
                    raise Broken(f"{what}: {refused.reason.code} {refused.detail}") from None
                continue
            seen = here.run(who, number, "all")
            if seen.state == "done" or not seen.because or here.count():
                raise Broken(f"{what}: {seen.state}, {seen.because!r}, {here.count()} rows imported")
    return f"{len(hostile)} tables that are too large: each refused with the row, none imported"


@probe("high", "S1-088", "C-29")
def one_person_does_not_take_all_workers(lab: Any) -> str:
    """Imports of one person that are under way, and that were never finished, are limited."""
    with bench(lab, running=1, unfinished=3) as here:
        _, who = somebody(lab)
        first, second = here.begin(who, numbered(1)), here.begin(who, numbered(2))
        here.verbs.start(lab.site.house, who, first, mode="good")
        for attempt in (lambda: here.verbs.start(lab.site.house, who, second, mode="good"),):
            _expect(imports.TOO_MANY, attempt, "a second import under way")
        here.begin(who, numbered(3))
        _expect(imports.TOO_MANY, lambda: here.begin(who, numbered(4)), "a fourth unfinished import")
        here.work()
    return "one under way, three unfinished, and no more"


def _expect(reason: Any, attempt: Any, what: str) -> None:
    try:
        attempt()
    except Refused as refused:
        if refused.reason is not reason:
            raise
        return
    raise Broken(f"{what} is taken")


@probe("high", "S1-088")
def errors_open_safely(lab: Any) -> str:
    """Rows that cannot be taken are downloaded as CSV in which no cell is a formula."""
    with bench(lab) as here:
        client, who = somebody(lab)
        number = here.begin(who, [f"first,{FORMULA}", f"{FORMULA},0"])
        here.run(who, number)
        reply = client.page(f"{lab.url('import_download')}/{number}")
        if reply.status != 200 or "attachment" not in reply.header("content-disposition"):
            raise Broken(f"the errors cannot be downloaded: {reply}")
        cells = [cell for line in reply.text.lstrip("\ufeff").splitlines() for cell in line.split(",")]
        if any(cell.strip('"').startswith("=") for cell in cells) or "HYPERLINK" not in reply.text:
            raise Broken(f"a formula is live in the errors: {reply.text[:200]}")
    return "a formula in a bad row is text in the downloaded errors"


PROBES: Final[tuple[Probe, ...]] = (
    what_cannot_be_taken_is_told,
    errors_open_safely,
    a_dry_run_changes_nothing,
    the_same_file_twice_is_one_import,
    one_person_does_not_take_all_workers,
    a_table_has_limits,
    somebody_elses_import_is_not_there,
    the_permission_is_asked_until_the_end,
    who_was_taken_over_writes_nothing,
    a_worker_that_dies_loses_and_doubles_nothing,
    all_rows_or_none,
)
