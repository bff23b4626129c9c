"""The token's field, out of the beginning of a form's body. Pure: bytes in, text or nothing out."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from python_multipart.multipart import MultipartParser, parse_options_header

from bylaw.controls.body.media import FORMS as TYPES
from bylaw.controls.body.media import MULTIPART, URLENCODED, essence

__all__ = ["MULTIPART", "TYPES", "URLENCODED", "essence", "token", "values"]
_FIELDS: Final = 1000
_DISPOSITION: Final = 512
"""Bytes of a part's Content-Disposition that are looked at: a field's is far shorter, and thousands of
semicolons take milliseconds to take apart."""


def token(start: bytes, whole: bool, kind: str, name: str) -> str | None:
    """The value of the field `name` in a body that begins with `start`.

    `whole` says whether that is all of it: a field that may go on behind its end has no value yet.
    None where the field is missing or came twice (which of the two would the application read?).
    """
    found = values(start, whole, kind, name)
    return found[0] if len(found) == 1 else None


def values(start: bytes, whole: bool, kind: str, name: str) -> list[str]:
    """Every complete value of the field."""
    if essence(kind) == MULTIPART:
        return _multipart(start, kind, name)
    return _urlencoded(start, whole, name)


def _urlencoded(start: bytes, whole: bool, name: str) -> list[str]:
    text = start.decode("latin-1")
    if not whole:
        text = text.rpartition("&")[0]  # the last field may be cut off
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return []
    return [value for key, value in pairs if key == name]


def _multipart(start: bytes, kind: str, name: str) -> list[str]:
    _, options = parse_options_header(kind)
    boundary = options.get(b"boundary")
    if not boundary:
        return []
    parts = _Parts(name)
    try:
        MultipartParser(boundary, parts.callbacks()).write(start)  # type: ignore[arg-type]
    except ValueError:
        return []
    return parts.values


class _Parts:
    """The complete values of one field of a multipart body; files and other fields are passed over."""

    def __init__(self, name: str) -> None:
        self.values: list[str] = []
        self._name = name.encode("latin-1")
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._wanted = False
        # bytearray: a body made to arrive in tiny pieces is not copied for each of them.
        self._data = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition = b""
        self._wanted = False
        self._data.clear()

    def _header_name(self, data: bytes, begin: int, end: int) -> None:
        self._header += data[begin:end]

    def _header_value(self, data: bytes, begin: int, end: int) -> None:
        self._value += data[begin:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        if len(self._disposition) <= _DISPOSITION:
            _, options = parse_options_header(self._disposition)
            self._wanted = options.get(b"name") == self._name and b"filename" not in options

    def _part_data(self, data: bytes, begin: int, end: int) -> None:
        if self._wanted:
            self._data += data[begin:end]

    def _end(self) -> None:
        if self._wanted:
            self.values.append(self._data.decode("latin-1"))
