"""Password hashes: forms that are read and made, and a pool that does not pile up."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.security import check_password_hash, generate_password_hash

from bylaw import hashing
from bylaw.hashing import SCHEMES, Argon2id, Busy, HashPool, Pbkdf2Sha256, Peppered, Peppers, verify

PASSWORD = "pässwörd of some length \U0001f511"
CHEAP = "pbkdf2:sha256:1000$saltsalt$32f1d0e2e43d45e2ea71e0aa82a1be9e5aae84dd2d2f1d2d4d39a4b8d3b9f5a5"


@pytest.mark.requirement("S3-002", "S3-003", "C-04")
def test_argon2id_is_made_as_the_policy_says() -> None:
    """What is stored names RFC 9106's second choice, far above 19 MiB, and verifies."""
    stored = Argon2id().make(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert verify(stored, PASSWORD) is True
    assert verify(stored, PASSWORD + " ") is False
    assert Argon2id().make(PASSWORD) != stored, "every hash has a salt of its own"


@pytest.mark.requirement("S1-009", "C-04")
def test_pbkdf2_is_werkzeugs_own_form() -> None:
    """Werkzeug reads what bylaw writes, and it is PBKDF2-SHA256 with the count that it says."""
    stored = Pbkdf2Sha256().make(PASSWORD)
    assert stored.startswith("pbkdf2:sha256:1000000$")
    assert check_password_hash(stored, PASSWORD)
    assert not check_password_hash(stored, PASSWORD + " ")
    assert verify(stored, PASSWORD) is True


@pytest.mark.requirement("S1-009", "C-04")
@pytest.mark.parametrize(
    "method", ["pbkdf2:sha256:1000", "pbkdf2", "scrypt", "scrypt:16384:8:2", "pbkdf2:sha512:1000"]
)
def test_what_werkzeug_writes_is_read(method: str) -> None:
    """An application's table of Werkzeug's hashes, scrypt among them, goes on signing people in."""
    stored = generate_password_hash(PASSWORD, method=method)
    assert verify(stored, PASSWORD) is True
    assert verify(stored, PASSWORD[:-1]) is False
    assert Argon2id().outdated(stored)
    assert Pbkdf2Sha256().outdated(stored) == (method != "pbkdf2"), "Werkzeug's own count will do"


@pytest.mark.requirement("S3-002")
@pytest.mark.parametrize("kind", [Type.ID, Type.I, Type.D])
def test_argon2_of_other_libraries_is_read_and_upgraded(kind: Type) -> None:
    """Hashes of pwdlib and argon2-cffi, of four lanes and of other variants, verify and are outdated."""
    stored = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=4, type=kind).hash(PASSWORD)
    assert verify(stored, PASSWORD) is True
    assert verify(stored, "x") is False
    assert Argon2id().outdated(stored)


@pytest.mark.requirement("S3-004", "C-04")
@pytest.mark.parametrize(
    ("scheme", "stored", "outdated"),
    [
        ("argon2id", "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA", True),  # a short hash
        ("argon2id", "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43, True),
        ("argon2id", "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43, False),
        ("argon2id", CHEAP, True),
        ("pbkdf2-sha256", CHEAP, True),
        ("pbkdf2-sha256", "pbkdf2:sha256:1000000$s$ff", False),
        ("pbkdf2-sha256", "pbkdf2:sha256:2000000$s$ff", False),
        ("pbkdf2-sha256", "pbkdf2:sha1:1000000$s$ff", True),
        ("pbkdf2-sha256", "pbkdf2:sha256:x$s$ff", True),
        ("pbkdf2-sha256", "scrypt:32768:8:1$s$ff", True),
        ("pbkdf2-sha256", "$argon2id$v=19$m=65536,t=3,p=1$s$h", True),
    ],
)
def test_what_is_outdated(scheme: str, stored: str, outdated: bool) -> None:
    """A hash of another kind, or a cheaper one, is upgraded at its owner's next sign-in."""
    assert SCHEMES[scheme]().outdated(stored) is outdated


@pytest.mark.requirement("S1-010")
@pytest.mark.parametrize(
    "stored",
    [
        "",
        "!",
        "*",
        "x",
        "plain",
        PASSWORD,
        "None",
        "null",
        "!unusable",
        "$",
        "$$",
        "$$$$$",
        "$argon2",
        "$argon2id$",
        "$argon2id$v=19$m=65536,t=3,p=1",
        "$argon2x$v=19$m=8,t=1,p=1$YQ$YQ",
        "$argon2id$v=19$m=8,t=1,p=1$\ud800$x",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$!!!",
        "$2b$12$abcdefghijklmnopqrstuv",
        "pbkdf2:sha256$salt$ff",
        "pbkdf2:sha256:0$salt$ff",
        "pbkdf2:sha256:-1$salt$ff",
        "pbkdf2:sha256:x$salt$ff",
        "pbkdf2:nothing:1$salt$ff",
        "pbkdf2:\0:1$salt$ff",
        "pbkdf2:sha256:" + "9" * 5000 + "$salt$ff",
        "scrypt:1:1:1$salt$ff",
        "scrypt:15:8:1$salt$ff",
        "scrypt:a:b:c$salt$ff",
        "scrypt:16384:8$salt$ff",
        "sha256$salt$ff",
        # Costs that somebody wrote into the table to take the server's memory or its day
        "pbkdf2:sha256:4000000000$salt$ff",
        "scrypt:1073741824:8:1$salt$ff",
        "scrypt:16384:8:1000$salt$ff",
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=19$m=8,t=4000000,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    ],
)
def test_what_is_no_hash_lets_nobody_in(stored: str) -> None:
    """A marker, a truncated row or an absurd cost verifies with nothing, costs nothing, raises nothing."""
    for password in ("", " ", stored, PASSWORD, "\0", "None"):
        assert verify(stored, password) is None


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_text_that_is_no_text_verifies_nothing(scheme: str) -> None:
    """A lone surrogate has no UTF-8: it is refused without an exception."""
    assert verify(_hashes()[scheme], "\ud800") is None


_MADE: dict[str, str] = {}


def _hashes() -> dict[str, str]:
    if not _MADE:
        _MADE.update((name, scheme().make(PASSWORD)) for name, scheme in SCHEMES.items())
    return _MADE


@given(
    stored=st.text() | st.from_regex(r"(pbkdf2:sha256:\d{1,3}|scrypt:\d{1,3}:\d:\d)\$\w*\$\w*"),
    password=st.text(),
)
def test_no_text_is_an_accident(stored: str, password: str) -> None:
    """Whatever stands in the table and whatever is typed: an answer, and never that it is right."""
    assert verify(stored, password) is not True


def test_a_scheme_is_named_as_in_the_policy() -> None:
    """The registry's names are the policy's, and a place of the pool fits an Argon2id hash in both."""
    assert {name: scheme.name for name, scheme in SCHEMES.items()} == {n: n for n in SCHEMES}
    assert {scheme().mebibytes for scheme in SCHEMES.values()} == {hashing.ARGON2_KIB // 1024}


# Peppers


KEYS = (b"k" * 32, b"l" * 32)


@pytest.mark.requirement("C-40")
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_peppered_hash_names_its_key_and_is_read_with_it(scheme: str) -> None:
    """What is stored says which key, and a hash of which kind; without that key nobody can read it."""
    made = Peppered(_cheap(scheme), Peppers(KEYS)).make(PASSWORD)
    assert made.startswith(f"hmac-sha256:{Peppers(KEYS).current}:{_cheap(scheme).prefix}")
    assert len(made) < 512, "it fits its column"
    assert verify(*Peppers(KEYS[::-1]).opened(made, PASSWORD)) is True
    assert verify(*Peppers(KEYS).opened(made, PASSWORD + " ")) is False
    assert Peppers(KEYS[1:]).opened(made, PASSWORD) == ("", PASSWORD)
    assert verify(made, PASSWORD) is None
    assert verify(made.split(":", 2)[2], PASSWORD) is False


def _cheap(scheme: str) -> Argon2id | Pbkdf2Sha256:
    return Argon2id(8, 1) if scheme == "argon2id" else Pbkdf2Sha256()


@pytest.mark.requirement("C-40")
@pytest.mark.parametrize(
    ("keys", "current", "stored", "outdated"),
    [
        (KEYS[:1], True, KEYS[:1], False),
        (KEYS[::-1], True, KEYS[:1], True),
        (KEYS[:1], True, (), True),
        (KEYS[:1], False, KEYS[:1], True),
        (KEYS[:1], False, (), False),
    ],
)
def test_what_a_pepper_makes_outdated(
    keys: tuple[bytes, ...], current: bool, stored: tuple[bytes, ...], outdated: bool
) -> None:
    """Another key, none yet, or one that is to be there no more: made anew when its owner signs in."""
    made = Peppered(Argon2id(8, 1), Peppers(stored)).make(PASSWORD)
    assert Peppered(Argon2id(8, 1), Peppers(keys, current=current)).outdated(made) is outdated
    dearer = Peppered(Argon2id(16, 1), Peppers(keys, current=current))
    assert dearer.outdated(made), "a cheaper hash is outdated whatever its pepper"


@given(stored=st.text() | st.from_regex(r"hmac-sha256:[0-9a-f]{8}:.*"), password=st.text())
def test_no_text_is_an_accident_under_a_pepper(stored: str, password: str) -> None:
    """Whatever stands in the table and whatever is typed, surrogates too: never that it is right."""
    assert verify(*Peppers(KEYS).opened(stored, password)) is not True
    marked = f"hmac-sha256:{Peppers(KEYS).current}:{stored}"
    assert verify(*Peppers(KEYS).opened(marked, password)) is not True


@pytest.mark.requirement("C-40", "S1-010")
def test_a_pepper_is_not_told() -> None:
    """Neither its name, nor a representation, nor what is stored holds the key."""
    peppers = Peppers((b"a key that must not be told to anybody at all",))
    for text in (repr(peppers), str(peppers.ids), Peppered(Argon2id(8, 1), peppers).make(PASSWORD)):
        assert "must not be told" not in text
    assert not Peppers()
    assert repr(Peppers()) == "Peppers()"


# The pool


def _pool(waiting: int = 2) -> HashPool:
    return HashPool(mebibytes=64, each=64, waiting=waiting)


@pytest.mark.parametrize(
    ("cores", "mebibytes", "threads"), [(4, 256, 4), (4, 128, 2), (4, 64, 1), (1, 4096, 1), (8, 10, 1)]
)
def test_memory_and_cores_bound_the_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, mebibytes: int, threads: int
) -> None:
    """No more hashes at once than the budget has room for, or the machine cores; one at least."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    pool = HashPool(mebibytes=mebibytes, each=64, waiting=5)
    assert (pool.threads, pool.places) == (threads, threads + 5)


def test_work_is_done_in_a_thread_of_the_pool() -> None:
    """Results and exceptions come back; the work itself is done elsewhere."""
    pool = _pool()
    assert pool.run(lambda a, b: a + b, 1, 2) == 3
    assert pool.run(lambda: threading.current_thread().name).startswith("bylaw-hash")
    with pytest.raises(ZeroDivisionError):
        pool.run(lambda: 1 // 0)
    assert pool.run(lambda: 4) == 4, "a failure gives its place back"


def test_hashing_steps_back() -> None:
    """The threads of the pool have a lower priority than those that serve people, where there is one."""
    nice = _pool().run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert sys.platform != "linux" or nice == 15


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_a_priority_that_cannot_be_had_is_no_failure(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """Elsewhere a thread's number could be another process's: it is not touched; a refusal is borne."""
    asked = []

    def refusing(*args: int) -> None:
        asked.append(args)
        raise PermissionError

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "setpriority", refusing)
    assert _pool().run(lambda: 1) == 1
    assert bool(asked) == (platform == "linux")


@pytest.mark.requirement("S3-006")
def test_a_storm_is_refused_rather_than_piled_up() -> None:
    """As many as there are places are served; the next is told at once when to come back."""
    pool = _pool(waiting=2)
    begun, release = threading.Semaphore(0), threading.Event()
    running: list[int] = []

    def work() -> int:
        running.append(1)
        most = len(running)
        begun.release()
        release.wait(30)
        running.pop()
        return most

    with ThreadPoolExecutor(pool.places) as people:
        served = [people.submit(pool.run, work) for _ in range(pool.places)]
        begun.acquire(timeout=30)
        with pool.occupied():
            with pytest.raises(Busy) as busy:
                pool.run(work)
            assert busy.value.wait >= 1
        release.set()
        assert {each.result(30) for each in served} == {1}, "one at a time: there is memory for one"
    assert pool.run(lambda: "again") == "again"


def test_occupied_gives_back_what_it_took() -> None:
    """The stand-in for a storm leaves every place free again."""
    pool = _pool(waiting=3)
    for _ in range(2):
        with pool.occupied(), pytest.raises(Busy):
            pool.run(print)
    with ThreadPoolExecutor(pool.places) as people:
        assert list(people.map(lambda n: pool.run(int, n), range(pool.places))) == [0, 1, 2, 3]


def test_two_first_callers_begin_one_pool() -> None:
    """Whoever comes second to the lock finds the pool begun, and the places of the first kept."""
    pool = _pool(waiting=0)
    real = pool._lock

    class Late:
        def __enter__(self) -> None:
            pool._lock = real
            pool._begin()

        def __exit__(self, *exc: object) -> None:
            pass

    pool._lock = Late()  # type: ignore[assignment]
    with pool.occupied(), pytest.raises(Busy):
        pool.run(print)


def test_a_forked_child_begins_anew() -> None:
    """A child has no threads, and none of the places that its parent had taken at the fork."""
    pool = _pool(waiting=0)
    with pool.occupied():
        with pytest.raises(Busy):
            pool.run(print)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if pool.run(lambda: os.getpid()) == os.getpid() else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
