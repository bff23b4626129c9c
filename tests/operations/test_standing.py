"""What an event ends: the table as it was thought about, and each cell of it in both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Table

from bylaw.document.endings import endings
from bylaw.house import House
from bylaw.keys import digest
from bylaw.operations import administering, signing_in, standing
from bylaw.operations import api_keys as api_key_verbs
from bylaw.operations import tokens as token_verbs
from bylaw.operations.authority import SYSTEM
from bylaw.operations.standing import HELD, TABLE, Ends, Event
from bylaw.reasons import Refused
from bylaw.store import bearers, ceremonies, devices, links, sessions, users
from bylaw.store.tables import (
    access_tokens,
    api_keys,
    email_confirmations,
    password_resets,
    unlock_links,
)
from bylaw.store.tables import users as accounts
from bylaw.store.users import User
from tests.operations.test_accounts import identity, made

KEY = digest("a secret")
ROWS = {
    "the password is changed": "others devices resets changes unlocks under_way",
    "the password is reset": "all devices resets changes confirmations unlocks under_way tokens keys",
    "the address is changed": "others devices resets changes confirmations unlocks under_way",
    "a second factor or passkey is added": "weaker changes under_way",
    "a second factor or passkey is removed": "others changes under_way",
    "an account at another provider is unlinked": "others changes under_way",
    "the roles are changed": "new-id",
    "the account is disabled": "all devices resets changes confirmations unlocks under_way tokens keys",
    "the person ends all other sessions": "others changes under_way",
    "the person, or an administrator, ends all sessions": "all devices changes under_way",
}


def words(ends: Ends) -> str:
    return " ".join([ends.sessions.replace(" ", "-"), *(name for name in HELD if getattr(ends, name))])


@pytest.mark.requirement("C-41", "C-05")
def test_the_table_is_the_one_that_was_thought_about() -> None:
    """A cell that changes is a decision, and this table changes with it (ASVS 5.0.0 7.4.2 and 7.4.3)."""
    assert {str(event): words(ends) for event, ends in TABLE.items()} == ROWS
    assert set(TABLE) == set(Event)


def test_the_printed_table_has_every_cell() -> None:
    """A row for each event, a word in each column, the same as the program's."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in endings().splitlines()
    ]
    assert head == ["when", "sessions", *HELD.values()]
    assert [row[0] for row in rows] == [str(event) for event in TABLE]
    for row, ends in zip(rows, TABLE.values(), strict=True):
        assert row[2:] == ["ends" if getattr(ends, name) else "stays" for name in HELD]


def filled(house: House, user_id: str, email: str) -> dict[str, str]:
    """Give an account one of everything; its sessions' digests."""
    now = house.now()
    row = {"user_id": user_id, "created_at": now}
    link = {**row, "expires_at": now + 60}
    with house.store.transaction() as connection:
        links.add(connection, password_resets, {**link, "digest": digest(f"r{user_id}"), "purpose": "reset"})
        for name, address in (("c", f"new-{email}"), ("o", email)):
            key = digest(f"{name}{user_id}")
            links.add(connection, email_confirmations, {**link, "digest": key, "email": address})
        links.add(connection, unlock_links, {**link, "digest": digest(f"u{user_id}")})
        devices.add(connection, {**row, "digest": digest(f"d{user_id}"), "id": user_id[:22], "seen_at": now})
        ceremony = {"digest": digest(f"w{user_id}"), "kind": "x", "user_id": user_id, "facts": {}}
        ceremonies.add(connection, {**ceremony, "expires_at": now + 60})
        for name, table, more in (
            ("t", access_tokens, {}),
            ("k", api_keys, {"scopes": [], "networks": []}),
        ):
            bearer = {**row, **more, "id": f"{name}{user_id}"[:22], "digest": digest(f"{name}{user_id}")}
            bearers.add(connection, table, {**bearer, "name": "x", "expires_at": now + 60})
        user = users.by_id(connection, user_id)
    assert user is not None
    opened = {
        name: signing_in.open_session(house, user, method="password", assurance=assurance)
        for name, assurance in (("here", 2), ("there", 2), ("weaker", 1))
    }
    return {name: each.digest for name, each in opened.items()}


def held(house: House, user_id: str, digests: dict[str, str]) -> dict[str, bool]:
    now = house.now()
    with house.store.reading() as connection:
        alive = {name: sessions.find(connection, key) for name, key in digests.items()}
        return {
            **{name: row is not None for name, row in alive.items()},
            "renewed": all(row is None or row.renew for row in alive.values()),
            "resets": links.find(connection, password_resets, digest(f"r{user_id}"), now) is not None,
            "changes": links.find(connection, email_confirmations, digest(f"c{user_id}"), now) is not None,
            "confirmations": links.find(connection, email_confirmations, digest(f"o{user_id}"), now)
            is not None,
            "unlocks": links.find(connection, unlock_links, digest(f"u{user_id}"), now) is not None,
            "devices": devices.known(connection, [digest(f"d{user_id}")]),
            "under_way": ceremonies.find(connection, "x", digest(f"w{user_id}"), now) is not None,
            "tokens": good(connection, access_tokens, f"t{user_id}"),
            "keys": good(connection, api_keys, f"k{user_id}"),
        }


def good(connection: Connection, table: Table, secret: str) -> bool:
    """Whether a token or a key was not revoked; it is not forgotten either way."""
    row = bearers.find(connection, table, digest(secret))
    assert row is not None
    return row["revoked_at"] is None


LIVING: dict[str, set[str]] = {
    "all": set(),
    "others": {"here"},
    "weaker": {"here", "there"},
    "new id": {"here", "there", "weaker"},
}


@pytest.mark.requirement("C-41", "C-05")
@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name)
def test_each_cell(house: House, event: Event) -> None:
    """What is in the row ends, what is not stays, and a neighbour loses nothing."""
    user, other = made(house, "user"), made(house, "user", email="bob@people.test")
    mine, theirs = filled(house, user.id, user.email), filled(house, other.id, other.email)
    before = held(house, other.id, theirs)
    with house.store.transaction() as connection:
        epoch = standing.end(house, connection, user.id, event, but=mine["here"])
    ends, after = TABLE[event], held(house, user.id, mine)
    assert {name for name in mine if after[name]} == LIVING[ends.sessions]
    assert {name: after[name] for name in HELD} == {name: not getattr(ends, name) for name in HELD}
    assert (epoch == user.epoch + 1) == (ends.sessions in ("all", "others"))
    if ends.sessions == "new id":
        assert after["renewed"]
    assert held(house, other.id, theirs) == before


@pytest.mark.requirement("C-05")
def test_an_event_is_heeded_by_every_process(house: House) -> None:
    """Each of them is in the revocation feed, in its own transaction: nobody's memory keeps what ended."""
    from bylaw.store.tables import revocations

    user = made(house, "user")
    for number, event in enumerate(Event, 1):
        with house.store.transaction() as connection:
            standing.end(house, connection, user.id, event)
        with house.store.reading() as connection:
            seen = connection.execute(revocations.select().where(revocations.c.user_id == user.id)).all()
        assert len([row for row in seen if row.digest is None]) >= number


def test_nothing_ends_where_the_change_is_taken_back(house: House) -> None:
    """An event whose transaction fails has not happened."""
    user = made(house, "user")
    mine = filled(house, user.id, user.email)
    before = held(house, user.id, mine)
    with pytest.raises(RuntimeError), house.store.transaction() as connection:
        standing.end(house, connection, user.id, Event.DISABLED)
        raise RuntimeError
    assert held(house, user.id, mine) == before


@pytest.mark.requirement("C-41")
def test_the_accounts_own_confirmation_survives_a_change_of_the_password(house: House) -> None:
    """Somebody who has just signed up and must choose another password need not ask for that mail again."""
    user = made(house, "user")
    filled(house, user.id, user.email)
    with house.store.transaction() as connection:
        connection.execute(accounts.update().values(confirmed_at=None))
        assert links.end_changes(connection, user.id) == 1
        assert links.end_changes(connection, user.id) == 0
    found: Any
    with house.store.reading() as connection:
        found = links.find(connection, email_confirmations, digest(f"o{user.id}"), house.now())
    assert found["email"] == user.email


MAKES: dict[str, Callable[[House, User], object]] = {
    "one's own key": lambda h, u: api_key_verbs.make(h, identity(u), name="k", scopes=["note:read"]),
    "a key by the system": lambda h, u: api_key_verbs.make(
        h, SYSTEM, name="k", scopes=["note:read"], owner=u.id
    ),
    "one's own token": lambda h, u: token_verbs.issue(h, identity(u), u.id),
    "a token by the system": lambda h, u: token_verbs.issue(h, SYSTEM, u.id),
}


@pytest.mark.requirement("C-05", "S3-084", "S2-046")
@pytest.mark.parametrize("makes", MAKES)
def test_what_is_made_while_the_account_is_shut_does_not_come_back_with_it(
    house: House, makes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is shut between looking at it and making a credential for it: once it is opened again, the
    credential opens nothing."""
    settings = house.policy.controls["api_keys"].model_copy(update={"paths": ("/api/*",)})
    house.policy = replace(house.policy, controls={**house.policy.controls, "api_keys": settings})
    user, real = made(house, "user"), users.hold
    shutting: list[threading.Thread] = []

    def hold(connection: Connection, user_id: str) -> None:
        if not shutting:
            shutting.append(threading.Thread(target=administering.disable, args=(house, SYSTEM, user.id)))
            shutting[0].start()
            shutting[0].join(0.2)  # on SQLite it waits for the one writer that we are
        real(connection, user_id)

    monkeypatch.setattr(users, "hold", hold)
    with suppress(Refused):
        MAKES[makes](house, user)
    shutting[0].join(30)
    administering.enable(house, SYSTEM, user.id)
    with house.store.reading() as connection:
        rows = [
            row for table in (api_keys, access_tokens) for row in bearers.of_user(connection, table, user.id)
        ]
    assert [row["id"] for row in rows if row["revoked_at"] is None] == []
