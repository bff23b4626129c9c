"""Many at once: of two changes of one version one wins; nobody waits for a database that he does not ask."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from bylaw.verify.client import AsgiTransport, Sent
from bylaw.verify.fakes import FakeClock, Mailbox
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.starting import Elsewhere, start
from tests.apps.projects.conftest import TARGET, program

ROUNDS = 5


def change(path: str, token: str, number: int, based_on: int = 1) -> Sent:
    """A change of a project, as the server sees it."""
    body = f'{{"title": "By {number}", "based_on": {based_on}}}'.encode()
    headers = [
        ("Host", "app.lab"),
        ("Authorization", f"Bearer {token}"),
        ("Content-Type", "application/json"),
    ]
    return Sent("PUT", path, "", headers, body, "https", "198.51.100.7")


def test_nobody_overwrites_what_he_has_not_seen(anywhere: Laboratory) -> None:
    """Ten changes of version 1 at once: one is version 2, the others are told so, with its number."""
    ann = program(anywhere, "editor")
    path = f"/projects/{ann.made()['id']}"
    replies = anywhere.tasks([change(path, ann.token, number) for number in range(10)])
    assert sorted(reply.status for reply in replies) == [200] + [409] * 9
    told = [reply.json() for reply in replies if reply.status == 409]
    assert {(each["code"], each["version"]) for each in told} == {("register.outdated", 2)}
    assert ann.get(path).json()["version"] == 2
    assert len(anywhere.audit(action="project_updated")) == 1


def test_of_deleting_and_adding_at_once_one_comes_too_late(anywhere: Laboratory) -> None:
    """A document is never in a project that was deleted before it came, whoever is faster."""
    ann = program(anywhere, "editor")
    for _ in range(ROUNDS):
        path = f"/projects/{ann.made()['id']}"

        def one(number: int, path: str = path) -> int:
            if number:
                return ann.send("POST", f"{path}/documents", json={"title": "Plan"}).status
            return ann.send("DELETE", f"{path}?based_on=1").status

        assert tuple(anywhere.burst(one, 2)) in ((204, 404), (409, 201))


def one_of_many(elsewhere: Elsewhere, number: int, *, path: str, token: str) -> list[int]:
    """What a process of its own is answered, change by change: it always says which version it has seen."""
    app, protected = start(TARGET, elsewhere.environ, FakeClock(elsewhere.now), Mailbox())
    transport = AsgiTransport(app)
    try:
        seen, told = 1, []
        for _ in range(8):
            reply = transport(change(path, token, number, seen))
            told.append(reply.status)
            seen = int(reply.json()["version"])
        return told
    finally:
        transport.close()
        protected.site.close()


@pytest.mark.timeout(120)  # two processes, each with an application of its own
def test_two_processes_change_the_same_project(anywhere: Laboratory) -> None:
    """Between processes too: as many versions as were taken, none lost and none twice."""
    ann = program(anywhere, "editor")
    path = f"/projects/{ann.made()['id']}"
    told = anywhere.processes(partial(one_of_many, path=path, token=ann.token), 2)
    assert {status for each in told for status in each} <= {200, 409}
    taken = sum(each.count(200) for each in told)
    assert ann.get(path).json()["version"] == 1 + taken
    numbers = [v["number"] for v in ann.get(f"{path}/versions").json()["items"]]
    assert numbers == list(range(1 + taken, 0, -1))


@contextmanager
def slow(laboratory: Laboratory) -> Iterator[tuple[threading.Event, threading.Event]]:
    """bylaw's database, which lets nobody go on until it is told to: (somebody waits, go on)."""
    waits, go_on = threading.Event(), threading.Event()
    loop: Any = laboratory.transport

    def statement(*args: Any) -> None:
        assert threading.current_thread() is not loop._thread, "the event loop waits for bylaw's database"
        waits.set()
        assert go_on.wait(20)

    engine = laboratory.site.house.store.engine
    event.listen(engine, "before_cursor_execute", statement)
    try:
        yield waits, go_on
    finally:
        go_on.set()
        event.remove(engine, "before_cursor_execute", statement)


def test_while_bylaws_database_is_slow_the_register_goes_on(register: Laboratory) -> None:
    """An administrator waits for the list of users; everybody whose token is known reads and writes on."""
    root, ann = program(register, "admin"), program(register, "editor")
    path = f"/projects/{ann.made()['id']}"
    transport: Any = register.transport
    root.get("/users")
    register.site.house.store.feed.bound = 60  # however slow this machine is just now
    asks = root.person.prepared("GET", "/users", headers=[("Authorization", f"Bearer {root.token}")])

    async def story(waits: threading.Event, go_on: threading.Event) -> tuple[list[int], bool, int]:
        listing = asyncio.ensure_future(transport.request(asks))
        await asyncio.to_thread(waits.wait, 20)
        seen = []
        for number in range(3):
            seen.append((await transport.request(change(path, ann.token, number, 1 + number))).status)
            read = ann.person.prepared("GET", path, headers=[("Authorization", f"Bearer {ann.token}")])
            seen.append((await transport.request(read)).status)
        waiting = not listing.done()
        go_on.set()
        return seen, waiting, (await listing).status

    with slow(register) as (waits, go_on):
        seen, waiting, status = transport._run(story(waits, go_on))
    assert (seen, waiting, status) == ([200] * 6, True, 200)


def test_what_waits_is_called_off_the_loop(register: Laboratory) -> None:
    """Every endpoint about users, once: no statement of bylaw's runs in the thread of the event loop."""
    root, ann = program(register, "admin"), program(register, "editor")
    register.site.house.store.feed.bound = 60
    with slow(register) as (_, go_on):
        go_on.set()
        for path in ("/users", "/users/me", *(f"/users/{ann.id}{t}" for t in ("", "/versions", "/roles"))):
            assert root.get(path).status == 200
        because = {"because": "she has left"}
        assert root.send("PUT", f"/users/{ann.id}/role", json={"role": "viewer", **because}).status == 200
        assert root.send("POST", f"/users/{ann.id}/disable", json=because).status == 200
        assert root.send("POST", f"/users/{ann.id}/enable", json=because).status == 200
        new = {"email": "new@people.test", "name": "New"}
        assert root.send("POST", "/users", json=new).status == 201
        assert (
            ann.send("POST", "/users", json=new).status == 401
        )  # her role has changed: its record is written


def test_long_texts_are_compared_in_a_moment_and_off_the_loop(register: Laboratory) -> None:
    """Two texts that make a comparison take its longest keep nobody else waiting."""
    ann = program(register, "editor")
    path = f"/projects/{ann.made(summary=chr(10).join('ab'[n % 2] for n in range(25_000)))['id']}"
    other = "\n".join("ab"[(n // 2) % 2] for n in range(25_000))
    assert ann.send("PUT", path, json={"title": "Bridge", "summary": other, "based_on": 1}).status == 200
    begun = time.monotonic()
    found = ann.get(f"{path}/differences?older=1&newer=2").json()["fields"]["summary"]
    assert time.monotonic() - begun < 5
    assert len(found) > 10_000
