"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.outbound import client, rules, targets


@sabotage
def the_text_is_enough(patch: Patch) -> None:
    """An address is judged by how it is written, not by where it leads."""
    patch(rules.Rules, "judge", lambda self, target, addresses: None)


@sabotage
def pythons_word_is_taken(patch: Patch) -> None:
    """Whatever `ipaddress` calls global is public."""
    patch(rules, "is_public", lambda address: address.is_global)
    patch(rules, "metadata", lambda address: False)
    patch(rules, "nowhere", lambda address: False)


@sabotage
def one_good_address_is_enough(patch: Patch) -> None:
    """Only the first address that a name leads to is judged."""
    real = rules.Rules.judge
    patch(rules.Rules, "judge", lambda self, target, addresses: real(self, target, list(addresses)[:1]))


@sabotage
def a_name_is_looked_up_again(patch: Patch) -> None:
    """What is connected to is looked up anew after it was judged."""
    real = client.Client._judged

    def judged(self: Any, named: Any, target: Any, until: float) -> Any:
        real(self, named, target, until)
        return self._addresses(target, until)

    patch(client.Client, "_judged", judged)


@sabotage
def a_redirect_is_trusted(patch: Patch) -> None:
    """What a public server says is asked."""
    real = client.Client._judged
    judged_for: set[float] = set()

    def judged(self: Any, named: Any, target: Any, until: float) -> Any:
        if until in judged_for:
            return self._addresses(target, until)
        judged_for.add(until)
        return real(self, named, target, until)

    patch(client.Client, "_judged", judged)
    patch(client, "_moved", lambda named, target, location: target.moved(location))


@sabotage
def redirects_are_followed(patch: Patch) -> None:
    """By themselves, whoever asks."""
    real = client.Client.__call__

    def followed(self: Any, *given: Any, **how: Any) -> Any:
        return real(self, *given, **{"redirects": 3, **how})

    patch(client.Client, "__call__", followed)


@sabotage
def credentials_travel(patch: Patch) -> None:
    """Another origin is sent what the first one was."""
    patch(client._Ask, "onwards", lambda self, status, before, moved: self)


@sabotage
def what_unpacks_is_not_measured(patch: Patch) -> None:
    """A packed answer is unpacked whole."""
    import zlib

    def unpacked(response: Any, limit: int) -> Any:
        yield zlib.decompress(response.read(), zlib.MAX_WBITS | 32)

    patch(client, "_unpacked", unpacked)


@sabotage
def anybody_is_asked(patch: Patch) -> None:
    """Every host counts as named."""
    patch(rules.Rules, "_by_name", lambda self, host: True)


@sabotage
def numbers_are_names(patch: Patch) -> None:
    """A number that is not written as an address is taken for a name, which leads wherever it leads."""
    real = targets._host

    def host(text: str, *, bracketed: bool) -> str:
        return "public.lab" if text.startswith("0") else real(text, bracketed=bracketed)

    patch(targets, "_host", host)


@sabotage
def nobody_writes_it_down(patch: Patch) -> None:
    """What was refused is recorded nowhere."""
    patch(sys.modules["bylaw.operations.fetching"].audit, "record", lambda *given, **named: None)


@sabotage
def the_refusal_says_why(patch: Patch) -> None:
    """Whoever gave an address learns where it leads."""
    fetching = sys.modules["bylaw.operations.fetching"]
    real = fetching._forbidden

    def telling(house: Any, url: str, error: Any) -> Any:
        refused = real(house, url, error)
        refused.detail = str(error)
        return refused

    patch(fetching, "_forbidden", telling)


SABOTAGES: Final = (
    the_text_is_enough,
    pythons_word_is_taken,
    one_good_address_is_enough,
    a_name_is_looked_up_again,
    a_redirect_is_trusted,
    redirects_are_followed,
    credentials_travel,
    what_unpacks_is_not_measured,
    anybody_is_asked,
    numbers_are_names,
    nobody_writes_it_down,
    the_refusal_says_why,
)
