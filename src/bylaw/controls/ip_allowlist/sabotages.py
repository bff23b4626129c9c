"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Final

from bylaw.control import Patch, sabotage
from bylaw.controls import ip_allowlist
from bylaw.controls.proxies import addresses
from bylaw.exchange import Refuse


@sabotage
def every_network_is_listed(patch: Patch) -> None:
    """Nobody is asked where they come from."""
    patch(ip_allowlist, "_within", lambda exchange, networks: True)


@sabotage
def only_the_path_as_written_counts(patch: Patch) -> None:
    """A path is compared as it came."""
    patch(ip_allowlist, "spellings", lambda path: (path.rstrip("/"), path.rstrip("/")))


@sabotage
def twins_are_forgotten(patch: Patch) -> None:
    """The page is closed, its JSON twin is not."""
    patch(ip_allowlist, "_twins", lambda house, listed: {listed})


@sabotage
def the_proxys_address_will_do(patch: Patch) -> None:
    """Whoever a header hides has the address of the proxy, which is listed."""
    patch(
        ip_allowlist,
        "_within",
        lambda exchange, networks: all(exchange.client in each for each in networks),
    )


@sabotage
def what_is_closed_says_so(patch: Patch) -> None:
    """The answer tells that there is something."""
    patch(ip_allowlist, "Refuse", lambda reason: Refuse(reason, detail="Your network is not listed."))


@sabotage
def any_text_is_a_network(patch: Patch) -> None:
    """A list that nobody could read starts all the same."""
    patch(addresses, "faults", lambda key, entries: iter(()))


SABOTAGES: Final = (
    every_network_is_listed,
    only_the_path_as_written_counts,
    twins_are_forgotten,
    the_proxys_address_will_do,
    what_is_closed_says_so,
    any_text_is_a_network,
)
