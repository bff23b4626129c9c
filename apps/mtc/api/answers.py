"""The few shapes of answer that all of the API gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import Select

from apps.mtc.database import get_session
from apps.mtc.models import Base
from apps.mtc.services import records
from apps.mtc.validators.queries import PageQuery

T = TypeVar("T", bound=Base)


def listing(
    query: PageQuery, statement: Select[T], serial: Callable[[T], dict[str, Any]]
) -> ResponseReturnValue:
    """One page of rows, with how many there are in all."""
    rows, total = records.page(get_session(), statement, limit=query.limit, offset=query.offset)
    page = {"total": total, "limit": query.limit, "offset": query.offset}
    return jsonify({"data": [serial(row) for row in rows], **page})


def saved(body: dict[str, Any]) -> ResponseReturnValue:
    """Commit and show the row as it is now."""
    get_session().commit()
    return jsonify(body)


def created(body: dict[str, Any], location: str) -> ResponseReturnValue:
    """Commit and show the new row and where it is."""
    get_session().commit()
    return jsonify(body), 201, {"Location": location}


def gone() -> ResponseReturnValue:
    get_session().commit()
    return "", 204
