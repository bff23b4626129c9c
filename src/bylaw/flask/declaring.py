"""What a view declares: who may call it, and the files that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from werkzeug.local import LocalProxy

from bylaw.identity import PUBLIC, SIGNED_IN, AccessRule, Identity, all_of, asking
from bylaw.routes import Taking
from bylaw.site import identity

View = TypeVar("View", bound=Callable[..., Any])

_RULE = "__bylaw_rule__"

_FILES = "__bylaw_files__"

current_user: Identity = LocalProxy(identity)  # type: ignore[assignment]
"""Whoever makes the current request; `current_user.is_authenticated` tells whether somebody does."""


def permit(
    permission: str, *, within: str = "", second_factor: bool = False, max_age: int | str = 0
) -> Callable[[View], View]:
    """Declare that a view asks for `permission` (noun:verb); with `second_factor` for two factors, with
    `max_age` (seconds, or "10m") for a proof that is not older.

    `within` says which object the view is about, so that roles count which were given for that object alone:
    "planning:{planning_id}" by an argument of the path, or "planning" where the view itself finds out which
    one and asks `current_user.demand(…, within="planning:17")`. Without it such roles open nothing.

    Raises MisuseError for a permission, an age or an object that is none.
    """
    rule = AccessRule("permission", permission)
    return _declare(asking(rule, second_factor=second_factor, max_age=max_age, within=within))


@overload
def login_required(view: View) -> View: ...


@overload
def login_required(*, second_factor: bool = False, max_age: int | str = 0) -> Callable[[View], View]: ...


def login_required(view: Any = None, *, second_factor: bool = False, max_age: int | str = 0) -> Any:
    """Declare that a view is for whoever is signed in; `second_factor` and `max_age` as for `permit`."""
    declare = _declare(asking(SIGNED_IN, second_factor=second_factor, max_age=max_age))
    return declare if view is None else declare(view)


@overload
def public(view: View) -> View: ...


@overload
def public(view: str) -> Callable[[View], View]: ...


def public(view: Any) -> Any:
    """Declare that a view is for everybody; `@public("why")` says why it may be."""
    if callable(view):
        return _declare(PUBLIC)(view)
    return _declare(AccessRule("public", because=str(view)))


def _declare(rule: AccessRule) -> Callable[[View], View]:
    def declare(view: View) -> View:
        # Two declarations ask for both: the one that stands above must not replace the other.
        setattr(view, _RULE, all_of([rule, *own(view)]))
        return view

    return declare


def takes(field: str, *, kinds: Iterable[str] = (), most: int = 1) -> Callable[[View], View]:
    """Declare that a view takes files in the form's field `field`, at most `most` of them in one request;
    `kinds` are extensions (`"pdf"`) of the policy's own list, all of them where none is named. Its files are
    `bylaw.files.given(field)`. A view without this takes no file."""

    def declare(view: View) -> View:
        taking = Taking(frozenset({field}), tuple(kinds), most)
        setattr(view, _FILES, [taking, *takings(view)])
        return view

    return declare


def takings(view: Any) -> list[Taking]:
    """What a view, or a class of views, declares itself to take."""
    return list(getattr(view, "__dict__", {}).get(_FILES, ()))


def own(view: Any) -> list[AccessRule]:
    """What a view, or a class of views, declares itself: a subclass inherits no access rule."""
    return [vars(view)[_RULE]] if _RULE in getattr(view, "__dict__", {}) else []
