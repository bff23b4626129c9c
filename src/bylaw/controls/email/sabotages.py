"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.keys import KeyRing
from bylaw.reasons import Refused
from bylaw.store import links, outbox, users
from bylaw.store.tables import email_confirmations


def _email() -> Any:
    return sys.modules["bylaw.controls.email"]


def _operations(name: str) -> Any:
    return sys.modules[f"bylaw.operations.{name}"]


@sabotage
def nothing_is_confirmed(patch: Patch) -> None:
    """Whoever signs up is signed in by the password alone."""
    patch(_email(), "must_confirm", lambda policy: False)


@sabotage
def looking_is_confirming(patch: Patch) -> None:
    """A click on the mailed link confirms the account, whoever clicks."""
    ceremonies = _operations("ceremonies")
    real = ceremonies.begin

    def begin(house: Any, exchange: Any, kind: str, facts: Any, **how: Any) -> None:
        if kind == "confirm_email":
            with house.store.transaction() as connection:
                users.change(connection, how["user_id"], confirmed_at=house.now())
        real(house, exchange, kind, facts, **how)

    patch(ceremonies, "begin", begin)


@sabotage
def looking_uses_it_up(patch: Patch) -> None:
    """A mail scanner that opens the link leaves none for its owner."""
    ceremonies = _operations("ceremonies")
    real = ceremonies.begin

    def begin(house: Any, exchange: Any, kind: str, facts: Any, **how: Any) -> None:
        if kind == "confirm_email":
            with house.store.transaction() as connection:
                links.redeem(connection, email_confirmations, facts["link"], house.now())
        real(house, exchange, kind, facts, **how)

    patch(ceremonies, "begin", begin)


@sabotage
def anybody_may_use_it(patch: Patch) -> None:
    """A link confirms its account for whoever is signed in to any."""
    addresses = _operations("addresses")
    real = addresses.confirm

    def confirm(house: Any, who: Any, *, link: str, session: str, owes: str) -> bool:
        with house.store.reading() as connection:
            found = links.find(connection, email_confirmations, link, house.now())
        if found is not None:
            who = replace(who, id=found["user_id"])
        return bool(real(house, who, link=link, session=session, owes=owes))

    patch(addresses, "confirm", confirm)


@sabotage
def links_never_end(patch: Patch) -> None:
    """A link works as often and as long as somebody has it."""
    found = links.find
    patch(links, "find", lambda connection, table, key, now: found(connection, table, key, 0.0))
    patch(links, "redeem", lambda connection, table, key, now: found(connection, table, key, 0.0))


@sabotage
def all_links_count(patch: Patch) -> None:
    """A newer link leaves the earlier ones as they are."""
    patch(links, "end_of_user", lambda connection, table, user_id: 0)


@sabotage
def asking_is_enough(patch: Patch) -> None:
    """Another address counts as soon as it is asked for."""
    addresses = _operations("addresses")
    real = addresses.ask_to_change

    def ask(house: Any, who: Any, new: str) -> None:
        real(house, who, new)
        with house.store.transaction() as connection:
            if users.by_email(connection, new) is None:
                users.change(connection, who.id, email=new)
        house.store.memory.forget(who.id)

    patch(addresses, "ask_to_change", ask)


@sabotage
def an_old_session_may(patch: Patch) -> None:
    """Whoever finds a session open takes the account along to an address of his own."""
    patch(sys.modules["bylaw.controls.mfa"], "demand_fresh", lambda house, who: None)


@sabotage
def the_old_address_is_not_told(patch: Patch) -> None:
    """An account leaves for another address, and its owner hears nothing of it."""
    mailing = _operations("mailing")
    real = mailing.post

    def post(house: Any, connection: Any, *, subject: str, **what: Any) -> bool:
        return "your account" in subject or bool(real(house, connection, subject=subject, **what))

    patch(mailing, "post", post)


@sabotage
def a_taken_address_is_told(patch: Patch) -> None:
    """Whoever is signed in learns whose address has an account."""
    signup = sys.modules["bylaw.controls.signup"]

    def told(*args: Any) -> None:
        raise Refused(signup.TAKEN)

    patch(_operations("addresses"), "_mail_owner", told)


@sabotage
def addresses_as_they_come(patch: Patch) -> None:
    """An address is what was typed."""
    patch(sys.modules["bylaw.controls.signup"], "address", lambda text, field="email": text.strip())


@sabotage
def dropped_before_it_is_sent(patch: Patch) -> None:
    """A message is forgotten once somebody begins to send it."""
    real = outbox.claim

    def claim(connection: Any, message: Any, **how: Any) -> bool:
        return real(connection, message, **how) and outbox.drop(connection, message)

    patch(outbox, "claim", claim)


@sabotage
def second_copies_say_nothing(patch: Patch) -> None:
    """What is sent again after an interruption looks like the first."""
    mailing = _operations("mailing")
    real = mailing.message
    patch(mailing, "message", lambda house, waiting: real(house, replace(waiting, claimed=False)))


@sabotage
def nobody_counts(patch: Patch) -> None:
    """An address gets as many mails as strangers like."""
    patch(_operations("mailing"), "_within_budget", lambda *args: True)


@sabotage
def one_budget_for_all(patch: Patch) -> None:
    """Whoever asks for enough links keeps the news of a new password from its owner."""
    mailing = _operations("mailing")
    real = mailing._within_budget
    patch(mailing, "_within_budget", lambda house, connection, to, subject: real(house, connection, to, ""))


@sabotage
def mail_waits_in_clear(patch: Patch) -> None:
    """A copy of the database holds every link that has not left yet."""
    patch(KeyRing, "encrypt", lambda self, purpose, plain, *, bound, entropy: plain.decode())
    patch(KeyRing, "decrypt", lambda self, purpose, sealed, *, bound: (sealed.encode(), True))


SABOTAGES: Final = (
    nothing_is_confirmed,
    looking_is_confirming,
    looking_uses_it_up,
    anybody_may_use_it,
    links_never_end,
    all_links_count,
    asking_is_enough,
    an_old_session_may,
    the_old_address_is_not_told,
    a_taken_address_is_told,
    addresses_as_they_come,
    dropped_before_it_is_sent,
    second_copies_say_nothing,
    nobody_counts,
    one_budget_for_all,
    mail_waits_in_clear,
)
