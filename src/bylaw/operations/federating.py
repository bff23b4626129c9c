"""Signing in with an account of another provider, and linking one with an account here."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, errors, federated, signup
from bylaw.controls.federated import Offered
from bylaw.controls.sessions import Opened
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import base64url
from bylaw.oidc import Claims, Client, Declined, Transaction, Unasked, Unreachable, Untrusted
from bylaw.operations import accounts, ceremonies, mailing, second_factors, signing_in, standing
from bylaw.operations.standing import Event
from bylaw.reasons import Reason, Refused
from bylaw.store import federated as rows
from bylaw.store import sessions as session_rows
from bylaw.store import users
from bylaw.store.users import User

log = logging.getLogger("bylaw.federated")

_SECRET_BYTES: Final = 32
_TRIES: Final = 3
"""How often an account is looked for again that another request has made in between."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Whoever came back from a provider: the account, where he wanted to go, and the session that the new
    one takes the place of (its digest)."""

    user: User
    next: str
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    """An account of a provider's that opens the account of whoever is signed in from now on."""

    provider: Offered


def offered(house: House, name: str) -> Offered:
    """A provider that is on. Raises Refused."""
    offer = federated.offered(house.policy).get(name)
    if offer is None:
        raise Refused(errors.NOT_FOUND)
    return offer


# Going there


def begin(
    house: House, exchange: Exchange, name: str, *, to: str, session: str = "", who: Identity | None = None
) -> str:
    """Begin in this browser; where to send it. Raises Refused.

    `to` is where to go afterwards, `session` the digest of the session in use. With `who`, the account of
    the provider's is to be linked with his, for which he must have shown lately that it is he.
    """
    offer = offered(house, name)
    if who is not None:
        with house.store.transaction() as connection:
            _demand_himself(house, connection, who)
    secrets = [base64url(house.ports.entropy(_SECRET_BYTES)) for _ in range(3)]
    transaction, state, nonce = Transaction.made(secrets, house.now())
    if house.policy.testing:
        address = f"{_client(house, offer).redirect_uri}?{urlencode({'code': 'testing', 'state': state})}"
    else:
        try:
            provider = federated.provider(house, offer)
            address = provider.address(_client(house, offer), transaction, state=state, nonce=nonce)
        except (Unreachable, Untrusted) as error:
            log.warning("%s: %s", name, error)
            raise Refused(federated.UNAVAILABLE, headers=(("Retry-After", "30"),)) from None
    facts = {**asdict(transaction), "provider": name, "to": to, "session": session}
    ceremonies.begin(house, exchange, federated.CEREMONY, facts, user_id=who.id if who else None)
    return address


def _demand_himself(house: House, connection: Connection, who: Identity) -> User:
    """Whoever adds or takes away a way in has just shown that it is he, with all that he has; his account,
    held. Raises Refused: an administrator who acts for him would leave himself a door."""
    return second_factors.demand(house, connection, who)


def _client(house: House, offer: Offered) -> Client:
    return Client(offer.client_id, offer.client_secret, federated.callback(house.policy, offer.name))


# Coming back


def finish(house: House, exchange: Exchange, name: str) -> Arrived | Linked:
    """What became of a sign-in, or of linking, now that the browser is back. Raises Refused."""
    offer = offered(house, name)
    with house.store.transaction() as connection:
        # Over, whatever comes of it: an answer counts once.
        ceremony = ceremonies.end(house, connection, exchange, federated.CEREMONY)
    if ceremony is None or ceremony["facts"]["provider"] != name:
        raise Refused(federated.STATE)
    facts = ceremony["facts"]
    claims = _claims(house, offer, facts, exchange.query)
    if ceremony["user_id"] is None:
        return Arrived(_account(house, offer, claims), facts["to"], facts["session"])
    _link(house, offer, claims, ceremony)
    return Linked(offer)


def _claims(house: House, offer: Offered, facts: dict[str, Any], query: str) -> Claims:
    """Who the provider says that it is. Raises Refused."""
    transaction = Transaction(facts["state"], facts["nonce"], facts["verifier"], facts["begun"])
    try:
        if house.policy.testing:
            transaction.answered(query)
            return played(offer.name)
        return federated.provider(house, offer).claims(_client(house, offer), transaction, query)
    except Unasked:
        raise Refused(federated.STATE) from None
    except Declined:
        raise Refused(federated.DECLINED) from None
    except Unreachable as error:
        log.warning("%s: %s", offer.name, error)
        raise Refused(federated.UNAVAILABLE, headers=(("Retry-After", "30"),)) from None
    except Untrusted as error:
        log.warning("%s: %s", offer.name, error)
        raise _failed(house, offer, federated.UNTRUSTED, why=str(error)) from None


def played(name: str) -> Claims:
    """The person that signs in under TESTING, who is always the same (S1-025)."""
    return Claims("test-user", f"test-user@{name}.example", True, "Test User")


def _failed(house: House, offer: Offered, reason: Reason, *, user_id: str = "", why: str = "") -> Refused:
    """A sign-in that failed, recorded."""
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action="authn_login_fail",
            outcome="failure",
            actor=user_id,
            entity_type="user",
            entity_id=user_id,
            changes={"method": federated.METHOD, "provider": offer.name, "why": why or reason.code},
        )
    return Refused(reason)


# Signing in


def _account(house: House, offer: Offered, claims: Claims) -> User:
    """The account that opens with these claims; a new one for somebody new. Raises Refused."""
    for _ in range(_TRIES):
        try:
            with house.store.transaction() as connection:
                user = _known(house, connection, offer, claims) or _made(house, connection, offer, claims)
            break
        except IntegrityError:
            continue  # another request has made it since: now it is there, or its address is taken
        except Refused as refused:
            raise _failed(house, offer, refused.reason) from None
    else:
        raise _failed(house, offer, federated.TAKEN)
    if user.disabled_at is not None:
        raise _failed(house, offer, federated.NOBODY, user_id=user.id, why="disabled")
    return user


def _known(house: House, connection: Connection, offer: Offered, claims: Claims) -> User | None:
    """By provider and subject alone: an address may be somebody else's tomorrow (ASVS 6.8.1)."""
    row = rows.find(connection, offer.name, claims.subject)
    if row is None:
        return None
    rows.used(connection, offer.name, claims.subject, email=_shown(claims), now=house.now())
    return users.by_id(connection, row["user_id"])


def _made(house: House, connection: Connection, offer: Offered, claims: Claims) -> User:
    """A new account, of the role that signing up gives whatever the claims say. Raises Refused."""
    try:
        granted = signup.new_roles(house.policy)
    except Refused:
        raise Refused(federated.NOBODY) from None
    try:
        address = signup.address(claims.email)
    except Refused:
        raise Refused(federated.UNVERIFIED) from None
    if not claims.email_verified:
        # Not even unconfirmed: whoever has a provider say somebody else's address would sit in the account
        # that its owner makes his own one day (Sudhodanan and Paverd 2022, pre-hijacking).
        raise Refused(federated.UNVERIFIED)
    if users.by_email(connection, address) is not None:
        # His own, where another request of his has made it since he was looked for.
        user = _known(house, connection, offer, claims)
        if user is None:
            raise Refused(federated.TAKEN)
        return user
    user_id = accounts.add(house, connection, address, None, claims.name, granted, by=None)
    users.change(connection, user_id, confirmed_at=house.now())
    _add(house, connection, offer, claims, user_id)
    return accounts.found(connection, user_id)


def _add(house: House, connection: Connection, offer: Offered, claims: Claims, user_id: str) -> None:
    now = house.now()
    rows.add(
        connection,
        {
            "oauth_provider": offer.name,
            "oauth_id": claims.subject,
            "user_id": user_id,
            "email": _shown(claims),
            "created_at": now,
            "used_at": now,
        },
    )
    _record(house, connection, "federated_linked", user_id, offer.name)


def _shown(claims: Claims) -> str:
    """The provider's address for somebody, as his page shows it: nothing is decided by it."""
    return audit.printable(claims.email, 254)


def _record(house: House, connection: Connection, action: str, user_id: str, name: str) -> None:
    audit.record(
        house,
        connection,
        action=action,
        actor=user_id,
        entity_type="user",
        entity_id=user_id,
        changes={"provider": name},
    )


def open_session(house: House, arrived: Arrived, *, address: str = "", agent: str = "") -> Opened:
    """Open a session for whoever came back, in the place of the one that he began in. Raises Refused."""
    try:
        opened = signing_in.open_session(
            house, arrived.user, method=federated.METHOD, address=address, agent=agent
        )
    except Refused:  # shut or changed in this moment; there is no password to speak of
        raise Refused(federated.NOBODY) from None
    # Its cookie has not come back with the browser where it is SameSite=Strict: it is ended here.
    with house.store.reading() as connection:
        row = session_rows.find(connection, arrived.replaces) if arrived.replaces else None
    if row is not None:
        signing_in.sign_out(house, Identity(row.user_id, session=row.id), arrived.replaces)
    return opened


# Linking


def _link(house: House, offer: Offered, claims: Claims, ceremony: RowMapping) -> None:
    """Link the two, once more if another request was quicker. Raises Refused."""
    for _ in range(_TRIES):
        try:
            with house.store.transaction() as connection:
                _linked(house, connection, offer, claims, ceremony)
            return
        except IntegrityError:
            continue
    raise Refused(federated.LINKED)


def _linked(
    house: House, connection: Connection, offer: Offered, claims: Claims, ceremony: RowMapping
) -> None:
    user_id = ceremony["user_id"]
    session = session_rows.find(connection, ceremony["facts"]["session"])
    # Whoever signed out meanwhile, or was signed out, has not asked for it any more.
    if session is None or session.user_id != user_id or session.expires_at <= house.now() or session.acting:
        raise Refused(federated.STATE)
    users.hold(connection, user_id)
    known = rows.find(connection, offer.name, claims.subject)
    mine = [row for row in rows.of_user(connection, user_id) if row["oauth_provider"] == offer.name]
    if known is not None and known["user_id"] == user_id:
        return
    if known is not None or mine:
        raise Refused(federated.LINKED)
    _add(house, connection, offer, claims, user_id)
    mailing.post(
        house,
        connection,
        to=session.email,
        subject=f"Your account at {house.policy.app.name} now opens with {offer.label}",
        paragraphs=[
            f"An account at {offer.label} was linked with yours: it can be used to sign in.",
            f"If it was not you, unlink it on the page of your linked accounts, and {mailing.regain(house)}.",
        ],
    )


def unlink(house: House, who: Identity, digest: str, name: str) -> None:
    """Unlink one's account from a provider, on or off; other sessions end. Raises Refused."""
    label = label_of(house, name)
    with house.store.transaction() as connection:
        user = _demand_himself(house, connection, who)  # of two at once the second sees what the first did
        if not rows.end(connection, who.id, name):
            raise Refused(errors.NOT_FOUND)
        if not accounts.ways_in(house, connection, who.id):
            raise Refused(federated.LAST)
        standing.end(house, connection, who.id, Event.LINK_REMOVED, but=digest)
        _record(house, connection, "federated_unlinked", who.id, name)
        mailing.post(
            house,
            connection,
            to=user.email,
            subject=f"Your account at {house.policy.app.name} no longer opens with {label}",
            paragraphs=[
                f"Your account was unlinked from {label} just now, and your other sessions were ended.",
                f"If it was not you, {mailing.regain(house)} and tell an administrator at once.",
            ],
        )
    house.store.memory.forget(who.id)


def label_of(house: House, name: str) -> str:
    """What people call a provider, also one that the policy does not name any more."""
    settings = house.policy.of(federated.Settings)
    provider = settings.providers.get(name)
    return federated.label_of(name, provider) if provider else name.title()


def links(house: House, who: Identity) -> list[RowMapping]:
    """What one's own account is linked with."""
    with house.store.reading() as connection:
        return rows.of_user(connection, who.id)
