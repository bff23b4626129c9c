"""Lockout: how long guessing takes, when it ends, and who is not kept out by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.controls import cookies, lockout, signup
from bylaw.controls.lockout import CONTROL, Settings, subject, trusted, wait
from bylaw.exchange import Exchange, PairHeaders
from bylaw.house import House
from bylaw.reasons import Refused
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from tests.applications.stacks import hurry
from tests.controls.houses import Builder

ANN = "ann@people.test"
WRONG = "wrong but long enough"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return Builder(tmp_path).house()


def device(house: House, email: str = ANN, before: str = "") -> str:
    """The device's cookie after signing in."""
    name = cookies.name(house.policy, cookies.DEVICE)
    exchange = Exchange("POST", "/", PairHeaders([("cookie", f"{name}={before}")] if before else []))
    lockout.remember(house, exchange, email)
    [made] = exchange.cookie_changes or [""]
    return made.partition(";")[0].removeprefix(f"{name}=")


def guess(laboratory: Laboratory, client: Client, password: str = WRONG) -> Reply:
    return laboratory.sign_in(client, password)


def lock(laboratory: Laboratory, client: Client) -> None:
    """Fail so often that the account must wait."""
    for _ in range(laboratory.policy.of(Settings).free):
        assert guess(laboratory, client).status == 401


# The policy


@pytest.mark.requirement("S1-156", "C-12")
@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        (Settings(), [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (Settings(free=1, first=1, longest=10), [0, 1, 2, 4, 8, 10, 10]),
        (Settings(free=2, first=60, longest=60), [0, 0, 60, 60]),
    ],
)
def test_how_long_a_wait_is(settings: Settings, waits: list[int]) -> None:
    """None for the free failures, then the first wait, doubling up to the longest."""
    assert [wait(settings, failures) for failures in range(len(waits))] == waits
    assert wait(settings, 10**9) == settings.longest


def test_how_long_a_device_is_trusted() -> None:
    """Twice as many failures as are free, and never more than the account has."""
    assert [trusted(Settings(), n) for n in (0, 9, 10, 100)] == [True, True, False, False]
    assert [trusted(Settings(free=5, most=6), n) for n in (5, 6)] == [True, False]


@pytest.mark.requirement("C-12")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("most = 101", "100 or less"),
        ("most = 5", "the account would be shut before anybody had to wait (free = 5)"),
        ("free = 0", "1 or more"),
        ("free = 50", "20 or less"),
        ("per_address = 0", "1 or more"),
        ('longest = "10s"', "shorter than the first wait (30 seconds)"),
        ('longest = "2d"', "86400 seconds or less"),
        ('first = "0s"', "1 seconds or more"),
        ("forever = true", "no such key"),
        ("off = true", "because"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    """More than a hundred failures (NIST SP 800-63B-4 3.2.2), or waits that contradict each other."""
    assert said in Builder(tmp_path).refusal(f"[lockout]\n{text}\n")


def test_what_is_below_the_standard(tmp_path: Path) -> None:
    """Only switching it off is: every value that can be written keeps the hundred."""
    policy = Builder(tmp_path).policy('[lockout]\noff = true\nbecause = "an appliance without a network"\n')
    assert [(name, below.key) for name, below, _ in policy.below_standard()] == [("lockout", "off")]
    assert not list(Builder(tmp_path).policy("[lockout]\nmost = 100\nfree = 20\n").below_standard())


def test_what_the_document_says(tmp_path: Path) -> None:
    """The numbers are the policy's."""
    text = " ".join(
        CONTROL.statement(
            Builder(tmp_path).policy('[lockout]\nfree = 3\nfirst = "1m"\nmost = 20\nper_address = 9\n')
        )
    )
    for words in (
        "After 3 wrong",
        "1 minute",
        "1 hour",
        "After 20 in a row",
        "9 times an hour",
        "after 6 failures",
    ):
        assert words in text


# Whose failure it is


@pytest.mark.requirement("S1-156", "C-41")
@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("ann@people.test", ANN),
        ("ANN@People.TEST", ANN),
        ("  ann@people.test\r\n", ANN),
        ("a\tn n@people.test", ANN),
        ("\uff41\uff4e\uff4e@people.test", ANN),
        ("ann@\uff50eople\u3002test", ANN),
        ("ann\uff20people.test", ANN),
        ("a\u200bnn@people.test", ANN),
        ("ann\0@people.test", ANN),
        ("ann@\u212aelvin.test", "ann@kelvin.test"),
        ("nobody", "nobody"),
        ("NOBODY ", "nobody"),
        ("", ""),
        ("\ud800", ""),
        ("x" * 10_000, "x" * 320),
    ],
)
def test_every_spelling_is_one_account(text: str, whose: str) -> None:
    """A141: what looks alike counts together, also where it is no address at all."""
    assert subject(text) == whose


_PARTS = st.text(st.sampled_from("abcKxyz019.-_+'\"\\ @\u0131\u212aéü\u0308\uff41\0\n\u200b<>,"), max_size=12)


@pytest.mark.requirement("C-41")
@given(st.text(max_size=60) | st.emails() | st.builds("{}@{}".format, _PARTS, _PARTS))
def test_no_spelling_opens_an_account_that_is_counted_elsewhere(text: str) -> None:
    """Whatever signs in to an account is counted for that account; whatever else is counted once."""
    try:
        assert subject(text) == signup.address(text)
    except Refused:
        assert subject(subject(text)) == subject(text)


# Devices


def test_a_device_is_known_by_its_cookie(house: House) -> None:
    """For the account that signed in there, in any spelling, under one number for ever."""
    first = device(house)
    number = lockout.nonce(house, first, ANN)
    assert len(number) == 22
    assert lockout.nonce(house, device(house, "ANN@people.test", first), ANN) == number
    assert lockout.nonce(house, device(house), ANN) != number
    assert number not in repr(lockout.Whence("192.0.2.1", first))


@pytest.mark.requirement("S1-156")
def test_a_cookie_that_is_none(house: House) -> None:
    """A145: forged, cut, changed, another account's, endless or twice: a stranger's, and nothing breaks."""
    good = device(house)
    number, issued, seal = good.split(".")
    for bad in (
        "",
        "~",
        "..",
        "~~~~" + good,
        f".{issued}.{seal}",
        f"{number}.{issued}",
        f"{number}.{issued}.{seal}x",
        f"{number}.{issued}.",
        f"{number}.{int(issued) + 1}.{seal}",
        f"{number[:-1]}.{issued}.{seal}",
        device(house, "bob@people.test"),
        good + "." + "x" * 600,
        "\udce4.1.x",
    ):
        assert lockout.nonce(house, bad, ANN) == "", bad
    assert lockout.nonce(house, good, ANN) == number
    name = cookies.name(house.policy, cookies.DEVICE)
    twice = Exchange("POST", "/", PairHeaders([("cookie", f"{name}={good}; {name}={good}")]))
    assert lockout.whence(house, twice).device == ""


@pytest.mark.parametrize("issued", ["-1", "1e9", "", "²", "1_800_000_000"])
def test_a_time_that_is_none(house: House, issued: str) -> None:
    """What is sealed is what bylaw wrote; a time that is no number would be refused all the same."""
    seal = house.keys.seal("lockout", f"cookie n {issued} {ANN}")
    assert lockout.nonce(house, f"n.{issued}.{seal}", ANN) == ""


def test_a_device_is_known_for_400_days(house: House) -> None:
    """And again for as long when its owner signs in there."""
    clock: Any = house.ports.clock
    first = device(house)
    clock.advance(399 * 86400)
    second = device(house, before=first)
    clock.advance(86400)
    assert lockout.nonce(house, first, ANN) == ""
    assert lockout.nonce(house, second, ANN) == first.partition(".")[0]


def test_one_browser_is_known_for_four_accounts(house: House) -> None:
    """A family's computer: the last four that signed in, each once."""
    value = ""
    for name in ("a", "b", "c", "a", "d", "e"):
        value = device(house, f"{name}@people.test", value)
    known = [name for name in "abcde" if lockout.nonce(house, value, f"{name}@people.test")]
    assert known == ["a", "c", "d", "e"]
    assert value.count("~") == 3
    assert len(value) < 512


def test_a_device_is_known_where_nothing_is_counted(tmp_path: Path) -> None:
    """The mail about a new device needs the cookie, whether guesses are counted or not."""
    house = Builder(tmp_path).house('[lockout]\noff = true\nbecause = "an appliance"\n')
    assert lockout.nonce(house, device(house), ANN)


# Attack stories


@pytest.mark.requirement("S1-156", "C-12")
def test_a_person_sees_that_they_must_wait(laboratory: Laboratory) -> None:
    """In a browser: the form once more, with the sentence, the address that was typed and Retry-After."""
    hurry(laboratory)
    person = laboratory.person()
    with laboratory.paced():
        lock(laboratory, person)
        form = {"csrf_token": person.token(), "email": person.email, "password": person.password}
        reply = person.send(
            "POST",
            laboratory.url("sign_in"),
            form=form,
            headers=[("Accept", "text/html"), *person.from_here],
        )
    assert (reply.status, reply.header("retry-after")) == (429, "30")
    assert lockout.WAIT.title in reply.text
    assert f'value="{person.email}"' in reply.text
    assert person.password not in reply.text


@pytest.mark.requirement("S1-156")
def test_signing_in_makes_the_device_known(laboratory: Laboratory) -> None:
    """The cookie is locked down like the session's, and lasts; a failure sets none."""
    hurry(laboratory)
    person = laboratory.person()
    name = cookies.name(laboratory.policy, cookies.DEVICE)
    with laboratory.paced():
        assert guess(laboratory, person).all("set-cookie") == []
        reply = laboratory.sign_in(person)
        [cookie] = [c for c in reply.all("set-cookie") if c.startswith(f"{name}=")]
        assert cookie.partition(";")[2] == " Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=34560000"
        assert person.email not in cookie
        stranger = laboratory.visitor(peer="203.0.113.9")
        stranger.email = person.email
        lock(laboratory, stranger)
        assert guess(laboratory, stranger, person.password).code == "lockout.wait"
        person.cookies.pop(laboratory.cookie)  # the session is over, the device still known
        assert laboratory.sign_in(person).status == 200


@pytest.mark.requirement("S1-156")
def test_a145_dropping_cookies_changes_nothing(laboratory: Laboratory) -> None:
    """Whoever must wait drops all cookies, or sends a new session id each time, and must wait."""
    hurry(laboratory)
    person = laboratory.person()
    with laboratory.paced():
        lock(laboratory, person)
        for jar in ({}, {laboratory.cookie: "x" * 43}, {"__Host-device": "a.1.b"}, {"session": "new"}):
            person.cookies = dict(jar)
            assert guess(laboratory, person, person.password).code == "lockout.wait"


@pytest.mark.requirement("S1-156", "C-41")
def test_an_administrator_unlocks_over_http(laboratory: Laboratory) -> None:
    """By the API and by the page; nobody else may, and it is recorded."""
    hurry(laboratory)
    person, other, admin = laboratory.person(), laboratory.ordinary(), laboratory.administrator()
    path = f"{laboratory.api('users')}/{person.id}"
    with laboratory.paced():
        lock(laboratory, person)
        assert other.act("POST", path, json={"action": "unlock"}).status == 403
        assert guess(laboratory, person, person.password).code == "lockout.wait"
        assert admin.act("POST", path, json={"action": "unlock"}).status == 200
        assert guess(laboratory, person, person.password).status == 200
        lock(laboratory, laboratory_stranger(laboratory, person))
        page = f"{laboratory.url('users')}/{person.id}"
        assert 'value="unlock"' in admin.page(page).text
        assert admin.act("POST", page, form={"action": "unlock"}).status == 303
        assert guess(laboratory, laboratory_stranger(laboratory, person), person.password).status == 200
    assert len(laboratory.audit(action="authn_login_unlock", entity_id=person.id)) == 2


def laboratory_stranger(laboratory: Laboratory, person: Client) -> Client:
    """Another browser, for the same account."""
    stranger = laboratory.visitor(peer="203.0.113.10")
    stranger.email = person.email
    return stranger


# Proof


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_what_another_control_refuses_is_not_counted_as_seen(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, probe: Any
) -> None:
    """Where sign-ins are refused before they arrive, a probe that needs them says that it could not look."""
    hurry(flask_laboratory)
    real = flask_laboratory.transport

    def obstructed(sent: Any) -> Reply:
        if sent.path == flask_laboratory.api("sign_in"):
            return Reply(429, [], b'{"code": "rate_limits.exceeded"}')
        return real(sent)

    monkeypatch.setattr(flask_laboratory, "transport", obstructed)
    assert attempt(CONTROL, probe, flask_laboratory).outcome != "fail"
