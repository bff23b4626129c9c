"""Signing in and out: what opens a session, what does not, and what ends one, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bylaw.controls import passwords, sessions
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import administering, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Refused
from bylaw.store import audit, users
from bylaw.store import sessions as rows
from bylaw.store.users import User

PASSWORD = "wide green fields and quiet water"


@pytest.fixture
def user(house: House) -> User:
    return administering.create(
        house, SYSTEM, email="ann@people.test", password=PASSWORD, granted=["user"], confirmed=True
    )


def records(house: House, **filters: Any) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, **filters)


def live(house: House, digest: str) -> bool:
    with house.store.reading() as connection:
        return rows.find(connection, digest) is not None


def refused(work: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as error:
        work()
    return error.value


@pytest.mark.requirement("S3-066")
def test_signing_in_opens_a_session(house: House, user: User) -> None:
    """In any spelling of the address; the session knows from where, and it is recorded."""
    opened = signing_in.sign_in(
        house, email="ANN@People.test", password=PASSWORD, address="192.0.2.7", agent="curl\x1b" + "x" * 400
    )
    with house.store.reading() as connection:
        row = rows.find(connection, opened.digest)
    assert row is not None
    assert (row.user_id, row.address, row.agent[:6], len(row.agent)) == (user.id, "192.0.2.7", "curl?x", 256)
    assert opened.secret not in repr(row)
    assert opened.secret not in repr(opened)
    [record] = records(house, action="authn_login_success")
    assert (record["user_id"], record["changes"]) == (user.id, {"method": "password"})


@pytest.mark.requirement("S3-066", "C-41")
@pytest.mark.parametrize("how", ["password", "unknown", "no address", "shut", "long"])
def test_what_does_not_sign_in(house: House, user: User, how: str) -> None:
    """A wrong password, an unknown, broken or shut account: one reason, and a record of the failure."""
    email, password = user.email, PASSWORD
    if how == "shut":
        administering.disable(house, SYSTEM, user.id)
    elif how == "unknown":
        email = "other@people.test"
    elif how == "no address":
        email = "ann"
    elif how == "long":
        password *= 1000
    else:
        password += "!"
    assert (
        refused(lambda: signing_in.sign_in(house, email=email, password=password)).reason is passwords.WRONG
    )
    [record] = records(house, action="authn_login_fail")
    assert record["outcome"] == "failure"
    assert record["user_id"] == (None if how in ("unknown", "no address") else user.id)


@pytest.mark.parametrize("change", ["disable", "set_password"])
def test_shut_while_the_password_was_checked(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Between the check and the session the account is shut or changed: no session is opened."""
    real = passwords.check

    def meanwhile(house: House, stored: str | None, password: str) -> str | None:
        result = real(house, stored, password)
        if change == "disable":
            administering.disable(house, SYSTEM, user.id)
        else:
            administering.set_password(house, SYSTEM, user.id, PASSWORD + " anew")
        return result

    monkeypatch.setattr(passwords, "check", meanwhile)
    assert (
        refused(lambda: signing_in.sign_in(house, email=user.email, password=PASSWORD)).reason
        is passwords.WRONG
    )
    assert signing_in.own_sessions(house, Identity(id=user.id)) == []


def test_gone_while_the_password_was_checked(house: House, user: User) -> None:
    """A session is opened for an account that is there, and for no other."""
    with house.store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM users")
    assert refused(lambda: signing_in.open_session(house, user, method="password")).reason is passwords.WRONG


@pytest.mark.requirement("S3-004", "C-04")
def test_an_upgrade_does_not_undo_a_change(house: House, user: User) -> None:
    """The stronger hash replaces the one that was checked, and none that was set meanwhile."""
    with house.store.transaction() as connection:
        users.change(connection, user.id, password_hash="set meanwhile")
    signing_in.open_session(house, user, method="password", stronger="stronger")
    assert administering.find(house, SYSTEM, user.id).password_hash == "set meanwhile"
    fresh = administering.find(house, SYSTEM, user.id)
    signing_in.open_session(house, fresh, method="password", stronger="stronger")
    assert administering.find(house, SYSTEM, user.id).password_hash == "stronger"


def test_a_check_that_lets_nobody_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the password of no account were right, there would be nobody to sign in."""
    monkeypatch.setattr(passwords, "check", lambda house, stored, password: None)
    assert (
        refused(lambda: signing_in.sign_in(house, email="nobody@people.test", password=PASSWORD)).reason
        is passwords.WRONG
    )


@pytest.mark.requirement("S3-066")
def test_signing_out_ends_it_for_every_copy(house: House, user: User) -> None:
    """The session is gone from the table and from memory, and it is recorded."""
    opened = signing_in.open_session(house, user, method="password")
    signing_in.sign_out(house, Identity(id=user.id, session=opened.id), opened.digest)
    assert not live(house, opened.digest)
    assert [row["entity_id"] for row in records(house, action="session_logout")] == [opened.id]


def test_one_ends_ones_own_sessions(house: House, user: User) -> None:
    """By its id, or all the others at once; somebody else's id ends nothing."""
    who = Identity(id=user.id, session="x")
    here, there, elsewhere = (signing_in.open_session(house, user, method="password") for _ in range(3))
    other = administering.create(house, SYSTEM, email="b@people.test", password=PASSWORD)
    others = signing_in.open_session(house, other, method="password")
    assert {row.id for row in signing_in.own_sessions(house, who)} == {here.id, there.id, elsewhere.id}
    assert not signing_in.end_session(house, who, others.id)
    assert not signing_in.end_session(house, who, "nothing")
    assert signing_in.end_session(house, who, there.id)
    assert not live(house, there.digest)
    assert signing_in.end_other_sessions(house, who, here.digest) == 1
    assert [live(house, each.digest) for each in (here, elsewhere, others)] == [True, False, True]
    actions = [row["action"] for row in records(house, user_id=user.id)]
    assert (actions.count("session_ended"), actions.count("session_ended_others")) == (1, 1)


def test_ended_sessions_are_not_listed(house: House, user: User) -> None:
    """What was not used for the idle time, or is past its end, is no session any more."""
    clock: Any = house.ports.clock
    who = Identity(id=user.id)
    signing_in.open_session(house, user, method="password")
    clock.advance(house.policy.of(sessions.Settings).idle - 1)
    assert len(signing_in.own_sessions(house, who)) == 1
    clock.advance(2)
    assert signing_in.own_sessions(house, who) == []


@pytest.mark.requirement("C-32")
def test_of_twenty_proofs_at_once_one_goes_on(house: House, user: User) -> None:
    """A code that is sent twenty times gives one new id; the old one and nineteen others open nothing."""
    opened = signing_in.open_session(house, user, method="password", owes=["confirm"])

    def prove(_: int) -> str:
        try:
            return signing_in.go_on(house, opened.digest, method="totp", assurance=2, done=["confirm"]).digest
        except Refused:
            return ""

    with ThreadPoolExecutor(20) as pool:
        won = [each for each in pool.map(prove, range(20)) if each]
    assert len(won) == 1
    with house.store.reading() as connection:
        new, old = rows.find(connection, won[0]), rows.find(connection, opened.digest)
    assert new is not None
    assert (new.owes, new.assurance, new.method) == ("", 2, "password+totp")
    assert old is not None
    assert old.expires_at <= house.now(), "its row is left behind, dead"


@pytest.mark.requirement("C-32")
@pytest.mark.parametrize("how", ["everywhere", "out", "others"])
def test_a_proof_under_way_does_not_outlive_the_end(house: House, user: User, how: str) -> None:
    """While a code is being checked its owner signs out: neither the old id nor the new one is left."""
    for _ in range(6):
        mine = signing_in.open_session(house, user, method="password")
        theirs = signing_in.open_session(house, user, method="password")
        who = Identity(id=user.id, session=theirs.id)

        def prove(digest: str = theirs.digest) -> str:
            try:
                return signing_in.go_on(house, digest, method="totp", assurance=2).digest
            except Refused:
                return ""

        def end(here: str = mine.digest, there: str = theirs.digest, who: Identity = who) -> None:
            if how == "everywhere":
                signing_in.sign_out_everywhere(house, who)
            elif how == "others":
                signing_in.end_other_sessions(house, who, here)
            else:
                signing_in.sign_out(house, who, there)

        with ThreadPoolExecutor(2) as pool:
            proof, ended = pool.submit(prove), pool.submit(end)
            ended.result()
            new = proof.result()
        with house.store.reading() as connection:
            left = [row.digest for row in rows.of_user(connection, user.id) if row.expires_at > house.now()]
            epoch = users.by_id(connection, user.id)
        assert new not in left
        assert theirs.digest not in left
        assert epoch is not None
        user = epoch


def test_signing_out_with_an_id_that_was_replaced(house: House, user: User) -> None:
    """The answer with the new cookie was on its way: the sign-out means that session all the same."""
    opened = signing_in.open_session(house, user, method="password")
    clock: Any = house.ports.clock
    clock.advance(1)
    bystander = signing_in.open_session(house, user, method="password")
    fresh = signing_in.go_on(house, opened.digest, method="totp", assurance=2)
    signing_in.sign_out_replaced(house, opened.digest)
    signing_in.sign_out_replaced(house, "nobody's")
    with house.store.reading() as connection:
        assert rows.find(connection, fresh.digest) is None
        assert rows.find(connection, bystander.digest) is not None
