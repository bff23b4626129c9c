"""Guessing that data cannot express: at the same moment, and to learn who has an account."""

from __future__ import annotations

import pytest

from bylaw.controls import lockout
from bylaw.verify.client import Reply
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry
from tests.attacks.interpreter import normal

GUESSES = 60
BUDGET = "ratelimit"
"""Header fields that tell what is left of the address's budget of requests: it is another one each time."""


def guess(laboratory: Laboratory, email: str, number: int) -> Reply:
    """One guess of a botnet: each from a network of its own."""
    visitor = laboratory.visitor(peer=f"2001:db8:{number:x}::1")
    return visitor.send(
        "POST",
        laboratory.api("sign_in"),
        headers=visitor.from_here,
        json={"email": email, "password": f"guess number {number}"},
    )


def shown(reply: Reply) -> tuple[object, ...]:
    """What an answer tells of the account."""
    reply.headers = [(k, v) for k, v in reply.headers if BUDGET not in k.lower()]
    return normal(reply)


@pytest.mark.requirement("S1-156", "C-12")
def test_a_botnet_at_once_is_not_quicker(laboratory: Laboratory) -> None:
    """Sixty guesses from sixty networks at the same moment: five are looked at, the others must wait."""
    hurry(laboratory)
    person = laboratory.person()
    with laboratory.paced():
        replies = laboratory.burst(lambda number: guess(laboratory, person.email, number), GUESSES)
    assert sorted({reply.status for reply in replies}) == [401, 429]
    assert [reply.status for reply in replies].count(401) == laboratory.policy.of(lockout.Settings).free
    assert {r.code for r in replies if r.status == 429} == {"lockout.wait"}


@pytest.mark.requirement("S1-156", "C-12")
def test_tasks_of_one_loop_are_counted_one_by_one(laboratory: Laboratory) -> None:
    """The same as tasks of one event loop, where nothing is a thread of its own."""
    hurry(laboratory)
    person = laboratory.person()
    sent = []
    for number in range(GUESSES):
        visitor = laboratory.visitor(peer=f"2001:db8:{number:x}::1")
        known = {"email": person.email, "password": f"guess number {number}"}
        sent.append(
            visitor.prepared("POST", laboratory.api("sign_in"), headers=visitor.from_here, json=known)
        )
    with laboratory.paced():
        statuses = [reply.status for reply in laboratory.tasks(sent)]
    assert (statuses.count(401), statuses.count(429)) == (5, GUESSES - 5)


@pytest.mark.requirement("C-41", "S1-156")
def test_a_lock_does_not_tell_who_has_an_account(laboratory: Laboratory) -> None:
    """A020: past the threshold and to the very end, a name with and one without an account answer alike."""
    hurry(laboratory)
    settings = laboratory.policy.of(lockout.Settings)
    known, unknown = laboratory.person().email, "unknown@people.test"
    answers: dict[str, list[object]] = {known: [], unknown: []}
    with laboratory.paced():
        for email, seen in answers.items():
            for number in range(settings.most + 4):
                reply = guess(laboratory, email, number)
                if reply.code == "lockout.wait":
                    seen.append(shown(reply))
                    laboratory.clock.advance(int(reply.header("retry-after")))
                    reply = guess(laboratory, email, number)
                seen.append(shown(reply))
    assert answers[known] == answers[unknown]
    assert {answer[0] for answer in answers[known]} == {401, 403, 429}  # type: ignore[index]
