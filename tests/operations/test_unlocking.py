"""Unlocking by mail: who gets a link, how often, what it opens and what it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from bylaw.controls import cookies, lockout, passwords
from bylaw.controls.lockout import Settings, Whence
from bylaw.exchange import Exchange, PairHeaders
from bylaw.house import House
from bylaw.operations import administering, mailing, proving, unlocking
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Refused
from bylaw.store import outbox
from bylaw.store.tables import unlock_links
from bylaw.store.users import User

ANN = "ann@people.test"
PASSWORD = "wide green fields and quiet water"
WRONG = "\0"
"""Wrong without being hashed."""


@pytest.fixture
def user(house: House) -> User:
    return administering.create(house, SYSTEM, email=ANN, password=PASSWORD)


def attempt(
    house: House, password: str = WRONG, *, device: str = "", email: str = ANN, address: str = ""
) -> Any:
    """None where the password was right, else the reason of the refusal."""
    try:
        proving.prove(
            house, email=email, password=password, whence=Whence(address, device), failure="authn_login_fail"
        )
    except Refused as refused:
        return refused.reason
    return None


def guess(house: House, times: int, email: str = ANN) -> None:
    """Wrong passwords, each as soon as it is taken."""
    clock: Any = house.ports.clock
    for _ in range(times):
        assert attempt(house, email=email) is passwords.WRONG
        clock.advance(house.policy.of(Settings).longest)


def mails(house: House) -> list[Any]:
    """What waits to be sent, the oldest first."""
    with house.store.reading() as connection:
        waiting = outbox.due(connection, house.now(), 1000)
    return [
        SimpleNamespace(recipient=each.recipient, text=mailing.opened(house, each).text) for each in waiting
    ]


def links(house: House) -> list[Any]:
    with house.store.reading() as connection:
        return list(connection.execute(unlock_links.select()))


def token(mail: Any) -> str:
    return str(mail.text).partition("?token=")[2].split()[0]


def use(house: House, secret: str) -> str:
    """Press the button behind a link; the device's cookie afterwards."""
    exchange = Exchange("POST", "/", PairHeaders([]))
    unlocking.unlock(house, exchange, secret)
    [cookie] = exchange.cookie_changes or []
    return cookie.partition(";")[0].removeprefix(f"{cookies.name(house.policy, cookies.DEVICE)}=")


@pytest.mark.requirement("S1-138", "S1-156")
def test_the_owner_hears_of_it_when_the_wait_is_longest(house: House, user: User) -> None:
    """Twelve failures: one mail; then one a day at most, however many follow."""
    guess(house, 11)
    assert mails(house) == []
    guess(house, 1)
    [mail] = mails(house)
    assert mail.recipient == ANN
    assert "/auth/unlock/link?token=" in mail.text
    guess(house, 12)
    assert len(mails(house)) == 1, "it is told when waits become long, and at the end"


@pytest.mark.requirement("S1-156", "C-12")
def test_a_link_lets_one_browser_try_and_no_other(house: House, user: User) -> None:
    """At the hundredth failure strangers are shut out; the link's browser gets in, and they stay out."""
    guess(house, 99)
    attempt(house)
    assert attempt(house, PASSWORD) is lockout.SHUT
    secret = token(mails(house)[-1])
    assert secret not in str(links(house)), "its digest alone is kept"
    assert unlocking.good(house, secret)
    assert unlocking.good(house, secret), "looking uses nothing up"
    device = use(house, secret)
    assert not unlocking.good(house, secret)
    assert attempt(house, PASSWORD) is lockout.SHUT
    assert attempt(house, WRONG, device=device) is passwords.WRONG
    assert attempt(house, PASSWORD, device=device) is None
    assert attempt(house, PASSWORD) is lockout.SHUT, "its success forgives strangers nothing"


@pytest.mark.requirement("C-12")
def test_a_link_gives_few_tries(house: House, user: User) -> None:
    """Whoever got hold of a link has ten tries, with waits; then its browser is a stranger again."""
    guess(house, 99)
    attempt(house)
    device, clock = use(house, token(mails(house)[-1])), house.ports.clock
    tried: list[Any] = []
    for _ in range(12):
        tried.append(attempt(house, device=device))
        clock.advance(3600)  # type: ignore[attr-defined]
    assert tried.count(passwords.WRONG) == 2 * house.policy.of(Settings).free
    assert tried[-1] is lockout.SHUT


@pytest.mark.requirement("S1-156")
def test_of_many_who_press_the_button_one_is_let_in(house: House, user: User) -> None:
    """A link that was copied opens one browser."""
    guess(house, 12)
    unlocking.ask(house, email=ANN)
    secret = token(mails(house)[-1])

    def press(_: int) -> bool:
        try:
            use(house, secret)
        except Refused as refused:
            assert refused.reason is lockout.LINK
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(press, range(8))) == [False] * 7 + [True]


@pytest.mark.parametrize("secret", ["", "x", "\ud800", "\0", "x" * 10_000])
def test_what_never_was_a_link(house: House, secret: str) -> None:
    """Is refused like one that is used up."""
    assert not unlocking.good(house, secret)
    with pytest.raises(Refused) as error:
        use(house, secret)
    assert error.value.reason is lockout.LINK


def test_a_link_ends(house: House, user: User) -> None:
    """After an hour, with a new password, and with the account."""
    clock: Any = house.ports.clock
    guess(house, 12)
    for end in (
        lambda: clock.advance(unlocking.LIFETIME),
        lambda: administering.set_password(house, SYSTEM, user.id, f"{PASSWORD} and more"),
        lambda: administering.disable(house, SYSTEM, user.id, reason="a story"),
    ):
        guess(house, 5)  # a new password forgets those before
        clock.advance(86400)
        unlocking.ask(house, email=ANN)
        secret = token(mails(house)[-1])
        assert unlocking.good(house, secret)
        end()
        assert not unlocking.good(house, secret)


@pytest.mark.requirement("C-41")
def test_asking_helps_whoever_must_wait_and_nobody_else(house: House, user: User) -> None:
    """Nothing for a calm account, one that is not there, or what is no address; five a day for others."""
    for email in (ANN, "nobody@people.test", "no address", "\ud800", "\0"):
        unlocking.ask(house, email=email)
    assert mails(house) == []
    for _ in range(5):
        attempt(house)
        attempt(house, email="nobody@people.test")
    for _ in range(8):
        unlocking.ask(house, email="ANN@people.test ")
        unlocking.ask(house, email="nobody@people.test")
    assert [mail.recipient for mail in mails(house)] == [ANN] * unlocking.ASKED_FOR
    assert len(links(house)) == unlocking.ASKED_FOR


def test_whoever_shares_an_address_with_an_attacker_may_ask(house: House, user: User) -> None:
    """The neighbours' failures have used up the address's budget: its owner gets a link all the same."""
    for number in range(50):
        attempt(house, email=f"x{number}@people.test", address="192.0.2.1")
    assert attempt(house, PASSWORD, address="192.0.2.1") is lockout.WAIT
    unlocking.ask(house, email=ANN, address="192.0.2.2")
    assert mails(house) == []
    unlocking.ask(house, email=ANN, address="192.0.2.1")
    device = use(house, token(mails(house)[-1]))
    assert attempt(house, PASSWORD, device=device, address="192.0.2.1") is None


@pytest.mark.requirement("C-41")
def test_a_disabled_account_gets_no_link(house: House, user: User) -> None:
    """Nor is anybody told: there is nothing to sign in to."""
    administering.disable(house, SYSTEM, user.id, reason="a story")
    sent = len(mails(house))
    guess(house, 12)
    unlocking.ask(house, email=ANN)
    assert len(mails(house)) == sent
