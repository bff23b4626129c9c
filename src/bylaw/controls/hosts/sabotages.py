"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import hosts
from bylaw.controls.proxies import addresses


@sabotage
def any_name_will_do(patch: Patch) -> None:
    """Host is not looked at."""
    patch(hosts, "_answers", lambda policy: lambda text: True)


@sabotage
def the_end_of_a_name_will_do(patch: Patch) -> None:
    """A name passes that only ends like one that is allowed."""

    def loose(policy: Any) -> Any:
        names = [policy.app.origin.partition("://")[2], *policy.of(hosts.Settings).allowed]
        ends = tuple(name.removeprefix(".") for name in names)
        return lambda text: text.lower().rstrip(".").endswith(ends)

    patch(hosts, "_answers", loose)


@sabotage
def the_port_does_not_count(patch: Patch) -> None:
    """Any port of an allowed name is answered."""
    before = hosts._answers

    def portless(policy: Any) -> Any:
        answers = before(policy)
        return lambda text: answers(text) or answers(text.rpartition(":")[0] or text)

    patch(hosts, "_answers", portless)


@sabotage
def a_name_is_whatever_stands_there(patch: Patch) -> None:
    """What is no host is compared as it is, and cut at what looks like its end."""
    patch(
        addresses, "host", lambda text: (text.lower().rstrip(".").partition(":")[0].rpartition("@")[2], None)
    )


@sabotage
def only_one_spelling_is_known(patch: Patch) -> None:
    """The name in capitals or with its port is another one."""
    patch(
        hosts,
        "_answers",
        lambda policy: (
            {policy.app.origin.partition("://")[2], *policy.of(hosts.Settings).allowed}.__contains__
        ),
    )


@sabotage
def a_star_is_taken(patch: Patch) -> None:
    """A policy may allow any name."""
    patch(hosts, "_wrong", lambda text: None)


SABOTAGES: Final = (
    any_name_will_do,
    the_end_of_a_name_will_do,
    the_port_does_not_count,
    a_name_is_whatever_stands_there,
    only_one_spelling_is_known,
    a_star_is_taken,
)
