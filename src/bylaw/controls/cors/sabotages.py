"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import cors
from bylaw.exchange import HeaderBlock


@sabotage
def every_origin_is_reflected(patch: Patch) -> None:
    """Whoever asks is named in the answer, with cookies."""

    def reflected(named: Any, origin: str) -> Any:
        fields = [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
        return HeaderBlock([*fields, ("Vary", "Origin")]), HeaderBlock(fields)

    patch(cors, "fields_for", reflected)


@sabotage
def one_answer_is_for_everybody(patch: Patch) -> None:
    """A named origin gets `*` instead of its name, so that no cookie may be sent."""
    patch(cors, "readable", lambda settings, origin: [("Access-Control-Allow-Origin", "*")])


@sabotage
def the_beginning_of_an_origin_is_enough(patch: Patch) -> None:
    """What begins like a named origin is taken for it."""
    patch(
        cors,
        "fields_for",
        lambda named, origin: next((named[name] for name in named if origin.startswith(name)), None),
    )


@sabotage
def every_preflight_is_granted(patch: Patch) -> None:
    """Preflights of every origin are answered, and its requests taken."""
    patch(cors, "is_listed", lambda listed, origin: True)


@sabotage
def routes_are_not_asked(patch: Patch) -> None:
    """Every route grants all that the policy has, and TRACE."""
    patch(cors, "methods", lambda settings, answered: (*settings.methods, "TRACE", "OPTIONS"))


@sabotage
def caches_are_not_told(patch: Patch) -> None:
    """Answers do not say that they depend on Origin."""
    patch(cors, "vary", lambda head, name: None)
    patch(cors, "VARY", ())


@sabotage
def the_applications_fields_leave(patch: Patch) -> None:
    """What the application says about origins stands."""
    patch(cors, "OWN", frozenset())


@sabotage
def private_networks_are_opened(patch: Patch) -> None:
    """A preflight that is granted opens private networks as well."""
    grant = cors.grant
    name = "access-control-allow-private-network"
    patch(cors, "grant", lambda settings, head, *rest: (grant(settings, head, *rest), head.add(name, "true")))


@sabotage
def cookies_are_taken_from_everywhere(patch: Patch) -> None:
    """No origin's requests count as forged."""
    patch(cors, "trusts", lambda policy: lambda exchange, origin: True)


SABOTAGES: Final = (
    every_origin_is_reflected,
    one_answer_is_for_everybody,
    the_beginning_of_an_origin_is_enough,
    every_preflight_is_granted,
    routes_are_not_asked,
    caches_are_not_told,
    the_applications_fields_leave,
    private_networks_are_opened,
    cookies_are_taken_from_everywhere,
)
