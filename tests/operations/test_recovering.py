"""Recovering an account by a mailed link: asked for, mailed, redeemed once, on both databases."""

from __future__ import annotations

import multiprocessing
import re
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import passwords, reset, signup
from bylaw.controls.lockout import Whence
from bylaw.controls.passwords import judging
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import digest
from bylaw.operations import accounts, administering, chores, proving, recovering, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.ports import Ports
from bylaw.reasons import Refused
from bylaw.site import build
from bylaw.store import audit, links, resets, users
from bylaw.store.tables import password_resets, reset_requests
from bylaw.store.users import User
from bylaw.verify.fakes import FakeClock, Mailbox
from tests.applications.stacks import Quick
from tests.controls.houses import Builder
from tests.operations.conftest import POLICY
from tests.operations.test_accounts import OTHER, PASSWORD, at_once, found, made, refused

ANN = "ann@people.test"
NEW = "seven grey herons over cold marshes"
_LINK = re.compile(r"/reset-password/(\S+)")


def mailed(house: House, mailbox: Mailbox) -> list[str]:
    """The secrets of all links that were mailed, the oldest first."""
    chores.send(house)
    texts = [str(message.get_body(("plain",)).get_content()) for message in mailbox.messages]  # type: ignore[union-attr]
    return [secret for text in texts for secret in _LINK.findall(text)]


def asked(house: House, mailbox: Mailbox, email: str = ANN) -> str:
    """The secret of a link that is asked for now."""
    recovering.ask(house, email=email)
    return mailed(house, mailbox)[-1]


def choose(house: House, token: str, password: str = NEW) -> None:
    recovering.choose(house, recovering.opened(house, token), password=password)


def signs_in(house: House, password: str, email: str = ANN) -> bool:
    try:
        signing_in.sign_in(house, email=email, password=password)
    except Refused as error:
        assert error.reason is passwords.WRONG
        return False
    return True


def rows(house: House) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return [dict(row) for row in connection.execute(password_resets.select()).mappings()]


def waiting(house: House) -> int:
    with house.store.reading() as connection:
        return len(connection.execute(reset_requests.select()).all())


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, action=action)


def change(house: House, user: User, **values: Any) -> None:
    with house.store.transaction() as connection:
        users.change(connection, user.id, **values)


# The way of a link


@pytest.mark.requirement("S1-011", "S1-012", "S1-014", "S1-017", "C-40")
def test_a_link_sets_the_password_once(house: House, mailbox: Mailbox) -> None:
    """Asked for, mailed to the owner, kept as a hash, used, gone; the old password is nobody's."""
    user = made(house, "user")
    token = asked(house, mailbox)
    [row] = rows(house)
    assert (row["digest"], row["user_id"], row["purpose"]) == (digest(token), user.id, "reset")
    assert [m["To"] for m in mailbox.messages] == [ANN]
    choose(house, token)
    assert rows(house) == []
    assert (signs_in(house, NEW), signs_in(house, PASSWORD)) == (True, False)
    assert refused(lambda: choose(house, token, OTHER)).reason is reset.ENDED
    assert signs_in(house, NEW)


@pytest.mark.requirement("S1-013", "C-35")
def test_the_end_of_a_link_to_the_second(house: House, mailbox: Mailbox) -> None:
    """Good one second before its time is up; at that second, and after, it opens nothing."""
    made(house, "user")
    clock: Any = house.ports.clock
    lifetime = house.policy.of(reset.Settings).lifetime
    token = asked(house, mailbox)
    clock.advance(lifetime)
    assert recovering.opened(house, token) is None
    clock.advance(1)
    assert refused(lambda: choose(house, token)).reason is reset.ENDED
    clock.advance(-2)
    choose(house, token)
    assert signs_in(house, NEW)


def test_a_link_that_runs_out_while_the_password_is_hashed(
    house: House, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the moment in which the password would be set."""
    made(house, "user")
    token = asked(house, mailbox)
    real = accounts.hashed

    def slow(*given: Any, **named: Any) -> Any:
        house.ports.clock.advance(house.policy.of(reset.Settings).lifetime)  # type: ignore[attr-defined]
        return real(*given, **named)

    monkeypatch.setattr(accounts, "hashed", slow)
    assert refused(lambda: choose(house, token)).reason is reset.ENDED
    assert signs_in(house, PASSWORD)


@pytest.mark.requirement("S1-017")
def test_a_weak_password_uses_up_nothing(house: House, mailbox: Mailbox) -> None:
    """The policy's rules hold here as well, the account's own address among them; the link stays good."""
    made(house, "user")
    token = asked(house, mailbox)
    for weak in ("short", "password1password1", ANN):
        assert refused(lambda weak=weak: choose(house, token, weak)).reason is passwords.WEAK
    choose(house, token)


@pytest.mark.requirement("C-41")
@pytest.mark.parametrize("token", ["", " ", "x", "A" * 42, "A" * 44, "A" * 43, "\0" * 43, "\ud800", "ä" * 43])
def test_what_is_no_link(house: House, mailbox: Mailbox, token: str) -> None:
    """A013: nothing that was not mailed opens anything, breaks PostgreSQL or has anything hashed."""
    made(house, "user")
    asked(house, mailbox)
    assert recovering.opened(house, token) is None
    house.hashes = None  # type: ignore[assignment]
    assert refused(lambda: choose(house, token)).reason is reset.ENDED


@pytest.mark.requirement("S1-017")
def test_twenty_threads_are_one(house: House, mailbox: Mailbox) -> None:
    """Of twenty who redeem a link at the same moment, one sets the password."""
    made(house, "user")
    token = asked(house, mailbox)
    house.hashes.waiting = 20  # type: ignore[attr-defined]
    chosen = [f"{NEW} number {number}" for number in range(20)]
    ended = at_once(*(lambda p=p: choose(house, token, p) for p in chosen))
    winners = [password for password, end in zip(chosen, ended, strict=True) if end is None]
    lost = [end.reason for end in ended if isinstance(end, Refused)]
    assert (len(winners), len(lost)) == (1, 19)
    assert set(lost) <= {reset.ENDED, passwords.BUSY}
    assert signs_in(house, winners[0])
    assert len(records(house, "authn_password_reset")) == 1


def elsewhere(folder: str, url: str, token: str, number: int) -> int:
    """How many of five threads of another process set the password."""
    there = Path(folder) / str(number)
    there.mkdir()
    house = build(Builder(there).policy(POLICY, DATABASE_URL=url), Ports(clock=FakeClock(), mail=Mailbox()))
    house.scheme = Quick()
    gate = threading.Barrier(5)

    def one(thread: int) -> bool:
        gate.wait(30)
        try:
            choose(house, token, f"{NEW} {number} {thread}")
        except Refused as error:
            assert error.reason is reset.ENDED
            return False
        return True

    try:
        with ThreadPoolExecutor(5) as pool:
            return sum(pool.map(one, range(5)))
    finally:
        house.store.close()


@pytest.mark.requirement("S1-017")
def test_four_processes_are_one(house: House, mailbox: Mailbox, tmp_path: Path) -> None:
    """The same from four processes with five threads each: twenty redemptions, one winner."""
    made(house, "user")
    token = asked(house, mailbox)
    url = house.store.engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        won = list(pool.map(elsewhere, [str(tmp_path)] * 4, [url] * 4, [token] * 4, range(4)))
    assert sum(won) == 1
    assert not signs_in(house, PASSWORD)


@pytest.mark.requirement("S1-017", "C-41")
def test_a_change_of_the_password_at_the_same_moment(house: House, mailbox: Mailbox) -> None:
    """The owner changes the password while somebody uses a link: one of both counts, and nothing hangs."""
    user, before = made(house, "user"), PASSWORD
    for number in range(3):
        house.ports.clock.advance(3601)  # type: ignore[attr-defined]
        token = asked(house, mailbox)
        here = signing_in.sign_in(house, email=ANN, password=before)
        by_hand, by_link = f"{OTHER} {number}", f"{NEW} {number}"
        who = Identity(id=user.id, email=ANN)
        ended = at_once(
            lambda here=here, before=before, by_hand=by_hand, who=who: accounts.change_password(
                house, who, digest=here.digest, current=before, new=by_hand, whence=Whence()
            ),
            lambda token=token, by_link=by_link: choose(house, token, by_link),
        )
        failed = [end for end in ended if isinstance(end, BaseException)]
        assert all(isinstance(end, Refused) for end in failed)
        assert len(failed) == 1
        before = by_hand if isinstance(ended[1], BaseException) else by_link
        assert signs_in(house, before)


# What follows


@pytest.mark.requirement("C-41")
def test_what_a_reset_changes(house: House, mailbox: Mailbox) -> None:
    """The address counts as shown, no renewal is owed, the failures are forgotten, the owner is told."""
    user = made(house, "user")
    change(house, user, confirmed_at=None, renew_password=True)
    for _ in range(5):
        with pytest.raises(Refused):
            proving.prove(house, email=ANN, password="wrong", whence=Whence(), failure="authn_login_fail")
    choose(house, asked(house, mailbox))
    after = found(house, user.id)
    assert (after.confirmed_at, after.renew_password) == (house.now(), False)
    assert after.password_rules == judging.rules(house.policy.of(passwords.Settings), second=False)
    assert signs_in(house, NEW)
    chores.send(house)
    told = mailbox.messages[-1]
    assert (told["To"], "was set" in told["Subject"]) == (ANN, True)
    assert not _LINK.search(str(told)), "the mail that tells of it has no link that sets a password"


def test_when_the_address_was_shown_stays(house: House, mailbox: Mailbox) -> None:
    """A reset does not make an address look younger than it is."""
    user = made(house, "user")
    change(house, user, confirmed_at=12.5)
    choose(house, asked(house, mailbox))
    assert found(house, user.id).confirmed_at == 12.5


@pytest.mark.requirement("C-41")
def test_every_step_is_recorded_once(house: House, mailbox: Mailbox) -> None:
    """A166: asked, mailed, done, and refused: who, what, and nothing that opens anything."""
    user = made(house, "user")
    recovering.ask(house, email="nobody@people.test")
    token = asked(house, mailbox)
    choose(house, token)
    refused(lambda: choose(house, token))
    seen = {
        action: [(row["entity_id"], row["outcome"]) for row in records(house, action)]
        for action in ("ask", "link", "", "fail")
        for action in ["_".join(filter(None, ("authn_password_reset", action)))]
    }
    assert seen == {
        "authn_password_reset_ask": [(user.id, "success"), ("", "success")],
        "authn_password_reset_link": [(user.id, "success")],
        "authn_password_reset": [(user.id, "success")],
        "authn_password_reset_fail": [("", "failure")],
    }
    everything = str([row for action in seen for row in records(house, action)])
    assert token not in everything
    assert digest(token) not in everything


# Asking


@pytest.mark.requirement("S1-012", "C-41")
def test_asking_leaves_the_same_for_everybody(house: House, mailbox: Mailbox) -> None:
    """A row and a record, whether there is an account or not; the chore alone knows the difference."""
    made(house, "user")
    for number, email in enumerate((ANN, "nobody@people.test", "ANN@People.TEST"), 1):
        recovering.ask(house, email=email)
        assert waiting(house) == number
    assert rows(house) == []
    assert recovering.answer(house) == 2
    assert waiting(house) == 0
    assert len(rows(house)) == 1


def test_two_processes_answer_a_request_once(house: House, mailbox: Mailbox) -> None:
    """Both read what waits; one takes it, one link is mailed."""
    made(house, "user")
    recovering.ask(house, email=ANN)
    assert sorted(at_once(*(lambda: recovering.answer(house) for _ in range(4)))) == [0, 0, 0, 1]  # type: ignore[type-var]
    assert len(mailed(house, mailbox)) == 1


def test_one_that_cannot_be_answered_keeps_nobody_waiting(
    house: House, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get their links; it is tried again, and dropped after an hour."""
    user = made(house, "user")
    made(house, "user", email="bob@people.test")
    real = recovering._answer

    def answer(house: House, connection: Any, user_id: str) -> bool:
        if user_id == user.id:
            raise RuntimeError("something about this account")
        return real(house, connection, user_id)

    monkeypatch.setattr(recovering, "_answer", answer)
    for email in (ANN, "bob@people.test"):
        recovering.ask(house, email=email)
    assert recovering.answer(house) == 1
    assert waiting(house) == 1
    with house.store.transaction() as connection:
        resets.end_before(connection, house.now() + 1)
    assert waiting(house) == 0


@pytest.mark.requirement("C-41")
def test_disabled_and_gone_accounts_get_nothing(house: House, mailbox: Mailbox) -> None:
    """Disabled before it was asked, between asking and mailing, or after the mail: no link opens anything."""
    user = made(house, "user")
    administering.disable(house, SYSTEM, user.id)
    recovering.ask(house, email=ANN)
    assert mailed(house, mailbox) == []
    administering.enable(house, SYSTEM, user.id)
    recovering.ask(house, email=ANN)
    administering.disable(house, SYSTEM, user.id)
    assert mailed(house, mailbox) == []
    administering.enable(house, SYSTEM, user.id)
    token = asked(house, mailbox)
    administering.disable(house, SYSTEM, user.id)
    assert recovering.opened(house, token) is None
    administering.enable(house, SYSTEM, user.id)
    assert refused(lambda: choose(house, token)).reason is reset.ENDED
    recovering.ask(house, email=ANN)
    with house.store.transaction() as connection:
        connection.execute(users.users.delete().where(users.users.c.id == user.id))
    assert recovering.answer(house) == 0


@pytest.mark.requirement("S1-011")
def test_an_account_without_a_password_gets_one(house: House, mailbox: Mailbox) -> None:
    """Somebody who signs in with another provider alone may choose a password, by the mail to his address."""
    user = made(house, "user")
    change(house, user, password_hash=None)
    assert not signs_in(house, PASSWORD)
    choose(house, asked(house, mailbox))
    assert signs_in(house, NEW)


@pytest.mark.requirement("C-41", "C-35")
def test_a_newer_link_ends_the_older_and_a_flood_ends_none(house: House, mailbox: Mailbox) -> None:
    """Asking again replaces the link; asking on and on sends nothing more, and the last link stays good."""
    made(house, "user")
    most = house.policy.of(reset.Settings).per_account
    tokens = [asked(house, mailbox) for _ in range(most + 3)]
    assert len(set(tokens)) == most
    assert [recovering.opened(house, token) is not None for token in tokens[:most]] == [False] * (
        most - 1
    ) + [True]
    choose(house, tokens[-1])
    house.ports.clock.advance(3601)  # type: ignore[attr-defined]
    assert asked(house, mailbox) not in tokens


def test_where_no_mail_is_sent_the_older_link_stays(
    house: House, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's mailbox has had enough (see email): the link that is there already is not taken away."""
    user = made(house, "user")
    token = asked(house, mailbox)
    monkeypatch.setattr(recovering.mailing, "post", lambda *given, **named: False)
    with house.store.transaction() as connection:
        assert not recovering.issue(house, connection, user)
    assert recovering.opened(house, token) is not None


@pytest.mark.requirement("C-41")
def test_one_address_may_ask_so_often(house: House) -> None:
    """For whatever accounts: the one after the last waits, and is told how long; another address need not."""
    most = house.policy.of(reset.Settings).per_address
    for number in range(most):
        recovering.ask(house, email=f"n{number}@people.test", address="2001:db8::1")
    error = refused(lambda: recovering.ask(house, email=ANN, address="2001:db8::2"))
    assert (error.reason, error.headers) == (reset.WAIT, (("Retry-After", "3600"),))
    recovering.ask(house, email=ANN, address="2001:db8:1::1")
    assert waiting(house) == most + 1


@pytest.mark.parametrize(
    "email", ["", "ann", "a@b@c.test", f"{ANN},bob@people.test", f"{ANN};x@y.test", "a\0@b.test"]
)
def test_what_is_no_address(house: House, email: str) -> None:
    """A003: a list of addresses is none, and nothing waits for it."""
    assert refused(lambda: recovering.ask(house, email=email)).reason is signup.ADDRESS
    assert waiting(house) == 0


# From administrators


def test_an_invitation_sets_the_first_password(house: House, mailbox: Mailbox) -> None:
    """Good for a day, whatever resets are; it opens the account as a reset does, and shows the address."""
    user = made(house, "user")
    change(house, user, password_hash=None, confirmed_at=None)
    with house.store.transaction() as connection:
        assert recovering.issue(house, connection, user, purpose="invitation", by=SYSTEM)
    [token] = mailed(house, mailbox)
    assert mailbox.messages[-1]["Subject"] == "Your account at Rooms"
    house.ports.clock.advance(recovering.INVITED_FOR - 1)  # type: ignore[attr-defined]
    opened = recovering.opened(house, token)
    assert opened is not None
    assert opened.purpose == "invitation"
    choose(house, token)
    assert signs_in(house, NEW)
    assert found(house, user.id).confirmed_at == house.now()
    with house.store.reading() as connection:
        assert links.find(connection, password_resets, digest(token), house.now()) is None
