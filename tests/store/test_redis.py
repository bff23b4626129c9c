"""Counters in a real Redis: exact whoever asks, by its clock, without an address in it, and lost loudly."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from bylaw.errors import StoreError
from bylaw.store import redis as store
from bylaw.store.counters import AGAIN, FIRST, Limit, Lost
from bylaw.store.redis import Redis, fault
from tests.store.redis_server import RedisServer

FIFTY = Limit(50, 3600, "default")
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A real Redis, started by the tests."""
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture
def connect(server: RedisServer) -> Iterator[Any]:
    """Counters on an empty Redis."""
    made: list[Redis] = []

    def connected(url: str = "", prefix: str = "test", patience: float = 5.0) -> Redis:
        made.append(Redis(url or server.url, prefix=prefix, hash=hashed, patience=patience))
        return made[-1]

    with server.client() as client:
        client.flushall()
    yield connected
    for each in made:
        each.close()


def hashed(text: str) -> str:
    return f"h{sum(text.encode()) % 9973}x{len(text)}"


def limit(count: int, seconds: int, name: str = "default") -> Limit:
    return Limit(count, seconds, name)


# The same as in memory


@pytest.mark.requirement("S1-098", "S1-100")
def test_the_number_and_not_one_more(connect: Any) -> None:
    """The fifty-first in an hour is refused, and told apart from the fifty-second."""
    fifty = limit(50, 3600)
    take = connect().over(((fifty,),))
    assert [take(("a",), NOW)[1] for _ in range(50)] == list(range(49, -1, -1))
    found, left, ends = take(("a",), NOW)
    assert (found, left) == (fifty, FIRST)
    assert NOW + 3590 < ends <= NOW + 3600
    assert take(("a",), NOW)[1] == AGAIN
    assert take(("a",), NOW)[1] == AGAIN
    assert take(("b",), NOW)[1] == 49


def test_what_is_refused_uses_up_nothing(connect: Any, server: RedisServer) -> None:
    """All limits of a request are decided together, in one script."""
    minute, hour = limit(2, 60), limit(5, 3600)
    take = connect().over(((minute,), (hour,)))
    with server.client() as client:
        passed = 0
        for _ in range(4):
            passed += sum(take(("a", "a"), NOW)[1] >= 0 for _ in range(10))
            client.delete(*client.keys("*/60"))
    assert passed == 5
    assert take(("a", "a"), NOW)[0] is hour


def test_of_several_that_refuse_the_longest_is_named(connect: Any) -> None:
    """Whoever comes back at the end of the shorter one would be refused again."""
    short, long = limit(1, 10), limit(1, 100)
    take = connect().over(((short,), (long,)))
    take(("a", "a"), NOW)
    found, left, _ = take(("a", "a"), NOW)
    assert (found, left) == (long, FIRST)
    assert take(("a", "a"), NOW)[1] == AGAIN


def test_the_tightest_is_named(connect: Any) -> None:
    """What is least left of; of two that are equal, the longer one."""
    take = connect().over(((slow := limit(4, 100),), (quick := limit(2, 10), even := limit(2, 20))))
    assert [take(("a", "a"), NOW)[:2] for _ in range(2)] == [(even, 1), (even, 0)]
    assert slow is not quick


@pytest.mark.requirement("S1-103")
def test_a_window_ends_by_the_clock_of_redis(connect: Any, server: RedisServer) -> None:
    """Whoever waits as long as they were told is let through: Redis forgets the key itself."""
    take = connect().over(((limit(1, 60),),))
    take(("a",), NOW)
    with server.client() as client:
        [key] = client.keys("*")
        ends = take(("a",), NOW)[2]
        assert NOW + client.pttl(key) / 1000 <= ends <= NOW + 60
        client.pexpire(key, 1)
        until = time.monotonic() + 10
        while client.exists(key) and time.monotonic() < until:
            pass
    assert take(("a",), NOW)[1] == 0


@pytest.mark.parametrize("used", [1, 2, 3])
def test_a_key_without_an_end_gets_one(connect: Any, server: RedisServer, used: int) -> None:
    """Somebody restored the counters without their ends: nobody is kept out for ever by that."""
    take = connect().over(((limit(2, 60),),))
    take(("a",), NOW)
    with server.client() as client:
        [key] = client.keys("*")
        client.set(key, used)
        take(("a",), NOW)
        assert 0 < client.pttl(key) <= 60_000


# At once


def hammered(url: str, requests: int) -> int:
    """How many of so many requests, by four threads of a process of its own, were let through."""
    counters = Redis(url, prefix="test", hash=hashed, patience=30)
    take = counters.over(((FIFTY,), (limit(1000, 60, "other"),)))
    with ThreadPoolExecutor(4) as pool:
        passed = sum(pool.map(lambda _: take(("a", "a"), NOW)[1] >= 0, range(requests)))
    counters.close()
    return passed


@pytest.mark.requirement("S1-100", "S2-070")
def test_four_processes_at_once_get_exactly_the_number(connect: Any, server: RedisServer) -> None:
    """Two hundred requests by sixteen threads of four processes, and fifty pass."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        passed = [f.result() for f in [pool.submit(hammered, server.url, 50) for _ in range(4)]]
    assert sum(passed) == 50
    assert connect().over(((FIFTY,),))(("a",), NOW)[1] == AGAIN


def test_the_script_is_sent_again_after_redis_has_forgotten_it(connect: Any, server: RedisServer) -> None:
    """A restart or SCRIPT FLUSH costs one more round trip, not a request."""
    take = connect().over(((limit(9, 60),),))
    take(("a",), NOW)
    with server.client() as client:
        client.script_flush()
        assert take(("a",), NOW)[1] == 7
        before = client.info("commandstats").get("cmdstat_eval", {}).get("calls", 0)
        assert take(("a",), NOW)[1] == 6
        assert client.info("commandstats").get("cmdstat_eval", {}).get("calls", 0) == before


def test_one_round_trip_for_all_limits(connect: Any, server: RedisServer) -> None:
    """Three limits, one command: what else Redis counts are the script's own calls."""
    counters = connect()
    take = counters.over(((limit(9, 60), limit(9, 600)), (limit(9, 6000, "other"),)))
    take(("a", "a"), NOW)
    with server.client() as client:
        before = client.info("stats")["total_commands_processed"]
        for _ in range(5):
            take(("a", "a"), NOW)
        # INCR three times and PTTL once within each script, and the two INFO.
        assert client.info("stats")["total_commands_processed"] - before <= 5 * (1 + 4) + 1


def test_over_a_unix_socket(connect: Any, server: RedisServer) -> None:
    """The same by a socket of this machine, which nobody on a network can listen to."""
    assert connect(server.unix).over(((limit(9, 60),),))(("a",), NOW)[1] == 8


# What stands in Redis


def test_no_address_and_no_path_stands_in_it(connect: Any, server: RedisServer) -> None:
    """Whoever reads Redis learns how often, not who: the keys are hashed with a key of the application."""
    counters = connect(prefix="shop")
    counters.over(((limit(9, 60), limit(9, 600)),))((("198.51.100.7", "/auth/login"),), NOW)
    with server.client() as client:
        keys = sorted(key.decode() for key in client.keys("*"))
        values = [client.get(key) for key in keys]
    assert values == [b"1", b"1"]
    assert all(re.fullmatch(r"bylaw:\{shop\}:h\d+x\d+:9/600?", key) for key in keys), keys


def test_applications_do_not_share(connect: Any) -> None:
    """Two applications on one Redis, and a limit whose number was changed, begin with nothing used."""
    one, other = connect(prefix="one"), connect(prefix="other")
    one.over(((limit(2, 60),),))(("a",), NOW)
    assert other.over(((limit(2, 60),),))(("a",), NOW)[1] == 1
    assert one.over(((limit(3, 60),),))(("a",), NOW)[1] == 2
    assert one.over(((limit(2, 60, "other"),),))(("a",), NOW)[1] == 1
    assert one.over(((limit(2, 60),),))(("a",), NOW)[1] == 0


# Lost


@pytest.mark.requirement("S1-139")
def test_a_lost_redis_is_asked_once_a_second(connect: Any, server: RedisServer) -> None:
    """Not every request finds out for itself: between two attempts they are told at once."""
    counters = connect()
    take = counters.over(((limit(9, 60),),))
    take(("a",), NOW)
    server.stop()
    try:
        with pytest.raises(Lost, match="Error"):
            take(("a",), NOW)
        assert counters.wrong
        assert not counters.asked
        with pytest.raises(Lost):
            counters.ping()
    finally:
        server.start()
    counters._ask_at += 60
    for _ in range(100):  # it would answer, were it asked
        with pytest.raises(Lost):
            take(("a",), NOW)
    counters._ask_at = 0.0  # the pause is over
    assert counters.asked
    assert take(("a",), NOW)[1] == 8
    assert counters.wrong == ""
    counters.ping()


def test_while_it_is_lost_one_request_finds_out_for_all(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that takes connections and says nothing: one waits for it, the others do not."""
    monkeypatch.setattr(store, "PAUSE", 60)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)

        def asked() -> int:
            """How often somebody has connected since this was last looked at."""
            with contextlib.suppress(BlockingIOError):
                silent.accept()[0].close()
                return 1 + asked()
            return 0

        counters = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", patience=0.3)
        take = counters.over(((limit(9, 60),),))
        with pytest.raises(Lost, match="Timeout"):
            take(("a",), NOW)
        counters._ask_at = 0.0
        one = asked()
        assert one

        def ask(number: int) -> None:
            with pytest.raises(Lost):
                take(("a",), NOW)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
        assert asked() == one


def test_what_redis_refuses_is_an_outage_too(connect: Any, server: RedisServer) -> None:
    """A wrong password, a read-only replica, no memory: nothing is known of what was counted."""
    counters = connect(server.url.replace("a-password", "another-password"))
    with pytest.raises(Lost) as lost:
        counters.over(((limit(9, 60),),))(("a",), NOW)
    assert "another-password" not in str(lost.value)
    assert "another-password" not in counters.wrong


def test_without_a_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is an extra: where it is not installed, a sentence says how to."""
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(StoreError, match=r"pip install 'bylaw\[redis\]'"):
        Redis("redis://127.0.0.1/0", prefix="x", hash=hashed)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://cache:6379/0", ""),
        ("rediss://:secret@cache.acme.eu:6380/0", ""),
        ("unix:///run/redis.sock", ""),
        ("redis://[::1]:6379", ""),
        ("memory://", "no address of Redis"),
        ("memcached://cache", "no address of Redis"),
        ("redis:", "it names no host"),
        ("redis://", "it names no host"),
        ("redis://cache:0", "it names no host"),
        ("unix://", "it names no socket"),
        ("redis://cache:port", "no address"),
        ("redis://[::1", "no address"),
    ],
)
def test_what_is_an_address_of_redis(url: str, said: str) -> None:
    """What cannot be one is found at the start, and not by the first visitor."""
    assert fault(url) == said


def test_a_timeout_is_short() -> None:
    """Whatever Redis does, a request waits for it no longer than a person notices."""
    assert store.PATIENCE <= 0.5
