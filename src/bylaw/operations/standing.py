"""What an event ends: one table, enforced by the operations and printed in SECURITY.md.

An account holds more than its password: sessions, devices that it is known from, links that were mailed.
Whatever changes its standing says here what of these goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from sqlalchemy import Connection

from bylaw.house import House
from bylaw.store import ceremonies, devices, feed, links, users
from bylaw.store import sessions as session_rows
from bylaw.store.tables import email_confirmations, password_resets, unlock_links


class Event(StrEnum):
    """What happens to an account's standing."""

    PASSWORD_CHANGED = "the password is changed"  # noqa: S105 - no secret: a sentence
    PASSWORD_RESET = "the password is reset"  # noqa: S105 - no secret: a sentence
    ADDRESS_CHANGED = "the address is changed"
    FACTOR_ADDED = "a second factor is added"
    FACTOR_REMOVED = "a second factor is removed"
    ROLES_CHANGED = "the roles are changed"
    DISABLED = "the account is disabled"
    SIGNED_OUT_EVERYWHERE = "the person signs out everywhere"


@dataclass(frozen=True, slots=True)
class Ends:
    """What ends with an event. Sessions: `all`; `others` than the one in use; those that are `weaker`, with
    one factor; or none, but each gets a `new id` at its next use."""

    sessions: Literal["all", "others", "weaker", "new id"]
    devices: bool = False
    """Devices that the account is known from."""
    resets: bool = False
    """Links to choose a new password, and what was begun with one."""
    confirmations: bool = False
    """Links that confirm an address, or change it."""
    unlocks: bool = False
    """Links that let strangers try the password again."""


TABLE: Final[dict[Event, Ends]] = {
    Event.PASSWORD_CHANGED: Ends("others", devices=True, resets=True, confirmations=True, unlocks=True),
    Event.PASSWORD_RESET: Ends("all", devices=True, resets=True, confirmations=True, unlocks=True),
    Event.ADDRESS_CHANGED: Ends("others", devices=True, resets=True, confirmations=True, unlocks=True),
    Event.FACTOR_ADDED: Ends("weaker"),
    Event.FACTOR_REMOVED: Ends("others"),
    Event.ROLES_CHANGED: Ends("new id"),
    Event.DISABLED: Ends("all", devices=True, resets=True, confirmations=True, unlocks=True),
    Event.SIGNED_OUT_EVERYWHERE: Ends("all", devices=True),
}


def end(house: House, connection: Connection, user_id: str, event: Event, *, but: str | None = None) -> int:
    """End what the event ends, in its transaction; the account's epoch from now on.

    `but` is the digest of the session in use, which `others` and `weaker` leave. Whoever calls this has
    the process forget the account once the transaction is there: `house.store.memory.forget(user_id)`.
    """
    ends = TABLE[event]
    epoch = 0
    match ends.sessions:
        case "all" | "others":
            epoch = users.next_epoch(connection, user_id)
            spared = but if ends.sessions == "others" else None
            session_rows.end_of_user(connection, user_id, but=spared)
            if spared is not None:
                session_rows.raise_epoch(connection, spared, epoch)
        case "weaker":
            session_rows.end_weaker(connection, user_id, but=but)
        case "new id":
            session_rows.mark_for_renewal(connection, user_id)
    if ends.devices:
        devices.end_of_user(connection, user_id)
    for table, ended in (
        (password_resets, ends.resets),
        (email_confirmations, ends.confirmations),
        (unlock_links, ends.unlocks),
    ):
        if ended:
            links.end_of_user(connection, table, user_id)
    if ends.sessions != "new id":
        ceremonies.end_of_user(connection, user_id)
    feed.revoke(connection, house.now(), user_id)
    return epoch
