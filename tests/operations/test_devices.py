"""Devices: known by a cookie and a row, forgotten by their owner, and told of when they are new."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from bylaw.controls import cookies, lockout
from bylaw.exchange import Exchange, PairHeaders
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import administering, devices, mailing, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.store import audit, outbox
from bylaw.store import devices as rows
from bylaw.store.users import User

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def user(house: House) -> User:
    return administering.create(house, SYSTEM, email="ann@people.test", granted=["user"])


def request(house: House, jar: str = "", agent: str = FIREFOX) -> Exchange:
    """A request of a browser that has this cookie of a device."""
    name = cookies.name(house.policy, cookies.DEVICE)
    pairs = [("user-agent", agent), *([("cookie", f"{name}={jar}")] if jar else [])]
    exchange = Exchange("POST", "/", PairHeaders(pairs))
    exchange.client = "192.0.2.7"
    return exchange


def arrive(house: House, user: User, jar: str = "", **how: Any) -> str:
    """Sign in from a browser with this cookie; the cookie that it has afterwards."""
    exchange = request(house, jar)
    opened = signing_in.open_session(
        house, user, method=how.pop("method", "password"), address="192.0.2.7", agent=FIREFOX, **how
    )
    devices.arrived(house, exchange, opened)
    [cookie] = exchange.cookie_changes or [jar]
    return cookie.partition(";")[0].partition("=")[2]


def mails(house: House) -> list[Any]:
    """What waits to be sent, the oldest first."""
    with house.store.reading() as connection:
        waiting = outbox.due(connection, house.now(), 1000)
    return [
        SimpleNamespace(recipient=each.recipient, text=mailing.opened(house, each).text) for each in waiting
    ]


def known(house: House, user: User) -> list[Any]:
    return devices.own(house, Identity(id=user.id, email=user.email))


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.9", "curl"),
        ("Visit https://evil.example/ now", "A program"),
        ("", "Unknown device"),
    ],
)
def test_a_device_in_two_words(agent: str, words: str) -> None:
    """What a stranger writes into the User-Agent is never repeated in a mail."""
    assert devices.described(agent) == words


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("password", "password"),
        ("password+totp", "password and authenticator app"),
        ("passkey", "passkey"),
        ("google", "Google"),
        ("", "unknown"),
    ],
)
def test_how_somebody_signed_in(method: str, words: str) -> None:
    """In words that people use."""
    assert devices.in_words(method) == words


@pytest.mark.requirement("S1-156")
def test_a_new_device_is_told_of_once(house: House, user: User) -> None:
    """Not at the very first sign-in; then for each new device, with where, when and what to do."""
    first = arrive(house, user)
    assert arrive(house, user, first) != ""
    assert mails(house) == []
    second = arrive(house, user, method="passkey")
    assert second.partition(".")[0] != first.partition(".")[0]
    arrive(house, user, second)
    [mail] = mails(house)
    assert mail.recipient == "ann@people.test"
    for words in ("Firefox on Linux", "192.0.2.7", "passkey", "/auth/sessions", "change your password"):
        assert words in mail.text
    assert FIREFOX not in mail.text
    assert len(known(house, user)) == 2
    with house.store.reading() as connection:
        assert len(audit.rows(connection, action="authn_login_new_device", entity_id=user.id)) == 1


def test_a_password_alone_is_told_of_where_a_second_factor_is_owed(house: House, user: User) -> None:
    """Whoever has the password and not the second factor has not got in, and the owner hears of it."""
    arrive(house, user)
    arrive(house, user, owes=("second",))
    [mail] = mails(house)
    assert "The second factor is still asked for." in mail.text
    assert "has just been signed in to" not in mail.text


@pytest.mark.requirement("S1-156")
def test_nobody_fills_a_mailbox_by_signing_in(house: House, user: User) -> None:
    """Thirty new devices in a day are five mails; the next day tells again."""
    clock: Any = house.ports.clock
    arrive(house, user)
    for _ in range(30):
        arrive(house, user)
    assert len(mails(house)) == devices.TOLD
    clock.advance(devices.DAY)
    arrive(house, user)
    assert len(mails(house)) == devices.TOLD + 1
    assert len(known(house, user)) == lockout.DEVICES, "the oldest are forgotten"


def test_of_two_arrivals_at_once_both_are_good(house: House, user: User) -> None:
    """Eight requests with one cookie: one row, and nobody stumbles."""
    jar = arrive(house, user)
    with ThreadPoolExecutor(8) as pool:
        after = list(pool.map(lambda _: arrive(house, user, jar), range(8)))
    assert {value.partition(".")[0] for value in after} == {jar.partition(".")[0]}
    assert len(known(house, user)) == 1


@pytest.mark.requirement("S1-156")
def test_a_forgotten_device_is_another_one_when_it_comes_back(house: House, user: User) -> None:
    """Its cookie is good for nothing, and signing in there again gives it another number."""
    jar = arrive(house, user)
    who = Identity(id=user.id, email=user.email)
    [row] = known(house, user)
    assert not devices.forget(house, Identity(id="somebody else"), row["id"])
    assert not devices.forget(house, who, "\0")
    assert devices.forget(house, who, row["id"])
    assert not devices.forget(house, who, row["id"])
    again = arrive(house, user, jar)
    assert again.partition(".")[0] != jar.partition(".")[0]
    assert len(mails(house)) == 1
    assert devices.forget_all(house, who) == 1
    assert known(house, user) == []


def test_a_device_whose_cookie_has_run_out_is_tidied_away(house: House, user: User) -> None:
    """After 400 days without a sign-in there."""
    clock: Any = house.ports.clock
    jar = arrive(house, user)
    clock.advance(lockout.KNOWN_FOR - 1)
    with house.store.transaction() as connection:
        devices.tidy(house, connection)
    assert len(known(house, user)) == 1
    clock.advance(2)
    with house.store.transaction() as connection:
        devices.tidy(house, connection)
        assert not rows.known(connection, [lockout.fingerprint(jar.partition(".")[0], user.email)])


def test_the_browser_at_which_a_password_was_changed_stays_known(house: House, user: User) -> None:
    """All devices end with a new password; the one where it was typed is written down anew."""
    who = Identity(id=user.id, email=user.email)
    jar = arrive(house, user)
    arrive(house, user)
    with house.store.transaction() as connection:
        rows.end_of_user(connection, user.id)
    devices.stays(house, request(house, jar), who)
    assert len(known(house, user)) == 1


def test_a_session_that_ended_meanwhile_makes_nothing_known(house: House, user: User) -> None:
    """Somebody is disabled while he signs in: no device, no mail."""
    opened = signing_in.open_session(house, user, method="password")
    administering.disable(house, SYSTEM, user.id, reason="a story")
    exchange = request(house)
    devices.arrived(house, exchange, opened)
    assert exchange.cookie_changes is None
    assert known(house, user) == []
