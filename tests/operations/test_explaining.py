"""Why somebody may, or may not: it says what `may` says, in every case, and from whom it comes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from bylaw.controls import roles
from bylaw.house import House
from bylaw.identity import FORBIDDEN, Identity
from bylaw.operations import administering, authority, explaining, granting
from bylaw.operations.authority import SYSTEM
from bylaw.store import assignments
from bylaw.store.tables import api_keys
from bylaw.store.users import User
from tests.operations.conftest import _house
from tests.operations.test_accounts import NOBODY, made, refused

WITHIN = ["", "planning:17", "planning:18", "note:17"]
PATTERNS = st.sampled_from(
    [
        "*", "note:*", "*:read", "note:read", "note:update:own", "note:*:own", "planning:run",
        "planning:*:own", "user:manage", "*:update",
    ]
)  # fmt: skip
ASKED = st.sampled_from(
    ["note:read", "note:update", "planning:run", "user:manage", "other:read", "other:update"]
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    yield from _house(tmp_path_factory.mktemp("explaining"), None)  # type: ignore[arg-type]


def turn(house: House, seconds: float) -> None:
    house.ports.clock.advance(seconds)  # type: ignore[attr-defined]


def now(house: House, user: User) -> Identity:
    """Whoever a session that is opened now would be."""
    with house.store.reading() as connection:
        return authority.as_held(house, user, authority.held(connection, user.id))


NUMBER = iter(range(10**9))


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_says_what_may_says(small: House, data: st.DataObject) -> None:
    """Any roles with any permissions, anywhere, for any time: the two never disagree."""
    house = small
    grants = {f"role{n}": tuple(data.draw(st.lists(PATTERNS, max_size=3))) for n in range(3)}
    own = {**house.policy.of(roles.Settings).grants, **grants}
    house.policy.controls["roles"] = roles.Settings.model_validate(own)  # type: ignore[index]
    ann = made(house, email=f"p{next(NUMBER)}@people.test")
    for _ in range(data.draw(st.integers(0, 4))):
        role, within = data.draw(st.sampled_from(sorted(grants))), data.draw(st.sampled_from(WITHIN))
        if data.draw(st.integers(0, 3)):
            life = data.draw(st.sampled_from([None, 10.0, 100.0]))
            with house.store.transaction() as connection:
                until = None if life is None else house.now() + life
                assignments.grant(connection, ann.id, role, scope=within, expires_at=until)
        else:
            with house.store.transaction() as connection:
                assignments.end(connection, ann.id, role, scope=within, by=None)
        turn(house, data.draw(st.sampled_from([0.0, 9.0, 10.0, 100.0])))
    who = now(house, ann)
    for permission in data.draw(st.lists(ASKED, min_size=1, max_size=3)):
        for owner in ("", ann.id, NOBODY):
            for within in WITHIN:
                told = explaining.explain(house, SYSTEM, ann.id, permission, owner=owner, within=within)
                assert told.allowed == who.may(permission, owner=owner, within=within), told
                assert told.allowed == bool(told.counting)
                then = explaining.explain(
                    house, SYSTEM, ann.id, permission, owner=owner, within=within, at=house.now()
                )
                assert (then.allowed, then.lines) == (told.allowed, told.lines)


def test_each_permission_is_told_with_where_it_comes_from(house: House) -> None:
    """Given by whom, since when, until when, why and for which object; and what keeps it from counting."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    start = house.now()
    with house.store.reading() as connection:
        me = authority.as_held(house, boss, authority.held(connection, boss.id))
    granting.grant(house, me, ann.id, "admin", within="planning:17", until=start + 100, because="for a day")
    granting.grant(house, SYSTEM, ann.id, "admin", until=start + 10)
    granting.grant(house, SYSTEM, ann.id, "admin", within="planning:18")
    granting.revoke(house, SYSTEM, ann.id, "admin", within="planning:18")
    turn(house, 20)
    told = explaining.explain(house, SYSTEM, ann.id, "note:read", within="planning:17")
    assert [(line.role, line.within, line.permission, line.why) for line in told.lines] == [
        ("user", "", "note:read", "counts"),
        ("admin", "planning:17", "*", "counts"),
        ("admin", "", "*", "expired"),
        ("admin", "planning:18", "*", "ended"),
    ]
    line = told.lines[1]
    assert (line.granted_by, line.since, line.until) == ("ann@people.test", start, start + 100)
    assert line.because == "for a day"
    elsewhere = explaining.explain(house, SYSTEM, ann.id, "note:delete", within="planning:19")
    assert not elsewhere.allowed
    assert {line.why for line in elsewhere.lines} == {"only within one object", "expired", "ended"}
    assert told.as_json()["lines"][1]["until"] == "2027-01-15T08:01:40+00:00"


def test_on_a_day_that_is_past_and_one_to_come(house: House) -> None:
    """Who held what then; before it was given it says so, and a role that will have expired has."""
    ann, start = made(house), house.now()
    turn(house, 10)
    granting.grant(house, SYSTEM, ann.id, "user", until=start + 50)
    seen = {}
    for at in (start, start + 10, start + 49, start + 50):
        told = explaining.explain(house, SYSTEM, ann.id, "note:read", at=at)
        seen[at - start] = (told.allowed, told.lines[0].why)
    assert seen == {
        0: (False, "not given yet"), 10: (True, "counts"), 49: (True, "counts"), 50: (False, "expired")
    }  # fmt: skip


def test_a_disabled_account_may_nothing(house: House) -> None:
    """Whatever it holds; what it might on an earlier day is told all the same."""
    made(house, "admin")
    ann, start = made(house, "user", email="b@people.test"), house.now()
    turn(house, 10)
    administering.disable(house, SYSTEM, ann.id)
    told = explaining.explain(house, SYSTEM, ann.id, "note:read")
    assert (told.allowed, told.disabled, told.own, len(told.counting)) == (False, True, False, 1)
    assert explaining.explain(house, SYSTEM, ann.id, "note:read", at=start).allowed


def test_the_credential_that_narrows_it_is_named(house: House) -> None:
    """A key may what its owner may and its scopes say; one that has ended is not spoken of."""
    ann = made(house, "user")
    with house.store.transaction() as connection:
        for number, (scopes, more) in enumerate(
            [
                (["note:read"], {}),
                (["*:update"], {}),
                (["note:read"], {"revoked_at": 1.0}),
                (["note:read"], {"expires_at": house.now()}),
            ]
        ):
            row = {"digest": f"{number}", "user_id": ann.id, "name": f"k{number}", "created_at": 1.0}
            connection.execute(
                insert(api_keys).values(id=f"{number}", scopes=scopes, networks=[], **row, **more)
            )
    told = explaining.explain(house, SYSTEM, ann.id, "note:read")
    assert sorted((key.name, key.allowed) for key in told.keys) == [("k0", True), ("k1", False)]


@pytest.mark.parametrize(
    "permission",
    ["", "note", "note:", ":read", "*", "note:*", "*:read", "note:read:own", "Note:read", "a:b:c",
     " note:read", "note:\0", "note:\ud800", "n" * 200 + ":read", "note:read\n"],
)  # fmt: skip
def test_what_is_no_permission_is_refused(house: House, permission: str) -> None:
    """It is said what one looks like; nothing is looked up."""
    ann = made(house)
    error = refused(lambda: explaining.explain(house, SYSTEM, ann.id, permission))
    assert (error.reason, list(error.fields)) == (roles.NO_PERMISSION, ["permission"])


def test_it_is_for_administrators(house: House) -> None:
    """What others may is nobody else's business; nobody is nobody."""
    ann = made(house, "user")
    assert (
        refused(lambda: explaining.explain(house, now(house, ann), ann.id, "note:read")).reason is FORBIDDEN
    )
    unknown = refused(lambda: explaining.explain(house, SYSTEM, NOBODY, "note:read"))
    assert unknown.reason is roles.NO_SUCH_USER
