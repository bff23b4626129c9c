"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import errors
from bylaw.exchange import Exchange, HeaderName, Refuse, Response


@sabotage
def the_error_is_told(patch: Patch) -> None:
    """What was raised stands in the answer."""
    patch(errors, "failed", lambda exchange, error: Refuse(errors.INTERNAL, detail=str(error)))


@sabotage
def failures_are_not_logged(patch: Patch) -> None:
    """What was raised is nowhere to be found."""
    patch(errors, "failed", lambda exchange, error: errors.verdict(error))


@sabotage
def own_5xx_leave(patch: Patch) -> None:
    """The application's 5xx answers are let through."""
    patch(sys.modules["bylaw.gate"].Gate, "withheld", lambda self, exchange, status: None)


@sabotage
def values_are_echoed(patch: Patch) -> None:
    """A refusal repeats the value, as FastAPI's own does."""
    patch(sys.modules["bylaw.pages.forms"], "_fault", lambda field, value: f"not {value!r}")


@sabotage
def names_are_echoed(patch: Patch) -> None:
    """A refusal repeats the name of a field that nobody knows, whatever it is."""
    patch(sys.modules["bylaw.pages.forms"], "_shown", lambda name: name)
    patch(errors, "_NO_NAME", re.compile("(?!)"))


@sabotage
def junk_is_our_mistake(patch: Patch) -> None:
    """What cannot be read becomes an error of the server."""
    forms = sys.modules["bylaw.pages.forms"]

    def _json(body: bytes, essence: str) -> Any:
        return list(forms.json.loads(body).items())

    patch(forms, "_json", _json)


@sabotage
def a_page_for_everybody(patch: Patch) -> None:
    """Programs get a page as well."""

    def problem(exchange: Exchange, refuse: Refuse) -> Response:
        status = refuse.status or refuse.reason.status
        return Response(status, [("Content-Type", "text/html")], b"<h1>Error</h1>")

    patch(errors, "problem", problem)


@sabotage
def no_request_id(patch: Patch) -> None:
    """Answers do not name their request."""
    patch(errors, "REQUEST_ID", HeaderName("X-Nothing"))


SABOTAGES: Final = (
    the_error_is_told,
    failures_are_not_logged,
    own_5xx_leave,
    values_are_echoed,
    names_are_echoed,
    junk_is_our_mistake,
    a_page_for_everybody,
    no_request_id,
)
