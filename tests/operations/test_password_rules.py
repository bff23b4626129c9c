"""How tighter rules reach passwords that were set before them: at sign-in, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert

from bylaw.controls import passwords
from bylaw.controls.passwords import Settings, judging
from bylaw.controls.sessions import Opened, owing
from bylaw.house import House
from bylaw.identity import UNFINISHED, Identity
from bylaw.operations import accounts, administering, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Refused
from bylaw.store import passwords as stored
from bylaw.store import users
from bylaw.store.tables import totp_secrets
from bylaw.store.users import User

LONG = "wide green fields and quiet water"
SHORT = "mqzvwkxtbr"
"""Ten characters: enough beside a second factor, too few without one."""


@contextmanager
def under(house: House, **changes: Any) -> Iterator[None]:
    """Another policy from tomorrow on."""
    before = house.policy
    changed = before.of(Settings).model_copy(update=changes)
    house.policy = replace(before, controls={**before.controls, "passwords": changed})
    try:
        yield
    finally:
        house.policy = before


def made(house: House, password: str | None = LONG, email: str = "ann@people.test") -> User:
    return administering.create(house, SYSTEM, email=email, password=password, confirmed=True)


def found(house: House, user: User) -> User:
    with house.store.reading() as connection:
        row = users.by_id(connection, user.id)
    assert row is not None
    return row


def changed(house: House, user: User, **values: Any) -> None:
    with house.store.transaction() as connection:
        users.change(connection, user.id, **values)


def enrol(house: House, user: User) -> None:
    with house.store.transaction() as connection:
        connection.execute(
            insert(totp_secrets).values(
                id="app", user_id=user.id, name="app", secret="sealed", created_at=house.now()
            )
        )


def lose(house: House, user: User) -> None:
    with house.store.transaction() as connection:
        connection.execute(delete(totp_secrets).where(totp_secrets.c.user_id == user.id))


def sign_in(house: House, user: User, password: str = LONG) -> Opened:
    return signing_in.sign_in(house, email=user.email, password=password)


def change(house: House, user: User, opened: Opened, current: str, new: str) -> Opened:
    return accounts.change_password(
        house, Identity(id=user.id), digest=opened.digest, current=current, new=new
    )


@pytest.mark.requirement("C-02", "C-27")
def test_what_a_password_was_judged_by_is_kept(house: House) -> None:
    """Made, set, changed or chosen at sign-up: the rules stand beside the hash, never its length."""
    today = judging.rules(house.policy.of(Settings), second=False)
    user = made(house)
    assert found(house, user).password_rules == today
    assert str(len(LONG)) not in today
    changed(house, user, password_rules="", renew_password=True)
    administering.set_password(house, SYSTEM, user.id, LONG + " two")
    assert found(house, user).password_rules == today
    opened = sign_in(house, user, LONG + " two")
    changed(house, user, password_rules="")
    change(house, user, opened, LONG + " two", LONG + " three")
    assert (found(house, user).password_rules, found(house, user).renew_password) == (today, False)
    accounts.sign_up(house, email="bob@people.test", password=LONG)
    with house.store.reading() as connection:
        bob = users.by_email(connection, "bob@people.test")
    assert bob is not None
    assert bob.password_rules == today
    assert found(house, made(house, None, "gina@people.test")).password_rules == ""


@pytest.mark.requirement("C-02", "S1-004")
def test_a_longer_minimum_reaches_whoever_signs_in(house: House) -> None:
    """The policy asks for 40 from today: he signs in with 33, must change it first, and then is in."""
    user = made(house)
    with under(house, min_length=40):
        opened = sign_in(house, user)
        assert opened.owes == "password"
        assert "length=15" in found(house, user).password_rules, "nothing says that it keeps today's rules"
        with pytest.raises(Refused) as refused:
            change(house, user, opened, LONG, LONG + "!")
        assert refused.value.fields == {"password": "Needed: at least 40 characters."}
        assert change(house, user, opened, LONG, LONG + " with swans on it").owes == ""
        assert sign_in(house, user, LONG + " with swans on it").owes == ""


@pytest.mark.requirement("C-02", "S1-010")
@pytest.mark.parametrize("before", ["", "v1 length=8 kinds=- list=1", "somebody else's words"])
def test_a_password_that_keeps_todays_rules_is_judged_once(
    house: House, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Imported, or judged by an earlier list: it is looked at when its owner has shown it, and then known."""
    user = made(house)
    changed(house, user, password_rules=before)
    judged: list[str] = []
    real = judging.faults

    def faults(settings: Settings, password: str, **how: Any) -> list[str]:
        judged.append(password)
        return real(settings, password, **how)

    monkeypatch.setattr(judging, "faults", faults)
    with pytest.raises(Refused):
        sign_in(house, user, "not " + LONG)
    assert judged == [], "of a wrong password nothing is learnt"
    assert [sign_in(house, user).owes for _ in range(2)] == ["", ""]
    assert judged == [LONG]
    assert found(house, user).password_rules == judging.rules(house.policy.of(Settings), second=False)


@pytest.mark.requirement("C-02", "S3-007")
def test_a_common_password_that_was_imported_must_go(house: House) -> None:
    """A table from elsewhere brings Password1! along: its owner chooses another before anything else."""
    user = made(house)
    changed(house, user, password_hash=house.scheme.make("Password1!Password1!"), password_rules="")
    assert sign_in(house, user, "Password1!Password1!").owes == "password"


@pytest.mark.requirement("C-02", "S1-004", "S3-005")
def test_without_the_factor_the_short_password_must_go(house: House) -> None:
    """Beside an app ten characters are enough; when it is gone, the next sign-in asks for fifteen."""
    user = made(house)
    enrol(house, user)
    administering.set_password(house, SYSTEM, user.id, SHORT)
    assert sign_in(house, user, SHORT).owes == "second"
    lose(house, user)
    assert sign_in(house, user, SHORT).owes == "password"
    with pytest.raises(Refused):
        administering.set_password(house, SYSTEM, user.id, SHORT + "x")


@pytest.mark.requirement("C-02")
def test_a_long_password_beside_a_factor_stays_when_it_is_gone(house: House) -> None:
    """Judged by eight, it is judged again by fifteen, and nobody is asked for anything."""
    user = made(house)
    enrol(house, user)
    administering.set_password(house, SYSTEM, user.id, LONG + "!")
    assert "length=8" in found(house, user).password_rules
    lose(house, user)
    assert sign_in(house, user, LONG + "!").owes == ""
    assert "length=15" in found(house, user).password_rules


@pytest.mark.requirement("C-12", "S1-156")
def test_one_factor_alone_changes_no_password(house: House) -> None:
    """Whoever has guessed the password, but not the second factor, cannot lock its owner out (A074)."""
    user = made(house)
    enrol(house, user)
    opened = sign_in(house, user)
    assert opened.owes == "second"
    for current in (LONG, "a guess"):
        with pytest.raises(Refused) as refused:
            change(house, user, opened, current, LONG + " taken over")
        assert refused.value.reason is UNFINISHED
    assert sign_in(house, user).owes == "second", "the password is what it was"


@pytest.mark.requirement("S1-011", "C-02")
def test_another_password_is_another_one(house: House) -> None:
    """An administrator has asked for a new password: the old one once more is none, in any spelling."""
    user = made(house)
    administering.set_password(house, SYSTEM, user.id, "Ame\u0301lie and the blue boat")
    changed(house, user, renew_password=True)
    opened = sign_in(house, user, "Am\u00e9lie and the blue boat")
    assert opened.owes == "password"
    with pytest.raises(Refused) as refused:
        change(house, user, opened, "Ame\u0301lie and the blue boat", "Am\u00e9lie and the blue boat")
    assert refused.value.reason is passwords.WEAK
    assert found(house, user).renew_password
    assert change(house, user, opened, "Ame\u0301lie and the blue boat", LONG).owes == ""


@pytest.mark.requirement("S1-010")
def test_somebody_who_acts_as_another_changes_no_password(house: House) -> None:
    """An administrator who is signed in as Ann sees what she sees, and does not choose her password."""
    user = made(house)
    opened = sign_in(house, user)
    with pytest.raises(Refused) as refused:
        accounts.change_password(
            house, Identity(id=user.id, acting="root"), digest=opened.digest, current=LONG, new=LONG + "!"
        )
    assert refused.value.reason.code == "sessions.acting"


@pytest.mark.requirement("C-02")
def test_changed_meanwhile_is_not_recorded_as_judged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is changed between the check and the session: what was judged is not recorded for it."""
    user = made(house)
    changed(house, user, password_rules="")
    real = judging.rules

    def late(settings: Settings, *, second: bool) -> str:
        monkeypatch.setattr(judging, "rules", real)
        administering.set_password(house, SYSTEM, user.id, LONG + " two")
        changed(house, user, password_rules="not judged")
        return real(settings, second=second)

    monkeypatch.setattr(judging, "rules", late)
    with pytest.raises(Refused):
        sign_in(house, user)
    assert found(house, user).password_rules == "not judged"


@pytest.mark.requirement("C-02", "S1-010")
def test_accounts_are_counted_by_the_rules_of_their_passwords(house: House) -> None:
    """How many were judged by what, with and without a factor; shut and password-less ones do not count."""
    people = [made(house, email=f"p{number}@people.test") for number in range(5)]
    made(house, None, "gina@people.test")
    changed(house, people[0], disabled_at=house.now())
    changed(house, people[1], password_rules="")
    enrol(house, people[2])
    today = found(house, people[3]).password_rules
    with house.store.reading() as connection:
        counted = sorted(stored.judged_by(connection))
        assert stored.peppers(connection) == {}
    assert counted == sorted([("", False, 1), (today, True, 1), (today, False, 2)])
    assert owing.first("password confirm") == "password"
