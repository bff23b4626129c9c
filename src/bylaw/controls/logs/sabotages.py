"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import re
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import audit, logs
from bylaw.controls.logs import output, records, redaction
from bylaw.exchange import ALLOW


@sabotage
def nothing_is_cleaned(patch: Patch) -> None:
    """Records reach their handlers as they were made."""
    patch(records, "clean", lambda record: None)


@sabotage
def only_messages_are_cleaned(patch: Patch) -> None:
    """What is given by `extra=` is left as it is."""
    patch(records, "_extra", lambda name, value: value)


@sabotage
def errors_are_left_alone(patch: Patch) -> None:
    """An error's text, its causes and its frames are handed on."""
    patch(records, "_clean_error", lambda record: None)


@sabotage
def one_name_is_a_secret(patch: Patch) -> None:
    """Only a field that is called `password`, exactly, is masked."""
    patch(redaction, "is_secret", lambda name: name == "password")


@sabotage
def no_shape_is_known(patch: Patch) -> None:
    """A secret without a name is not known by its shape."""
    patch(redaction, "_SHAPES", ())


@sabotage
def no_value_is_known(patch: Patch) -> None:
    """What the policy took from the environment is logged like any other text."""
    patch(logs, "secrets_of", lambda policy: ())


@sabotage
def addresses_are_whole(patch: Patch) -> None:
    """Mail addresses are logged as they are."""
    patch(redaction, "_EMAIL", re.compile(r"((?!))()"))


@sabotage
def breaks_stay_breaks(patch: Patch) -> None:
    """Line breaks and control characters are written as they came."""
    patch(redaction, "line", lambda value: value)


@sabotage
def lines_name_no_request(patch: Patch) -> None:
    """Records do not bear the id of their request."""
    patch(records, "_name_request", lambda record: setattr(record, "request_id", ""))


@sabotage
def every_id_is_taken(patch: Patch) -> None:
    """Whatever a client sends is its request's id."""

    def take(exchange: Any) -> Any:
        exchange.request_id = next(iter(exchange.headers.all("x-request-id")), exchange.request_id)
        return ALLOW

    patch(logs, "idle", take)
    patch(logs, "well_formed", lambda given: True)


@sabotage
def a_flood_is_written(patch: Patch) -> None:
    """Every repeat of a message is a line of its own."""
    patch(records, "admit", lambda record: True)


@sabotage
def the_file_grows(patch: Patch) -> None:
    """The log file never begins anew."""
    patch(output.File, "shouldRollover", lambda self, record: False)


@sabotage
def nobody_hears_of_signing_in(patch: Patch) -> None:
    """Signing in leaves no line in the log."""
    patch(audit, "_LOGGED", {})


SABOTAGES: Final = (
    nothing_is_cleaned,
    only_messages_are_cleaned,
    errors_are_left_alone,
    one_name_is_a_secret,
    no_shape_is_known,
    no_value_is_known,
    addresses_are_whole,
    breaks_stay_breaks,
    lines_name_no_request,
    every_id_is_taken,
    a_flood_is_written,
    the_file_grows,
    nobody_hears_of_signing_in,
)
