"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import datetime
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import cors, csrf
from bylaw.controls.csrf import forms
from bylaw.controls.headers import Settings as Headers
from bylaw.exchange import SAFE_METHODS, Exchange
from bylaw.exchange import request as exchanges
from bylaw.policy import Policy


@sabotage
def every_site_is_this_one(patch: Patch) -> None:
    """Sec-Fetch-Site and Origin are not looked at."""
    patch(csrf, "from_here", lambda site, origin, own, trusted: True)


@sabotage
def fetch_metadata_is_believed_alone(patch: Patch) -> None:
    """What says same-origin is taken whatever its Origin, and no Sec-Fetch-Site means this site."""
    patch(csrf, "from_here", lambda site, *rest: site in (None, "same-origin", "none"))


@sabotage
def who_may_show_this_site_may_act_in_it(patch: Patch) -> None:
    """Whoever may show the application in a frame is trusted like cors.origins."""
    trusts = cors.trusts

    def widened(policy: Policy) -> Any:
        named, framing = trusts(policy), policy.of(Headers).frame_ancestors
        return lambda exchange, origin: origin in framing or bool(named and named(exchange, origin))

    patch(cors, "trusts", widened)


@sabotage
def any_token_will_do(patch: Patch) -> None:
    """A token is asked for and not checked."""
    patch(csrf, "_right", lambda house, exchange, given: True)


@sabotage
def tokens_are_good_for_everybody(patch: Patch) -> None:
    """The token is bound to nobody: an attacker's own fits every session."""
    patch(csrf, "_binding", lambda house, exchange, make=False: "everybody")


@sabotage
def the_first_of_two_tokens_is_taken(patch: Patch) -> None:
    """A field that came twice is read as its first value."""
    patch(
        forms,
        "token",
        lambda start, whole, kind, name: next(iter(forms.values(start, True, kind, name)), None),
    )


@sabotage
def everything_is_exempt(patch: Patch) -> None:
    """Every path counts as exempt from the token."""
    patch(
        csrf,
        "_exemption",
        lambda house, settings, path: csrf.Exemption(
            path=path, reason="a sabotage", owner="verify", expires=datetime.date.max
        ),
    )


@sabotage
def exemptions_never_end(patch: Patch) -> None:
    """An exemption holds on after its last day."""
    patch(csrf.Exemption, "holds", lambda self, now: True)


@sabotage
def exempt_paths_take_forms(patch: Patch) -> None:
    """The content type of an exempt path is not looked at."""
    patch(csrf, "_only_json", lambda exchange: True)


@sabotage
def deleting_counts_as_safe(patch: Patch) -> None:
    """PATCH and DELETE pass like GET."""
    patch(exchanges, "SAFE_METHODS", SAFE_METHODS | {"PATCH", "DELETE"})


@sabotage
def websockets_count_as_reading(patch: Patch) -> None:
    """A handshake is taken for the GET that it looks like."""
    looks = property(lambda self: self.method not in exchanges.SAFE_METHODS, lambda self, unsafe: None)
    patch(Exchange, "unsafe", looks)


SABOTAGES: Final = (
    every_site_is_this_one,
    fetch_metadata_is_believed_alone,
    who_may_show_this_site_may_act_in_it,
    any_token_will_do,
    tokens_are_good_for_everybody,
    the_first_of_two_tokens_is_taken,
    everything_is_exempt,
    exemptions_never_end,
    exempt_paths_take_forms,
    deleting_counts_as_safe,
    websockets_count_as_reading,
)
