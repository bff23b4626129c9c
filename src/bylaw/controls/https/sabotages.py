"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Final

from bylaw.control import Patch, sabotage
from bylaw.controls import https
from bylaw.exchange import Answer, Response


@sabotage
def http_is_answered(patch: Patch) -> None:
    """What comes in the clear is served."""
    patch(https, "secure", lambda exchange: True)


@sabotage
def everything_is_redirected(patch: Patch) -> None:
    """A program's request is redirected too, so that it never learns what it has done."""
    patch(https, "Refuse", lambda reason: Answer(Response(308, [("Location", "https://app.lab/")])))


@sabotage
def reading_is_harmless(patch: Patch) -> None:
    """Data is read in the clear, only what changes something is refused."""
    patch(https, "secure", lambda exchange: exchange.scheme == "https" or not exchange.unsafe)


@sabotage
def the_redirect_follows_the_request(patch: Patch) -> None:
    """The redirect leads to wherever the request says that it is."""
    patch(https, "elsewhere", lambda origin, exchange: f"https:/{exchange.path}")


SABOTAGES: Final = (
    http_is_answered,
    everything_is_redirected,
    reading_is_harmless,
    the_redirect_follows_the_request,
)
