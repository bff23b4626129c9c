"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from bylaw import content
from bylaw.control import Patch, Sabotage, sabotage
from bylaw.controls.uploads import names


def _this() -> Any:
    return sys.modules["bylaw.controls.uploads"]


def _meter() -> Any:
    """The counter of a form's files; the module imports this control."""
    return sys.modules["bylaw.controls.body.streams"].Arriving


@sabotage
def any_route_takes_files(patch: Patch) -> None:
    """Nobody looks whether a route has declared anything."""
    body = sys.modules["bylaw.controls.body"]
    free = sys.modules["bylaw.controls.body.streams"].Files(None, sys.maxsize, sys.maxsize)
    patch(body.Forms, "files", lambda self, taking: free)


@sabotage
def any_size_comes_in(patch: Patch) -> None:
    """A file is as long as it is."""
    patch(_meter(), "take", lambda self, size: None)


@sabotage
def any_field_brings_files(patch: Patch) -> None:
    """Neither their fields nor how many they are is looked at."""

    def begin(self: Any, said: Any) -> None:
        self._named, self._room = True, self._allowed.size

    patch(_meter(), "begin", begin)


@sabotage
def every_extension_is_taken(patch: Patch) -> None:
    """Whatever it is called, it is taken for what its content is."""
    patch(
        _this(),
        "judge",
        lambda policy, name, media_type, kinds=(): _this().Judged(names.cleaned(name), "png", "png"),
    )


@sabotage
def claims_are_ignored(patch: Patch) -> None:
    """A file may say that it is one thing and be another."""
    patch(_this(), "claims", lambda media_type, kind: True)


@sabotage
def content_is_not_looked_at(patch: Patch) -> None:
    """The name says what it is."""
    patch(content, "examine", lambda stream, kind, limits: content.Facts())


@sabotage
def nothing_costs_too_much(patch: Patch) -> None:
    """Whatever the policy says of pixels and archives, far more is taken."""
    patch(
        _this(),
        "limits",
        lambda settings: content.Limits(
            pixels=10**9, entries=10**6, unpacked=10**9, ratio=10**6, metadata=10**9
        ),
    )


@sabotage
def names_are_kept_as_they_are(patch: Patch) -> None:
    """What somebody called a file is what everybody is shown."""
    patch(names, "cleaned", lambda given: given[:250].replace("\0", "").encode(errors="replace").decode())


# Where files are kept, and how they are given out


def _files(name: str) -> Any:
    return sys.modules[f"bylaw.operations.files.{name}"]


@sabotage
def everybody_may_read_what_is_kept(patch: Patch) -> None:
    """Files are made as a careless program makes them."""
    patch(sys.modules["bylaw.storage.local"], "MODE", 0o644)


@sabotage
def names_are_written_again(patch: Patch) -> None:
    """What has a name already is written over."""
    patch(sys.modules["bylaw.storage.local"], "NEW", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


@sabotage
def files_are_shown(patch: Patch) -> None:
    """A browser shows what somebody uploaded, as a page of this site."""
    headers = _files("headers")
    shown = headers.disposition
    patch(headers, "disposition", lambda name, kind="": shown(name, "inline"))


@sabotage
def files_have_no_sandbox(patch: Patch) -> None:
    """What is opened in spite of all that may do what a page may."""
    headers = _files("headers")
    patch(headers, "ALWAYS", tuple(pair for pair in headers.ALWAYS if "Policy" not in pair[0]))


@sabotage
def an_id_is_enough(patch: Patch) -> None:
    """Whoever has an id gets the file, whatever it belongs to."""

    def find(house: Any, file_id: str, subject: str) -> Any:
        with house.store.reading() as connection:
            return sys.modules["bylaw.store.files"].find(connection, file_id)

    patch(_files("giving"), "find", find)


@sabotage
def anybody_attaches_anything(patch: Patch) -> None:
    """A fresh file is whoever's names it first."""
    store = sys.modules["bylaw.store.files"]
    attach = store.attach

    def anybodys(connection: Any, file_id: str, user_id: str, subject: str, at: float) -> bool:
        giver = store.find(connection, file_id)
        return bool(giver and attach(connection, file_id, giver.user_id, subject, at))

    patch(store, "attach", anybodys)


@sabotage
def nobody_waits_for_the_scanner(patch: Patch) -> None:
    """A file is given out whatever a scanner has said, or not yet said."""
    giving = _files("giving")
    patch(giving, "clean", giving.find)


@sabotage
def what_is_on_disk_is_believed(patch: Patch) -> None:
    """What storage holds is given out without a look at its digest."""
    patch(
        _files("giving"),
        "opened",
        lambda house, file, start=0, end=None: house.storage.open(file.id, start, end),
    )


@sabotage
def nothing_is_swept(patch: Patch) -> None:
    """What nobody wanted stays."""
    patch(_files("sweeping"), "_let_go", lambda house: 0)


SABOTAGES: Final[tuple[Sabotage, ...]] = (
    any_route_takes_files,
    any_size_comes_in,
    any_field_brings_files,
    every_extension_is_taken,
    claims_are_ignored,
    content_is_not_looked_at,
    nothing_costs_too_much,
    names_are_kept_as_they_are,
    everybody_may_read_what_is_kept,
    names_are_written_again,
    files_are_shown,
    files_have_no_sandbox,
    an_id_is_enough,
    anybody_attaches_anything,
    nobody_waits_for_the_scanner,
    what_is_on_disk_is_believed,
    nothing_is_swept,
)
