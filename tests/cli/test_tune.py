"""`bylaw tune` and `bylaw check --users`: what a hash should cost here, and whom tighter rules concern."""

from __future__ import annotations

import itertools
import json
import tomllib
from pathlib import Path

import pytest

from bylaw import hashing
from bylaw.cli import tune
from bylaw.cli.common import site
from bylaw.cli.tune import Price, affordable, candidates, propose, settle
from bylaw.controls.passwords import costs
from bylaw.operations import administering
from bylaw.operations.administering import SYSTEM
from bylaw.store import users
from tests.cli.test_commands import call
from tests.controls.houses import Builder

LONG = "wide green fields and quiet water"


def host(nanoseconds: float, first: float = 0.0) -> tune.Measure:
    """A host on which a pass over a KiB takes so long, and the first pass over one so much more."""
    return lambda kib, passes: kib * (passes * nanoseconds + first) / 1e9


def proposed(measure: tune.Measure, target: float, memory: int, threads: int) -> Price:
    prices = [price for size in candidates(memory, threads) for price in affordable(measure, size, target)]
    return settle(measure, propose(prices, target), target)


@pytest.mark.requirement("C-04", "S3-004")
@pytest.mark.parametrize("nanoseconds", [50, 400, 900, 2_000, 8_000, 100_000])
@pytest.mark.parametrize("target", [0.02, 0.1, 0.25, 1.0, 5.0])
@pytest.mark.parametrize(("memory", "threads"), [(64, 1), (64, 16), (256, 2), (512, 2), (4096, 4)])
def test_what_is_proposed_can_be_kept(nanoseconds: float, target: float, memory: int, threads: int) -> None:
    """Within the time and the memory where that is possible; never below OWASP's minimum, on any host."""
    measure = host(nanoseconds, first=100)
    best = proposed(measure, target, memory * 1024**2, threads)
    assert not hashing.weak(best.kib, best.passes)
    assert best.passes <= hashing.MOST_PASSES
    assert best.mebibytes * 1024**2 <= hashing.MOST_BYTES
    assert best.mebibytes <= max(memory // threads, 19)
    if best.seconds > target * tune.SLACK:
        room = list(candidates(memory * 1024**2, threads))
        least = [next(iter(affordable(measure, size, 0))) for size in room]
        assert best.seconds == min(price.seconds for price in least), "nothing that is allowed is quicker"


@pytest.mark.requirement("C-04")
def test_more_time_makes_guessing_dearer() -> None:
    """Twice the time buys about twice the attacker's work; more memory than the time allows is not wanted."""
    work = [
        costs.moved(best.kib, best.passes)
        for best in (proposed(host(900), target, 512 * 1024**2, 2) for target in (0.1, 0.2, 0.4, 0.8))
    ]
    assert all(after > 1.5 * before for before, after in itertools.pairwise(work))


@pytest.mark.requirement("C-04")
def test_what_was_worked_out_is_measured_before_it_is_proposed() -> None:
    """A host that slows down meanwhile gets fewer passes, not an excuse."""
    settled = settle(host(4_000), Price(64, 8, 0.25), 0.25)
    assert settled.passes == 1
    assert settled.seconds == pytest.approx(65536 * 4_000 / 1e9)


def test_the_command_prints_lines_that_a_policy_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it proposes is copied into bylaw.toml and starts; --json says the same to programs."""
    monkeypatch.setattr(tune, "measured", host(900))
    said = call("tune", "--target", "300ms", "--memory", "512MB")
    told = json.loads(call("tune", "--target", "300ms", "--memory", "512MB", "--json").output)
    assert said.exit_code == 0
    assert told["policy"] in said.output
    house = Builder(tmp_path).house(told["policy"])
    written = tomllib.loads(told["policy"])["passwords"]
    assert house.scheme.prefix.startswith(f"$argon2id$v=19$m={told['argon2_memory'] // 1024},")
    assert (written["argon2_passes"], written["memory"]) == (told["argon2_passes"], 512)
    assert told["within_target"]
    assert told["ms"] <= 330
    assert "No hash protects a password that is on a list" in said.output.replace("\n", " ")
    assert "48,1" in said.output, "beside OWASP's minimum"


def test_a_slow_host_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even the minimum takes longer, it is proposed, with the reason."""
    monkeypatch.setattr(tune, "measured", host(100_000))
    said = call("tune", "--target", "20ms")
    assert "less is not proposed" in said.output
    assert not json.loads(call("tune", "--target", "20ms", "--json").output)["within_target"]


def test_a_real_hash_is_measured() -> None:
    """The measure itself: more passes over as much memory take longer."""
    assert 0 < tune.measured(19 * 1024, 1) < tune.measured(19 * 1024, 4)


@pytest.mark.parametrize(
    "words",
    [
        ("--target", "3h"), ("--target", "0ms"), ("--target", "-1s"), ("--target", "6s"), ("--target", ""),
        ("--target", "\u0661s"),
        ("--memory", "much"), ("--memory", "63MB"), ("--memory", "1GB1"), ("--memory", "9" * 30),
    ],
)  # fmt: skip
def test_what_is_no_time_and_no_size_is_refused(words: tuple[str, str]) -> None:
    """Exit 2, and what is accepted."""
    result = call("tune", *words)
    assert result.exit_code == 2
    assert "e.g. " in result.output


# check --users


def people(count: int) -> None:
    """Accounts in the project's database."""
    opened = site(None)
    opened.open(serving=False)
    for number in range(count):
        administering.create(opened.house, SYSTEM, email=f"p{number}@people.test", password=LONG)
    with opened.house.store.transaction() as connection:
        first = users.by_email(connection, "p0@people.test")
        assert first is not None
        users.change(connection, first.id, password_rules="")
    opened.close()


@pytest.mark.requirement("C-02", "C-27")
def test_check_counts_whom_tighter_rules_concern(project: Path) -> None:
    """Before a longer minimum is put to work, the operator sees how many it will ask for another password."""
    assert call("db", "upgrade").exit_code == 0
    people(2)
    said = call("check", "--users")
    assert said.exit_code == 0
    assert "2 accounts have one; 1 are judged again" in said.output
    told = json.loads(call("check", "--users", "--json").output)["users"]
    assert told == {"with_a_password": 2, "judged_again": 1, "because": {"any": 1}}
    policy = project / "bylaw.toml"
    policy.write_text(policy.read_text("utf-8") + "\n[passwords]\nmin_length = 40\n", "utf-8")
    told = json.loads(call("check", "--users", "--json").output)["users"]
    assert told == {"with_a_password": 2, "judged_again": 2, "because": {"length": 1, "any": 1}}
    assert "were asked for fewer characters" in call("check", "--users").output
    assert "users" not in json.loads(call("check", "--json").output)


def test_check_touches_nothing(project: Path) -> None:
    """Without a database none is made, and an older one stays as it is."""
    before = sorted(project.rglob("*"))
    result = call("check", "--users")
    assert result.exit_code == 1
    assert "bylaw db upgrade" in result.output
    assert sorted(project.rglob("*")) == before
