"""Errors: a refusal says what was wrong with the request, and nothing about the inside.

Threat: a stack trace, a query, a secret or the rejected value itself in an answer (CWE-209).
Mechanism: whatever goes wrong in the application becomes one fixed answer with the request's id;
the whole story goes to the log. Programs get problem+json, people a page. Source: RFC 9457, OWASP
Error Handling, ASVS 5.0.0 16.5.1, Top 10:2025 A10.
It does not mend the error: the id leads to it in the log.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.errors import probes, sabotages
from bylaw.exchange import Depart, Exchange, Head, HeaderName, Refuse, Response
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason

log = logging.getLogger("bylaw.errors")

MALFORMED = Reason(
    "errors.malformed",
    400,
    "The request cannot be read.",
    "A header came twice that may come once, the body is not what its type says, or text holds "
    "control characters.",
)
NOT_FOUND = Reason("errors.not_found", 404, "There is nothing here.", "No route has this path.")
METHOD = Reason(
    "errors.method_not_allowed",
    405,
    "This cannot be done here.",
    "The path exists, the method does not. Allow lists those that do.",
)
TOO_LARGE = Reason(
    "errors.too_large",
    413,
    "The request is too large.",
    "The body is longer than the route takes; the rest was not read.",
)
UNSUPPORTED = Reason(
    "errors.unsupported_type",
    415,
    "This kind of content is not taken here.",
    "The content type is not one that the route reads. Accept lists those that are.",
)
INVALID = Reason(
    "errors.invalid",
    422,
    "Something in the request is not right.",
    "The body could be read, but a field has a value that is not accepted. `errors` names the field "
    "and what is, never the value that was given.",
)
REFUSED = Reason(
    "errors.refused",
    400,
    "The request was refused.",
    "The framework or the application refused the request with a status that has no reason of its own "
    "here: 406, 409, 410, 418 or 429.",
)
UNAVAILABLE = Reason(
    "errors.unavailable",
    503,
    "This is not possible at the moment. Try again shortly.",
    "The database did not answer, is locked or full, or no connection to it was free. Retry-After says "
    "when to return; the log has the whole story under the request's id.",
)
INTERNAL = Reason(
    "errors.internal",
    500,
    "Something went wrong on our side.",
    "The application raised an error or answered with a 5xx status of its own. The log has the whole "
    "story under the request's id.",
)

RETRY_AFTER: Final = 5
REQUEST_ID: Final = HeaderName("X-Request-Id")
_TITLES: Final = {
    400: MALFORMED,
    404: NOT_FOUND,
    405: METHOD,
    413: TOO_LARGE,
    415: UNSUPPORTED,
    422: INVALID,
    503: UNAVAILABLE,
}
_FIELDS: Final = 50
"""Fields that a refusal names at most: an answer must not be many times its question."""
_NO_NAME: Final = re.compile(r"[^\w.\[\]@/-]")


class Settings(control.Settings):
    """What errors say. There is nothing to choose."""


def by_status(status: int) -> Reason:
    """The generic reason for a status that a framework decided on."""
    if status in _TITLES:
        return _TITLES[status]
    return INTERNAL if status >= 500 else REFUSED


def problem(exchange: Exchange, refuse: Refuse) -> Response:
    """The refusal for a program: RFC 9457. No member ever holds a value of the request.

    ASCII alone: the name of a field is the caller's, and a lone surrogate in it is no UTF-8.
    """
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"), *refuse.headers]
    status = refuse.status or refuse.reason.status
    return Response(status, headers, json.dumps(shape(exchange, refuse)).encode())


def shape(exchange: Exchange, refuse: Refuse) -> dict[str, object]:
    """The members of a refusal (RFC 9457 section 3.1)."""
    reason, status = refuse.reason, refuse.status or refuse.reason.status
    body: dict[str, object] = {
        "type": f"urn:bylaw:{reason.code}",
        "title": reason.title,
        "status": status,
        "code": reason.code,
        "instance": f"urn:request:{exchange.request_id}",
    }
    detail = refuse.detail or ("Internal server error" if status == 500 else "")
    if detail:
        body["detail"] = detail  # of a 500 these three words, which S3-053 names
    if refuse.fields:
        body["errors"] = [
            {"pointer": f"#/{_NO_NAME.sub('?', name)[:100]}", "detail": text}
            for name, text in list(refuse.fields.items())[:_FIELDS]
        ]
    return body


def failed(exchange: Exchange, error: BaseException) -> Refuse:
    """Log what the application raised, under the request's id, and refuse for all the world alike."""
    log.error(
        "%s %s failed [%s]",
        _printable(exchange.method, 20),
        _printable(exchange.path, 200),
        exchange.request_id,
        exc_info=error,
    )
    return verdict(error)


def verdict(error: BaseException) -> Refuse:
    """The refusal of whoever asked for what failed: the kind of failure, and nothing of its text."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return Refuse(UNAVAILABLE, headers=(("Retry-After", str(RETRY_AFTER)),))
    return Refuse(INTERNAL)


def _printable(text: str, limit: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def _depart(house: House) -> Depart:
    def depart(exchange: Exchange, head: Head) -> None:
        """The request's id on every response, so that a person can quote it."""
        head.stamp(REQUEST_ID, exchange.request_id)

    return depart


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    if policy.of(Settings).off:
        yield Conflict("errors.off", "failures would show the inside", "leave the key out")


def _statement(policy: Policy) -> list[str]:
    return [
        (
            "Every answer with a 5xx status has a body from a fixed set; traces, queries, paths and values "
            "stay in the log, under the request's id (`X-Request-Id`)."
        ),
        "What cannot be read is refused with 400, 413, 415 or 422, never with a 5xx.",
        (
            "Programs get `application/problem+json` (RFC 9457), people a page; what was wrong with a "
            "field is said without its value."
        ),
    ]


CONTROL = Control(
    name="errors",
    title="Errors",
    settings=Settings,
    statement=_statement,
    reasons=(MALFORMED, NOT_FOUND, METHOD, TOO_LARGE, UNSUPPORTED, INVALID, REFUSED, UNAVAILABLE, INTERNAL),
    steps={"depart": _depart},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S3-052", "S3-053", "S3-054", "S3-055", "C-11", "C-23"),
    asvs=("16.5.1", "16.5.3", "16.5.4"),
)
