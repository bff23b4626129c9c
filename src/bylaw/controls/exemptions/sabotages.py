"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Final

from bylaw import control, identity
from bylaw.control import Patch, Sabotage, sabotage
from bylaw.controls import csrf, exemptions
from bylaw.controls.exemptions.probes import FOREIGN


@sabotage
def exempt_from_everything(patch: Patch) -> None:
    """Where no token is asked for, nobody looks where the request came from either."""
    real = csrf.from_here
    patch(csrf, "from_here", lambda site, origin, *rest: origin == FOREIGN or real(site, origin, *rest))


@sabotage
def neighbours_are_exempt_too(patch: Patch) -> None:
    """An exemption covers whatever begins like it."""
    patch(control.Exemption, "covers", lambda self, path: path.startswith(self.path.rstrip("/*")))


@sabotage
def exemptions_never_end(patch: Patch) -> None:
    """An exemption holds on after its last day."""
    patch(control.Exemption, "holds", lambda self, now: True)


@sabotage
def exemptions_may_run_for_ever(patch: Patch) -> None:
    """Nobody looks how long an exemption may run."""
    patch(exemptions, "too_long", lambda settings, each, today: False)


@sabotage
def the_register_forgets_exemptions(patch: Patch) -> None:
    """What the policy exempts is not listed."""
    patch(exemptions, "found", lambda policy: iter(()))


@sabotage
def the_register_forgets_what_is_public(patch: Patch) -> None:
    """Public routes are not listed."""
    patch(exemptions, "_public", lambda policy, routes: [])


@sabotage
def everything_is_public(patch: Patch) -> None:
    """No route asks for an identity."""
    patch(identity.AccessRule, "decide", lambda self, who: None)


SABOTAGES: Final[tuple[Sabotage, ...]] = (
    exempt_from_everything,
    neighbours_are_exempt_too,
    exemptions_never_end,
    exemptions_may_run_for_ever,
    the_register_forgets_exemptions,
    the_register_forgets_what_is_public,
    everything_is_public,
)
