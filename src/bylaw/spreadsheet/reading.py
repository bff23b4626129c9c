"""One way to open a table, whatever it is written in."""

from __future__ import annotations

from typing import IO, BinaryIO, Final, cast

from bylaw.errors import MisuseError
from bylaw.spreadsheet import csv_reading
from bylaw.spreadsheet.tables import Kind, Limits, Sheet, Unreadable

_DEFAULT: Final = Limits()


def opened(
    stream: IO[bytes],
    kind: Kind,
    *,
    limits: Limits = _DEFAULT,
    encoding: str = "",
    delimiter: str = "",
    sheet: str = "",
) -> Sheet:
    """The table in a stream; its rows are read as `Sheet.rows` is walked.

    `encoding` (a key of `ENCODINGS`), `delimiter` and `sheet` are detected where they are empty: the
    encoding by its mark or by what the bytes can be, the delimiter by `sep=` or by what the rows agree on,
    the sheet as the first that is shown. The stream stays open and the caller's. Raises
    Unreadable; MisuseError where the stream cannot seek or openpyxl is not installed.
    """
    if not stream.seekable():
        raise MisuseError("a table is read from a stream that can seek: copy it into a temporary file")
    source = cast("BinaryIO", stream)
    if kind == "csv":
        return csv_reading.opened(source, limits, encoding, delimiter)
    if kind == "xlsx":
        from bylaw.spreadsheet import xlsx_reading

        return xlsx_reading.opened(source, limits, sheet)
    raise Unreadable("Tables are read from CSV and XLSX.")
