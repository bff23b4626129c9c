"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import sessions
from bylaw.store import sessions as store
from bylaw.store.feed import Feed
from bylaw.store.memory import SessionMemory


@sabotage
def the_cookie_itself_is_kept(patch: Patch) -> None:
    """The database holds what a browser sends."""
    patch(sessions, "digest", lambda secret: secret)


@sabotage
def idle_sessions_live_on(patch: Patch) -> None:
    """Only the absolute limit counts."""
    patch(sessions, "alive", lambda now, *, expires_at, seen_at, idle: now < expires_at)


@sabotage
def busy_sessions_live_on(patch: Patch) -> None:
    """Only the idle limit counts."""
    patch(sessions, "alive", lambda now, *, expires_at, seen_at, idle: now - seen_at < idle)


@sabotage
def signing_out_drops_the_cookie_alone(patch: Patch) -> None:
    """The session stays in the store."""
    patch(store, "end", lambda connection, key: False)


@sabotage
def memory_outlives_the_session(patch: Patch) -> None:
    """What has ended is not forgotten."""
    patch(SessionMemory, "forget", lambda self, user_id, key=None: None)


@sabotage
def new_roles_keep_the_id(patch: Patch) -> None:
    """A session goes on under its id when its user's privileges change."""
    patch(store, "mark_for_renewal", lambda connection, user_id: None)


@sabotage
def a_renewed_id_is_left_behind(patch: Patch) -> None:
    """Signing out ends one of the two ids that a renewed session answers to."""
    patch(sessions, "along_with", lambda rows, ended, now: {ended})


@sabotage
def the_feed_is_not_heeded(patch: Patch) -> None:
    """A process reads what others have ended, and does nothing about it."""
    patch(Feed, "_heed", lambda self, rows, now: None)


@sabotage
def memory_is_trusted_blindly(patch: Patch) -> None:
    """A process that cannot follow the feed goes on as if it did."""
    patch(Feed, "current", property(lambda self: True))


@sabotage
def nothing_is_remembered(patch: Patch) -> None:
    """Every request asks the database."""
    patch(SessionMemory, "remember", lambda self, session, generation: None)


@sabotage
def half_a_sign_in_is_one(patch: Patch) -> None:
    """Nobody looks at what a session still owes."""
    real = sessions._remembered
    patch(sessions, "_remembered", lambda house, row: real(house, replace(row, owes="")))


@sabotage
def a_proof_keeps_the_id(patch: Patch) -> None:
    """A session goes on under a new id, and under its old one."""
    patch(store, "replaced", lambda connection, key, now: True)


@sabotage
def an_id_that_was_replaced_is_forgotten(patch: Patch) -> None:
    """Whoever signs out while a proof is under way ends the id that is no more."""

    def dropped(connection: Any, key: str, now: float) -> bool:
        return store.end(connection, key)

    patch(store, "replaced", dropped)


@sabotage
def signing_out_everywhere_is_signing_out(patch: Patch) -> None:
    """Signing out everywhere ends the session that is being used."""
    signing_in = sys.modules["bylaw.operations.signing_in"]

    def here_alone(house: Any, who: Any) -> None:
        signing_in.end_session(house, who, who.session)

    patch(signing_in, "sign_out_everywhere", here_alone)


@sabotage
def signing_out_leaves_cookies_behind(patch: Patch) -> None:
    """Only the session's own cookie is ended."""
    patch(sys.modules["bylaw.pages.account"], "_theirs", lambda call: [])


@sabotage
def new_devices_pass_unseen(patch: Patch) -> None:
    """Whoever has the password signs in from anywhere, and the owner never hears of it."""
    patch(
        sys.modules["bylaw.operations.devices"], "tell", lambda house, connection, user_id, email, came: None
    )


SABOTAGES: Final = (
    the_cookie_itself_is_kept,
    idle_sessions_live_on,
    busy_sessions_live_on,
    signing_out_drops_the_cookie_alone,
    memory_outlives_the_session,
    new_roles_keep_the_id,
    a_renewed_id_is_left_behind,
    the_feed_is_not_heeded,
    memory_is_trusted_blindly,
    nothing_is_remembered,
    half_a_sign_in_is_one,
    a_proof_keeps_the_id,
    an_id_that_was_replaced_is_forgotten,
    signing_out_everywhere_is_signing_out,
    signing_out_leaves_cookies_behind,
    new_devices_pass_unseen,
)
