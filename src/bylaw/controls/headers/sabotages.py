"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Final

from bylaw.control import Patch, sabotage
from bylaw.controls import headers
from bylaw.exchange import Exchange, HeaderBlock


@sabotage
def only_pages_bear_them(patch: Patch) -> None:
    """What is no page leaves without headers."""
    before = headers._blocks
    patch(headers, "_blocks", lambda settings, tls: (before(settings, tls=tls)[0], HeaderBlock([])))


@sabotage
def the_application_has_the_last_word(patch: Patch) -> None:
    """What the application says stands in the policy's place."""
    patch(headers, "_OURS", ())


@sabotage
def the_nonce_is_always_the_same(patch: Patch) -> None:
    """Whoever has seen one page knows the nonce of the next."""

    def fixed(exchange: Exchange) -> str:
        exchange.nonce = "A" * 22
        return exchange.nonce

    patch(headers, "nonce", fixed)


@sabotage
def pages_may_run_anything(patch: Patch) -> None:
    """The policy of pages leaves frames and scripts open."""
    patch(headers, "page_policy", lambda settings, page_nonce: "script-src * 'unsafe-inline'")


@sabotage
def answers_may_be_stored(patch: Patch) -> None:
    """What is said to somebody signed in may be kept by caches."""
    patch(headers, "_personal", lambda exchange, head: False)


@sabotage
def any_text_is_a_source(patch: Patch) -> None:
    """A value of the policy may end its directive and begin another."""
    patch(headers, "_not_a_source", lambda source: None)


SABOTAGES: Final = (
    only_pages_bear_them,
    the_application_has_the_last_word,
    the_nonce_is_always_the_same,
    pages_may_run_anything,
    answers_may_be_stored,
    any_text_is_a_source,
)
