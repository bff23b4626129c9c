"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls.body import media, streams, strict
from bylaw.exchange import ALLOW, EnvironHeaders, RawHeaders


@sabotage
def announcements_are_believed(patch: Patch) -> None:
    """Nobody looks at what a head says of its body."""
    patch(sys.modules["bylaw.controls.body"], "announced", lambda exchange, rules: ALLOW)


@sabotage
def any_size_passes(patch: Patch) -> None:
    """What passes in pieces is not counted."""
    patch(streams.Sized, "take", lambda self, piece: None)


@sabotage
def any_type_passes(patch: Patch) -> None:
    """Every type is taken everywhere."""
    patch(media.Taken, "__contains__", lambda self, essence: True)


@sabotage
def json_is_lenient(patch: Patch) -> None:
    """What Python's own decoder reads is good enough."""
    patch(strict, "_decode", json.loads)


@sabotage
def any_depth_passes(patch: Patch) -> None:
    """Nobody counts brackets."""
    patch(strict, "_deeper", lambda body, depth: False)


@sabotage
def parts_are_not_counted(patch: Patch) -> None:
    """A form may have as many parts as fit into it."""

    def begin(self: Any) -> None:
        self._begun += 1
        self._disposition, self._size, self._headers = None, 0, 0

    patch(streams.Form, "_part_begin", begin)


@sabotage
def fields_are_not_counted(patch: Patch) -> None:
    """An urlencoded form is not looked at."""
    patch(strict, "form_fault", lambda body, fields: None)


@sabotage
def headers_are_not_added_up(patch: Patch) -> None:
    """Headers may be as long as the server takes them."""
    for kind in (RawHeaders, EnvironHeaders):
        patch(kind, "exceed", lambda self, count, length: False)


@sabotage
def every_method_passes(patch: Patch) -> None:
    """A method is whatever somebody sends."""
    patch(sys.modules["bylaw.controls.body"], "spoken", lambda method: True)


SABOTAGES: Final = (
    announcements_are_believed,
    any_size_passes,
    any_type_passes,
    json_is_lenient,
    any_depth_passes,
    parts_are_not_counted,
    fields_are_not_counted,
    headers_are_not_added_up,
    every_method_passes,
)
