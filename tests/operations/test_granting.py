"""Roles given and taken: within one object, for a time, by whom and why; on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from bylaw.controls import errors, roles
from bylaw.house import House
from bylaw.identity import FORBIDDEN, STEP_UP, UNAUTHENTICATED, Identity, permissions_of
from bylaw.operations import administering, api_keys, granting, services, signing_in, tokens
from bylaw.operations.authority import SYSTEM
from bylaw.store import assignments, sessions
from bylaw.store.assignments import Assignment
from bylaw.store.tables import revocations, role_assignments
from bylaw.store.users import User
from tests.operations.test_accounts import GRANTS, NOBODY, at_once, found, made, records, refused

WHY = "stands in for Bob"
DAY = 86400.0


def held(house: House, user: User) -> list[tuple[str, str, float | None]]:
    now = granting.roles_of(house, SYSTEM, user.id)
    return [(each.role, each.scope, each.expires_at) for each in now]


def ever(house: House, user: User) -> list[Assignment]:
    return granting.roles_of(house, SYSTEM, user.id, ended=True)


def identity(house: House, user: User) -> Identity:
    """The account as a session would have it now."""
    mine = granting.roles_of(house, SYSTEM, user.id)
    return Identity(
        id=user.id,
        roles=frozenset(each.role for each in mine if not each.scope),
        permissions=permissions_of([each.role for each in mine if not each.scope], GRANTS),
        scoped=roles.scoped(GRANTS, mine),
        authenticated_at=house.now(),
        epoch=user.epoch,
        clock=house.ports.clock,
    )


def turn(house: House, seconds: float) -> None:
    house.ports.clock.advance(seconds)  # type: ignore[attr-defined]


@pytest.mark.requirement("S1-112", "S3-069")
def test_a_role_is_given_within_an_object_for_a_time_with_a_reason(house: House) -> None:
    """Who gave it, when, why, where and until when is kept; recorded, and in the feed, in one transaction."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    signing_in.open_session(house, ann, method="password")
    until = house.now() + DAY
    given = granting.grant(
        house, identity(house, boss), ann.id, "admin", within="planning:17", until=until, because=f" {WHY} "
    )
    assert (given.role, given.scope, given.expires_at, given.because) == ("admin", "planning:17", until, WHY)
    assert (given.granted_by, given.granted_at) == (boss.id, house.now())
    assert held(house, ann) == [("user", "", None), ("admin", "planning:17", until)]
    assert found(house, ann.id).roles == {"user"}
    [row] = records(house, action="privilege_permissions_changed", entity_id=ann.id)
    assert row["user_id"] == boss.id
    assert row["changes"] == {
        "roles": {
            "old": ["user"],
            "new": ["admin within planning:17 until 2027-01-16 08:00 UTC", "user"],
        },
        "role": "admin",
        "within": "planning:17",
        "reason": WHY,
    }
    with house.store.reading() as connection:
        assert ann.id in connection.execute(select(revocations.c.user_id)).scalars().all()
        [session] = sessions.of_user(connection, ann.id)
    assert session.renew  # ASVS 5.0.0 7.2.4


@pytest.mark.parametrize(
    ("how", "reason", "fields"),
    [
        ({"role": "root"}, roles.NO_SUCH_ROLE, ["role"]),
        ({"role": "Admin"}, roles.NO_SUCH_ROLE, ["role"]),
        ({"role": ""}, roles.NO_SUCH_ROLE, ["role"]),
        ({"because": ""}, errors.INVALID, ["reason"]),
        ({"because": " \n\t"}, errors.INVALID, ["reason"]),
        *(
            ({"within": text}, roles.BAD_SCOPE, ["within"])
            for text in (
                "planning", ":17", "planning:", "Planning:17", "planning:17 ", " planning:17",
                "planning:17:18", "planning:*", "*:17", "planning:{id}", "planning:17\n", "planning:\0",
                "planning:\ud800",
                "planning:..", "planning:-1", "p" * 40 + ":1", "planning:" + "1" * 80, "planning:\u0661", "*",
            )
        ),
        *(
            ({"until": until}, roles.BAD_EXPIRY, ["until"])
            for until in (0.0, -1.0, 1_800_000_000.0, 1_799_999_999.0, math.nan, math.inf, -math.inf, 1e300,
                          1_800_000_000.0 + granting.LONGEST + 1)
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_given_is_said(
    house: House, how: dict[str, Any], reason: Any, fields: list[str]
) -> None:
    """A role, an object, a moment or a reason that is none: nothing changes, and the field is named."""
    boss, ann = made(house, "admin"), made(house, email="b@people.test")
    wanted = {"role": "user", "because": WHY, **how}
    work = lambda: granting.grant(house, identity(house, boss), ann.id, **wanted)  # noqa: E731
    error = refused(work)
    assert (error.reason, list(error.fields)) == (reason, fields)
    assert ever(house, ann) == []


def test_given_again_it_has_the_new_end(house: House) -> None:
    """The earlier assignment stays in the history with who ended it; pressed twice, nothing happens twice."""
    boss, ann = made(house, "admin"), made(house, email="b@people.test")
    me = identity(house, boss)
    granting.grant(house, me, ann.id, "user", because=WHY)
    turn(house, 5)
    until = house.now() + DAY
    first = granting.grant(house, me, ann.id, "user", until=until, because=WHY)
    assert granting.grant(house, me, ann.id, "user", until=until, because=WHY) == first
    assert held(house, ann) == [("user", "", until)]
    before, now = ever(house, ann)
    assert (before.ended_at, before.ended_by, now.ended_at) == (house.now(), boss.id, None)
    assert len(records(house, action="privilege_permissions_changed", entity_id=ann.id)) == 2


def test_a_role_is_taken_where_it_is_held(house: House) -> None:
    """Within its object alone; taken twice, or where it never was, it is said that there is nothing."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    me = identity(house, boss)
    granting.grant(house, me, ann.id, "user", within="planning:17", because=WHY)
    granting.revoke(house, me, ann.id, "user", within="planning:17", because="done")
    assert held(house, ann) == [("user", "", None)]
    for within in ("planning:17", "planning:18"):
        work = lambda w=within: granting.revoke(house, me, ann.id, "user", within=w)  # noqa: E731
        assert refused(work).reason is roles.HAS_NOTHING
    granting.revoke(house, me, ann.id, "user")
    assert held(house, ann) == []
    assert refused(lambda: granting.revoke(house, me, NOBODY, "user")).reason is roles.NO_SUCH_USER
    row = records(house, action="privilege_permissions_changed", entity_id=ann.id)[1]
    assert row["changes"]["reason"] == "done"


def test_a_role_that_the_policy_lost_can_be_taken(house: House) -> None:
    """It grants nothing, and whoever cleans up gets rid of it."""
    ann = made(house)
    with house.store.transaction() as connection:
        assignments.grant(connection, ann.id, "retired")
    granting.revoke(house, SYSTEM, ann.id, "retired")
    assert held(house, ann) == []


# Expiry


@pytest.mark.requirement("S1-112")
def test_a_role_ends_by_itself_and_a_chore_writes_it_down(house: House) -> None:
    """At its moment it is gone, whether anybody has written so or not; written once, with a record."""
    ann = made(house, "user")
    until = house.now() + 60
    granting.grant(house, SYSTEM, ann.id, "clerk", until=until)
    turn(house, 59.9)
    assert granting.close_expired(house) == 0
    assert [role for role, *_ in held(house, ann)] == ["user", "clerk"]
    turn(house, 0.1)
    assert [role for role, *_ in held(house, ann)] == ["user"]
    assert found(house, ann.id).roles == {"user"}
    turn(house, 1000)
    closed = at_once(*[lambda: granting.close_expired(house)] * 4)
    assert sorted(closed) == [0, 0, 0, 1]  # type: ignore[type-var]
    [row] = records(house, action="role_expired")
    assert (row["actor_role"], row["entity_id"], row["changes"]["role"]) == ("system", ann.id, "clerk")
    gone = ever(house, ann)[1]
    assert (gone.ended_at, gone.ended_by) == (until, None)


def test_what_has_expired_is_given_anew_and_not_taken(house: House) -> None:
    """Before the chore has come by: an end that was reached is not ended once more by somebody."""
    ann = made(house)
    until = house.now() + 60
    granting.grant(house, SYSTEM, ann.id, "user", until=until)
    turn(house, 61)
    assert refused(lambda: granting.revoke(house, SYSTEM, ann.id, "user")).reason is roles.HAS_NOTHING
    granting.grant(house, SYSTEM, ann.id, "user")
    before, now = ever(house, ann)
    assert (before.ended_at, before.ended_by, now.expires_at) == (until, None, None)
    assert granting.close_expired(house) == 0


def test_who_held_what_on_a_day_can_be_told(house: House) -> None:
    """Before it was given, while it held, after it expired and after it was taken."""
    made(house, "admin", email="b@people.test")
    ann, start = made(house), house.now()
    granting.grant(house, SYSTEM, ann.id, "user", until=start + 100)
    turn(house, 50)
    granting.grant(house, SYSTEM, ann.id, "clerk")
    turn(house, 100)
    granting.revoke(house, SYSTEM, ann.id, "clerk")
    turn(house, 1000)
    granting.close_expired(house)
    seen = {}
    with house.store.reading() as connection:
        for at in (-1, 0, 49, 50, 99, 100, 149, 150):
            then = assignments.as_of(connection, ann.id, start + at)
            seen[at] = {each.role for each in then}
    assert seen == {
        -1: set(), 0: {"user"}, 49: {"user"}, 50: {"user", "clerk"}, 99: {"user", "clerk"},
        100: {"clerk"}, 149: {"clerk"}, 150: set(),
    }  # fmt: skip


# Nobody gives more than he has


@pytest.mark.requirement("S1-031")
def test_an_administrator_until_friday_makes_nobody_one_for_ever(house: House) -> None:
    """Himself, a friend, a new account, everywhere or within an object: not for longer than he is one."""
    boss = made(house, "admin")
    temp, ann = made(house, email="t@people.test"), made(house, email="b@people.test")
    friday = house.now() + DAY
    granting.grant(house, SYSTEM, temp.id, "admin", until=friday)
    me = identity(house, temp)
    for work in (
        lambda: granting.grant(house, me, temp.id, "admin", because=WHY),
        lambda: granting.grant(house, me, temp.id, "admin", until=friday + 1, because=WHY),
        lambda: granting.grant(house, me, temp.id, "clerk", because=WHY),
        lambda: granting.grant(house, me, ann.id, "user", because=WHY),
        lambda: granting.grant(house, me, ann.id, "user", within="planning:17", because=WHY),
        lambda: granting.set_roles(house, me, ann.id, ["admin"]),
        lambda: granting.set_roles(house, me, temp.id, ["admin", "clerk"]),
        lambda: administering.create(house, me, email="c@people.test", granted=["admin"]),
        lambda: administering.invite(house, me, email="c@people.test", granted=["user"]),
        lambda: services.make(house, me, name="nightly", contact=boss.email, granted=["user"]),
    ):
        assert refused(work).reason is roles.OUTLASTS
    assert [role for role, *_ in held(house, temp)] == ["admin"]
    assert held(house, ann) == []
    granting.grant(house, me, ann.id, "admin", until=friday, because=WHY)
    administering.create(house, me, email="c@people.test")
    granting.revoke(house, me, ann.id, "admin")


@pytest.mark.requirement("S1-031", "S1-033", "S3-084")
def test_an_administrator_until_friday_takes_nobodys_place_for_longer(house: House) -> None:
    """A token or a key that speaks for somebody who is more than he is on Saturday is none of his to make."""
    boss, temp = made(house, "admin"), made(house, email="t@people.test")
    ann = made(house, email="b@people.test")
    friday = house.now() + DAY
    for user in (temp, ann):
        granting.grant(house, SYSTEM, user.id, "admin", until=friday)
    settings = house.policy.controls["api_keys"].model_copy(update={"paths": ("/api/*",)})
    house.policy = replace(house.policy, controls={**house.policy.controls, "api_keys": settings})
    service = services.make(house, SYSTEM, name="nightly", contact=boss.email, granted=["user"])
    key = api_keys.make(house, SYSTEM, name="k", scopes=["note:read"], owner=service.id)
    token = tokens.issue(house, SYSTEM, boss.id)
    me = identity(house, temp)
    for work in (
        lambda: tokens.issue(house, me, boss.id),
        lambda: tokens.replace(house, me, token.id),
        lambda: api_keys.make(house, me, name="k", scopes=["note:read"], owner=service.id),
        lambda: api_keys.rotate(house, me, key.id, owner=service.id),
    ):
        assert refused(work).reason is roles.OUTLASTS
    tokens.issue(house, me, ann.id)
    tokens.revoke(house, me, token.id)
    api_keys.revoke(house, me, key.id, owner=service.id)


def test_a_role_held_twice_reaches_as_far_as_the_longer_one(house: House) -> None:
    """A permission for good counts, whichever role it comes from."""
    boss, ann = made(house, "admin"), made(house, email="b@people.test")
    granting.grant(house, SYSTEM, boss.id, "clerk", until=house.now() + DAY)
    granting.grant(house, identity(house, boss), ann.id, "clerk", because=WHY)
    assert held(house, ann) == [("clerk", "", None)]


@pytest.mark.requirement("S1-031")
def test_nobody_gives_what_he_does_not_hold_nor_acts_on_his_betters(house: House) -> None:
    """A clerk gives no role above his own, within an object neither, and touches nobody who may more, even if
    that is within one object alone."""
    clerk, boss = made(house, "clerk"), made(house, "admin", email="b@people.test")
    ann = made(house, email="c@people.test")
    me = identity(house, clerk)
    granting.grant(house, SYSTEM, ann.id, "user", within="planning:17")
    for work in (
        lambda: granting.grant(house, me, clerk.id, "admin", because=WHY),
        lambda: granting.grant(house, me, clerk.id, "user", within="planning:17", because=WHY),
        lambda: granting.grant(house, me, boss.id, "clerk", because=WHY),
        lambda: granting.revoke(house, me, boss.id, "admin"),
        lambda: granting.revoke(house, me, ann.id, "user", within="planning:17"),
        lambda: granting.set_roles(house, me, ann.id, ["clerk"]),
        lambda: administering.disable(house, me, ann.id, reason=WHY),
        lambda: administering.send_link(house, me, ann.id),
    ):
        assert refused(work).reason is FORBIDDEN
    granting.revoke(house, SYSTEM, ann.id, "user", within="planning:17")
    granting.grant(house, me, ann.id, "clerk", because=WHY)


def test_the_management_within_one_object_manages_no_users(house: House) -> None:
    """Whoever is an administrator of one object is nobody to the pages of accounts."""
    ann, other = made(house), made(house, email="b@people.test")
    granting.grant(house, SYSTEM, ann.id, "admin", within="planning:17")
    me = identity(house, ann)
    assert me.may(roles.MANAGE_USERS, within="planning:17")
    for work in (
        lambda: granting.grant(house, me, other.id, "user", within="planning:17", because=WHY),
        lambda: granting.revoke(house, me, ann.id, "admin", within="planning:17"),
        lambda: granting.roles_of(house, me, ann.id),
        lambda: administering.listing(house, me),
    ):
        assert refused(work).reason is FORBIDDEN


def test_it_takes_a_proof_of_lately(house: House) -> None:
    """A session that was left open gives nobody anything."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    me = identity(house, boss)
    turn(house, 3600)
    for work in (
        lambda: granting.grant(house, me, ann.id, "admin", because=WHY),
        lambda: granting.revoke(house, me, ann.id, "user"),
    ):
        assert refused(work).reason is STEP_UP


# What the actor holds when it is done, not when his request began


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda h, u: granting.revoke(h, SYSTEM, u.id, "admin"), FORBIDDEN),
        (lambda h, u: granting.set_roles(h, SYSTEM, u.id, ["clerk"]), FORBIDDEN),
        (lambda h, u: granting.grant(h, SYSTEM, u.id, "admin", until=h.now() + 1), FORBIDDEN),
        (lambda h, u: administering.disable(h, SYSTEM, u.id), UNAUTHENTICATED),
        (lambda h, u: administering.require_password(h, SYSTEM, u.id), UNAUTHENTICATED),
    ],
    ids=["demoted", "made a clerk", "expired", "disabled", "signed out everywhere"],
)
def test_an_administrator_who_was_demoted_meanwhile_changes_nobody(
    house: House, what: Callable[[House, User], object], reason: Any
) -> None:
    """His request began when he was one: it gives nothing to anybody, and takes nothing."""
    made(house, "admin")
    boss, ann = made(house, "admin", email="t@people.test"), made(house, "user", email="b@people.test")
    me = identity(house, boss)
    what(house, boss)
    turn(house, 2)
    me = replace(me, authenticated_at=house.now())
    for work in (
        lambda: granting.grant(house, me, boss.id, "admin", because=WHY),
        lambda: granting.set_roles(house, me, ann.id, ["admin"]),
        lambda: granting.revoke(house, me, ann.id, "user"),
        lambda: administering.disable(house, me, ann.id, reason=WHY),
        lambda: administering.create(house, me, email="c@people.test", granted=["admin"]),
        lambda: administering.end_sessions(house, me, ann.id),
        lambda: services.make(house, me, name="nightly", contact=ann.email, granted=["user"]),
        lambda: tokens.issue_many(house, me, 1, "user", scope="planning:17"),
    ):
        assert refused(work).reason is reason
    assert held(house, ann) == [("user", "", None)]


# The last administrator


@pytest.mark.requirement("S1-031")
def test_the_last_administrator_for_good_stays_one(house: House) -> None:
    """One whose role expires does not take his place: a day would come on which there is nobody."""
    boss, temp = made(house, "admin"), made(house, "user", email="b@people.test")
    soon = house.now() + DAY
    granting.grant(house, SYSTEM, temp.id, "admin", until=soon)
    granting.grant(house, SYSTEM, temp.id, "admin", within="planning:17")
    for work in (
        lambda: granting.revoke(house, SYSTEM, boss.id, "admin"),
        lambda: granting.grant(house, SYSTEM, boss.id, "admin", until=soon),
        lambda: granting.set_roles(house, SYSTEM, boss.id, []),
        lambda: administering.disable(house, SYSTEM, boss.id),
        lambda: granting.revoke(house, identity(house, temp), boss.id, "admin"),
        lambda: administering.disable(house, identity(house, temp), boss.id, reason=WHY),
    ):
        assert refused(work).reason is roles.LAST_ADMIN
    assert held(house, boss) == [("admin", "", None)]
    granting.revoke(house, SYSTEM, temp.id, "admin", within="planning:17")
    granting.revoke(house, SYSTEM, temp.id, "admin")
    granting.grant(house, SYSTEM, temp.id, "admin")
    granting.grant(house, SYSTEM, boss.id, "admin", until=soon)
    assert refused(lambda: granting.revoke(house, SYSTEM, temp.id, "admin")).reason is roles.LAST_ADMIN


def test_whoever_did_not_count_is_not_the_last_one(house: House) -> None:
    """A machine, and somebody until Friday, manage nothing for good: what they hold can be changed and taken
    where nobody else is there either."""
    temp, friday = made(house), house.now() + DAY
    granting.grant(house, SYSTEM, temp.id, "admin", until=friday)
    service = services.make(house, SYSTEM, name="nightly", contact=temp.email, granted=["admin"])
    granting.grant(house, SYSTEM, service.id, "user", within="planning:17")
    granting.grant(house, SYSTEM, temp.id, "user")
    administering.disable(house, SYSTEM, service.id)
    granting.revoke(house, SYSTEM, temp.id, "admin")
    assert held(house, temp) == [("user", "", None)]


def test_nobody_sets_an_end_to_his_own_management(house: House) -> None:
    """By mistake or not: another administrator does it."""
    boss = made(house, "admin")
    made(house, "admin", email="b@people.test")
    me = identity(house, boss)
    for work in (
        lambda: granting.grant(house, me, boss.id, "admin", until=house.now() + DAY, because=WHY),
        lambda: granting.revoke(house, me, boss.id, "admin"),
    ):
        assert refused(work).reason is roles.ONESELF
    granting.grant(house, me, boss.id, "clerk", because=WHY)
    granting.revoke(house, me, boss.id, "clerk")


Take = Callable[[House, Identity, User], object]
TAKES: dict[str, Take] = {
    "revoke": lambda h, by, of: granting.revoke(h, by, of.id, "admin"),
    "expire": lambda h, by, of: granting.grant(h, by, of.id, "admin", until=h.now() + DAY, because=WHY),
    "set": lambda h, by, of: granting.set_roles(h, by, of.id, []),
    "disable": lambda h, by, of: administering.disable(h, by, of.id, reason=WHY),
}


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("revoke", "revoke"),
        ("revoke", "disable"),
        ("expire", "disable"),
        ("expire", "set"),
        ("expire", "expire"),
    ],
)
def test_two_administrators_end_each_other_at_once(house: House, first: str, second: str) -> None:
    """However they do it, one who is an administrator for good is left."""
    a, b = made(house, "admin"), made(house, "admin", email="b@people.test")
    one, other = identity(house, a), identity(house, b)
    ended = at_once(lambda: TAKES[first](house, one, b), lambda: TAKES[second](house, other, a))
    lasting = [
        u for u in (a, b) if ("admin", "", None) in held(house, u) and not found(house, u.id).disabled_at
    ]
    assert len(lasting) == 1, ended


@pytest.mark.requirement("S1-031")
def test_three_at_once_leave_one(house: House) -> None:
    """By the system's hand too, which is asked for no role of its own: the rule is about all of them."""
    people = [made(house, "admin", email=f"{n}@people.test") for n in range(3)]
    at_once(*(lambda u=u, t=t: TAKES[t](house, SYSTEM, u) for u, t in zip(people, TAKES, strict=False)))
    lasting = [
        u for u in people if ("admin", "", None) in held(house, u) and not found(house, u.id).disabled_at
    ]
    assert len(lasting) == 1


def test_the_same_role_given_at_once_is_held_once(house: House) -> None:
    """Five administrators press the button in the same moment."""
    boss, ann = made(house, "admin"), made(house, email="b@people.test")
    me = identity(house, boss)
    work = [
        (lambda n=n: granting.grant(house, me, ann.id, "user", within="planning:17", because=f"{WHY} {n}"))
        for n in range(5)
    ]
    assert not [each for each in at_once(*work) if isinstance(each, BaseException)]
    assert held(house, ann) == [("user", "planning:17", None)]
    assert len(ever(house, ann)) == 5


def test_given_and_taken_at_once_it_is_one_of_the_two(house: House) -> None:
    """Never half of each, and each with its record."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    me = identity(house, boss)
    for _ in range(3):
        at_once(
            lambda: granting.revoke(house, me, ann.id, "user"),
            lambda: granting.grant(house, me, ann.id, "user", until=house.now() + DAY, because=WHY),
            lambda: granting.set_roles(house, me, ann.id, ["user", "clerk"]),
        )
        now = held(house, ann)
        assert len(now) == len({(role, scope) for role, scope, _ in now})
    history = ever(house, ann)
    assert sum(each.ended_at is None for each in history) == len(held(house, ann))


# What the database itself refuses


ROW = {"role": "user", "scope": "", "granted_at": 100.0, "because": ""}


@pytest.mark.requirement("S3-024")
@pytest.mark.parametrize(
    "bad",
    [
        {"role": "Admin"}, {"role": "ADMIN"}, {"role": " admin"}, {"role": "admin "}, {"role": ""},
        {"role": None}, {"user_id": NOBODY}, {"user_id": None}, {"scope": " planning:17"},
        {"scope": "planning:17 "},
        {"scope": None}, {"expires_at": 100.0}, {"expires_at": 99.0}, {"granted_at": None}, {"because": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_row_never_gets_in(house: House, bad: dict[str, Any]) -> None:
    """Whoever writes past the operations: no role that cannot be one, nobody's, or ended before it began."""
    ann = made(house)
    with pytest.raises(IntegrityError), house.store.transaction() as connection:
        connection.execute(insert(role_assignments).values(**{"user_id": ann.id, **ROW, **bad}))


@pytest.mark.requirement("S3-024")
def test_a_role_is_never_held_twice(house: House) -> None:
    """Twice at the same place; elsewhere, or after its end, it is another assignment."""
    ann = made(house, "user")
    with pytest.raises(IntegrityError), house.store.transaction() as connection:
        connection.execute(insert(role_assignments).values(user_id=ann.id, **ROW))
    with house.store.transaction() as connection:
        connection.execute(insert(role_assignments).values(user_id=ann.id, **{**ROW, "scope": "planning:1"}))
        connection.execute(insert(role_assignments).values(user_id=ann.id, **ROW, ended_at=101.0))
