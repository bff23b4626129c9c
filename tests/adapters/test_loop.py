"""The event loop never waits: where blocking work runs, and that identities stay apart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from bylaw.adapters import asgi, wsgi
from bylaw.site import identity
from bylaw.verify.laboratory import Bench, Laboratory


@contextmanager
def threads_at_work(laboratory: Laboratory) -> Iterator[dict[str, set[str]]]:
    """The names of the threads in which statements and hashes run, while the block lasts."""
    seen: dict[str, set[str]] = {"statements": set(), "hashes": set()}
    engine, scheme = laboratory.site.house.store.engine, laboratory.site.house.scheme

    def statement(*args: Any) -> None:
        seen["statements"].add(threading.current_thread().name)

    class Watched:
        name, mebibytes = scheme.name, scheme.mebibytes

        def make(self, password: str) -> str:
            seen["hashes"].add(threading.current_thread().name)
            return scheme.make(password)

        def outdated(self, stored: str) -> bool:
            seen["hashes"].add(threading.current_thread().name)
            return scheme.outdated(stored)

    event.listen(engine, "before_cursor_execute", statement)
    laboratory.site.house.scheme = Watched()
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", statement)
        laboratory.site.house.scheme = scheme


@pytest.mark.parametrize("stack", ["asgi", "fastapi"])
def test_nothing_that_waits_runs_on_the_loop(stacks: dict[str, Bench], stack: str) -> None:
    """Signing in, up and out, pages, refusals and their records: all in worker threads."""
    with stacks[stack].laboratory() as laboratory:
        transport: Any = laboratory.transport
        loop = transport._thread.name
        alice, root = laboratory.person("user"), laboratory.administrator()
        with threads_at_work(laboratory) as seen:
            assert laboratory.sign_in(alice).status == 200
            laboratory.site.house.store.memory.clear()
            assert laboratory.whoami(alice).status == 200
            assert alice.get(laboratory.api("users")).status == 403
            assert alice.get("/report").status in (200, 403)
            root.page(laboratory.url("users"))
            root.act(
                "POST",
                laboratory.api("users"),
                json={"email": "new@people.test", "name": "New"},
            )
            alice.act("POST", laboratory.api("sign_out"), json={})
        assert loop not in seen["statements"] | seen["hashes"]
        assert any(name.startswith("bylaw-worker") for name in seen["statements"])
        assert {name.rpartition("_")[0] for name in seen["hashes"]} == {"bylaw-hash"}


@pytest.mark.parametrize("stack", ["asgi", "fastapi"])
def test_a_known_session_is_decided_on_the_loop_without_a_query(stacks: dict[str, Bench], stack: str) -> None:
    """The second request of a session costs no thread, no query and no disk."""
    with stacks[stack].laboratory() as laboratory:
        alice = laboratory.client("manager")
        laboratory.site.house.store.feed.bound = 60  # however slow this machine is just now
        laboratory.site.house.store.feed.read()  # what was revoked while alice was made is heeded now
        alice.get("/report")
        with threads_at_work(laboratory) as seen:
            for _ in range(50):
                assert alice.get("/report").status == 200
        assert seen["hashes"] == set()
        assert not [name for name in seen["statements"] if name.startswith("bylaw-worker")]


def test_the_loop_turns_while_people_sign_in(stacks: dict[str, Bench]) -> None:
    """Six sign-ins hash at once: the loop's next turn does not wait for any of them."""
    with stacks["asgi"].laboratory() as laboratory:
        transport: Any = laboratory.transport
        people = [laboratory.person("user") for _ in range(6)]
        known = laboratory.client("user")
        laboratory.whoami(known)
        sent = [
            p.prepared(
                "POST",
                laboratory.api("sign_in"),
                headers=p.from_here,
                json={"email": p.email, "password": p.password},
            )
            for p in people
        ]

        async def together() -> tuple[list[Any], int]:
            tasks = [asyncio.ensure_future(transport.request(s)) for s in sent]
            turns = 0
            while not all(task.done() for task in tasks):
                reply = await transport.request(known.prepared("GET", laboratory.api("me")))
                assert reply.status == 200
                turns += 1
                await asyncio.sleep(0)
            return [task.result() for task in tasks], turns

        replies, turns = transport._run(together())
    assert {reply.status for reply in replies} <= {200, 503}
    # Each hash takes a tenth of a second: a loop that waited for them would have turned six times.
    assert turns > 20


def test_a_pool_that_is_full_does_not_shut_out_whoever_is_signed_in(
    laboratory: Laboratory,
) -> None:
    """A storm of sign-ins fills every place: it is told to come back, others are served."""
    house = laboratory.site.house
    alice = laboratory.client("user")
    assert laboratory.whoami(alice).status == 200
    house.hashes.run(str)  # the pool begins with its first work
    places = [house.hashes._free.acquire(blocking=False) for _ in range(house.hashes.places)]
    try:
        assert all(places)
        refused = laboratory.sign_in(laboratory.person("user", password="a known password, hashed"))
        assert (refused.status, refused.code) == (503, "passwords.busy")
        assert int(refused.header("retry-after")) >= 1
        assert laboratory.whoami(alice).status == 200
    finally:
        for _ in places:
            house.hashes._free.release()


@pytest.mark.requirement("S1-033", "S1-113")
def test_threads_do_not_mix_identities(wsgi_laboratory: Laboratory) -> None:
    """Eight people in the application at the same moment: each is who she is, to the end."""
    barrier = threading.Barrier(8)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        before = identity().id
        barrier.wait(20)
        after = identity().id
        barrier.wait(20)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{before} {after} {environ[wsgi.EXCHANGE].identity.id}".encode()]

    people = [wsgi_laboratory.client("user") for _ in range(8)]
    with wsgi_laboratory.instead(application):
        replies = wsgi_laboratory.burst(lambda number: people[number].get("/x"), 8)
    for person, reply in zip(people, replies, strict=True):
        assert reply.text == f"{person.id} {person.id} {person.id}"
    assert identity().id == ""


@pytest.mark.requirement("S1-033", "S1-113")
def test_tasks_do_not_mix_identities(asgi_laboratory: Laboratory) -> None:
    """The same on one event loop: eight tasks inside the application at once, and their threads."""
    inside: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope[asgi.EXCHANGE].permitted = True
        before = identity().id
        inside.append(before)
        while len(inside) < 8:
            await asyncio.sleep(0)
        in_thread = await asyncio.to_thread(lambda: identity().id)
        text = f"{before} {identity().id} {in_thread}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    people = [asgi_laboratory.client("user") for _ in range(8)]
    with asgi_laboratory.instead(application):
        replies = asgi_laboratory.tasks(person.prepared("GET", "/x") for person in people)
    for person, reply in zip(people, replies, strict=True):
        assert reply.text == f"{person.id} {person.id} {person.id}"


@pytest.mark.requirement("S1-033")
def test_a_real_server_does_not_mix_identities(laboratory: Laboratory) -> None:
    """Sixteen connections of four people at once, through a socket: everybody gets their own."""
    people = [laboratory.client("user") for _ in range(4)]

    with laboratory.live() as server:

        def one(number: int) -> bytes:
            person = people[number % 4]
            return server.request(
                "GET /auth/api_me HTTP/1.1",
                "Host: app.lab",
                f"Cookie: {laboratory.cookie}={person.cookies[laboratory.cookie]}",
            )

        answers = laboratory.burst(one, 16)
    for number, answer in enumerate(answers):
        for other, person in enumerate(people):
            assert (person.id.encode() in answer) is (other == number % 4)
