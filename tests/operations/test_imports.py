"""Imports as whoever makes them meets them: columns, errors, options, files that are no plain table."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

import pytest
from openpyxl import Workbook
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from bylaw.controls import imports as control
from bylaw.controls.imports.bench import who_is
from bylaw.errors import MisuseError
from bylaw.identity import API_KEY, Identity
from bylaw.imports import Columns, Counts, Noted, Record, Rejected, Row, Skipped, Wrong
from bylaw.operations import rescanning
from bylaw.operations.files import Given
from bylaw.operations.imports import desk, telling, verbs, working
from bylaw.operations.imports.columns import heading_row, normal, suggested, targets
from bylaw.reasons import Refused
from bylaw.store import imports as store
from bylaw.store import users
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications import parts
from tests.applications.stacks import hurry


@pytest.fixture(scope="module")
def bench(benches: dict[str, Bench]) -> Iterator[Laboratory]:
    """One laboratory for all of them: nobody works unless asked to."""
    with benches["flask"].laboratory() as laboratory:
        hurry(laboratory)
        parts.prepare(laboratory.site.house.store.engine)
        desk.of(laboratory.site.house).by_hand = True
        yield laboratory


@pytest.fixture
def who(bench: Laboratory) -> Identity:
    return who_is(bench, bench.client("manager"))


class Kept:
    """An importer that keeps what it is given, apart from any database."""

    def __init__(self, bench: Laboratory, model: type[BaseModel], **how: Any) -> None:
        self.bench, self.rows, self.options = bench, [], None  # type: ignore[var-annotated]
        self.name = f"kept-{id(self)}"
        self.refuses: dict[str, Exception] = {}
        bench.site.imports.importer(self.name, title="Kept", model=model, permission="note:create", **how)(
            self.save
        )

    def save(self, connection: Any, rows: Sequence[Any], who: Identity, options: Any) -> Counts:
        for row in rows:
            if getattr(row, "name", "") in self.refuses:
                raise self.refuses[row.name]
        self.rows, self.options = [*self.rows, *rows], options
        return Counts(created=len(rows))

    def begin(self, who: Identity, text: str | bytes, kind: str = "csv", **options: Any) -> str:
        data = text if isinstance(text, bytes) else text.encode()
        types = {
            "csv": "text/csv",
            "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
        given = Given(f"file.{kind}", types[kind], io.BytesIO(data))
        return self.bench.site.imports.begin(self.name, given, by=who, options=options).id

    def run(self, who: Identity, number: str, mode: str = "good") -> store.Import:
        house = self.bench.site.house
        self.rows = []
        if mode == "check":
            verbs.check(house, who, number)
        else:
            verbs.start(house, who, number, mode=mode, again=True)
        self.bench.site.imports.work()
        return verbs.find(house, who, number)

    def seen(self, who: Identity, number: str) -> store.Import:
        return verbs.find(self.bench.site.house, who, number)

    def told(self, who: Identity, number: str, kind: str = "error") -> list[tuple[int, str, str, str]]:
        notes = telling.notes(self.bench.site.house, self.seen(who, number), kind)
        return [(note.row, note.column, note.value, note.said) for note in notes]


class Plain(BaseModel):
    name: str = Field(max_length=20)
    amount: int | None = None


# What columns mean


class Wide(BaseModel):
    number: str = Field(title="Part number", json_schema_extra={"also": ["PN", "Artikel-Nr."]})
    price: Decimal | None = Field(None, validation_alias=AliasChoices("unit_price", "cost"))
    seller: list[str] = Field(default=[], json_schema_extra={"several": True, "also": ["Mouser", "Digikey"]})
    inside: str = Field("", json_schema_extra={"column": False})


@pytest.mark.requirement("S1-087", "S1-088")
@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Part number", "number"),
        ("PART-NUMBER", "number"),
        (" part   number (max. 20) ", "number"),
        ("Artikel-Nr.", "number"),
        ("Part numbr", "number"),
        ("Unit price [EUR]", "price"),
        ("Cost", "price"),
        ("Mouser", "seller"),
        ("inside", ""),
        ("", ""),
        ("Prices of yesteryear", ""),
    ],
)
def test_a_heading_finds_its_field(heading: str, field: str) -> None:
    """Case, accents, punctuation, what stands in brackets and one wrong letter make no difference."""
    assert suggested([heading], targets(Wide)) == [field]


def test_a_field_is_offered_once_and_the_same_word_wins() -> None:
    """Of two headings the one that is the same wins over one that is like it, whichever comes first."""
    assert suggested(["Part numbre", "PN", "Mouser", "Digikey"], targets(Wide)) == [
        "",
        "number",
        "seller",
        "seller",
    ]
    assert normal("Stückzahl (ges.)") == "stuckzahl"


def test_the_headings_are_found_below_titles() -> None:
    """A title, a date and a blank row stand above them; without any known word it is the first row."""
    rows = [Row(1, ("Bill of parts",)), Row(2, ()), Row(3, ("PN", "Cost")), Row(4, ("A", "1"))]
    assert heading_row(rows, targets(Wide)) == 3
    assert heading_row([Row(1, ()), Row(2, ("x", "y"))], targets(Wide)) == 2
    assert heading_row([], targets(Wide)) == 0


@pytest.mark.requirement("S1-088")
def test_columns_are_judged_and_remembered(bench: Laboratory, who: Identity) -> None:
    """Two columns for one field and a needed field without one are told; what was chosen is offered to the
    same person when such headings come again, and to nobody else."""
    kept = Kept(bench, Plain)
    house = bench.site.house
    number = kept.begin(who, "Bezeichner;Zahl;Zahl 2\nx;1;2\n")
    assert kept.seen(who, number).chosen["columns"] == ["", "", ""]
    for columns, fault in (
        (["amount", "", ""], {"Name": "needed, and no column stands for it"}),
        (["name", "amount", "amount"], {"column-3": "Amount is already taken from Zahl"}),
        (["name", "amount", "nothing"], {"column-3": "one of name, amount, or none"}),
        (["name"], {"column": "3 are expected, one for each column of the file, empty for none"}),
    ):
        with pytest.raises(Refused) as refused:
            verbs.choose(house, who, number, columns=columns, options={})
        assert refused.value.fields == fault
        assert refused.value.reason is control.COLUMNS
    with pytest.raises(Refused):
        verbs.start(house, who, number, mode="good")
    verbs.choose(house, who, number, columns=["name", "", "amount"], options={})
    assert kept.run(who, number).state == store.DONE
    assert kept.rows == [Plain(name="x", amount=2)]
    again = kept.begin(who, "bezeichner;ZAHL;Zahl 2\ny;1;2\n")
    assert kept.seen(who, again).chosen["columns"] == ["name", "", "amount"]
    other = who_is(bench, bench.client("manager"))
    assert (
        kept.seen(other, kept.begin(other, "Bezeichner;Zahl;Zahl 2\nx;1;2\n")).chosen["columns"] == [""] * 3
    )


# What is told of rows


class Telling(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=2, max_length=5, pattern="^[a-z]+$")
    amount: int = Field(ge=1, le=9)
    kind: Literal["nut", "bolt"] = "nut"
    good: bool = True
    price: Decimal = Field(Decimal(0), decimal_places=2)

    @field_validator("kind", mode="after")
    @classmethod
    def _no_bolts_today(cls, kind: str) -> str:
        if kind == "bolt":
            raise ValueError("there are no bolts today")
        return kind


@pytest.mark.requirement("S1-087", "S1-088")
@pytest.mark.parametrize(
    ("line", "column", "value", "said"),
    [
        (",1,,,", "name", "", "needed, and the cell is empty"),
        ("ab,many,,,", "amount", "many", "a whole number is accepted, such as 12"),
        ("ab,1.5,,,", "amount", "1.5", "a whole number is accepted, such as 12"),
        ("ab,0,,,", "amount", "0", "1 or more is accepted"),
        ("ab,10,,,", "amount", "10", "9 or less is accepted"),
        ("abcdef,1,,,", "name", "abcdef", "at most 5 characters are accepted"),
        ("a,1,,,", "name", "a", "at least 2 characters are needed"),
        ("A1,1,,,", "name", "A1", "text of the form ^[a-z]+$ is accepted"),
        ("ab,1,screw,,", "kind", "screw", "one of 'nut' or 'bolt' is accepted"),
        ("ab,1,bolt,,", "kind", "bolt", "there are no bolts today"),
        ("ab,1,,perhaps,", "good", "perhaps", "yes or no is accepted"),
        ("ab,1,,,1.005", "price", "1.005", "at most 2 decimal places are accepted"),
        ("ab,1,,,x", "price", "x", "a number is accepted, such as 4.20"),
        ("ab,1,,,,over", "column 6", "over", "nothing: the headings end at column 5"),
    ],
)
def test_an_error_says_where_what_and_what_is_accepted(
    bench: Laboratory, who: Identity, line: str, column: str, value: str, said: str
) -> None:
    """A person finds the cell and knows what to write; the good row beside it is imported."""
    kept = Kept(bench, Telling)
    number = kept.begin(who, f"name,amount,kind,good,price\nab,1,nut,yes,1\n{line}\n")
    ended = kept.run(who, number)
    assert kept.told(who, number) == [(3, column, value, said)]
    assert (len(kept.rows), ended.found["errors"]) == (1, 1)


@pytest.mark.requirement("S1-088")
def test_rows_that_are_no_records_are_told(bench: Laboratory, who: Identity) -> None:
    """A title above the headings, blank rows and repeated headings are skipped, and it is said why."""
    kept = Kept(bench, Plain)
    number = kept.begin(who, "Our parts,\n,\nname,amount\na,1\n,\n NAME ,Amount,,\nb,2\n")
    kept.run(who, number)
    assert [row.name for row in kept.rows] == ["a", "b"]
    assert kept.told(who, number, "skipped") == [
        (1, "", "", "above the headings"),
        (5, "", "", "no cell is filled"),
        (6, "", "", "repeats the headings"),
    ]


@pytest.mark.requirement("S1-088")
def test_a_row_that_save_refuses_is_found_among_others(bench: Laboratory, who: Identity) -> None:
    """Of a batch of nine one is refused by the application, one by its own error: the seven others come in,
    and the database's words are told to nobody."""
    kept = Kept(bench, Plain)
    kept.refuses = {
        "n3": ValueError("n3 is reserved"),
        "n6": Refused(control.OPTIONS, fields={"name": "not this one"}),
    }
    number = kept.begin(who, "name,amount\n" + "".join(f"n{i},{i}\n" for i in range(9)))
    ended = kept.run(who, number)
    assert kept.told(who, number) == [(5, "", "", "n3 is reserved"), (8, "", "", "name: not this one")]
    assert (ended.found["good"], [row.name for row in kept.rows][:3]) == (7, ["n0", "n1", "n2"])


@pytest.mark.requirement("S1-088")
def test_what_the_database_refuses_is_told_without_its_words(bench: Laboratory, who: Identity) -> None:
    """The same part twice in one file contradicts the table's key: a dry run knows it."""
    text = "number,name,quantity\nZ-1,a,1\nZ-1,b,2\nZ-2,c,3\n"
    made = bench.site.imports.begin("parts", Given("p.csv", "text/csv", io.BytesIO(text.encode())), by=who)
    verbs.check(bench.site.house, who, made.id)
    bench.site.imports.work()
    row = verbs.find(bench.site.house, who, made.id)
    # Told apart by the halves: each alone is taken, so the second changes what the first has added.
    assert (row.found["good"], row.found["counts"]["created"], row.found["counts"]["updated"]) == (3, 2, 1)
    assert "UNIQUE" not in str(row)


def test_a_mistake_of_the_application_ends_it_and_is_logged(bench: Laboratory, who: Identity) -> None:
    """Whatever `save` does wrong, its owner learns that it was not he, and nothing of the inside."""
    kept = Kept(bench, Plain)
    kept.refuses = {"a": ZeroDivisionError("secret inside")}
    for before, stay in (
        (0, "Nothing was imported."),
        (500, "The 500 rows that were imported until then stay."),
    ):
        number = kept.begin(who, "name\n" + "b\n" * before + "a\n")
        ended = kept.run(who, number)
        assert ended.state == store.FAILED
        assert "mistake of the application" in ended.because
        assert ended.because.endswith(stay)
    assert "secret inside" not in str(ended)
    assert f"import {number} could not go on" in bench.logs.text


def test_errors_are_told_up_to_a_limit_and_all_counted(bench: Laboratory, who: Identity) -> None:
    """Of ten bad rows the policy has four told; the page says so, the count knows ten."""
    with bench.under(control.Settings, errors=4):
        kept = Kept(bench, Plain)
        number = kept.begin(who, "name,amount\n" + "n,x\n" * 10)
        ended = kept.run(who, number)
    assert (ended.found["errors"], len(kept.told(who, number))) == (10, 4)


# How a file is written


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("data", "encoding", "delimiter"),
    [
        ("name;amount\nJosé;1\n".encode("utf-8-sig"), "utf-8", ";"),
        ("name\tamount\nJosé\t1\n".encode("utf-16"), "utf-16-le", "\t"),
        ("name|amount\r\nJosé|1\r\n".encode("cp1252"), "windows-1252", "|"),
        ("sep=;\nname;amount\nJosé;1\n".encode(), "utf-8", ";"),
    ],
)
def test_encoding_and_delimiter_are_found_and_shown(
    bench: Laboratory, who: Identity, data: bytes, encoding: str, delimiter: str
) -> None:
    """A165: what a program wrote decodes once, to the same text; the page says how it was read."""
    kept = Kept(bench, Plain)
    number = kept.begin(who, data)
    seen = kept.seen(who, number).seen
    assert (seen["encoding"], seen["delimiter"]) == (encoding, delimiter)
    kept.run(who, number)
    assert kept.rows == [Plain(name="José", amount=1)]


@pytest.mark.requirement("S1-088")
def test_how_it_is_read_can_be_changed(bench: Laboratory, who: Identity) -> None:
    """Read as the wrong encoding or with another row of headings, it is looked at anew; what cannot be is
    refused and changes nothing."""
    kept = Kept(bench, Plain)
    house = bench.site.house
    number = kept.begin(who, "name,amount\nname,amount\nJosé,1\n,\n")
    seen = verbs.read_as(house, who, number, encoding="iso-8859-1", delimiter="", sheet="", row="2")
    assert seen.seen["below"] == [[3, ["JosÃ©", "1"]]]
    for how in (
        {"encoding": "utf-7"},
        {"delimiter": "x"},
        {"row": "4"},
        {"row": "99"},
        {"row": "two"},
    ):
        given = {"encoding": "", "delimiter": "", "sheet": "", "row": "", **how}
        with pytest.raises(Refused) as refused:
            verbs.read_as(house, who, number, **given)
        assert refused.value.status == 422
    assert kept.seen(who, number).seen == seen.seen
    verbs.read_as(house, who, number, encoding="utf-8", delimiter="", sheet="", row="")
    kept.run(who, number)
    assert kept.rows == [Plain(name="José", amount=1)]


@pytest.mark.requirement("S1-088")
def test_what_is_no_table_leaves_nothing_behind(bench: Laboratory, who: Identity) -> None:
    """A162: an endless cell and an empty table are refused with their row; no import and no file stays."""
    kept = Kept(bench, Plain)
    before = len(verbs.listing(bench.site.house, who))
    for text in ("name\n" + "x" * 20_000 + "\n", ",,,\n,,\n"):
        with pytest.raises(Refused) as refused:
            kept.begin(who, text)
        assert (refused.value.reason, bool(refused.value.detail)) == (control.UNREADABLE, True)
    assert len(verbs.listing(bench.site.house, who)) == before


@pytest.mark.requirement("S1-088")
def test_a_file_that_becomes_unreadable_further_down_says_where(bench: Laboratory, who: Identity) -> None:
    """Of the good rows, those of the batches before it stay and are told; of all rows none."""
    kept = Kept(bench, Plain)
    lines = "".join(f"n{i},{i}\n" for i in range(1_200))
    text = f"name,amount\n{lines}{'x' * 10_001},1\n"
    ended = kept.run(who, kept.begin(who, text), "all")
    assert (ended.state, "1,202" in ended.because) == (store.OPEN, True)
    ended = kept.run(who, kept.begin(who, text), "good")
    assert (ended.state, ended.found["good"], "1,202" in ended.because) == (store.FAILED, 1_000, True)
    assert "The 1,000 rows that were imported until then stay." in ended.because


def test_a_spreadsheet_is_read_by_its_sheet(bench: Laboratory, who: Identity) -> None:
    """An XLSX file's sheets are named and one is chosen; numbers arrive as a person sees them."""
    book = Workbook()
    book.active.title = "Cover"
    book.active.append(["Nothing to see"])
    sheet = book.create_sheet("Parts")
    for row in (["name", "amount"], ["a", 1], ["b", 2]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    kept = Kept(bench, Plain)
    number = kept.begin(who, out.getvalue(), "xlsx")
    assert kept.seen(who, number).seen["sheets"] == ["Cover", "Parts"]
    verbs.read_as(bench.site.house, who, number, encoding="", delimiter="", sheet="Parts", row="")
    kept.run(who, number)
    assert kept.rows == [Plain(name="a", amount=1), Plain(name="b", amount=2)]


# Files that are no plain table, and what is asked beside them


class Options(BaseModel):
    place: Literal["here", "there"] = Field("here", title="Place")
    day: int = Field(ge=1, le=31, description="Of the month.")


def _arranged(rows: Iterator[Row], columns: Columns, options: Options) -> Iterator[Any]:
    section = ""
    yield Noted(f"kept {options.place}")
    for row in rows:
        if row.blank:
            continue
        if len([cell for cell in row.cells if cell]) == 1:
            section = row.cells[0]
            yield Skipped(row.number, "a heading")
        elif columns.cell(row, "name") == "total":
            yield Wrong(row.number, columns.called("amount"), columns.cell(row, "amount"), "no totals")
        else:
            values = {"name": columns.cell(row, "name"), "amount": columns.cell(row, "amount")}
            yield Record(row.number, {**values, "section": section, "sellers": columns.cells(row, "sellers")})


class Arranged(BaseModel):
    name: str
    amount: int
    section: str = Field("", json_schema_extra={"column": False})
    sellers: list[tuple[str, str]] = Field(
        default=[], json_schema_extra={"several": True, "also": ["Mouser", "Digikey"]}
    )


BILL = "name,amount,Mouser,Digikey\nWheels,,,\nrim,2,M1,D1\n,,,\nBrakes,,,\npad,4,,D2\ntotal,6,,\nworn,x,,\n"


@pytest.mark.requirement("S1-088", "S1-089")
def test_an_importer_reads_what_is_no_plain_table(bench: Laboratory, who: Identity) -> None:
    """Headings in the middle, totals and several columns for one field, as the application says; the model
    still judges each record, and everything is told."""
    kept = Kept(bench, Arranged, arrange=_arranged, options=Options)
    number = kept.begin(who, BILL, day="7", place="there")
    ended = kept.run(who, number)
    assert [(row.name, row.section) for row in kept.rows] == [("rim", "Wheels"), ("pad", "Brakes")]
    assert kept.rows[0].sellers == [("Mouser", "M1"), ("Digikey", "D1")]
    assert kept.options == Options(place="there", day=7)
    assert ended.found["noted"] == ["kept there"]
    assert kept.told(who, number) == [
        (7, "amount", "6", "no totals"),
        (8, "amount", "x", "a whole number is accepted, such as 12"),
    ]
    assert [row for row, *_ in kept.told(who, number, "skipped")] == [2, 5]


@pytest.mark.requirement("S1-087", "S1-089")
def test_options_are_judged_like_rows(bench: Laboratory, who: Identity) -> None:
    """What is asked beside the file is refused by name with what is accepted; nothing starts without it."""
    kept = Kept(bench, Plain, options=Options)
    house = bench.site.house
    number = kept.begin(who, "name\na\n")
    with pytest.raises(Refused) as refused:
        verbs.start(house, who, number, mode="good")
    assert refused.value.fields == {"option-day": "needed"}
    for options, fault in (
        ({"day": "32"}, {"option-day": "31 or less is accepted"}),
        ({"day": "1", "place": "away"}, {"option-place": "one of 'here' or 'there' is accepted"}),
    ):
        with pytest.raises(Refused) as refused:
            verbs.choose(house, who, number, columns=["name"], options=options)
        assert (refused.value.fields, refused.value.reason) == (fault, control.OPTIONS)
    verbs.choose(house, who, number, columns=["name"], options={"day": "31", "place": ""})
    assert kept.run(who, number).state == store.DONE
    assert kept.options == Options(place="here", day=31)


@pytest.mark.requirement("S1-089")
def test_what_is_one_thing_is_saved_by_one_call(bench: Laboratory, who: Identity) -> None:
    """A bill of 700 parts is one call in one transaction; what the application says against it stands beside
    its option, and nothing of it stays."""
    kept = Kept(bench, Plain, options=Options, whole=True)
    text = "name\n" + "".join(f"n{i}\n" for i in range(700))
    number = kept.begin(who, text, day="1")
    assert kept.run(who, number, "all").found["counts"]["created"] == 700
    kept.refuses = {"n5": Rejected("there is one of this name", field="place")}
    again = kept.run(who, number := kept.begin(who, text, day="2"), "good")
    assert (again.state, again.because) == (store.OPEN, "there is one of this name")
    assert again.found["refused"] == {"place": "there is one of this name"}
    assert kept.rows == []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    amount: int
    price: Decimal = Field(alias="unit_price")


def test_a_model_that_is_strict_with_programs_takes_cells(bench: Laboratory, who: Identity) -> None:
    """A cell is text: a strict model, and a field under another name, take what it says all the same."""
    kept = Kept(bench, Strict)
    kept.run(who, kept.begin(who, "name,amount,unit price\na,5,1.20\n"))
    assert kept.rows == [Strict(name="a", amount=5, unit_price=Decimal("1.20"))]


def test_what_a_spreadsheet_would_run_comes_back_as_it_was(bench: Laboratory, who: Identity) -> None:
    """Errors that are downloaded, mended and sent again hold what was given, not an apostrophe more."""
    kept = Kept(bench, Plain)
    number = kept.begin(who, "name,amount\n=1+1,x\n")
    kept.run(who, number)
    assert kept.told(who, number)[0][2] == "x"
    kept.run(who, kept.begin(who, "name,amount\n'=1+1,2\n"))
    assert kept.rows == [Plain(name="=1+1", amount=2)]
    assert b"'=1+1" not in telling.errors_csv(bench.site.house, kept.seen(who, number))


# Whose it is, and for how long


@pytest.mark.requirement("S1-088", "C-29")
def test_a_key_imports_no_more_than_it_may(bench: Laboratory, who: Identity) -> None:
    """An import that was begun with an API key runs with what the key may, not with all of its owner's."""
    narrowed = replace(who.narrowed(["note:create"]), method=API_KEY)
    seen: list[Identity] = []
    kept = Kept(bench, Plain)
    real = kept.save
    importer = desk.of(bench.site.house).importers[kept.name]

    def save(connection: Any, rows: Any, by: Identity, options: Any) -> Counts:
        seen.append(by)
        return real(connection, rows, by, options)

    desk.of(bench.site.house).importers[kept.name] = replace(importer, save=save)
    kept.run(narrowed, kept.begin(narrowed, "name\na\n"))
    assert (seen[0].may("note:create"), seen[0].may("note:read"), who.may("note:read")) == (True, False, True)


def test_an_account_that_is_disabled_imports_nothing_more(bench: Laboratory) -> None:
    """Whoever was disabled while the import waited: it ends, and the record says refused."""
    client = bench.client("manager")
    who = who_is(bench, client)
    kept = Kept(bench, Plain)
    number = kept.begin(who, "name\na\n")
    verbs.start(bench.site.house, who, number, mode="good")
    with bench.site.house.store.transaction() as connection:
        users.change(connection, client.id, disabled_at=bench.clock())
    bench.site.imports.work()
    assert (kept.seen(who, number).state, kept.rows) == (store.FAILED, [])
    record = bench.audit(entity_type="import", entity_id=number)[0]
    assert (record["action"], record["outcome"]) == ("import_failed", "refused")


def test_every_step_leaves_its_record(bench: Laboratory, who: Identity) -> None:
    """Begun, started, finished with its counts, cancelled, discarded: by whom, of which file."""
    kept = Kept(bench, Plain)
    house = bench.site.house
    number = kept.begin(who, "name,amount\na,1\nb,x\n")
    kept.run(who, number)
    verbs.discard(house, who, number)
    records = bench.audit(entity_type="import", entity_id=number)[::-1]
    assert [each["action"] for each in records] == [
        "import_begun", "import_started", "import_finished", "import_discarded",
    ]  # fmt: skip
    assert {each["user_id"] for each in records} == {who.id}
    counts = {"created": 1, "updated": 0, "unchanged": 0, "errors": 1, "skipped": 0}
    assert counts.items() <= records[2]["changes"].items()
    other = kept.begin(who, "name\na\n")
    verbs.cancel(house, who, other)
    assert bench.audit(entity_type="import", entity_id=other)[0]["action"] == "import_cancelled"
    for verb in (verbs.cancel, verbs.check):
        with pytest.raises(Refused) as refused:
            verb(house, who, other)
        assert refused.value.reason is control.STATE


def test_what_is_old_goes_with_its_file(bench: Laboratory, who: Identity) -> None:
    """Imports that nobody touched for as long as the policy says are dropped, with their file; one that is
    under way stays."""
    kept = Kept(bench, Plain)
    house = bench.site.house
    old, waiting = kept.begin(who, "name\na\n"), kept.begin(who, "name\nb\n")
    verbs.start(house, who, waiting, mode="good")
    file = kept.seen(who, old).file_id
    bench.clock.advance(control.Settings().kept + 1)
    working.tidy(house)
    with pytest.raises(Refused) as refused:
        verbs.find(house, who, old)
    assert refused.value.reason is control.UNKNOWN
    with pytest.raises(Refused):
        bench.site.files.find(file, f"import:{old}")
    assert kept.seen(who, waiting).state == store.RUNNING
    bench.site.imports.work()


def test_a_file_that_is_still_checked_is_looked_at_later(bench: Laboratory, who: Identity) -> None:
    """While a scanner is away the file is held: the import is there, says so, and is looked at once it is
    clean."""
    kept = Kept(bench, Plain)
    house = bench.site.house
    with bench.scanner(on_outage="hold") as scanner:
        scanner.away = True
        number = kept.begin(who, "name\na\n")
        assert kept.seen(who, number).seen == {}
        with pytest.raises(Refused) as refused:
            verbs.start(house, who, number, mode="good")
        assert refused.value.reason.code == "uploads.held"
        scanner.away = False
        rescanning.everything(house)
        assert verbs.looked_at(house, who, number).seen["headings"] == ["name"]
        assert kept.run(who, number).state == store.DONE


def test_importers_that_cannot_be_meant_are_refused(bench: Laboratory, who: Identity) -> None:
    """A name, a permission or a key that is none, a name twice, an importer that is not there."""
    imports = bench.site.imports
    for how in ({"name": "Two Words"}, {"permission": "anything"}, {"key": ("nothing",)}, {"name": "parts"}):
        named: dict[str, Any] = {"name": "good", "permission": "note:create", "key": (), **how}
        with pytest.raises(MisuseError):
            imports.importer(named.pop("name"), title="T", model=Plain, **named)(lambda *_: None)
    with pytest.raises(MisuseError):
        imports.begin("nobodys", Given("a.csv", "text/csv", io.BytesIO(b"a\n")), by=who)
    assert "parts" in imports.names


def test_a_small_file_does_not_wait_for_a_large_one(bench: Laboratory, who: Identity) -> None:
    """While this process works on something else, a small file waits for its turn; no request does."""
    kept = Kept(bench, Plain)
    house = bench.site.house
    here = desk.of(house)
    here.by_hand = False
    try:
        with here.busy:
            number = kept.begin(who, "name\na\n")
            verbs.start(house, who, number, mode="good")
            row = kept.seen(who, number)
            assert (row.state, telling.progress(house, row)) == (
                store.RUNNING,
                {"done": 0, "of": None, "a_second": 0, "left": None, "waiting": True},
            )
        here.by_hand = True
        assert bench.site.imports.work() <= 1  # the process's own worker may have been quicker
        second = kept.begin(who, "name\nb\n")
        here.by_hand = False
        verbs.start(house, who, second, mode="good")
        assert kept.seen(who, second).state == store.DONE
    finally:
        here.by_hand = True


@pytest.mark.parametrize("after", ["x", "-1", "1e9", "99999999999999", "\uff11", "123456789x"])
def test_a_page_of_errors_that_is_none_is_the_first(bench: Laboratory, after: str) -> None:
    """Whatever an address says of the page, it is answered with one."""
    client = bench.client("manager")
    who = who_is(bench, client)
    kept = Kept(bench, Plain)
    number = kept.begin(who, "name,amount\na,x\n")
    kept.run(who, number)
    reply = client.get(f"{bench.api('imports')}/rows/{number}?kind=error&after={quote(after)}")
    assert (reply.status, len(reply.json()["notes"])) in ((200, 1), (200, 0))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"done": 0, "of": None, "a_second": 0, "left": None, "waiting": True}, "Waiting for its turn."),
        ({"done": 0, "of": 9, "a_second": 0, "left": None, "waiting": False}, "It has begun."),
        ({"done": 1500, "of": None, "a_second": 0, "left": None, "waiting": False}, "1,500 rows."),
        (
            {"done": 1500, "of": 3000, "a_second": 500, "left": 3, "waiting": False},
            "1,500 of 3,000 rows, 500 a second, about 3 seconds left.",
        ),
        (
            {"done": 9, "of": 9000, "a_second": 1, "left": 600, "waiting": False},
            "9 of 9,000 rows, 1 a second, about 10 minutes left.",
        ),
    ],
)
def test_progress_is_a_sentence(told: dict[str, Any], said: str) -> None:
    """How far it is, how fast, and how long it still takes, as far as that is known."""
    assert telling.progress_said(told) == said
