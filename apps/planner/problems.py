"""Refusals as pages."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from apps.planner.forms import InvalidError
from apps.planner.plannings import ClosedError, NotThereError


def init_app(app: Flask) -> None:
    app.register_error_handler(InvalidError, _invalid)
    app.register_error_handler(NotThereError, _not_there)
    app.register_error_handler(ClosedError, lambda error: answer(409, str(error)))
    app.register_error_handler(OperationalError, _unavailable)


def answer(status: int, detail: str, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    """A page that says what was refused; `errors` are reasons by field."""
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    page = render_template("error.html", title=title, detail=detail, errors=errors or {}, status=status)
    return page, status


_TITLES = {404: "Not here", 409: "Not now", 422: "Not accepted", 503: "Busy"}


def _not_there(_: NotThereError) -> ResponseReturnValue:
    """Somebody else's answers as one that does not exist."""
    return answer(404, "There is nothing here, or not for you.")


def _invalid(error: InvalidError) -> ResponseReturnValue:
    return answer(422, str(error), error.errors)


def _unavailable(_: OperationalError) -> ResponseReturnValue:
    """The database is busy or away; the error's own text would name tables and hosts."""
    return answer(503, "The database is busy. Try again in a moment.")
