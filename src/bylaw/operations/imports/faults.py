"""What is wrong with a row, as a sentence that a person can act on: which column, what was given, what is
accepted. Pydantic's own messages speak to programmers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit
from bylaw.operations.imports.columns import Columns
from bylaw.operations.imports.importers import Importer, Rejected, Wrong
from bylaw.reasons import Refused
from bylaw.store.imports import Note

SHOWN: Final = 80
"""Characters of a value that are told: the row and the column find the rest."""
_SAID: Final = 300
_COLUMN: Final = 120
CONTRADICTS: Final = (
    "it contradicts what is there already: a value that must be unique is taken, or one that must exist "
    "does not"
)

_ACCEPTED: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "missing": lambda about: "needed, and the cell is empty",
    "int_parsing": lambda about: "a whole number is accepted, such as 12",
    "int_type": lambda about: "a whole number is accepted, such as 12",
    "int_from_float": lambda about: "a whole number is accepted, such as 12",
    "int_parsing_size": lambda about: "a smaller number is accepted",
    "float_parsing": lambda about: "a number is accepted, such as 4.20",
    "float_type": lambda about: "a number is accepted, such as 4.20",
    "finite_number": lambda about: "a number is accepted, such as 4.20",
    "decimal_parsing": lambda about: "a number is accepted, such as 4.20",
    "decimal_type": lambda about: "a number is accepted, such as 4.20",
    "decimal_max_digits": lambda about: f"at most {about['max_digits']} digits are accepted",
    "decimal_max_places": lambda about: f"at most {about['decimal_places']} decimal places are accepted",
    "decimal_whole_digits": lambda about: f"at most {about['whole_digits']} digits before the point",
    "bool_parsing": lambda about: "yes or no is accepted",
    "bool_type": lambda about: "yes or no is accepted",
    "date_parsing": lambda about: "a date is accepted, such as 2026-11-21",
    "date_type": lambda about: "a date is accepted, such as 2026-11-21",
    "date_from_datetime_parsing": lambda about: "a date is accepted, such as 2026-11-21",
    "date_from_datetime_inexact": lambda about: "a date without a time is accepted, such as 2026-11-21",
    "datetime_parsing": lambda about: "a date and time is accepted, such as 2026-11-21 14:30",
    "datetime_from_date_parsing": lambda about: "a date and time is accepted, such as 2026-11-21 14:30",
    "time_parsing": lambda about: "a time is accepted, such as 14:30",
    "uuid_parsing": lambda about: "a UUID is accepted",
    "url_parsing": lambda about: "a web address is accepted, such as https://example.org/part",
    "url_scheme": lambda about: f"a web address that begins with {about['expected_schemes']} is accepted",
    "enum": lambda about: f"one of {about['expected']} is accepted",
    "literal_error": lambda about: f"one of {about['expected']} is accepted",
    "string_too_long": lambda about: f"at most {about['max_length']} characters are accepted",
    "string_too_short": lambda about: f"at least {about['min_length']} characters are needed",
    "string_pattern_mismatch": lambda about: f"text of the form {about['pattern']} is accepted",
    "too_long": lambda about: f"at most {about['max_length']} are accepted",
    "greater_than": lambda about: f"more than {about['gt']} is accepted",
    "greater_than_equal": lambda about: f"{about['ge']} or more is accepted",
    "less_than": lambda about: f"less than {about['lt']} is accepted",
    "less_than_equal": lambda about: f"{about['le']} or less is accepted",
    "multiple_of": lambda about: f"a multiple of {about['multiple_of']} is accepted",
    "extra_forbidden": lambda about: "the model has no such field",
}


def of_model(
    error: ValidationError, row: int, values: Mapping[str, Any], columns: Columns, importer: Importer
) -> list[Note]:
    """What Pydantic found, by column."""
    labels = {target.name: target.label for target in importer.targets}
    names = {_alias(name, info.alias): name for name, info in importer.model.model_fields.items()}
    found = []
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        name = names.get(name, name)
        given = values.get(name, "") if name else ""
        found.append(note(row, columns.called(name) or labels.get(name, name), _text(given), _accepted(each)))
    return found


def _alias(name: str, alias: str | None) -> str:
    return alias or name


def _accepted(error: Any) -> str:
    kind, about = error["type"], error.get("ctx") or {}
    if kind in _ACCEPTED:
        return _ACCEPTED[kind](about)
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")


def accepted(error: ValidationError) -> dict[str, str]:
    """The same of a form: by field, what is accepted."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        found.setdefault(name, _accepted(each).replace("needed, and the cell is empty", "needed"))
    return found


def of_wrong(wrong: Wrong) -> Note:
    return note(wrong.row, wrong.column, wrong.value, wrong.accepted)


def of_saving(error: Exception, row: int) -> Note:
    """Why the application or its database did not take a row. Never the database's own words: they hold
    other people's values and the names of tables."""
    match error:
        case IntegrityError():
            return note(row, "", "", CONTRADICTS)
        case Refused():
            said = "; ".join(f"{name}: {text}" for name, text in error.fields.items())
            return note(row, "", "", error.detail or said or error.reason.title)
        case Rejected():
            return note(row, error.field, "", str(error))
        case ValueError() if type(error) is ValueError and str(error):
            return note(row, "", "", str(error))
        case _:
            return note(row, "", "", "the database cannot hold one of its values: too long, or too large")


def note(row: int, column: str, value: str, said: str) -> Note:
    return Note(
        row,
        audit.printable(said, _SAID) or "it cannot be taken",
        audit.printable(column, _COLUMN),
        audit.printable(value, SHOWN) + ("…" if len(value) > SHOWN else ""),
    )


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)


def sentence(told: Note) -> str:
    """One line for people: `row 12, Quantity: “abc”: a whole number is accepted, such as 12`."""
    where = f"row {told.row}" + (f", {told.column}" if told.column else "")
    value = f"“{told.value}”: " if told.value else ""
    return f"{where}: {value}{told.said}"
