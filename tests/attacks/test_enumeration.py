"""Who has an account: by the clock, by the sequence of answers, by two sign-ups at once."""

from __future__ import annotations

import random
from statistics import median
from time import process_time

import pytest

from bylaw.store import sessions, users
from bylaw.verify.client import Client
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry
from tests.attacks.interpreter import normal, state

WRONG = "wrong but long enough"
ROUNDS = 6


def cost(laboratory: Laboratory, client: Client) -> float:
    """Seconds of work that one wrong password costs the server, in whichever thread."""
    began = process_time()
    assert laboratory.sign_in(client, WRONG).status == 401
    return process_time() - began


@pytest.mark.requirement("S1-003", "C-41")
def test_a015_known_and_unknown_names_cost_the_same(laboratory: Laboratory) -> None:
    """Somebody measures two hundred sign-ins: an unknown name takes what a known one takes.

    The work is measured, not the wall clock, so that a neighbour's load is not read as a leak.
    """
    known = laboratory.person("user")
    without = laboratory.person("user", password=None)
    shut = laboratory.person("user")
    with laboratory.site.house.store.transaction() as connection:
        users.change(connection, shut.id, disabled_at=laboratory.clock())
    unknown = laboratory.visitor()
    unknown.email, unknown.password = "unknown@people.test", WRONG
    people = {"known": known, "unknown": unknown, "without": without, "shut": shut}
    seconds: dict[str, list[float]] = {name: [] for name in people}
    for _ in range(5):  # more samples only where the first do not settle it
        for _ in range(ROUNDS):
            for name in random.sample(sorted(people), len(people)):
                seconds[name].append(cost(laboratory, people[name]))
        medians = {name: median(values) for name, values in seconds.items()}
        if max(medians.values()) - min(medians.values()) < 0.10 * medians["known"]:
            break
    assert max(medians.values()) - min(medians.values()) < 0.10 * medians["known"], medians


@pytest.mark.requirement("C-41")
def test_a020_guessing_on_changes_no_answer(laboratory: Laboratory) -> None:
    """Twelve wrong passwords in a row: both names get the same twelve answers."""
    hurry(laboratory)
    known = laboratory.person("user")
    unknown = laboratory.visitor()
    unknown.email, unknown.password = "unknown@people.test", WRONG
    answers: dict[str, list[object]] = {"known": [], "unknown": []}
    for guess in range(12):
        for name, client in (("known", known), ("unknown", unknown)):
            answers[name].append(normal(laboratory.sign_in(client, f"guess number {guess}")))
    assert answers["known"] == answers["unknown"]


@pytest.mark.requirement("C-41", "C-08")
def test_a019_two_sign_ups_at_once_make_one_account(laboratory: Laboratory) -> None:
    """Eight people sign up under one free address at the same moment: one account, one answer."""
    hurry(laboratory)
    before = state(laboratory)

    def one(number: int) -> tuple[int, bytes]:
        visitor = laboratory.visitor()
        reply = visitor.send(
            "POST",
            laboratory.api("sign_up"),
            headers=visitor.from_here,
            json={
                "email": "New@People.test" if number % 2 else "new@people.test",
                "password": f"another long password {number}",
            },
        )
        return reply.status, reply.body

    answers = laboratory.burst(one, 8)
    # Busy is an answer too, and the same for a free address: nobody learns anything from it.
    assert {status for status, _ in answers} <= {202, 503}
    assert len({body for status, body in answers if status == 202}) == 1
    assert len(state(laboratory)["users"]) == len(before["users"]) + 1
    with laboratory.site.house.store.reading() as connection:
        assert sessions.count(connection) == len(before["sessions"])


@pytest.mark.requirement("C-41")
def test_a019_no_body_says_that_an_address_is_taken(laboratory: Laboratory) -> None:
    """The words for it stand in no answer that a stranger gets, the described ones included."""
    alice = laboratory.person("user")
    visitor = laboratory.visitor()
    for password in ("another long password", "x"):
        reply = visitor.send(
            "POST",
            laboratory.api("sign_up"),
            headers=visitor.from_here,
            json={"email": alice.email, "password": password},
        )
        assert not [
            word
            for word in ("taken", "exists", "already", "registered", alice.email)
            if word in reply.text.lower()
        ]
