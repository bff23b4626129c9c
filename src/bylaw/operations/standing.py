"""What an event ends: one table, enforced by the operations and printed in SECURITY.md.

An account holds more than its password: sessions, devices that it is known from, links that were mailed,
what is under way in somebody's browser. Whatever changes its standing says here what of these goes with it.

Clients that hold refresh tokens are sessions of another kind, and end like them. Access tokens and API keys
are credentials of their own, beside the password: they end where all of the account does.

Three rules make the rows. What a session has begun ends with it: a thief's session must not leave a change
of the address behind. A mailed secret that sets the password ends with whatever gives the account another
password or another mailbox (Rodauth 2.41). Where somebody else may have had the account, all of it ends
(NIST SP 800-63B-4 4.2, ASVS 5.0.0 7.4.2 and 7.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from sqlalchemy import Connection

from bylaw.house import House
from bylaw.store import bearers, ceremonies, devices, feed, links, token_families, users
from bylaw.store import sessions as session_rows
from bylaw.store.tables import access_tokens, api_keys, email_confirmations, password_resets, unlock_links


class Event(StrEnum):
    """What happens to an account's standing."""

    PASSWORD_CHANGED = "the password is changed"  # noqa: S105 - a sentence  # nosec B105
    PASSWORD_RESET = "the password is reset"  # noqa: S105 - a sentence  # nosec B105
    ADDRESS_CHANGED = "the address is changed"
    FACTOR_ADDED = "a second factor or passkey is added"
    FACTOR_REMOVED = "a second factor or passkey is removed"
    LINK_REMOVED = "an account at another provider is unlinked"
    ROLES_CHANGED = "the roles are changed"
    DISABLED = "the account is disabled"
    OTHERS_ENDED = "the person ends all other sessions"
    SIGNED_OUT_EVERYWHERE = "the person, or an administrator, ends all sessions"


@dataclass(frozen=True, slots=True)
class Ends:
    """What ends with an event. Sessions: `all`; `others` than the one in use; those that are `weaker`, with
    one factor; or none, but each gets a `new id` at its next use."""

    sessions: Literal["all", "others", "weaker", "new id"]
    devices: bool = False
    """Devices that the account is known from."""
    resets: bool = False
    """Links to choose a password."""
    changes: bool = False
    """Links that give the account another address."""
    confirmations: bool = False
    """Links that confirm the account's own address."""
    unlocks: bool = False
    """Links that let strangers try the password again."""
    tokens: bool = False
    """Access tokens, by which somebody signs in."""
    keys: bool = False
    """API keys."""

    @property
    def under_way(self) -> bool:
        """Whether what is under way in a browser ends: choosing a password, adding a factor, a sign-in by
        another provider. It does with every event but one that leaves all sessions as they are."""
        return self.sessions != "new id"


HELD: Final = {
    "devices": "known devices",
    "resets": "links to choose a password",
    "changes": "links to another address",
    "confirmations": "links that confirm the address",
    "unlocks": "links that unlock",
    "under_way": "what is under way in a browser",
    "tokens": "access tokens",
    "keys": "API keys",
}
"""What an account holds besides sessions, by its name in `Ends`, in words."""

_ALL: Final = {
    "devices": True,
    "resets": True,
    "changes": True,
    "confirmations": True,
    "unlocks": True,
}
_BEARERS: Final = {"tokens": True, "keys": True}

TABLE: Final[dict[Event, Ends]] = {
    # The account's own address stays to be confirmed: that link is in its owner's mailbox.
    Event.PASSWORD_CHANGED: Ends("others", devices=True, resets=True, changes=True, unlocks=True),
    Event.PASSWORD_RESET: Ends("all", **_ALL, **_BEARERS),
    Event.ADDRESS_CHANGED: Ends("others", **_ALL),
    # Sessions that have shown one factor were good enough until now (Rodauth 2.44).
    Event.FACTOR_ADDED: Ends("weaker", changes=True),
    Event.FACTOR_REMOVED: Ends("others", changes=True),
    Event.LINK_REMOVED: Ends("others", changes=True),
    Event.ROLES_CHANGED: Ends("new id"),
    Event.DISABLED: Ends("all", **_ALL, **_BEARERS),
    Event.OTHERS_ENDED: Ends("others", changes=True),
    Event.SIGNED_OUT_EVERYWHERE: Ends("all", devices=True, changes=True),
}


def end(house: House, connection: Connection, user_id: str, event: Event, *, but: str | None = None) -> int:
    """End what the event ends, in its transaction; the account's epoch from now on (0: it is what it was).

    Whatever the event: nobody acts any longer as this account, nor this account as somebody else.
    `but` is the digest of the session in use, which `others` and `weaker` leave. Whoever calls this has
    the process forget the account once the transaction is there: `house.store.memory.forget(user_id)`.
    """
    users.hold(connection, user_id)  # of two events at once the second sees what the first has left
    ends = TABLE[event]
    epoch = 0
    match ends.sessions:
        case "all" | "others":
            epoch = users.next_epoch(connection, user_id)
            spared = but if ends.sessions == "others" else None
            session_rows.end_of_user(connection, user_id, but=spared)
            token_families.end_of_user(connection, user_id)
            if spared is not None:
                session_rows.raise_epoch(connection, spared, epoch)
        case "weaker":
            session_rows.end_weaker(connection, user_id, but=but)
            token_families.end_of_user(connection, user_id, weaker=True)
        case "new id":
            session_rows.mark_for_renewal(connection, user_id)
    session_rows.end_acting(connection, user_id)
    if ends.devices:
        devices.end_of_user(connection, user_id)
    if ends.resets:
        links.end_of_user(connection, password_resets, user_id)
    if ends.changes:
        links.end_changes(connection, user_id)
    if ends.confirmations:
        links.end_of_user(connection, email_confirmations, user_id)
    if ends.unlocks:
        links.end_of_user(connection, unlock_links, user_id)
    if ends.tokens:
        bearers.revoke_of_user(connection, access_tokens, user_id, house.now())
    if ends.keys:
        bearers.revoke_of_user(connection, api_keys, user_id, house.now())
    if ends.under_way:
        ceremonies.end_of_user(connection, user_id)
    feed.revoke(connection, house.now(), user_id)
    return epoch
