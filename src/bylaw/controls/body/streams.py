"""Meters: what is wrong with a body that passes piece by piece. They keep none of it."""

from __future__ import annotations

import codecs
import logging
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from python_multipart.multipart import MultipartParser, MultipartState

from bylaw.controls.body import reasons
from bylaw.controls.uploads import reasons as uploads
from bylaw.exchange import Refuse
from bylaw.quantities import weighed
from bylaw.reasons import Reason, Refused

HEADER: Final = 8 * 1024
"""Bytes of one part's header fields together."""
_HEADERS: Final = 8
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_DISPOSITION: Final = re.compile(
    rb'form-data((?:[ \t]*;[ \t]*%b=(?:"(?:[^"\\]|\\.)*+"|%b))*+)[ \t]*;?' % (_TOKEN, _TOKEN), re.IGNORECASE
)
_PARAMETER: Final = re.compile(rb';[ \t]*(%b)=("(?:[^"\\]|\\.)*+"|%b)' % (_TOKEN, _TOKEN))
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHARSET: Final = re.compile(rb"charset[*0-9]*[ \t]*=[ \t]*\"?([^\";, \t]*)", re.IGNORECASE)
_UTF_8: Final = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
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

    def refuse(self, reason: Reason, headers: tuple[tuple[str, str], ...] = (), detail: str = "") -> NoReturn:
        self.refused = Refuse(reason, detail, headers=headers)
        raise Refused(reason, detail=detail, headers=headers)

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


@dataclass(frozen=True, slots=True)
class Files:
    """The files that a form may bring: in which fields, how many, and how long each."""

    fields: frozenset[bytes] | None
    """Their names; None: any."""
    most: int
    size: int
    """Bytes of one."""


class Arriving:
    """Counts and measures the files of a form while they pass."""

    __slots__ = ("_allowed", "_form", "_left", "_named", "_room")

    def __init__(self, form: Sized, allowed: Files) -> None:
        self._form = form
        self._allowed = allowed
        self._left = allowed.most
        self._room = 0
        self._named = False

    def begin(self, said: dict[bytes, bytes]) -> None:
        """A file begins, of which its part's header has said this."""
        allowed = self._allowed
        # As it is written: a name with a backslash in it is another one to every other parser.
        if allowed.fields is not None and said[b"name"].strip(b'"') not in allowed.fields:
            self._form.refuse(uploads.FIELD, detail=_listed(allowed.fields))
        self._named = said[b"filename"] != b'""'
        self._room = allowed.size
        if self._named:  # a browser sends a field in which nothing was chosen as well, without a name
            self._left -= 1
            if self._left < 0:
                self._form.refuse(uploads.TOO_MANY, detail=f"At most {allowed.most} at once.")

    def take(self, size: int) -> None:
        """So many bytes more of it."""
        if not self._named and size:
            self._form.refuse(uploads.NAME)
        self._room -= size
        if self._room < 0:
            self._form.refuse(
                uploads.TOO_LARGE, detail=f"At most {weighed(self._allowed.size)} are taken of one file."
            )


def _lines(seen: bytes, mark: bytes, before: int) -> int:
    """How many lines begin with the mark of a boundary, of those that end behind the first `before` bytes."""
    count, at = 0, seen.find(mark)
    while at >= 0:
        count += at + len(mark) > before and seen[at - 1 : at] in (b"\r", b"\n")
        at = seen.find(mark, at + 1)
    return count


def _decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _listed(fields: frozenset[bytes]) -> str:
    names = ", ".join(sorted(name.decode("utf-8", "replace") for name in fields))
    return f"Files are taken in: {names}."


class Form(Sized):
    """A multipart form: its parts counted, their headers read strictly, the text of its fields bounded, and
    its files those that the route has declared.

    A part counts as a file by the very parameter that makes one of it in Werkzeug, Starlette and Django, and
    where its header could be read in two ways it is refused.
    """

    __slots__ = (
        "_begun",
        "_decoder",
        "_disposition",
        "_end_mark",
        "_field",
        "_file",
        "_files",
        "_foreign",
        "_headers",
        "_lines",
        "_parser",
        "_parts",
        "_size",
        "_tail",
        "_text",
        "_value",
    )

    def __init__(
        self,
        boundary: bytes,
        limit: int,
        announced: int | None,
        *,
        parts: int,
        text: int,
        files: Files | None = None,
    ) -> None:
        super().__init__(limit, announced)
        self._parts = parts
        self._begun = 0
        self._text = text
        self._files = None if files is None else Arriving(self, files)
        self._file = False
        self._field, self._value = bytearray(), bytearray()
        self._disposition: bytes | None = None
        self._foreign = False
        self._end_mark, self._tail = b"\r\n--" + boundary + b"--", b"\r\n"
        self._lines = 0
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
        over = self._parser.state == MultipartState.END
        try:
            self._parser.write(piece)
        except UnicodeDecodeError:
            self.refuse(reasons.TEXT)
        except ValueError:  # MultipartParseError is one
            self.refuse(reasons.FORM)
        seen = self._tail + piece
        self._lines += _lines(seen, self._end_mark[2:-2], len(self._tail))
        if self._lines > self._begun + 1:
            # Werkzeug takes a bare line feed or return before a boundary, and spaces behind it, for its line:
            # what is a field's text to one parser would be a part of its own to another, or a file.
            self.refuse(reasons.FORM)
        if self._parser.state == MultipartState.END:
            # Nobody here reads what comes after the last boundary; a filter on the way may.
            seen = seen if over else seen.partition(self._end_mark)[2]
            if seen.strip(b"\r\n"):
                self.refuse(reasons.FORM)
            self._tail = b""
        else:
            self._tail = seen[-len(self._end_mark) :]

    def _end(self) -> None:
        super()._end()
        whole = self._parser.state == MultipartState.END and self._lines == self._begun + 1
        if self._taken and not whole:
            self.refuse(reasons.FORM)  # what one parser takes for a whole form, another waits for

    # What the parser says

    def _part_begin(self) -> None:
        self._begun += 1
        if self._begun > self._parts:
            self.refuse(reasons.PARTS)
        self._disposition, self._foreign = None, False
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
        if _CONTROL.search(value) or not _decodes(value):
            # One parser begins another header at a bare line feed, and finds a file's name there; one leaves
            # out a file whose name is no UTF-8, another reads it as Latin-1.
            self.refuse(uploads.NAME if b"filename" in value.lower() else reasons.FORM)
        if name == b"content-disposition":
            if self._disposition is not None:
                self.refuse(reasons.FORM)
            self._disposition = value
        elif name == b"content-type":
            self._foreign = any(each.lower() not in _UTF_8 for each in _CHARSET.findall(value))
        elif name == b"content-transfer-encoding" and value.strip().lower() not in _AS_IT_IS:
            self.refuse(reasons.FORM)  # deprecated (RFC 7578 section 4.7), and few undo it

    def _headers_finished(self) -> None:
        match = _DISPOSITION.fullmatch(self._disposition or b"")
        said = [(name.lower(), value) for name, value in _PARAMETER.findall(match[1])] if match else []
        names = [name for name, _ in said]
        if b"name" not in names or len(set(names)) < len(names) or any(b"*" in name for name in names):
            # `filename*` is not for forms (RFC 7578 section 4.2); some parsers know it, some not its pieces.
            self.refuse(reasons.FORM)
        self._file = b"filename" in names
        if self._foreign and not self._file:
            self.refuse(reasons.TEXT)  # Werkzeug reads a field in a charset of its own, Starlette in UTF-8
        self._decoder = None if self._file else codecs.getincrementaldecoder("utf-8")()
        if self._file:
            if self._files is None:
                self.refuse(uploads.NOT_HERE)
            self._files.begin(dict(said))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._decoder is not None:
            self._text -= end - start
            if self._text < 0:
                self.refuse(reasons.TOO_LARGE)
            self._decoder.decode(data[start:end])
        elif self._files is not None:
            self._files.take(end - start)

    def _part_end(self) -> None:
        if self._decoder is not None:
            self._decoder.decode(b"", final=True)
