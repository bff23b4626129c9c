"""CSV, row by row: its memory is that of one row, whatever the file is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, Final, TextIO

from bylaw.spreadsheet import delimiters, encodings
from bylaw.spreadsheet.cells import uncell
from bylaw.spreadsheet.tables import Limits, Row, Sheet, Unreadable

_SAMPLE: Final = 32 * 1024


def opened(stream: BinaryIO, limits: Limits, encoding: str, delimiter: str) -> Sheet:
    """The table of a CSV file. Raises Unreadable."""
    if delimiter and delimiter not in delimiters.DELIMITERS:
        raise Unreadable("The separator is not read here; accepted are comma, semicolon, tab and |.")
    name, start = encodings.detected(stream, encoding)
    with _Text(stream, name, start) as text:
        first = text.readline(len("sep=,\r\n") + 1)
        said = delimiters.said(first)
        sample = ("" if said else first) + text.read(_SAMPLE)
    if not sample and not said:
        raise Unreadable("The file is empty.")
    return Sheet(
        "csv",
        lambda sheet: _rows(_Source(stream, name, start, bool(said)), sheet.delimiter, limits),
        encoding=name,
        delimiter=delimiter or said or delimiters.detected(_whole(sample)),
    )


def _whole(sample: str) -> str:
    """Without the line that the end of the sample cuts."""
    if len(sample) < _SAMPLE:
        return sample
    return sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample


class _Text:
    """The stream as text, which is not closed with it."""

    def __init__(self, stream: BinaryIO, encoding: str, start: int) -> None:
        stream.seek(start)
        self._text = io.TextIOWrapper(stream, encodings.ENCODINGS[encoding], "strict", newline="")

    def __enter__(self) -> TextIO:
        return self._text

    def __exit__(self, *_: object) -> None:
        self._text.detach()


class _Source:
    """The lines of a file, none longer than a row may be; how much of them the present row took."""

    def __init__(self, stream: BinaryIO, encoding: str, start: int, headed: bool) -> None:
        self._place = (stream, encoding, start)
        self._headed = headed
        self.number = 0
        self.taken = 0

    def lines(self, limits: Limits) -> Iterator[str]:
        with _Text(*self._place) as text:
            if self._headed:
                text.readline()
            while line := text.readline(limits.row + 1):
                self.taken += len(line)
                if self.taken > limits.row:
                    raise Unreadable(
                        f"The row is longer than {limits.row:,} characters; is a quotation mark not closed?",
                        self.number + 1,
                    )
                if "\0" in line:
                    raise Unreadable("The row holds a NUL character: this is no text.", self.number + 1)
                yield line


def _rows(source: _Source, delimiter: str, limits: Limits) -> Iterator[Row]:
    lines = source.lines(limits)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    left = limits.cells
    try:
        while True:
            source.taken = 0
            cells = next(reader)
            source.number += 1
            left -= len(cells)
            if left < 0 or len(cells) > limits.columns or source.number > limits.rows:
                raise _too_many(source.number, len(cells), limits)
            if source.taken > limits.cell and max(map(len, cells), default=0) > limits.cell:
                raise _too_long(source.number, limits)
            yield Row(source.number, tuple([uncell(c) if c[:1] == "'" else c for c in cells]))
    except StopIteration:
        return
    except UnicodeDecodeError:
        raise Unreadable("The file has changed while it was read.", source.number + 1) from None
    except csv.Error as error:
        raise _not_csv(str(error), source.number + 1, limits) from None
    finally:
        lines.close()  # type: ignore[attr-defined]


def _too_many(row: int, cells: int, limits: Limits) -> Unreadable:
    if row > limits.rows:
        return Unreadable(f"The table has more than {limits.rows:,} rows; split it.", row)
    if cells > limits.columns:
        return Unreadable(f"The row has {cells:,} cells; at most {limits.columns:,} are read.", row)
    return Unreadable(f"The table has more than {limits.cells:,} cells; split it.", row)


def _too_long(row: int, limits: Limits) -> Unreadable:
    return Unreadable(f"A cell is longer than {limits.cell:,} characters.", row)


def _not_csv(said: str, row: int, limits: Limits) -> Unreadable:
    if "field limit" in said:
        return _too_long(row, limits)
    if "end of data" in said:
        return Unreadable("A quotation mark is not closed.", row)
    if "expected after" in said:
        return Unreadable(
            'Something follows a closing quotation mark; inside of a text it is written twice: "3.5"" disk".',
            row,
        )
    return Unreadable("The row is not CSV.", row)
