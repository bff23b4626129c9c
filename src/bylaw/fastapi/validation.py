"""What FastAPI found wrong with a request, in the policy's words."""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError

from bylaw.controls import errors
from bylaw.exchange import Refuse


def invalid(content_type: str, error: RequestValidationError) -> Refuse:
    """400, 415, or 422 with field and reason: never the value, which FastAPI's own answer echoes (C-11)."""
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        return Refuse(errors.MALFORMED, "The body is not JSON.")
    kind = content_type.partition(";")[0].strip().lower()
    unread = any(e["loc"] == ("body",) and e["type"] != "missing" for e in found)
    if unread and kind != "application/json" and not kind.endswith("+json"):
        accept = (("Accept", "application/json"),)
        return Refuse(errors.UNSUPPORTED, "Send application/json.", headers=accept)
    return Refuse(errors.INVALID, fields={_pointer(e["loc"]): _without_value(e) for e in found})


def _pointer(loc: tuple[Any, ...]) -> str:
    return "/".join(str(part) for part in (loc[1:] if loc[:1] == ("body",) else loc)) or "body"


def _without_value(error: Any) -> str:
    """Pydantic's sentence, unless it repeats what was given."""
    message, given = str(error["msg"]).removeprefix("Value error, "), error.get("input")
    if isinstance(given, str) and len(given) > 2 and given in message:
        return "not accepted"
    return message
