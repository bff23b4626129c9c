"""Refusals as answers: problem+json (RFC 9457) for programs, a page for people."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, json, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from apps.mtc.bodies import InvalidInputError
from apps.mtc.services.errors import ConflictError, MissingError, RejectedError


def init_app(app: Flask) -> None:
    app.register_error_handler(InvalidInputError, _invalid)
    app.register_error_handler(MissingError, lambda error: answer(404, str(error)))
    app.register_error_handler(ConflictError, lambda error: answer(409, str(error)))
    app.register_error_handler(RejectedError, _rejected)
    app.register_error_handler(OperationalError, _unavailable)


def answer(status: int, detail: str, errors: list[tuple[str, str]] | None = None) -> ResponseReturnValue:
    """`errors` are pairs of field and reason."""
    title = HTTPStatus(status).phrase
    if not request.path.startswith("/api/"):
        said = _TITLES.get(status, title)
        return render_template("error.html", title=said, detail=detail, errors=errors or []), status
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors:
        named = [{"field": name, "reason": reason} for name, reason in errors]
        return json.dumps({**body, "errors": named}), status, _HEADERS
    return json.dumps(body), status, _HEADERS


_TITLES = {404: "There is nothing here", 409: "Not now", 422: "Not accepted", 503: "Busy"}
"""For people, what HTTP calls otherwise."""
_HEADERS = {"Content-Type": "application/problem+json"}


def _invalid(error: InvalidInputError) -> ResponseReturnValue:
    return answer(error.status, str(error), error.errors)


def _rejected(error: RejectedError) -> ResponseReturnValue:
    return answer(422, "The input is not accepted.", [(error.field, str(error))])


def _unavailable(_: OperationalError) -> ResponseReturnValue:
    """The database is busy or away; the error's own text would name tables and hosts."""
    return answer(503, "The database is busy. Try again in a moment.")
