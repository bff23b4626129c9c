"""Reading what people and programs send: strictly, and without ever repeating it in an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from python_multipart import create_form_parser
from python_multipart.multipart import parse_options_header

from bylaw.controls import body as bodies
from bylaw.controls import errors
from bylaw.controls.body import media
from bylaw.quantities import weighed
from bylaw.reasons import Refused

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSPEAKABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_SHOWN: Final = 20
"""Unknown fields that a refusal names at most: an answer must not be larger than its question."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that an endpoint reads.

    `secret` values may hold any character but NUL and are never shown again; `many` takes a list of
    strings (a form's checkboxes). `choices` are the only texts taken, where there are any. `told` has a
    list that was not sent be None: an empty one says something else.
    """

    name: str
    label: str = ""
    required: bool = True
    limit: int = 254
    secret: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    told: bool = False

    @property
    def absent(self) -> list[str] | str | None:
        """The value where nothing was sent."""
        return None if self.told else [] if self.many else ""


Values = dict[str, Any]


def read(
    body: bytes | None, kind: str, fields: Iterable[Field], *, api: bool, given: Values | None = None
) -> Values:
    """The values of `fields` in a body. Raises Refused: too large, not that type, not readable,
    a field missing, unknown, twice, not text, or with control characters in it.

    `given` gets what a refused form may show again, so that nobody has to type it anew.
    """
    if body is None:
        raise Refused(errors.TOO_LARGE, detail=f"At most {weighed(bodies.OWN)} are taken here.")
    essence = media.essence(kind)
    if api:
        pairs = _json(body, essence)
    else:
        pairs = _form(body, essence, kind)
    known = {field.name: field for field in fields}
    values, wrong = _values(pairs, known, api=api)
    if wrong:
        if given is not None:
            given.update((n, v) for n, v in values.items() if _showable(known[n], v))
        raise Refused(errors.INVALID, fields=wrong)
    return {name: values.get(name, field.absent) for name, field in known.items()}


def _json(body: bytes, essence: str) -> list[tuple[str, Any]]:
    if essence != media.JSON:
        raise Refused(
            errors.UNSUPPORTED, detail="Send application/json.", headers=(("Accept", "application/json"),)
        )
    try:
        # Decoded here: json would guess at UTF-16 and UTF-32, which no other parser on the way does.
        pairs = json.loads(body.decode(), object_pairs_hook=_Pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(errors.MALFORMED, detail="The body is not JSON.") from None
    if not isinstance(pairs, _Pairs):
        raise Refused(errors.INVALID, detail="A JSON object is expected.")
    return list(pairs)


def read_either(
    body: bytes | None, kind: str, fields: Iterable[Field], *, api: bool, given: Values | None = None
) -> Values:
    """The same for a protocol whose requests are forms, or JSON. What is in none of the `fields` is left
    alone, and what is empty is not there (RFC 6749 section 3.2)."""
    essence = media.essence(kind)
    if body is None:
        raise Refused(errors.TOO_LARGE, detail=f"At most {weighed(bodies.OWN)} are taken here.")
    if essence not in (media.JSON, media.URLENCODED):
        accepted = f"{media.URLENCODED}, {media.JSON}"
        raise Refused(errors.UNSUPPORTED, detail=f"Send {accepted}.", headers=(("Accept", accepted),))
    known = {field.name: field for field in fields}
    pairs = _json(body, essence) if essence == media.JSON else _form(body, essence, kind)
    values, wrong = _values([(name, value) for name, value in pairs if name in known], known, api=True)
    if wrong:
        raise Refused(errors.INVALID, fields=wrong)
    return {name: values.get(name, field.absent) for name, field in known.items()}


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as pairs, so that a name that comes twice is noticed."""


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON (RFC 8259 section 6)


def _form(body: bytes, essence: str, kind: str) -> list[tuple[str, Any]]:
    if essence == media.URLENCODED:
        try:
            return list(
                parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200, errors="strict")
            )
        except ValueError:
            raise Refused(errors.MALFORMED, detail="The form cannot be read.") from None
    if essence == media.MULTIPART:
        return _multipart(body, kind)
    raise Refused(
        errors.UNSUPPORTED,
        detail="Send a form.",
        headers=(("Accept", "application/x-www-form-urlencoded, multipart/form-data"),),
    )


def _multipart(body: bytes, kind: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []

    def field(part: Any) -> None:
        pairs.append((part.field_name.decode(), (part.value or b"").decode()))

    def file(part: Any) -> None:
        raise ValueError("no file is taken here")

    try:
        if not parse_options_header(kind)[1].get(b"boundary"):
            # The parser would say so too, and log it as an error: the log is not a stranger's to fill.
            raise ValueError("no boundary")
        parser = create_form_parser({"Content-Type": kind.encode("latin-1")}, field, file)
        parser.write(body)
        parser.finalize()
    except ValueError:  # MultipartParseError and FormParserError are among them
        raise Refused(errors.MALFORMED, detail="The form cannot be read.") from None
    return pairs


def _values(
    pairs: list[tuple[str, Any]], fields: dict[str, Field], *, api: bool
) -> tuple[Values, dict[str, str]]:
    """What was given for `fields`, and what is wrong with it."""
    values: Values = {}
    wrong: dict[str, str] = {}
    unknown: list[str] = []
    for name, value in pairs:
        field = fields.get(name)
        if field is None:
            unknown.append(name)
        elif field.many and not api:
            values.setdefault(name, []).append(value)
        elif name in values:
            wrong[name] = "given twice"
        else:
            values[name] = value
    for name, field in fields.items():
        fault = _fault(field, values[name]) if name in values else _missing(field)
        if fault and name not in wrong:
            wrong[name] = fault
    # Not ignored: whoever sends `role` should learn that it does nothing (C-08).
    wrong.update((_shown(name), "not a field of this form") for name in unknown[:_SHOWN])
    return values, wrong


def _showable(field: Field, value: object) -> bool:
    """Whether a page may show a refused value again: no secret, and text that a page can hold."""
    texts = value if isinstance(value, list) else [value]
    return not field.secret and all(isinstance(text, str) and not _CONTROL.search(text) for text in texts)


def _shown(name: str) -> str:
    return name if _NAME.fullmatch(name) else "?"


def _missing(field: Field) -> str | None:
    return "needed" if field.required else None


def _fault(field: Field, value: object) -> str | None:
    """What is wrong with a value. Nothing is made into text: 1, null and [] are refused (A186)."""
    if field.many:
        # A nested JSON object is a list of pairs here, and not this kind of list.
        if type(value) is not list or not all(isinstance(text, str) for text in value):
            return "a list of text is expected"
        texts = value
    elif isinstance(value, str):
        texts = [value]
    else:
        return "text is expected"
    if not any(texts):
        return _missing(field)
    for text in texts:
        if (_UNSPEAKABLE if field.secret else _CONTROL).search(text):
            return "control characters are not taken"
        if len(text) > field.limit and not field.secret:
            return f"at most {field.limit} characters"
        if field.choices and text not in field.choices:
            return f"one of {', '.join(field.choices)}"
    return None


def moment(name: str, text: str) -> datetime | None:
    """A day or a moment in UTC, which it is in where it does not say otherwise; None where there is no text.
    Raises Refused, also for one that has no name in UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        wanted = "a day, e.g. 2026-11-21, or a moment (ISO 8601)"
        raise Refused(errors.INVALID, fields={name: wanted}) from None
