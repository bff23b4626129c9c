"""Meters: what is wrong with a body that passes piece by piece. They keep none of it."""

from __future__ import annotations

import codecs
import logging
import re
from typing import Final

from python_multipart.multipart import MultipartParser, MultipartState

from bylaw.controls.body import reasons
from bylaw.exchange import Refuse
from bylaw.reasons import Reason, Refused

HEADER: Final = 8 * 1024
"""Bytes of one part's header fields together."""
_HEADERS: Final = 8
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_DISPOSITION: Final = re.compile(
    rb'form-data((?:[ \t]*;[ \t]*%b=(?:"(?:[^"\\]|\\.)*+"|%b))*+)[ \t]*;?' % (_TOKEN, _TOKEN), re.IGNORECASE
)
_PARAMETER: Final = re.compile(rb';[ \t]*(%b)=("(?:[^"\\]|\\.)*+"|%b)' % (_TOKEN, _TOKEN))
_AS_IT_IS: Final = (b"", b"7bit", b"8bit", b"binary")

_silent: Final = logging.getLogger("bylaw.body.parser")
_silent.disabled = True  # the parser tells the log what a stranger sent wrong: it is not theirs to fill


class Sized:
    """At most `limit` bytes; as many as were announced, where that is known."""

    __slots__ = ("_announced", "_limit", "_taken", "refused")

    def __init__(self, limit: int, announced: int | None = None) -> None:
        self.refused: Refuse | None = None
        self._limit = limit
        self._announced = announced
        self._taken = 0

    def take(self, piece: bytes) -> None:
        if self.refused is not None:
            raise Refused(self.refused.reason)  # whoever asks again is told again
        if not piece:
            self._end()
            return
        self._taken += len(piece)
        if self._taken > self._limit:
            self.refuse(reasons.TOO_LARGE)
        if self._announced is not None and self._taken > self._announced:
            self.refuse(reasons.LENGTH)
        self._look(piece)
        if self._taken == self._announced:  # a server may never say that this was the end
            self._end()

    def refuse(self, reason: Reason, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.refused = Refuse(reason, headers=headers)
        raise Refused(reason, headers=headers)

    def _look(self, piece: bytes) -> None:
        """What else there is to see in a piece."""

    def _end(self) -> None:
        if self._announced is not None and self._taken < self._announced:
            self.refuse(reasons.LENGTH)


class Nothing(Sized):
    """No body at all: none was announced, or none of a type that is taken."""

    __slots__ = ("_accept",)

    def __init__(self, accept: str) -> None:
        super().__init__(0)
        self._accept = accept

    def take(self, piece: bytes) -> None:
        if piece:
            self.refuse(reasons.TYPE, (("Accept", self._accept),))


class Form(Sized):
    """A multipart form: its parts counted, their headers read strictly, the text of its fields bounded.

    Files pass: their size is the body's. A part counts as a file by the very parameter that makes one of it
    in Werkzeug, Starlette and Django, and where its header could be read in two ways it is refused.
    """

    __slots__ = (
        "_decoder",
        "_disposition",
        "_field",
        "_headers",
        "_parser",
        "_parts",
        "_size",
        "_text",
        "_value",
    )

    def __init__(self, boundary: bytes, limit: int, announced: int | None, *, parts: int, text: int) -> None:
        super().__init__(limit, announced)
        self._parts = parts
        self._text = text
        self._field, self._value = bytearray(), bytearray()
        self._disposition: bytes | None = None
        self._size = self._headers = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
            },
        )
        self._parser.logger = _silent

    def _look(self, piece: bytes) -> None:
        if self._taken == len(piece) and piece[:1] != b"-":
            self.refuse(reasons.FORM)  # something before the first part, which parsers skip in their own ways
        try:
            self._parser.write(piece)
        except UnicodeDecodeError:
            self.refuse(reasons.TEXT)
        except ValueError:  # MultipartParseError is one
            self.refuse(reasons.FORM)

    def _end(self) -> None:
        super()._end()
        if self._parser.state != MultipartState.END and self._taken:
            self.refuse(reasons.FORM)  # what one parser takes for a whole form, another waits for

    # What the parser says

    def _part_begin(self) -> None:
        self._parts -= 1
        if self._parts < 0:
            self.refuse(reasons.PARTS)
        self._disposition = None
        self._size = self._headers = 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._header(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._header(end - start)

    def _header(self, more: int) -> None:
        self._size += more
        if self._size > HEADER:
            self.refuse(reasons.FORM)

    def _header_end(self) -> None:
        name, value = bytes(self._field).lower(), bytes(self._value)
        self._field.clear()
        self._value.clear()
        self._headers += 1
        if self._headers > _HEADERS:
            self.refuse(reasons.FORM)
        if name == b"content-disposition":
            if self._disposition is not None:
                self.refuse(reasons.FORM)
            self._disposition = value
        elif name == b"content-transfer-encoding" and value.strip().lower() not in _AS_IT_IS:
            self.refuse(reasons.FORM)  # deprecated (RFC 7578 section 4.7), and few undo it

    def _headers_finished(self) -> None:
        match = _DISPOSITION.fullmatch(self._disposition or b"")
        names = [name.lower() for name, _ in _PARAMETER.findall(match[1])] if match else []
        if b"name" not in names or len(set(names)) < len(names):
            self.refuse(reasons.FORM)
        is_file = b"filename" in names or b"filename*" in names
        self._decoder = None if is_file else codecs.getincrementaldecoder("utf-8")()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._decoder is not None:
            self._text -= end - start
            if self._text < 0:
                self.refuse(reasons.TOO_LARGE)
            self._decoder.decode(data[start:end])

    def _part_end(self) -> None:
        if self._decoder is not None:
            self._decoder.decode(b"", final=True)
