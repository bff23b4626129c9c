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

from bylaw import control
from bylaw.control import Control
from bylaw.exchange import Depart, Exchange, Head, Refuse, Response
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
INTERNAL = Reason(
    "errors.internal",
    500,
    "Something went wrong on our side.",
    "The application raised an error or answered with a 5xx status of its own. The log has the whole "
    "story under the request's id.",
)

_TITLES = {400: MALFORMED, 404: NOT_FOUND, 405: METHOD, 413: TOO_LARGE, 415: UNSUPPORTED,
           422: INVALID}


class Settings(control.Settings):
    """What errors say. There is nothing to choose."""


def by_status(status: int) -> Reason:
    """The generic reason for a status that a framework decided on."""
    if status in _TITLES:
        return _TITLES[status]
    if status >= 500:
        return INTERNAL
    return Reason(f"errors.status_{status}", status, "The request was refused.",
                  "The framework refused the request with this status.")


def problem(exchange: Exchange, refuse: Refuse) -> Response:
    """The refusal for a program: RFC 9457. No member ever holds a value of the request."""
    reason, status = refuse.reason, refuse.status or refuse.reason.status
    body: dict[str, object] = {
        "type": f"urn:bylaw:{reason.code}",
        "title": reason.title,
        "status": status,
        "code": reason.code,
        "instance": f"urn:request:{exchange.request_id}",
    }
    if refuse.detail:
        body["detail"] = refuse.detail
    if refuse.fields:
        body["errors"] = [
            {"pointer": f"#/{name}", "detail": text} for name, text in refuse.fields.items()
        ]
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"),
               *refuse.headers]
    return Response(status, headers, json.dumps(body, ensure_ascii=False).encode())


def failed(exchange: Exchange, error: BaseException) -> Refuse:
    """Log what the application raised, under the request's id, and refuse for all the world alike."""
    log.error("%s %s failed [%s]", exchange.method, _printable(exchange.path),
              exchange.request_id, exc_info=error)
    return Refuse(INTERNAL)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _depart(house: House) -> Depart:
    def depart(exchange: Exchange, head: Head) -> None:
        """The request's id on every response, so that a person can quote it."""
        head.set("x-request-id", exchange.request_id)

    return depart


def _statement(policy: Policy) -> list[str]:
    return [
        "Every answer with a 5xx status has the same body; traces, queries, paths and values stay in "
        "the log, under the request's id (`X-Request-Id`).",
        "Programs get `application/problem+json` (RFC 9457), people a page; what was wrong with a "
        "field is said without its value.",
    ]


CONTROL = Control(
    name="errors",
    title="Errors",
    settings=Settings,
    statement=_statement,
    reasons=(MALFORMED, NOT_FOUND, METHOD, TOO_LARGE, UNSUPPORTED, INVALID, INTERNAL),
    steps={"depart": _depart},
    requirements=("S3-052", "S3-053", "S3-055", "C-11", "C-23"),
    asvs=("16.5.1", "16.5.3"),
)
