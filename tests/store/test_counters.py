"""Counters in memory: fixed windows, all limits at once, exact under threads, bounded, and quick."""

from __future__ import annotations

import os
import random
import threading
import warnings
from collections import defaultdict
from timeit import repeat

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.store.counters import AGAIN, FIRST, Limit, Memory

START = 1_800_000_000.0


def limit(count: int, seconds: int, name: str = "default") -> Limit:
    return Limit(count, seconds, name)


@pytest.mark.requirement("S1-098")
def test_the_number_and_not_one_more() -> None:
    """The fifty-first in an hour is refused, and told apart from the fifty-second."""
    fifty = limit(50, 3600)
    take = Memory().over(((fifty,),))
    assert [take(("a",), START + n)[1] for n in range(50)] == list(range(49, -1, -1))
    assert take(("a",), START + 50) == (fifty, FIRST, START + 3600)
    assert take(("a",), START + 51) == (fifty, AGAIN, START + 3600)
    assert take(("b",), START + 51) == (fifty, 49, START + 51 + 3600)


@pytest.mark.requirement("S1-103")
def test_a_window_begins_with_its_first_request() -> None:
    """Not with the clock's hour: whoever comes at its end does not get two hours' worth at once."""
    take = Memory().over(((limit(2, 60),),))
    assert [take(("a",), START + at)[1] for at in (59, 60, 61, 118.9)] == [1, 0, FIRST, AGAIN]
    assert take(("a",), START + 119)[1] == 1


@pytest.mark.requirement("S1-097", "S1-098")
def test_two_limits_of_one_key_count_side_by_side() -> None:
    """Fifty an hour and two hundred a day: four full hours, then none until the day is over."""
    day, hour = limit(200, 86400), limit(50, 3600)
    take = Memory().over(((day, hour),))
    passed = 0
    for began in range(0, 86400, 3600):
        for _ in range(60):
            found, left, ends = take(("a",), START + began)
            passed += left >= 0
            if began == 4 * 3600:
                assert (found, ends) == (day, START + 86400)
    assert passed == 200
    assert take(("a",), START + 86400)[1] == 49


def test_the_answer_names_the_tightest_limit() -> None:
    """What is least left of; of two that are equal, the one that takes longest to come back."""
    slow, quick = limit(4, 100), limit(2, 10)
    take = Memory().over(((slow,), (quick,)))
    assert take(("a", "a"), START) == (quick, 1, START + 10)
    assert take(("a", "a"), START) == (quick, 0, START + 10)
    assert take(("a", "a"), START + 10) == (slow, 1, START + 100)
    both = Memory().over(((limit(2, 10), slow_too := limit(2, 100)),))
    assert both(("a",), START)[0] is slow_too


def test_what_is_refused_uses_up_nothing() -> None:
    """A client that tries on through the minute still has the rest of its hour."""
    minute, hour = limit(2, 60), limit(5, 3600)
    take = Memory().over(((minute,), (hour,)))
    passed = sum(take(("a", "a"), START + at)[1] >= 0 for at in range(180))
    assert passed == 5
    assert take(("a", "a"), START + 180)[0] is hour


def test_of_several_that_refuse_the_longest_is_named() -> None:
    """Whoever comes back at the end of the shorter one would be refused again."""
    short, long = limit(1, 10), limit(1, 100)
    for groups in (((short,), (long,)), ((short, long),)):
        take = Memory().over(groups)
        keys = ("a",) * len(groups)
        take(keys, START)
        assert take(keys, START + 1) == (long, FIRST, START + 100)


def test_the_same_group_is_the_same_counters() -> None:
    """Two routes that share a group share its budget; another group of the same numbers does not."""
    memory, shared = Memory(), (limit(3, 60),)
    one, other = memory.over((shared,)), memory.over((shared, (limit(9, 60),)))
    one(("a",), START)
    other(("a", "a"), START)
    assert one(("a",), START)[1] == 0
    assert other(("a", "a"), START)[1] == FIRST
    assert memory.over(((limit(3, 60),),))(("a",), START)[1] == 2


def test_the_clock_is_put_back() -> None:
    """An hour back: nobody is kept out for an hour more than the window lasts."""
    take = Memory().over(((limit(1, 60),),))
    take(("a",), START)
    assert take(("a",), START - 3600)[1] == 0
    assert take(("a",), START - 3600 + 60)[1] == 0


@pytest.mark.requirement("S1-098")
@pytest.mark.parametrize("groups", [1, 2])
def test_threads_at_once_get_exactly_the_number(groups: int) -> None:
    """Two hundred requests in eight threads, and fifty pass: none is counted twice, none is lost."""
    limits = tuple((limit(50, 3600),) for _ in range(groups))
    take = Memory().over(limits)
    keys = ("a",) * groups
    begin = threading.Barrier(8)
    passed: list[int] = []

    def work() -> None:
        begin.wait()
        passed.append(sum(take(keys, START)[1] >= 0 for _ in range(25)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 50


def test_what_is_over_is_cleared_away() -> None:
    """A flood of addresses leaves nothing behind once its windows are over."""
    memory = Memory()
    take = memory.over(((limit(5, 60), limit(9, 10)),))
    for number in range(1000):
        take((f"flood {number}",), START)
    assert len(memory) == 1000
    for number in range(400):
        take((f"later {number}",), START + 71)
    assert len(memory) == 400


def test_a_window_within_another_is_not_forgotten_early() -> None:
    """Keys leave when no window of theirs can be open: an hour that began late in the day counts on."""
    memory = Memory()
    take = memory.over(((limit(9, 100), limit(1, 60)),))
    take(("a",), START)
    take(("a",), START + 90)
    for number in range(10):
        take((f"other {number}",), START + 149)
    assert take(("a",), START + 149)[1] == FIRST
    for number in range(10):
        take((f"more {number}",), START + 161)
    assert len(memory) <= 21


def test_there_is_room_for_so_many_and_the_oldest_leaves_first() -> None:
    """Whoever has endless addresses takes no endless memory."""
    memory = Memory(most=100)
    take = memory.over(((limit(5, 60),),))
    for number in range(1000):
        take((f"{number}",), START + number / 1000)
    assert len(memory) == 100
    assert take(("999",), START + 1)[1] == 3
    assert take(("0",), START + 1)[1] == 4


def test_closed_counters_remember_nothing() -> None:
    """What is in memory ends with the process (S2-069): the documentation says so, and so does this."""
    memory = Memory()
    take = memory.over(((limit(1, 60),),))
    take(("a",), START)
    memory.close()
    assert take(("a",), START)[1] == 0
    assert (memory.asked, memory.waits) == (True, False)
    memory.ping()


def test_a_forked_child_does_not_wait_for_its_parents_thread() -> None:
    """A child that was forked while a thread was counting would hang at its first request."""
    memory = Memory()
    take = memory.over(((limit(1, 60),),))
    with memory._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads is what this is about
        child = os.fork()
        if child == 0:
            os._exit(0 if take(("a",), START)[1] == 0 else 1)
        assert os.waitpid(child, 0)[1] == 0


@examples(
    rates=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 40)), min_size=1, max_size=4),
    split=st.integers(0, 3),
    steps=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 25)), max_size=60),
)
def test_it_counts_as_the_plainest_counters_do(
    rates: list[tuple[int, int]], split: int, steps: list[tuple[str, int]]
) -> None:
    """Whatever the limits and the times: the same requests pass as by a counter for each limit and key."""
    limits = [limit(count, seconds) for count, seconds in rates]
    groups = tuple(tuple(part) for part in (limits[:split], limits[split:]) if part)
    take = Memory().over(groups)
    plain: dict[tuple[str, int], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    now = START
    for key, wait in steps:
        now += wait
        held = {}
        for place, each in enumerate(limits):
            ends, used = plain[key, place]
            held[place] = (ends, used) if now < ends else (now + each.seconds, 0)
        refusing = [held[place][0] for place, each in enumerate(limits) if held[place][1] >= each.count]
        _, left, ends = take((key,) * len(groups), now)
        assert (left < 0) == bool(refusing)
        if refusing:
            assert ends == max(refusing)
        else:
            assert left == min(each.count - held[place][1] - 1 for place, each in enumerate(limits))
        for place, (end, used) in held.items():
            plain[key, place] = (end, used if refusing else used + 1)


def test_a_hundred_thousand_clients_cost_little_more_than_one() -> None:
    """Three limits at once, in microseconds; `limits` takes 9 for one client and 24 for so many."""
    limits = (limit(10**9, 3600), limit(10**9, 86400), limit(10**9, 60))

    def measured(clients: int) -> float:
        take = Memory(most=clients).over((limits,))
        keys = [(f"198.51.{n >> 8 & 255}.{n & 255}-{n}", "route") for n in range(clients)]
        for key in keys:
            take((key,), START)
        order = random.Random(7).choices(keys, k=20_000)
        return min(repeat(lambda: [take((key,), START) for key in order], number=1, repeat=5)) / 20_000 * 1e6

    one, many = measured(1), measured(100_000)
    # Generous: the machine is shared. What would be found is a walk over all keys.
    assert one < 5, f"{one:.2f} µs"
    assert many < 25, f"{many:.2f} µs"
