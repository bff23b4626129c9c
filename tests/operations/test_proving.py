"""Proving a password: what is counted, for whom, and what guesses at once come to. On both databases."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from bylaw.controls import cookies, lockout, passwords
from bylaw.controls.lockout import Settings, Whence
from bylaw.exchange import Exchange, PairHeaders
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import KeyRing
from bylaw.operations import accounts, administering, chores, devices, proving, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Reason, Refused
from bylaw.store import audit, failures, tables, users
from bylaw.store.users import User

PASSWORD = "wide green fields and quiet water"
EMAIL = "ann@people.test"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def user(house: House) -> User:
    return administering.create(
        house, SYSTEM, email=EMAIL, password=PASSWORD, granted=["user"], renew=False, confirmed=True
    )


def attempt(
    house: House, password: str = "wrong", email: str = EMAIL, *, address: str = "", device: str = ""
) -> Reason | None:
    """The reason why it was refused; None where the password was right."""
    refused = _refused(house, password, email, Whence(address, device))
    return refused.reason if refused else None


def _refused(house: House, password: str, email: str, whence: Whence) -> Refused | None:
    try:
        proving.prove(house, email=email, password=password, whence=whence, failure="authn_login_fail")
    except Refused as refused:
        return refused
    return None


def fail(house: House, times: int, *, email: str = EMAIL, address: str = "", device: str = "") -> None:
    """So many failures, each as soon as it is taken."""
    for _ in range(times):
        while refused := _refused(house, "wrong", email, Whence(address, device)):
            if refused.reason is not lockout.WAIT:
                break
            advance(house, int(dict(refused.headers)["Retry-After"]))


def advance(house: House, seconds: float) -> None:
    clock: Any = house.ports.clock
    clock.advance(seconds)


def counted(house: House) -> list[tuple[int, float]]:
    """What stands in the table: (failures, at), the most first."""
    with house.store.reading() as connection:
        rows = connection.execute(select(tables.failures)).all()
    return sorted(((row.failures, row.at) for row in rows), reverse=True)


def records(house: House, **filters: Any) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, **filters)


def device_of(house: House, email: str = EMAIL, before: str = "") -> str:
    """The cookie of a device that has signed in to the account."""
    name = cookies.name(house.policy, cookies.DEVICE)
    exchange = Exchange("POST", "/", PairHeaders([("cookie", f"{name}={before}")]))
    with house.store.transaction() as connection:
        owner = users.by_email(connection, email)
        assert owner is not None
        devices.keep(house, connection, exchange, owner.id, email)
    [made] = exchange.cookie_changes or []
    return made.partition("=")[2].partition(";")[0]


def policy_with(house: House, **values: Any) -> None:
    settings = house.policy.of(Settings).model_copy(update=values)
    house.policy.controls["lockout"] = settings


# A flood


def at_once(count: int, work: Callable[[int], Reason | None]) -> list[Reason | None]:
    """`work` begun `count` times at the same moment."""
    together = Barrier(count)

    def one(number: int) -> Reason | None:
        together.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.requirement("S1-156", "C-12")
def test_two_hundred_guesses_at_once_are_five(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From two hundred addresses at the same moment: five passwords are looked at, and no more."""
    looked: list[str] = []
    real = passwords.check

    def check(house: House, stored: str | None, password: str) -> str | None:
        looked.append(password)
        return real(house, stored, password)

    monkeypatch.setattr(passwords, "check", check)
    reasons = at_once(200, lambda number: attempt(house, f"guess {number}", address=f"192.0.2.{number}"))
    assert len(looked) == 5
    assert [reasons.count(r) for r in (passwords.WRONG, lockout.WAIT, None)] == [5, 195, 0]
    assert len(records(house, action="authn_login_fail")) == 5
    assert len(records(house, action="authn_login_lock")) == 1


@pytest.mark.requirement("C-12")
def test_many_accounts_from_one_address_at_once(house: House) -> None:
    """Sixty guesses at sixty accounts at once from one /64: as many as the address has are looked at."""
    policy_with(house, per_address=7)
    reasons = at_once(
        60, lambda number: attempt(house, email=f"p{number}@people.test", address=f"2001:db8::{number:x}")
    )
    assert [reasons.count(r) for r in (passwords.WRONG, lockout.WAIT)] == [7, 53]
    assert len(records(house, action="authn_login_lock")) == 1


def test_right_and_wrong_at_once_wait_for_nobody(house: House, user: User) -> None:
    """Devices, strangers, successes, unlocking and tidying at the same moment: no deadlock, no error."""
    device = device_of(house)

    def work(number: int) -> Reason | None:
        match number % 5:
            case 0:
                administering.unlock(house, SYSTEM, user.id)
            case 1:
                return attempt(house, PASSWORD, address="192.0.2.1")
            case 2:
                return attempt(house, address="192.0.2.1", device=device)
            case 3:
                return attempt(house, address=f"192.0.2.{number}")
            case _:
                with house.store.transaction() as connection:
                    failures.clear(connection, now=house.now(), since=house.now() - 1)
        return None

    assert set(at_once(40, work)) <= {None, passwords.WRONG, lockout.WAIT, passwords.BUSY}
    house.hashes.run(len, "still there")


# Counting


@pytest.mark.requirement("S1-156", "C-12")
def test_the_waits_of_a_patient_guesser(house: House, user: User) -> None:
    """Whoever tries at every second gets five tries, then one after 30 s, 60 s, … and one an hour."""
    tried: list[float] = []
    began = house.now()
    while len(tried) < 14:
        if attempt(house) is passwords.WRONG:
            tried.append(house.now() - began)
        else:
            advance(house, 10)
    waits = [after - before for before, after in pairwise(tried)]
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.requirement("C-12")
def test_the_hundredth_failure_is_the_last(house: House, user: User) -> None:
    """At the hundredth it ends, for the right password as well, and stays so; it is recorded once."""
    fail(house, 100)
    for days in (0, 1, 300):
        advance(house, days * 86400)
        assert attempt(house, PASSWORD) is lockout.SHUT
        assert attempt(house, "wrong") is lockout.SHUT
    [record] = records(house, action="authn_login_fail_max")
    assert (record["user_id"], record["changes"]) == (user.id, {"of": "account", "failures": 100})
    assert len(records(house, action="authn_login_lock")) == 1


def test_a_success_begins_anew(house: House, user: User) -> None:
    """After four failures and a success there are five free ones again."""
    for _ in range(3):
        fail(house, 4)
        assert attempt(house, PASSWORD) is None
    assert counted(house) == []


@pytest.mark.requirement("C-12")
def test_every_spelling_counts_as_one(house: House, user: User) -> None:
    """A141: case, blanks, width and dots of another script are the same account's failures."""
    for spelling in (
        "ANN@people.test",
        " ann@people.test\t",
        "\uff41nn@people.test",
        "ann@people\u3002test",
        "Ann@PEOPLE.test",
    ):
        assert attempt(house, email=spelling) is passwords.WRONG
    assert attempt(house, PASSWORD) is lockout.WAIT
    assert [count for count, _ in counted(house)] == [5]


def test_what_was_not_looked_at_does_not_count(house: House, user: User) -> None:
    """When hashing is full (503) nobody has guessed anything: the count is as before, to the moment."""
    fail(house, 6, address="192.0.2.1")
    advance(house, 3600)
    before = counted(house)
    with house.hashes.occupied():
        assert attempt(house, PASSWORD, address="192.0.2.1") is passwords.BUSY
    assert counted(house) == before
    with house.hashes.occupied():
        assert attempt(house, PASSWORD, email="other@people.test", address="192.0.2.2") is passwords.BUSY
    assert counted(house) == before


def test_what_was_not_looked_at_while_another_was(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another attempt was counted meanwhile, that one stays counted."""
    real = passwords.check

    def busy(house: House, stored: str | None, password: str) -> str | None:
        monkeypatch.setattr(passwords, "check", real)
        assert attempt(house, address="192.0.2.1") is passwords.WRONG
        raise Refused(passwords.BUSY)

    monkeypatch.setattr(passwords, "check", busy)
    assert attempt(house, PASSWORD, address="192.0.2.1") is passwords.BUSY
    assert counted(house) == [(1, house.now()), (0, house.now() + 72)]


def test_a_crash_counts(house: House, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt whose end nobody has seen stays counted: crashing the server is no way to guess on."""

    def crash(house: House, stored: str | None, password: str) -> str | None:
        raise MemoryError

    monkeypatch.setattr(passwords, "check", crash)
    with pytest.raises(MemoryError):
        attempt(house)
    assert [count for count, _ in counted(house)] == [1]


@pytest.mark.requirement("C-41")
def test_who_was_attacked_is_not_in_the_table(house: House, user: User) -> None:
    """A stolen table names neither accounts nor addresses; and unknown accounts have rows like the others."""
    fail(house, 2, address="192.0.2.77")
    fail(house, 2, email="nobody@people.test", address="192.0.2.77")
    with house.store.reading() as connection:
        rows = connection.execute(select(tables.failures)).all()
    assert sorted((row.failures, bool(row.account)) for row in rows) == [(0, False), (2, True), (2, True)]
    assert not [word for word in ("ann", "people", "192", user.id) if word in str(rows)]


@pytest.mark.parametrize("how", ["off", "not paced"])
def test_where_it_does_not_count(house: House, user: User, how: str) -> None:
    """Switched off, or in a laboratory that attacks something else, nothing is kept and nobody waits."""
    if how == "off":
        policy_with(house, off=True, because="a test")
    house.paced = how == "off"
    for _ in range(8):
        assert attempt(house, address="192.0.2.1") is passwords.WRONG
    assert attempt(house, PASSWORD, address="192.0.2.1") is None
    assert counted(house) == []
    assert len(records(house, action="authn_login_fail")) == 8


# Addresses


@pytest.mark.requirement("C-12")
def test_an_address_wins_its_budget_back(house: House, user: User) -> None:
    """Ten failures an hour: after the tenth one every six minutes, and ten again after an hour of rest."""
    policy_with(house, per_address=10)
    names = (f"p{number}@people.test" for number in range(1000))

    def taken(seconds: int) -> int:
        advance(house, seconds)
        found = 0
        while attempt(house, email=next(names), address="192.0.2.1") is passwords.WRONG:
            found += 1
        return found

    assert [taken(s) for s in (0, 0, 359, 1, 720, 3600, 7200)] == [10, 0, 0, 1, 2, 10, 10]
    # One alarm for each time that it was used up after it had been whole: not one for each refill.
    assert len(records(house, action="authn_login_lock")) == 3


@pytest.mark.requirement("C-12")
def test_ones_own_account_buys_no_guesses(house: House, user: User) -> None:
    """Signing in to an account of one's own between the guesses gives back that attempt alone."""
    policy_with(house, per_address=10)
    guesses = 0
    for number in range(40):
        assert attempt(house, PASSWORD, address="192.0.2.1") in (None, lockout.WAIT)
        guesses += attempt(house, email=f"p{number}@people.test", address="192.0.2.1") is passwords.WRONG
    assert guesses == 10


def test_a_person_at_no_address_has_no_budget(house: House, user: User) -> None:
    """Where a password is checked without a request, there is the account's count alone."""
    fail(house, 1)
    assert counted(house) == [(1, house.now())]


# Devices


@pytest.mark.requirement("S1-156")
def test_the_owner_gets_in_while_strangers_knock(house: House, user: User) -> None:
    """Shut by strangers, and at an address that has used up its budget: a known device signs in."""
    policy_with(house, per_address=10)
    fail(house, 100)
    fail(house, 10, email="other@people.test", address="192.0.2.1")
    device = device_of(house)
    assert attempt(house, PASSWORD, address="192.0.2.1", device=device) is None
    assert attempt(house, PASSWORD, address="192.0.2.1") is lockout.SHUT, "the strangers' count is their own"


@pytest.mark.requirement("C-12")
def test_a_stolen_device_has_few_guesses(house: House, user: User) -> None:
    """After twice the free failures in a row a device is a stranger, until its owner signs in there again."""
    device = device_of(house)
    fail(house, 10, device=device)
    assert counted(house)[0][0] == 10
    advance(house, 7200)
    fail(house, 1, device=device)
    assert [count for count, _ in counted(house)] == [10, 1]
    assert attempt(house, PASSWORD, device=device) is None
    assert counted(house) == []
    assert device_of(house, before=device).partition(".")[0] == device.partition(".")[0]


def test_a_device_of_one_account_is_a_stranger_to_another(house: House, user: User) -> None:
    """The cookie is sealed for the account: with another one it says nothing."""
    fail(house, 5)
    administering.create(house, SYSTEM, email="bob@people.test", password=PASSWORD, confirmed=True)
    assert attempt(house, PASSWORD, device=device_of(house, "bob@people.test")) is lockout.WAIT


# What makes it good again


def test_an_administrator_unlocks(house: House, user: User) -> None:
    """Strangers' and devices' failures are forgotten; it is recorded where there was something to forget."""
    fail(house, 100)
    fail(house, 3, device=device_of(house))
    fail(house, 1, email="other@people.test")
    administering.unlock(house, SYSTEM, user.id)
    administering.unlock(house, SYSTEM, user.id)
    assert [count for count, _ in counted(house)] == [1]
    assert attempt(house, PASSWORD) is None
    assert [r["entity_id"] for r in records(house, action="authn_login_unlock")] == [user.id]


def test_not_everybody_unlocks(house: House, user: User) -> None:
    """Nobody without the permission, and nobody for an account that may do more."""
    clerk = Identity("c", permissions=SimpleNamespace(allow=lambda p: p == "user:manage"))  # type: ignore[arg-type]
    admin = administering.create(
        house, SYSTEM, email="root@people.test", password=PASSWORD, granted=["admin"]
    )
    for who, whom in ((Identity(user.id), user), (clerk, admin)):
        with pytest.raises(Refused):
            administering.unlock(house, who, whom.id)


@pytest.mark.parametrize("how", ["set", "changed"])
def test_a_new_password_begins_anew(house: House, user: User, how: str) -> None:
    """What was guessed at is not the password any more."""
    fail(house, 100)
    if how == "set":
        administering.set_password(house, SYSTEM, user.id, f"{PASSWORD} anew")
    else:
        device = device_of(house)
        opened = signing_in.sign_in(house, email=EMAIL, password=PASSWORD, device=device)
        accounts.change_password(
            house,
            Identity(user.id),
            digest=opened.digest,
            current=PASSWORD,
            new=f"{PASSWORD} anew",
            whence=Whence("192.0.2.1", device),
        )
    assert counted(house) == []
    assert attempt(house, f"{PASSWORD} anew") is None


@pytest.mark.requirement("S1-156")
def test_changing_a_password_is_no_side_door(house: House, user: User) -> None:
    """A146: whoever took a session cannot guess the password there, and not while the account waits."""
    who = Identity(user.id)
    opened = signing_in.sign_in(house, email=EMAIL, password=PASSWORD)

    def change(current: str) -> Reason:
        with pytest.raises(Refused) as refused:
            accounts.change_password(
                house, who, digest=opened.digest, current=current, new=f"{PASSWORD} anew"
            )
        return refused.value.reason

    assert [change(f"guess {n}") for n in range(5)] == [passwords.WRONG] * 5
    assert change(PASSWORD) is lockout.WAIT
    assert attempt(house, PASSWORD) is lockout.WAIT
    assert len(records(house, action="authn_password_change_fail", user_id=user.id)) == 5


# What is told, and what is kept


@pytest.mark.requirement("S1-138")
def test_a_warning_for_the_operator(house: House, user: User, caplog: pytest.LogCaptureFixture) -> None:
    """The failure that begins the waiting, and the one that ends it, are warnings that name no address."""
    with caplog.at_level(logging.WARNING, "bylaw.lockout"):
        fail(house, 100)
        fail(house, 5, email="nobody@people.test")
    said = [record.getMessage() for record in caplog.records if record.name == "bylaw.lockout"]
    assert said == [
        f"authn_login_lock: 5 wrong passwords for one account; user {user.id}",
        f"authn_login_fail_max: 100 wrong passwords for one account; user {user.id}",
        "authn_login_lock: 5 wrong passwords for one account; user unknown",
    ]


def test_a_refused_try_leaves_nothing(house: House, user: User) -> None:
    """A flood of tries that must wait writes no row, no record, and makes the wait no longer."""
    fail(house, 5, address="192.0.2.1")
    before = counted(house), len(records(house, limit=1000))
    for number in range(20):
        assert attempt(house, address=f"192.0.2.{number}") is lockout.WAIT
        advance(house, 1)
    assert (counted(house), len(records(house, limit=1000))) == before
    advance(house, 10)
    assert attempt(house, PASSWORD) is None


def test_what_is_over_is_cleared_away(house: House, user: User) -> None:
    """Addresses when their budget is whole, accounts after a year without a failure; nothing before."""
    chores.install(house)
    fail(house, 100, address="192.0.2.1")
    tidy = house.store.feed.chores[-1]
    tidy()
    assert len(counted(house)) == 2
    advance(house, 7200)
    tidy()
    assert [count for count, _ in counted(house)] == [100]
    advance(house, lockout.FORGOTTEN - 7200 - 1)
    tidy()
    assert len(counted(house)) == 1
    advance(house, 7200)
    tidy()
    assert counted(house) == []


def test_a_new_secret_ends_no_count(house: House, user: User) -> None:
    """After the secret was changed an account that was shut is shut, and its devices are known."""
    old, new = b"o" * 32, b"n" * 32
    house.keys = KeyRing([old])
    fail(house, 100)
    fail(house, 3, email="bob@people.test", address="192.0.2.1")
    device = device_of(house)
    house.keys = KeyRing([new, old])
    assert attempt(house, PASSWORD) is lockout.SHUT
    assert attempt(house, PASSWORD, device=device) is None
    fail(house, 2, email="bob@people.test", address="192.0.2.1")
    assert attempt(house, email="bob@people.test") is lockout.WAIT
    administering.unlock(house, SYSTEM, user.id)
    assert attempt(house, PASSWORD) is None


def test_there_is_one_door(house: House) -> None:
    """Nothing but `prove` calls `passwords.check`: a second caller would be a door without a count."""
    found = []
    for file in sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "apps").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "check":
                if ast.unparse(node.value).rpartition(".")[2] == "passwords":
                    found.append(file.relative_to(ROOT).as_posix())
            elif isinstance(node, ast.ImportFrom) and (node.module or "").endswith("controls.passwords"):
                assert "check" not in [alias.name for alias in node.names], file
    assert found == ["src/bylaw/operations/proving.py"]
