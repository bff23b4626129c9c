"""What a request brings, validated before a view sees it.

Every route that accepts a body names its model with `json_body` or `form_body`; a test walks the
routes and fails on one that does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_origin

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from apps.mtc.database import get_session
from apps.mtc.services.errors import ConflictError, RejectedError
from apps.mtc.validators.reasons import reasons

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
R = TypeVar("R")
# Not part of any model: bylaw's token in forms, and MTC's own "it was saved" after a redirect.
_NOT_INPUT = frozenset({"csrf_token", "saved"})


class InvalidInputError(Exception):
    """Input that a model refuses: `errors` are pairs of field and reason, never a value."""

    def __init__(self, status: int, detail: str, errors: list[tuple[str, str]]) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors


@dataclass
class Form(Generic[M]):
    """A submitted form: the model if it is valid, else what was typed and what is wrong."""

    body: M | None = None
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def submit(self, action: Callable[[M], object]) -> bool:
        """Do `action` and commit. False, with the reason in `errors`, if that is refused."""
        if self.body is None:
            return False
        try:
            action(self.body)
            get_session().commit()
        except RejectedError as error:
            self.errors[error.field] = str(error)
        except ConflictError as error:
            self.errors[""] = str(error)
        else:
            return True
        get_session().rollback()
        return False


def json_body(model: type[M]) -> Callable[[Callable[Concatenate[M, P], R]], Callable[P, R]]:
    """Hand the view the JSON body as its first argument."""

    def decorate(view: Callable[Concatenate[M, P], R]) -> Callable[P, R]:
        @wraps(view)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return view(read_json(model), *args, **kwargs)

        wrapper.validator = model  # type: ignore[attr-defined]
        return wrapper

    return decorate


def form_body(model: type[M]) -> Callable[[Callable[Concatenate[Form[M], P], R]], Callable[P, R]]:
    """Hand the view the submitted form as its first argument."""

    def decorate(view: Callable[Concatenate[Form[M], P], R]) -> Callable[P, R]:
        @wraps(view)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return view(read_form(model, request.form), *args, **kwargs)

        wrapper.validator = model  # type: ignore[attr-defined]
        return wrapper

    return decorate


def read_json(model: type[M]) -> M:
    """The JSON body. Raises `InvalidInputError`: 415 if it is none, 400 if malformed, else 422."""
    if request.mimetype != "application/json":
        raise InvalidInputError(415, "The body must be application/json.", [])
    try:
        # Pydantic's own parser: it bounds nesting and digits where Python's raises unforeseen errors.
        return model.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        if any(
            problem["type"] == "json_invalid"
            for problem in error.errors(include_url=False, include_input=False)
        ):
            raise InvalidInputError(400, "The body is not valid JSON.", []) from None
        raise InvalidInputError(422, "The body is not accepted.", reasons(error)) from None


def read_form(model: type[M], data: MultiDict[str, str]) -> Form[M]:
    values = _plain(model, data)
    try:
        return Form(model.model_validate(values), values)
    except ValidationError as error:
        return Form(None, values, {name.split(".")[0]: reason for name, reason in reasons(error)})


def read_query(model: type[M]) -> M:
    """The query string. Raises `InvalidInputError` with status 422."""
    try:
        return model.model_validate(_plain(model, request.args))
    except ValidationError as error:
        raise InvalidInputError(422, "The query is not accepted.", reasons(error)) from None


def _plain(model: type[BaseModel], data: MultiDict[str, str]) -> dict[str, Any]:
    """Form data as the model expects it: lists where it has lists, empty fields left out."""
    values: dict[str, Any] = {}
    for name, texts in data.lists():
        if name in _NOT_INPUT:
            continue
        known = model.model_fields.get(name)
        filled = [text for text in texts if text.strip()]
        if known is not None and get_origin(known.annotation) is list:
            values[name] = filled
        elif filled or known is None or known.is_required():
            # A repeated field stays a list, which the model refuses: which one counts is unclear.
            values[name] = texts[0] if len(texts) == 1 else texts
    return values
