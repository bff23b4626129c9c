"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Final

from bylaw.control import Patch, sabotage
from bylaw.controls import proxies
from bylaw.exchange import HeaderNames


@sabotage
def everybody_is_a_proxy(patch: Patch) -> None:
    """Whoever sends the headers is believed."""
    patch(proxies, "_trusts", lambda settings: lambda peer: True)


@sabotage
def claims_are_passed_on(patch: Patch) -> None:
    """The headers are not believed, but the application still gets them."""
    patch(proxies, "CLAIMS", HeaderNames("x-real-ip"))


@sabotage
def the_first_value_counts(patch: Patch) -> None:
    """The client is what stands on the left, which is what the client wrote."""

    def first(text: str, hops: int) -> tuple[str, ...]:
        return tuple(text.split(",")[:hops]) if text else ()

    patch(proxies, "_counted", first)


@sabotage
def fewer_hops_will_do(patch: Patch) -> None:
    """A list that is too short is counted as far as it goes."""
    patch(proxies, "_counted", lambda text, hops: tuple(text.rsplit(",", hops)[-hops:]))


@sabotage
def any_text_is_an_address(patch: Patch) -> None:
    """What stands there is taken as it is."""
    patch(proxies, "node", lambda text: text.strip() or None)


@sabotage
def quotes_are_text(patch: Patch) -> None:
    """Forwarded is cut at its semicolons and commas, wherever they stand."""

    def cut(text: str) -> list[dict[str, str]]:
        hops = [part.split(";") for part in text.replace('"', "").split(",")]
        return [dict([*p.strip().split("=", 1), ""][:2] for p in pairs) for pairs in hops]

    patch(proxies, "elements", cut)


@sabotage
def the_proxys_word_is_dropped(patch: Patch) -> None:
    """Nobody is believed, the proxy neither."""
    patch(proxies, "_trusts", lambda settings: lambda peer: False)


@sabotage
def anybody_may_be_trusted(patch: Patch) -> None:
    """A policy may trust the whole internet."""
    patch(proxies, "_everybody", lambda text: False)


SABOTAGES: Final = (
    everybody_is_a_proxy,
    claims_are_passed_on,
    the_first_value_counts,
    fewer_hops_will_do,
    any_text_is_an_address,
    quotes_are_text,
    the_proxys_word_is_dropped,
    anybody_may_be_trusted,
)
