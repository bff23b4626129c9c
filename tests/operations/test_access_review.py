"""The access review: who has what, since when, from whom, until when, and whether it is used."""

from __future__ import annotations

import csv
import io
import tracemalloc
import uuid
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from bylaw import spreadsheet
from bylaw.controls import roles
from bylaw.house import House
from bylaw.identity import FORBIDDEN, STEP_UP
from bylaw.operations import access_review, administering, authority, granting, signing_in
from bylaw.operations.authority import SYSTEM
from bylaw.store.tables import access_tokens, api_keys, role_assignments, token_families, users
from bylaw.store.users import User
from tests.operations.test_accounts import found, identity, made, records, refused

WHY = "stands in for Bob"


def turn(house: House, seconds: float) -> None:
    house.ports.clock.advance(seconds)  # type: ignore[attr-defined]


def rows(house: House, user: User | None = None) -> list[access_review.Row]:
    found = list(access_review.everything(house, SYSTEM))
    return [row for row in found if user is None or row.user_id == user.id]


def bearer(house: House, user: User, table: Any, number: str, **more: Any) -> None:
    row = {
        "id": number,
        "digest": number,
        "user_id": user.id,
        "name": f"n{number}",
        "created_at": 1.0,
        **more,
    }
    with house.store.transaction() as connection:
        connection.execute(insert(table).values(**row))


def test_what_somebody_holds_with_who_gave_it_and_when_it_was_used(house: House) -> None:
    """Roles, tokens and keys that are good now; what has ended is not among them."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    granting.grant(
        house, identity(boss), ann.id, "clerk", within="planning:17", until=house.now() + 86400, because=WHY
    )
    granting.grant(house, SYSTEM, ann.id, "clerk")
    granting.revoke(house, SYSTEM, ann.id, "clerk")
    bearer(house, ann, access_tokens, "1", created_by=boss.id, expires_at=house.now() + 9, used_at=5.0)
    bearer(house, ann, access_tokens, "2", expires_at=house.now())
    bearer(house, ann, access_tokens, "3", revoked_at=3.0)
    bearer(house, ann, api_keys, "4", scopes=["note:read", "a:b"], networks=[], created_by=ann.id)
    turn(house, 5)
    signing_in.open_session(house, ann, method="password")
    mine = rows(house, ann)
    assert [(row.kind, row.what, row.within, row.granted_by, row.because, row.unused) for row in mine] == [
        ("role", "user", "", "system", "", False),
        ("role", "clerk", "planning:17", "ann@people.test", WHY, False),
        ("token", "n1", "", "ann@people.test", "", False),
        ("key", "n4", "note:read a:b", "b@people.test", "", True),
    ]
    assert mine[1].expires == "2027-01-16T08:00:00+00:00"
    assert mine[0].last_sign_in == mine[0].last_used == "2027-01-15T08:00:05+00:00"
    assert (mine[2].last_used, mine[3].last_used) == ("1970-01-01T00:00:05+00:00", None)
    [root] = rows(house, boss)
    assert (root.last_used, root.unused, root.state) == (None, True, "open")


def test_a_role_that_nobody_used_since_it_was_given(house: House) -> None:
    """Whoever signed in before it was given has not used it; a client's tokens count as being seen."""
    ann = made(house, "user")
    signing_in.open_session(house, ann, method="password")
    turn(house, 5)
    granting.grant(house, SYSTEM, ann.id, "clerk")
    assert {row.what: row.unused for row in rows(house, ann)} == {"user": False, "clerk": True}
    with house.store.transaction() as connection:
        at = house.now() + 1
        connection.execute(
            insert(token_families).values(
                id="f", user_id=ann.id, epoch=1, method="password", authenticated_at=at, created_at=at,
                seen_at=at, expires_at=at + 9,
            )
        )  # fmt: skip
    assert {row.what: row.unused for row in rows(house, ann)} == {"user": False, "clerk": False}


def test_disabled_accounts_are_in_it_and_expired_roles_are_not(house: House) -> None:
    """What a disabled account holds comes back with it; what has expired does not."""
    made(house, "admin")
    ann = made(house, "user", email="b@people.test")
    granting.grant(house, SYSTEM, ann.id, "clerk", until=house.now() + 5)
    administering.disable(house, SYSTEM, ann.id)
    turn(house, 5)
    assert [(row.what, row.state) for row in rows(house, ann)] == [("user", "disabled")]


def test_page_by_page_nobody_is_left_out(house: House) -> None:
    """However many on a page, each account is there once, in the order of their addresses."""
    for number in range(7):
        made(house, *(["user"] if number != 3 else []), email=f"p{number}@people.test")
    wanted = [f"p{number}@people.test" for number in range(7) if number != 3]
    for limit in (1, 2, 3, 7, 100):
        found, after = [], ""
        while True:
            page = access_review.page(house, SYSTEM, after=after, limit=limit)
            found += [row.account for row in page.rows]
            after = page.after
            if not after:
                break
        assert found == wanted
    assert access_review.page(house, SYSTEM, after="zz").rows == []


@pytest.mark.parametrize("house", ["sqlite"], indirect=True)
def test_many_accounts_need_no_memory(house: House) -> None:
    """Five thousand are listed with as much memory as five hundred."""
    ids = [str(uuid.UUID(int=number)) for number in range(5000)]
    with house.store.transaction() as connection:
        connection.execute(
            insert(users),
            [
                {"id": i, "email": f"p{n:05}@people.test", "name_key": "", "created_at": 1.0}
                for n, i in enumerate(ids)
            ],
        )
        connection.execute(
            insert(role_assignments),
            [{"user_id": i, "role": "user", "granted_at": 1.0, "scope": "", "because": ""} for i in ids],
        )
    next(access_review.everything(house, SYSTEM))  # what is made once is made now
    tracemalloc.start()
    try:
        assert sum(1 for _ in access_review.everything(house, SYSTEM)) == 5000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_file_for_a_browser_has_an_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more accounts than it takes, it says so rather than leaving some out."""
    made(house, "user")
    monkeypatch.setattr(access_review, "FILE", 1)
    assert len(access_review.file(house, SYSTEM)) == 1
    made(house, email="b@people.test")
    error = refused(lambda: access_review.file(house, SYSTEM))
    assert (error.status, "bylaw role review --format csv" in error.detail) == (422, True)


# Since the last one


@pytest.mark.requirement("S2-044", "S3-069")
def test_what_administrators_did_since_the_last_review(house: House) -> None:
    """Each with who did it and to whom; what people did to their own accounts is not among it."""
    boss, ann = made(house, "admin"), made(house, "user", email="b@people.test")
    signing_in.open_session(house, ann, method="password")
    assert access_review.last(house, SYSTEM) is None
    access_review.done(house, identity(boss), note=" with the board ")
    assert list(access_review.actions(house, SYSTEM)) == []
    granting.set_roles(house, identity(boss), ann.id, ["user", "clerk"])
    administering.disable(house, identity(boss), ann.id, reason=WHY)
    administering.enable(house, SYSTEM, ann.id)
    signing_in.open_session(house, found(house, ann.id), method="password")
    told = [(row["action"], row["by"], row["about"]) for row in access_review.actions(house, SYSTEM)]
    assert told == [
        ("privilege_permissions_changed", "ann@people.test", "b@people.test"),
        ("user_disabled", "ann@people.test", "b@people.test"),
        ("user_enabled", "", "b@people.test"),
    ]
    [row] = records(house, action="access_reviewed")
    assert (row["user_id"], row["changes"]) == (boss.id, {"reason": "with the board"})
    access_review.done(house, SYSTEM)
    assert list(access_review.actions(house, SYSTEM)) == []


def test_it_is_for_administrators(house: House) -> None:
    """Who has what is for whoever manages users; that it was done takes a proof of lately."""
    boss, ann = identity(made(house, "admin")), identity(made(house, "user", email="b@people.test"))
    for work in (
        lambda: access_review.page(house, ann),
        lambda: next(access_review.everything(house, ann)),
        lambda: access_review.file(house, ann),
        lambda: access_review.last(house, ann),
        lambda: list(access_review.actions(house, ann)),
        lambda: access_review.done(house, ann),
    ):
        assert refused(work).reason is FORBIDDEN
    turn(house, 3600)
    assert refused(lambda: access_review.done(house, boss)).reason is STEP_UP
    assert authority.SYSTEM.may(roles.MANAGE_USERS)


# As a table


def test_a_formula_is_text(house: House) -> None:
    """A name, a reason or a token's name that a spreadsheet would run is shown, not run (CWE-1236)."""
    boss = made(house, "admin")
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "\ufeff=1", "\u200b=1"]
    granting.grant(house, identity(boss), boss.id, "user", because="=HYPERLINK(A1)")
    text = "".join(spreadsheet.line(row.as_json().values()) for row in rows(house))
    assert "'=HYPERLINK(A1)" in text
    assert [spreadsheet.cell(each)[0] for each in evil] == ["'"] * len(evil)
    assert [spreadsheet.cell(each) for each in (None, -1, "a=1", "")] == ["", "-1", "a=1", ""]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_what_is_written_is_read_again(cells: list[str]) -> None:
    """Quotes, commas and line breaks do not make further cells; no cell begins like a formula."""
    text = spreadsheet.line(cells)
    [read] = list(csv.reader(io.StringIO(text, newline=""))) or [[""]]
    assert [spreadsheet.uncell(each) for each in read] == cells
    assert not [each for each in read if each.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_the_columns_are_the_row(house: House) -> None:
    """The head of the table names what is below it."""
    made(house, "user")
    assert tuple(asdict(rows(house)[0])) == access_review.COLUMNS
