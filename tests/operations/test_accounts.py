"""Accounts: the verbs that make, change and shut them, whoever calls, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from bylaw.controls import passwords, roles, signup
from bylaw.house import House
from bylaw.identity import ANONYMOUS, FORBIDDEN, UNAUTHENTICATED, Identity, permissions_of
from bylaw.operations import accounts, administering, granting, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Refused
from bylaw.store import audit, outbox, sessions, users
from bylaw.store.engine import IMMEDIATE
from bylaw.store.users import User
from bylaw.verify.fakes import FakeClock

T = TypeVar("T")
PASSWORD = "wide green fields and quiet water"
OTHER = "narrow brown roads and loud wind"
NOBODY = "00000000-0000-4000-8000-000000000000"
GRANTS = {"admin": ["*"], "clerk": ["user:manage"], "user": ["note:read"]}


def made(house: House, *granted: str, email: str = "ann@people.test") -> User:
    return administering.create(
        house, SYSTEM, email=email, password=PASSWORD, granted=granted, confirmed=True
    )


def found(house: House, user_id: str) -> User:
    return administering.find(house, SYSTEM, user_id)


def identity(user: User) -> Identity:
    return Identity(
        id=user.id,
        roles=user.roles,
        permissions=permissions_of(user.roles, GRANTS),
        authenticated_at=FakeClock().at,
        epoch=user.epoch,
    )


def records(house: House, **filters: Any) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, **filters)


def waiting(house: House) -> list[str]:
    """The addresses that mail waits for."""
    with house.store.reading() as connection:
        return [row.recipient for row in outbox.due(connection, house.now(), 50)]


def refused(work: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as error:
        work()
    return error.value


def at_once(*work: Callable[[], T]) -> list[T | BaseException]:
    """What each of them returns or raises, begun at the same moment in as many threads."""
    gate = threading.Barrier(len(work))

    def one(task: Callable[[], T]) -> T | BaseException:
        gate.wait(30)
        try:
            return task()
        except BaseException as error:
            return error

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


@pytest.mark.requirement("S1-112", "S3-069")
def test_an_administrator_makes_an_account(house: House) -> None:
    """With roles and a password, or without either; recorded with who made it."""
    boss = made(house, "admin", email="boss@people.test")
    user = administering.create(
        house, identity(boss), email="Ann@People.test", name=" Ann ", granted=["user"]
    )
    assert (user.email, user.name, user.roles, user.password_hash) == (
        "ann@people.test",
        "Ann",
        {"user"},
        None,
    )
    [row] = records(house, entity_id=user.id)
    assert (row["action"], row["user_id"], row["actor_role"]) == ("user_created", boss.id, "admin")
    assert row["changes"] == {"roles": {"old": [], "new": ["user"]}}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"email": "ann@people.test"}, signup.TAKEN),
        ({"email": "ANN@people.test"}, signup.TAKEN),
        ({"email": "nobody"}, signup.ADDRESS),
        ({"password": "short"}, passwords.WEAK),
        ({"granted": ["root"]}, roles.NO_SUCH_ROLE),
        ({"granted": ["admin", "Admin"]}, roles.NO_SUCH_ROLE),
    ],
)
def test_what_an_administrator_cannot_make(house: House, how: dict[str, Any], reason: Any) -> None:
    """A taken or broken address, a weak password, a role that the policy lacks: nothing is made."""
    made(house)
    before = len(records(house))
    values = {"email": "new@people.test", "password": PASSWORD, **how}
    assert refused(lambda: administering.create(house, SYSTEM, **values)).reason is reason
    assert len(records(house)) == before
    assert len(administering.listing(house, SYSTEM).users) == 1


VERBS: dict[str, Callable[[House, Identity, str], object]] = {
    "create": lambda h, by, u: administering.create(h, by, email="x@people.test", password=PASSWORD),
    "set_roles": lambda h, by, u: granting.set_roles(h, by, u, ["user"]),
    "disable": lambda h, by, u: administering.disable(h, by, u, reason="a test"),
    "enable": administering.enable,
    "find": administering.find,
    "set_password": lambda h, by, u: administering.set_password(h, by, u, OTHER),
    "listing": lambda h, by, u: administering.listing(h, by),
}


@pytest.mark.requirement("S1-031", "S1-033")
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_asks_who_calls(house: House, verb: str) -> None:
    """Without the permission nothing happens, wherever the verb is called from."""
    user, work = made(house, "user"), VERBS[verb]
    before = (found(house, user.id), len(records(house)))
    assert refused(lambda: work(house, ANONYMOUS, user.id)).reason is UNAUTHENTICATED
    assert refused(lambda: work(house, identity(user), user.id)).reason is FORBIDDEN
    assert (found(house, user.id), len(records(house))) == before


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize("verb", ["set_roles", "disable", "set_password"])
def test_a_clerk_does_not_touch_his_betters(house: House, verb: str) -> None:
    """Whoever may manage users changes nobody who may do more (A089)."""
    boss, clerk = made(house, "admin", email="boss@people.test"), made(house, "clerk")
    assert refused(lambda: VERBS[verb](house, identity(clerk), boss.id)).reason is FORBIDDEN
    assert found(house, boss.id) == boss
    administering.disable(house, SYSTEM, boss.id)
    assert refused(lambda: administering.enable(house, identity(clerk), boss.id)).reason is FORBIDDEN


@pytest.mark.parametrize("verb", ["set_roles", "disable", "enable", "find", "set_password"])
@pytest.mark.parametrize("user_id", [NOBODY, "", "0", "\0", "'", "x" * 5000, NOBODY.upper() + "A", "\ud800"])
def test_an_id_that_is_nobodys(house: House, verb: str, user_id: str) -> None:
    """An unknown id, or what is none at all, is nobody's: 404, and the database is not asked for it."""
    assert refused(lambda: VERBS[verb](house, SYSTEM, user_id)).reason is roles.NO_SUCH_USER


@pytest.mark.requirement("S1-112", "S3-069")
def test_roles_are_replaced_and_recorded(house: House) -> None:
    """Old and new roles are in the record; setting what is there already changes nothing."""
    user = made(house, "user")
    granting.set_roles(house, SYSTEM, user.id, ["clerk", "user"])
    granting.set_roles(house, SYSTEM, user.id, ["user", "clerk"])
    assert found(house, user.id).roles == {"clerk", "user"}
    [row] = records(house, action="privilege_permissions_changed")
    assert row["changes"] == {"roles": {"old": ["user"], "new": ["clerk", "user"]}}
    assert refused(lambda: granting.set_roles(house, SYSTEM, user.id, ["root"])).reason is roles.NO_SUCH_ROLE


def test_shutting_ends_everything(house: House) -> None:
    """A shut account has no sessions and a new epoch; opening it brings nothing back."""
    user = made(house, "user")
    opened = signing_in.open_session(house, user, method="password")
    administering.disable(house, SYSTEM, user.id)
    administering.disable(house, SYSTEM, user.id)
    shut = found(house, user.id)
    assert shut.disabled_at == house.now()
    assert shut.epoch == user.epoch + 1
    administering.enable(house, SYSTEM, user.id)
    administering.enable(house, SYSTEM, user.id)
    assert found(house, user.id).disabled_at is None
    with house.store.reading() as connection:
        assert sessions.find(connection, opened.digest) is None
    assert [row["action"] for row in records(house, entity_id=user.id)][:2] == [
        "user_enabled",
        "user_disabled",
    ]
    assert len(records(house, entity_id=user.id)) == 4


@pytest.mark.requirement("S1-031")
def test_the_last_administrator_stays(house: House) -> None:
    """Whoever alone may manage users can be neither demoted nor shut; with a second one, either may."""
    boss, user = made(house, "admin"), made(house, "user", email="b@people.test")
    for work in (
        lambda: granting.set_roles(house, SYSTEM, boss.id, ["user"]),
        lambda: granting.set_roles(house, SYSTEM, boss.id, []),
        lambda: administering.disable(house, SYSTEM, boss.id),
    ):
        assert refused(work).reason is roles.LAST_ADMIN
        assert found(house, boss.id) == boss
    granting.set_roles(house, SYSTEM, boss.id, ["admin", "user"])
    granting.set_roles(house, SYSTEM, boss.id, ["clerk"])
    administering.disable(house, SYSTEM, user.id)
    granting.set_roles(house, SYSTEM, user.id, ["admin"])
    assert refused(lambda: administering.disable(house, SYSTEM, boss.id)).reason is roles.LAST_ADMIN
    administering.enable(house, SYSTEM, user.id)
    administering.disable(house, SYSTEM, boss.id)
    assert not records(house, action="user_disabled", entity_id=NOBODY)


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize("first", ["roles", "disable"])
@pytest.mark.parametrize("second", ["roles", "disable"])
def test_two_administrators_at_once(house: House, first: str, second: str) -> None:
    """Each takes the other's rights in the same moment: exactly one of them stays (A092)."""
    a, b = made(house, "admin"), made(house, "admin", email="b@people.test")

    def take(by: User, of: User, how: str) -> Callable[[], None]:
        if how == "disable":
            return lambda: administering.disable(house, identity(by), of.id, reason="a test")
        return lambda: granting.set_roles(house, identity(by), of.id, [])

    for _ in range(3):
        ended = at_once(take(a, b, first), take(b, a, second))
        left = [u for u in (a, b) if found(house, u.id).disabled_at is None and found(house, u.id).roles]
        assert len(left) == 1
        [refusal] = [error for error in ended if isinstance(error, Refused)]
        # The second is asked what it holds now: it has just lost that, and is nobody's administrator.
        assert refusal.reason in (FORBIDDEN, UNAUTHENTICATED)
        for user in (a, b):
            administering.enable(house, SYSTEM, user.id)
            granting.set_roles(house, SYSTEM, user.id, ["admin"])
            a, b = found(house, a.id), found(house, b.id)


@pytest.mark.requirement("C-41")
def test_two_sign_up_at_once(house: House) -> None:
    """Four sign-ups of one address in the same moment: one account, no failure, and two mails: the link that
    confirms it, and the news that somebody tried again (A019)."""
    ended = at_once(
        *(
            lambda n=n: accounts.sign_up(
                house, email="ann@people.test".upper() if n else "ann@people.test", password=PASSWORD
            )
            for n in range(4)
        )
    )
    assert ended == [None] * 4
    assert len(administering.listing(house, SYSTEM).users) == 1
    assert waiting(house) == ["ann@people.test"] * 2
    assert len(records(house, action="user_signup_taken")) == 3


@pytest.mark.requirement("C-41")
def test_an_address_that_is_taken_between_look_and_leap(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database finds the duplicate, the answer is that of a taken address all the same."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    real, asked = users.by_email, []

    def late(connection: Any, email: str) -> User | None:
        asked.append(email)
        return None if len(asked) == 1 else real(connection, email)

    monkeypatch.setattr(users, "by_email", late)
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    assert len(asked) == 2
    assert waiting(house) == ["ann@people.test"] * 2
    monkeypatch.setattr(users, "by_email", lambda connection, email: None)
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)  # and gone again by then


def test_a_failed_sign_up_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """When anything fails, there is no account, no mail and no record."""

    def failing(*args: Any, **how: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(users, "set_roles", failing)
    with pytest.raises(OperationalError):
        accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    assert administering.listing(house, SYSTEM).users == []
    assert records(house) == []


@pytest.mark.requirement("S1-010", "S1-112")
def test_changing_a_password(house: House) -> None:
    """The new one holds, other sessions end, this one goes on under a new id, the owner is told."""
    user = made(house, "user")
    here, there = (signing_in.open_session(house, user, method="password") for _ in range(2))
    renewed = accounts.change_password(house, identity(user), digest=here.digest, current=PASSWORD, new=OTHER)
    with house.store.reading() as connection:
        assert sessions.find(connection, there.digest) is None
        assert sessions.find(connection, here.digest) is None
        assert sessions.find(connection, renewed.digest) is not None
    assert signing_in.sign_in(house, email=user.email, password=OTHER).id
    assert (
        refused(lambda: signing_in.sign_in(house, email=user.email, password=PASSWORD)).reason
        is passwords.WRONG
    )
    assert waiting(house) == [user.email]
    assert len(records(house, action="authn_password_change")) == 1


@pytest.mark.requirement("S3-066")
@pytest.mark.parametrize(
    ("current", "new", "reason", "recorded"),
    [
        ("wrong " + PASSWORD, OTHER, passwords.WRONG, 1),
        ("", OTHER, passwords.WRONG, 1),
        ("a" * 5000, OTHER, passwords.WRONG, 1),
        (PASSWORD, "short", passwords.WEAK, 0),
        (PASSWORD, "ann@people.test" + "", passwords.WEAK, 0),
    ],
)
def test_a_password_that_is_not_changed(
    house: House, current: str, new: str, reason: Any, recorded: int
) -> None:
    """A wrong current password is recorded as a failure; nothing changes and no session ends."""
    user = made(house, "user")
    here = signing_in.open_session(house, user, method="password")
    assert (
        refused(
            lambda: accounts.change_password(
                house, identity(user), digest=here.digest, current=current, new=new
            )
        ).reason
        is reason
    )
    assert found(house, user.id) == user
    assert len(records(house, action="authn_password_change_fail", user_id=user.id)) == recorded
    with house.store.reading() as connection:
        assert sessions.find(connection, here.digest) is not None
    assert waiting(house) == []


@pytest.mark.requirement("S1-010", "C-05")
def test_a_password_that_is_changed_while_the_account_is_shut(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two comes first: once the account is opened again, no session of before is good."""
    user = made(house, "user")
    here, real = signing_in.open_session(house, user, method="password"), sessions.find
    shutting: list[threading.Thread] = []

    def find(connection: Any, digest: str) -> Any:
        row = real(connection, digest)
        if not shutting and connection.get_execution_options().get(IMMEDIATE):
            work = threading.Thread(target=administering.disable, args=(house, SYSTEM, user.id))
            shutting.append(work)
            work.start()
            work.join(0.2)  # it waits for us where it can; where it does not, it has overtaken us by now
        return row

    monkeypatch.setattr(sessions, "find", find)
    with suppress(Refused):
        accounts.change_password(house, identity(user), digest=here.digest, current=PASSWORD, new=OTHER)
    shutting[0].join(30)
    administering.enable(house, SYSTEM, user.id)
    with house.store.reading() as connection:
        assert sessions.of_user(connection, user.id) == []


def test_a_busy_pool_is_no_failure_of_the_person(house: House) -> None:
    """Being told to come back is not recorded as a wrong password."""
    user = made(house, "user")
    here = signing_in.open_session(house, user, method="password")
    with house.hashes.occupied():
        assert (
            refused(
                lambda: accounts.change_password(
                    house, identity(user), digest=here.digest, current=PASSWORD, new=OTHER
                )
            ).reason
            is passwords.BUSY
        )
        assert (
            refused(lambda: signing_in.sign_in(house, email=user.email, password=PASSWORD)).reason
            is passwords.BUSY
        )
    assert records(house, action="authn_password_change_fail") == []
    assert records(house, action="authn_login_fail") == []


def test_two_changes_at_once_are_one(house: House) -> None:
    """Of two changes in the same moment one wins, and the password is that one's."""
    user = made(house, "user")
    here = signing_in.open_session(house, user, method="password")
    new = [f"{OTHER} number {n}" for n in range(2)]
    ended = at_once(
        *(
            lambda n=n: accounts.change_password(
                house, identity(user), digest=here.digest, current=PASSWORD, new=new[n]
            )
            for n in range(2)
        )
    )
    won = [n for n in range(2) if not isinstance(ended[n], BaseException)]
    assert len(won) == 1
    lost = ended[1 - won[0]]
    assert isinstance(lost, Refused)
    assert lost.reason is passwords.WRONG
    assert signing_in.sign_in(house, email=user.email, password=new[won[0]]).id


def test_a_session_that_has_ended_changes_nothing(house: House) -> None:
    """Whoever was signed out while typing does not change the password."""
    user = made(house, "user")
    here = signing_in.open_session(house, user, method="password")
    signing_in.sign_out(house, identity(user), here.digest)
    assert (
        refused(
            lambda: accounts.change_password(
                house, identity(user), digest=here.digest, current=PASSWORD, new=OTHER
            )
        ).reason
        is passwords.WRONG
    )
    assert found(house, user.id).password_hash == user.password_hash


def test_an_account_without_a_password_gets_none_by_changing(house: House) -> None:
    """Who has no password cannot make one by giving an empty one (A014)."""
    user = administering.create(house, SYSTEM, email="gina@people.test", granted=["user"], confirmed=True)
    here = signing_in.open_session(house, user, method="password")
    for current in ("", " ", "None", "nobody's password"):
        with pytest.raises(Refused) as error:
            accounts.change_password(house, identity(user), digest=here.digest, current=current, new=OTHER)
        assert error.value.reason is passwords.WRONG
    assert found(house, user.id).password_hash is None


def test_setting_a_forgotten_password(house: House) -> None:
    """At the command line: the new one holds and everything that the account held has ended."""
    user = made(house, "user")
    here = signing_in.open_session(house, user, method="password")
    administering.set_password(house, SYSTEM, user.id, OTHER)
    with house.store.reading() as connection:
        assert sessions.find(connection, here.digest) is None
    assert signing_in.sign_in(house, email=user.email, password=OTHER).id
    assert (
        refused(lambda: administering.set_password(house, SYSTEM, user.id, user.email + "")).reason
        is passwords.WEAK
    )


def test_a_user_does_not_show_himself_in_a_log(house: House) -> None:
    """Whoever logs an account logs its id, and not its hash or address."""
    user = made(house)
    assert repr(user) == f"User({user.id})"


def test_an_id_is_random_and_a_uuid(house: House) -> None:
    """Ids come from the entropy port, and are no hint at how many accounts there are."""
    ids = {made(house, email=f"p{n}@people.test").id for n in range(5)}
    assert len(ids) == 5
    assert all(accounts._ID.fullmatch(user_id) for user_id in ids)


@pytest.mark.requirement("S3-024")
def test_a_role_of_no_form_is_refused_by_the_database(house: House) -> None:
    """What no role can be called does not get into the table, whoever writes it (S3-024)."""
    user = made(house)
    for role in ("Admin", " admin", "admin ", ""):
        with pytest.raises(IntegrityError), house.store.transaction() as connection:
            users.set_roles(connection, user.id, frozenset({role}), by=None)
    assert found(house, user.id).roles == frozenset()
