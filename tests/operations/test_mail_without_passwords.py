"""What is mailed where nobody has a password: no advice that its reader cannot follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bylaw.controls import mfa, passwords
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import (
    addresses,
    administering,
    devices,
    mailing,
    second_factors,
    showing_factors,
    signing_in,
)
from bylaw.operations.administering import SYSTEM
from bylaw.store import outbox
from bylaw.store.users import User
from tests.controls.houses import exchange


@pytest.fixture
def user(house: House) -> User:
    """Somebody in a house in which people sign in without passwords."""
    made = administering.create(house, SYSTEM, email="ann@people.test", granted=["user"])
    name = next(name for name, found in house.policy.controls.items() if type(found) is passwords.Settings)
    off = house.policy.controls[name].model_copy(update={"off": True})
    house.policy = replace(house.policy, controls={**house.policy.controls, name: off})
    return made


def mailed(house: House) -> list[tuple[str, str]]:
    """Subject and text of what waits to be sent."""
    with house.store.reading() as connection:
        waiting = outbox.due(connection, house.now(), 100)
    return [(each.subject, mailing.opened(house, each).text) for each in waiting]


def test_nobody_is_told_to_change_a_password_he_does_not_have(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a new device, a factor, guessed codes, another address: each says what its reader can do."""
    for _ in range(2):
        opened = signing_in.open_session(house, user, method="passkey", address="192.0.2.7", agent="")
        devices.arrived(house, exchange(), opened)
    with house.store.transaction() as connection:
        showing_factors._warn(house, connection, user)
        second_factors._tell(house, connection, user, subject="was added to", text="An app was added.")
    monkeypatch.setattr(mfa, "demand_fresh", lambda *_: None)
    addresses.ask_to_change(house, Identity(id=user.id, email=user.email), "ann@other.test")
    told = [each for each in mailed(house) if "If it was not you" in each[1]]
    assert len(told) >= 4
    for subject, text in told:
        assert "password" not in f"{subject} {text}".casefold(), subject
        assert "administrator" in text or "do nothing" in text, subject
