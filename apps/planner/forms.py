"""What a request brings, validated before a view sees it.

Every route that accepts a body names its model with `form_body`; a test walks the routes and fails on one
that does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, TypeVar, get_origin

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnsupportedMediaType

from apps.planner.database import close_session
from bylaw.reasons import Refused

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
R = TypeVar("R")
# Not part of any model: bylaw's token in forms, and the planner's own "it was saved" after a redirect.
_NOT_INPUT = frozenset({"csrf_token", "saved"})
_LONGEST_FIELD = 64
_TERSE: dict[str, Any] = {"include_url": False, "include_input": False}
_SAID: Final = {
    "missing": "needed",
    "string_too_long": "{max_length} characters at most",
    "too_long": "{max_length} at most",
    "greater_than_equal": "{ge} at least",
    "less_than_equal": "{le} at most",
    "int_parsing": "a whole number",
}
"""What Pydantic finds, in the words of the page; what is not here is told in its own."""


class InvalidError(ValueError):
    """Input that a model refuses: `errors` are pairs of field and reason, never a value."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("The input is not accepted.")
        self.errors = errors


@dataclass
class Form(Generic[M]):
    """A submitted form: the model if it is valid, else what was typed and what is wrong."""

    body: M | None = None
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def demand(self) -> M:
        """The model. Raises InvalidError, for forms in which nobody types."""
        if self.body is None:
            raise InvalidError(self.errors)
        return self.body


def form_body(model: type[M]) -> Callable[[Callable[Concatenate[Form[M], P], R]], Callable[P, R]]:
    """Hand the view the submitted form as its first argument."""

    def decorate(view: Callable[Concatenate[Form[M], P], R]) -> Callable[P, R]:
        @wraps(view)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return view(_read(model), *args, **kwargs)
            except Refused:
                # The refusal is recorded, which SQLite would not let anybody do while this still writes.
                close_session()
                raise

        wrapper.validator = model  # type: ignore[attr-defined]
        return wrapper

    return decorate


def read_query(model: type[M]) -> M:
    """The query string. Raises InvalidError."""
    try:
        return model.model_validate(_plain(model, request.args))
    except ValidationError as error:
        raise InvalidError(reasons(error)) from None


def _read(model: type[M]) -> Form[M]:
    if request.mimetype not in ("application/x-www-form-urlencoded", ""):
        raise UnsupportedMediaType  # no route takes files, or anything that is no form (S2-074)
    values = _plain(model, request.form)
    form: Form[M] = Form(values=values)
    try:
        form.body = model.model_validate(values)
    except ValidationError as error:
        form.errors = reasons(error)
    return form


def reasons(error: ValidationError) -> dict[str, str]:
    """Field and reason of each problem, without the value that was sent."""
    return {_field(e["loc"]): _reason(e) for e in error.errors(**_TERSE)}


def _plain(model: type[BaseModel], data: MultiDict[str, str]) -> dict[str, Any]:
    """Form data as the model expects it: lists where it has lists, empty fields left out."""
    values: dict[str, Any] = {}
    for name, texts in data.lists():
        if name in _NOT_INPUT:
            continue
        known = model.model_fields.get(name)
        several = known is not None and get_origin(known.annotation) is list
        if several and name != "categories":  # of which the text area has one on each line
            values[name] = [text for text in texts if text.strip()]
        elif any(text.strip() for text in texts) or known is None or known.is_required():
            # A repeated field stays a list, which the model refuses: which one counts is unclear.
            values[name] = texts[0] if len(texts) == 1 else texts
    return values


def _field(loc: tuple[int | str, ...]) -> str:
    """A name that is not ours is not repeated if it is no plain word."""
    name = ".".join(map(str, loc[:1]))
    plain = name.replace(".", "").isidentifier() and name.isascii()
    return name if (plain and len(name) <= _LONGEST_FIELD) or not name else "(unknown)"


def _reason(error: ErrorDetails) -> str:
    limits = error.get("ctx", {})
    if error["type"] in ("string_too_short", "too_short"):
        least = limits["min_length"]
        said = "needed" if least == 1 else f"{least} characters at least"
    elif error["type"] in _SAID:
        said = _SAID[error["type"]].format(**limits)
    else:
        said = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return said[:1].upper() + said[1:]
