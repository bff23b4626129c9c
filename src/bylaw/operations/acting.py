"""Acting as somebody else: an administrator sees what a person sees, and both names are in every record.

Off unless the policy turns it on (`[sessions] impersonation`). It asks for a permission of its own, a proof
of lately and a reason; nobody acts as himself, as somebody who may more or as another administrator. It
opens a session that lasts an hour at most and changes none of the account's credentials, sessions or
addresses (`Identity.acting`); the person is told by mail at once, not afterwards: whoever objects can still
end it. Source: ASVS 5.0.0 16.2.1; CWE-269; OWASP Logging Vocabulary (`privilege_permissions_changed` is not
enough to tell who did it).
"""

from __future__ import annotations

import math
from typing import Final

from sqlalchemy import Connection

from bylaw.controls import audit, mfa, roles, sessions
from bylaw.controls.sessions import Opened
from bylaw.house import House
from bylaw.identity import SIGNED_IN, UNAUTHENTICATED, Identity, StepUp, asking, permissions_of
from bylaw.operations import accounts, authority, mailing
from bylaw.reasons import Refused
from bylaw.store import access_tokens as access_rows
from bylaw.store import sessions as session_rows
from bylaw.store import users

LONGEST: Final = 3600
"""Seconds after which such a session has ended, however busy."""
METHOD: Final = "acting"
"""What such a session was opened by."""


def begin(
    house: House, by: Identity, user_id: str, *, reason: str, address: str = "", agent: str = ""
) -> Opened:
    """Open a session in which `by` acts as the account. Raises Refused."""
    by.demand(roles.IMPERSONATE)
    if not house.policy.of(sessions.Settings).impersonation:
        raise Refused(roles.NO_IMPERSONATION)
    mfa.demand_fresh(house, by)  # raises for whoever acts as somebody already
    reason = authority.stated(reason)
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)  # nobody's roles change, and nobody is disabled, in between
        me = users.by_id(connection, by.id)
        if me is None or me.disabled_at is not None or (me.epoch, me.roles) != (by.epoch, by.roles):
            raise Refused(UNAUTHENTICATED)
        user = accounts.found(connection, user_id)
        roles.demand_no_less_than(house, by, authority.held(connection, user_id))
        held = permissions_of(user.roles, house.policy.of(roles.Settings).grants)
        if (
            user.id == by.id
            or user.disabled_at is not None
            or user.service
            or held.allow(roles.MANAGE_USERS)
            or held.allow(roles.IMPERSONATE)
        ):
            raise Refused(roles.NOT_AS)
        if mfa.required(house.policy, user.every_role) and by.assurance < 2:
            raise StepUp(asking(SIGNED_IN, second_factor=True, max_age=0))
        until = authority.until_when(house, authority.held(connection, by.id), roles.IMPERSONATE, "")
        opened = sessions.mint(house)
        row = sessions.row(
            house,
            opened,
            user.id,
            user.epoch,
            METHOD,
            address=address,
            agent=agent,
            assurance=by.assurance,
            acting=by.id,
            expires_at=min(
                house.now() + min(LONGEST, house.policy.of(sessions.Settings).absolute),
                math.inf if until is None else until,  # with the right to act, where that ends by itself
            ),
        )
        # No older proof becomes a newer one by acting as somebody.
        begun = {**row, "authenticated_at": by.authenticated_at}
        session_rows.add(connection, access_rows.bound(connection, _credential(connection, by), begun))
        audit.record(
            house,
            connection,
            action="user_impersonated",
            actor=by,
            entity_type="user",
            entity_id=user.id,
            changes={"reason": reason, "session": {"old": None, "new": opened.id}},
        )
        app = house.policy.app.name
        mailing.post(
            house,
            connection,
            to=user.email,
            subject=f"An administrator is signed in as you at {app}",
            paragraphs=[
                _told(by, app),
                f"The reason given: {reason}",
                _OBJECT,
            ],
        )
    return opened


def _credential(connection: Connection, by: Identity) -> str | None:
    """The access token by which an administrator is here: all that it opened ends with it."""
    mine = session_rows.of_user(connection, by.id)
    return next((row.credential for row in mine if row.id == by.session), None)


_OBJECT: Final = (
    "You see this session among your own, and can end it there. If you did not expect it, tell another "
    "administrator."
)


def _told(by: Identity, app: str) -> str:
    return (
        f"{by.name or by.email or 'An administrator'} has signed in to your account at {app}, to see what "
        "you see. It ends within an hour. Your password, address and second factors cannot be changed in "
        "this way, and whatever is done is recorded with both names."
    )
