"""Links that set a password, as data cannot say it: all at once, by the clock, and in a server's log."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import pytest

from bylaw.store import users
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry
from tests.attacks.interpreter import newest_link, normal

AT_ONCE = 20
ROUNDS = 12
NEW = "seven grey herons over cold marshes"


def ask(laboratory: Laboratory, email: str) -> Reply:
    visitor = laboratory.visitor()
    return visitor.send(
        "POST", laboratory.api("forgot_password"), headers=visitor.from_here, json={"email": email}
    )


def link(laboratory: Laboratory, client: Client) -> str:
    assert ask(laboratory, client.email).status == 202
    return newest_link(laboratory, client.email)


def choose(laboratory: Laboratory, token: str, password: str = NEW) -> Reply:
    visitor = laboratory.visitor()
    values = {"token": token, "password": password}
    return visitor.send("POST", laboratory.api("reset_password"), headers=visitor.from_here, json=values)


def everybody(laboratory: Laboratory) -> dict[str, str]:
    """Addresses of which an answer might tell something."""
    people = {name: laboratory.person("user") for name in ("known", "disabled", "unconfirmed")}
    people["federated"] = laboratory.person("user", password=None)
    with laboratory.site.house.store.transaction() as connection:
        users.change(connection, people["disabled"].id, disabled_at=laboratory.clock())
        users.change(connection, people["unconfirmed"].id, confirmed_at=None)
    return {"unknown": "unknown@people.test", **{name: person.email for name, person in people.items()}}


@pytest.mark.requirement("S1-017")
def test_a001_twenty_at_once_are_one(laboratory: Laboratory) -> None:
    """Twenty browsers redeem one link at the same moment: one sets the password, the others are refused."""
    hurry(laboratory)
    alice = laboratory.person("user")
    token = link(laboratory, alice)
    replies = laboratory.burst(lambda number: choose(laboratory, token, f"{NEW} {number}"), AT_ONCE)
    won = [number for number, reply in enumerate(replies) if reply.status == 200]
    assert len(won) == 1
    assert {reply.status for reply in replies} <= {200, 400, 503}
    assert laboratory.sign_in(alice, f"{NEW} {won[0]}").status == 200


@pytest.mark.requirement("S1-017")
def test_a001_tasks_of_one_loop_are_one(laboratory: Laboratory) -> None:
    """The same as tasks of one event loop, where nothing is a thread of its own."""
    hurry(laboratory)
    alice = laboratory.person("user")
    token, visitor = link(laboratory, alice), laboratory.visitor()
    sent = [
        visitor.prepared(
            "POST",
            laboratory.api("reset_password"),
            headers=visitor.from_here,
            json={"token": token, "password": f"{NEW} {number}"},
        )
        for number in range(AT_ONCE)
    ]
    statuses = [reply.status for reply in laboratory.tasks(sent)]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 503}


@pytest.mark.requirement("S1-012", "C-41")
def test_a017_the_answer_is_the_same_for_everybody(laboratory: Laboratory) -> None:
    """Known, unknown, disabled, unconfirmed, federated: one answer, by the API and by the page."""
    hurry(laboratory)
    addresses = everybody(laboratory)
    seen: dict[str, list[Any]] = {"api": [], "page": []}
    for email in addresses.values():
        seen["api"].append(normal(ask(laboratory, email)))
        visitor = laboratory.visitor()
        visitor.token_page = laboratory.url("forgot_password")
        field = re.search(r'name="([^"]+)" value="', visitor.page(visitor.token_page).text)
        assert field is not None
        form = [(field[1], visitor.token()), ("email", email)]
        headers = [("Accept", "text/html"), *visitor.from_here]
        reply = visitor.send("POST", laboratory.url("forgot_password"), form=form, headers=headers)
        seen["page"].append((normal(reply), normal(visitor.page(reply.header("location")))))
    for answers in seen.values():
        assert all(answer == answers[0] for answer in answers), answers
    got = {message["To"] for message in laboratory.mail()}
    assert got == {addresses[name] for name in ("known", "unconfirmed", "federated")}


@pytest.mark.requirement("S1-012", "C-41")
def test_a017_asking_takes_the_same_time(laboratory: Laboratory) -> None:
    """Somebody measures: an address with an account takes what one without takes, the disabled and the
    federated too. The work is measured, so that a neighbour's load is not read as a leak."""
    hurry(laboratory)
    laboratory.site.house.store.feed.stop()  # what it does by itself would be counted as somebody's work
    addresses = everybody(laboratory)
    for email in addresses.values():
        ask(laboratory, email)
    seconds: dict[str, list[float]] = {name: [] for name in addresses}

    def cost(email: str) -> float:
        began = process_time()
        assert ask(laboratory, email).status == 202
        return process_time() - began

    for _ in range(8):  # more samples only where the first do not settle it
        for _ in range(ROUNDS):
            for name in random.sample(sorted(addresses), len(addresses)):
                seconds[name].append(cost(addresses[name]))
        medians = {name: median(values) for name, values in seconds.items()}
        # A tenth of what the whole answer takes: a few hundred microseconds.
        if max(medians.values()) - min(medians.values()) < 0.10 * medians["unknown"]:
            break
    assert max(medians.values()) - min(medians.values()) < 0.10 * medians["unknown"], medians


SERVERS: dict[str, Callable[[str], tuple[str, str, tuple[object, ...]]]] = {
    "werkzeug": lambda path: ("werkzeug", '127.0.0.1 - - [x] "GET %s HTTP/1.1" 303 -', (path,)),
    "uvicorn": lambda path: (
        "uvicorn.access",
        '%s - "%s %s HTTP/%s" %d',
        ("127.0.0.1:5", "GET", path, "1.1", 303),
    ),
    "gunicorn": lambda path: ("gunicorn.access", f'127.0.0.1 - "GET {path} HTTP/1.1" 303 0 "-" "-"', ()),
    "hypercorn": lambda path: ("hypercorn.access", f"127.0.0.1:1 GET {path} 1.1 303 0 99", ()),
}


@pytest.mark.requirement("S1-015", "S1-107", "C-34")
@pytest.mark.parametrize("server", sorted(SERVERS))
def test_no_servers_access_log_holds_a_link(flask_laboratory: Laboratory, server: str) -> None:
    """Servers log every path; the secret in it is masked, and the rest of the line is there."""
    hurry(flask_laboratory)
    token = link(flask_laboratory, flask_laboratory.person("user"))
    for path in (f"/auth/reset-password/{token}", f"/auth/reset-password/{token}?utm_source=mail"):
        name, text, values = SERVERS[server](path)
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.info(text, *values)
    lines = [line for line in flask_laboratory.logs.lines if "/auth/reset-password/" in line]
    assert len(lines) == 2
    assert token not in flask_laboratory.logs.text


@pytest.mark.requirement("S1-015", "S1-107", "C-34")
def test_a_link_that_fails_is_not_in_the_log_either(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away while somebody opens a link: the error names the path, and not the secret."""
    from bylaw.operations import recovering

    hurry(flask_laboratory)
    token = link(flask_laboratory, flask_laboratory.person("user"))

    def away(*given: object) -> None:
        raise RuntimeError(f"no such thing: {given[-1]}")

    monkeypatch.setattr(recovering, "opened", away)
    assert flask_laboratory.visitor().page(f"/auth/reset-password/{token}").status == 500
    assert "/auth/reset-password/" in flask_laboratory.logs.text
    assert token not in flask_laboratory.logs.text
    assert token not in flask_laboratory.dump()


@pytest.mark.requirement("S1-015", "C-34")
def test_a_flood_of_a_link_leaves_no_secret_in_the_audit_log(laboratory: Laboratory) -> None:
    """Whoever opens a link three hundred times is recorded for it: with the path, without the secret."""
    hurry(laboratory)
    token = link(laboratory, laboratory.person("user"))
    with laboratory.paced():
        for _ in range(301):
            reply = laboratory.visitor().page(f"{laboratory.url('reset_password')}/{token}")
    assert reply.status == 429
    [record] = laboratory.audit(action="excess_rate_limit_exceeded")
    assert "/auth/reset-password/" in str(record["changes"])
    assert token not in laboratory.dump()


@pytest.mark.requirement("C-41")
def test_a_hundred_strangers_cannot_keep_the_owner_out(laboratory: Laboratory) -> None:
    """They ask for alice's link all the time: she is sent a few, and the last of them opens her account."""
    hurry(laboratory)
    alice = laboratory.person("user")
    for number in range(100):
        visitor = laboratory.visitor(peer=f"2001:db8:{number:x}::1")
        path, here = laboratory.api("forgot_password"), visitor.from_here
        assert visitor.send("POST", path, headers=here, json={"email": alice.email}).status == 202
    sent = [message for message in laboratory.mail() if message["To"] == alice.email]
    assert len(sent) == 5
    assert choose(laboratory, newest_link(laboratory, alice.email)).status == 200
    assert laboratory.sign_in(alice, NEW).status == 200
