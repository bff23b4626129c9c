"""Attacks on what the application says of itself."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bylaw.control import Broken, probe
from bylaw.controls import errors, monitoring
from bylaw.controls.monitoring import measures

INSIDE: Final = "192.0.2.77"
OUTSIDE: Final = "203.0.113.9"
WORD: Final = "Zk7f3aQ"
"""Stands in everything that a request may hold, and must not stand in a metric."""
_SAMPLE: Final = re.compile(r'bylaw_[a-z_]+\{([a-z]+="[A-Za-z0-9_.-]*",?)+\} [0-9.e+]+')


@contextmanager
def _open(lab: Any) -> Iterator[dict[str, str]]:
    """The three paths, there and for one network, whatever the policy says."""
    settings = lab.policy.of(monitoring.Settings)
    names = {"health": "/healthz", "ready": "/readyz", "metrics": "/metrics"}
    paths = {key: getattr(settings, key) or path for key, path in names.items()}
    with lab.under(monitoring.Settings, **paths, networks=("192.0.2.0/24",)):
        yield paths


@contextmanager
def _no_database(lab: Any) -> Iterator[None]:
    """The database does not answer while the block lasts."""
    store = lab.site.house.store

    def failing(*args: Any) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("canary-of-the-inside"))

    before = (type(store).reading, type(store).transaction)
    type(store).reading = type(store).transaction = failing
    try:
        yield
    finally:
        type(store).reading, type(store).transaction = before


def _later(lab: Any, client: Any, path: str) -> Any:
    """An answer that nobody remembered."""
    lab.clock.advance(monitoring.FRESH + 1)
    return client.get(path)


def _samples(lab: Any, path: str) -> dict[str, float]:
    """The samples that an operator sees, without the label of the process."""
    told = lab.visitor(peer=INSIDE).get(path)
    if told.status != 200:
        raise Broken(f"{path} from a listed network: {told}")
    lines = [line for line in told.text.splitlines() if not line.startswith("#")]
    if wrong := [line for line in lines if not _SAMPLE.fullmatch(line)]:
        raise Broken(f"a line that is no sample: {wrong[0][:200]!r}")
    found = (line.rpartition(" ") for line in lines)
    return {re.sub(r',?process="\d+"', "", name): float(value) for name, _, value in found}


@probe("medium", "S1-139")
def the_process_says_that_it_answers(lab: Any) -> str:
    """A balancer gets 200 by address and over http, without a session, and learns nothing else."""
    person = lab.client()
    with _open(lab) as paths:
        lab.site.house.store.memory.clear()
        for client in (person, lab.visitor(peer=OUTSIDE)):
            client.scheme = "http"
            for host in ("10.0.0.7:8000", "elsewhere.invalid", lab.policy.app.origin.partition("://")[2]):
                with _no_database(lab):
                    reply = client.get(paths["health"], headers=[("Host", host)])
                if (reply.status, reply.text) != (200, '{"status": "ok"}'):
                    raise Broken(f"for {host}: {reply} {reply.text[:80]}")
                if reply.all("set-cookie") or reply.header("cache-control") != "no-store":
                    raise Broken(f"for {host}: {reply.headers}")
            for method, status in (("HEAD", 200), ("POST", 405), ("DELETE", 405)):
                if (reply := client.send(method, paths["health"])).status != status:
                    raise Broken(f"{method}: {reply}")
    return f"{paths['health']}: 200 under three names, without a database; POST and DELETE 405"


@probe("high", "S1-139")
def what_is_not_ready_is_noticed(lab: Any) -> str:
    """A database that is gone or of another version, an unread feed, a failed check: 503 until it is over."""
    house, stranger = lab.site.house, lab.visitor(peer=OUTSIDE)
    feed = house.store.feed
    with _open(lab) as paths:
        path = paths["ready"]

        def must(be: int, what: str) -> None:
            if (reply := _later(lab, stranger, path)).status != be:
                raise Broken(f"{what}: {reply}, expected {be}")

        must(200, "as it was")
        with _no_database(lab):
            must(503, "without a database")
        must(200, "with the database again")
        version = "UPDATE bylaw_version SET version_num = :to"
        with house.store.engine.connect() as connection:
            now = connection.execute(text("SELECT version_num FROM bylaw_version")).scalar_one()
        try:
            with house.store.transaction() as connection:
                connection.execute(text(version), {"to": "0000"})
            must(503, "with a database of another version")
        finally:
            with house.store.transaction() as connection:
                connection.execute(text(version), {"to": now})
        with lab.cut_off():
            must(503, "while the feed is not read")
        feed.read()
        for name, check in {"limiter": lambda: "Redis does not answer", "other": lambda: 1 / 0}.items():
            had = house.checks.get(name)
            house.checks[name] = check
            try:
                must(503, f"while the check {name} fails")
            finally:
                house.checks.pop(name)
                if had is not None:
                    house.checks[name] = had
        must(200, "in the end")
    return "five faults: 503 each, and 200 when they are over"


@probe("high", "S1-139")
def only_an_operator_learns_why(lab: Any) -> str:
    """What is not ready is named to a listed network alone, and no error's own words to anybody."""
    stranger, operator = lab.visitor(peer=OUTSIDE), lab.visitor(peer=INSIDE)
    with _open(lab) as paths:
        with _no_database(lab):
            inside = _later(lab, operator, paths["ready"])
            outside = _later(lab, stranger, paths["ready"])
            claimed = stranger.get(paths["ready"], headers=[("X-Forwarded-For", INSIDE)])
            relayed = operator.get(paths["ready"], headers=[("X-Forwarded-For", OUTSIDE)])
        well = _later(lab, stranger, paths["ready"])
    if "database" not in inside.text or inside.code != monitoring.NOT_READY.code:
        raise Broken(f"the operator is not told: {inside.text}")
    for what, reply in {"a stranger": outside, "a claim": claimed, "somebody passed on": relayed}.items():
        if reply.status != 503 or "errors" in reply.json():
            raise Broken(f"{what} is told {reply.text}")
    if "canary-of-the-inside" in inside.text + outside.text:
        raise Broken("the error's own words are in the answer")
    if well.text != '{"status": "ready"}':
        raise Broken(f"a stranger is told {well.text}")
    return "the operator: database; a stranger, a claim and somebody passed on: 503, and no more"


@probe("high", "S1-139")
def a_storm_of_questions_asks_once(lab: Any) -> str:
    """However often strangers ask whether it is ready, the checks are made once a second."""
    asked: list[int] = []
    checks = lab.site.house.checks
    with _open(lab) as paths:

        def counting() -> str:
            asked.append(1)
            return ""

        checks["counting"] = counting
        try:
            for _ in range(2):
                lab.clock.advance(monitoring.FRESH + 1)
                replies = lab.tasks([lab.visitor().prepared("GET", paths["ready"]) for _ in range(30)])
                replies += [lab.visitor().get(paths["ready"]) for _ in range(5)]
                if wrong := [str(r) for r in replies if r.status not in (200, 503)]:
                    raise Broken(f"in a storm: {wrong}")
        finally:
            checks.pop("counting")
    if len(asked) != 2:
        raise Broken(f"seventy questions in two seconds made the checks {len(asked)} times")
    return "seventy questions at two moments: two looks"


@probe("high", "S1-139")
def metrics_are_not_there_for_strangers(lab: Any) -> str:
    """Whoever is in no listed network gets what a path gets that nothing has, whatever they claim."""
    stranger, operator, admin = lab.visitor(peer=OUTSIDE), lab.visitor(peer=INSIDE), lab.administrator()
    admin.peer = OUTSIDE
    with _open(lab) as paths:
        path = paths["metrics"]
        claims = [(name, INSIDE) for name in ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Host")]
        answers = {f"{n}: {v}": stranger.get(path, headers=[(n, v)]) for n, v in claims}
        answers |= {method: stranger.send(method, path) for method in ("GET", "POST", "OPTIONS")}
        answers["an administrator"] = admin.get(path)
        answers["somebody passed on"] = operator.get(path, headers=[("X-Forwarded-For", OUTSIDE)])
        for what, reply in answers.items():
            if reply.status != 404 or reply.code != errors.NOT_FOUND.code or "bylaw_" in reply.text:
                raise Broken(f"{what}: {reply}")
        _samples(lab, path)
    return f"{len(answers)} ways of asking: 404; a listed network: the metrics"


@probe("medium", "S1-139")
def metrics_count_what_happened(lab: Any) -> str:
    """Answers by class and method, and refusals by reason, are counted one by one."""
    visitor = lab.visitor()
    with _open(lab) as paths:
        before = _samples(lab, paths["metrics"])
        for _ in range(3):
            visitor.get(lab.url("stylesheet"))
        visitor.send("POST", lab.api("sign_out"), headers=[("Origin", "https://elsewhere.invalid")])
        visitor.send("BREW", lab.url("stylesheet"))
        after = _samples(lab, paths["metrics"])
    refused = next((name for name in after if 'reason="csrf.cross_site"' in name), "")
    expected = {
        'bylaw_requests_total{method="GET",outcome="2xx"}': 4,  # the first scrape is one of them
        'bylaw_requests_total{method="POST",outcome="4xx"}': 1,
        'bylaw_requests_total{method="other",outcome="4xx"}': 1,
        refused: 1,
    }
    seen = {name: after.get(name, 0) - before.get(name, 0) for name in expected}
    if seen != expected:
        raise Broken(f"counted {seen}, expected {expected}")
    return "three answers, a refusal and a method that is none: counted"


@probe("high", "S1-139")
def nothing_of_a_request_is_in_a_metric(lab: Any) -> str:
    """A made-up method, path, host or header makes no series and no line of its own."""
    visitor = lab.visitor()
    with _open(lab) as paths:
        visitor.send("BREW", "/")
        before = _samples(lab, paths["metrics"])
        for n in range(30):
            word = f"{WORD}{n}"
            visitor.send(word, "/")
            visitor.get(f"/{word}", headers=[("User-Agent", word), ("X-Request-Id", word)])
            visitor.get("/", headers=[("Host", f"{word}.invalid")])
        visitor.send(f'{WORD}"}} 1', "/")
        after = _samples(lab, paths["metrics"])
    if any(WORD.lower() in name.lower() for name in after):
        raise Broken("what was sent in a request stands in a metric")
    if len(after) > len(before) + 6:
        raise Broken(f"ninety requests made {len(after) - len(before)} more series")
    return f"ninety made-up requests: {len(after) - len(before)} more series, nothing of them in one"


@probe("medium", "S2-043")
def a_database_that_grows_is_noticed(lab: Any) -> str:
    """Its size and its rows are measured, grow with it, and from the policy's size on the log warns, once."""
    said = "more than monitoring.database_size"
    with _open(lab) as paths, lab.under(monitoring.Settings, database_size=1 << 50):
        chore = monitoring.measuring(lab.site.house)
        before = _measured(lab, chore, paths["metrics"])
        warned = lab.logs.text.count(said)
        for _ in range(3):
            lab.client()
        lab.clock.advance(measures.ROWS_EVERY)
        after = _measured(lab, chore, paths["metrics"])
        with lab.under(monitoring.Settings, database_size=1):
            over = [_measured(lab, chore, paths["metrics"]) for _ in range(3)]
    told, rows = ('bylaw_database_bytes{part="data"}', 'bylaw_database_rows{table="users"}')
    if not before.get(told) or before.get("bylaw_database_over_limit{}") != 0:
        raise Broken(f"the size is not told: {before.get(told)}")
    if lab.site.house.store.engine.dialect.name == "sqlite" and after[rows] != before[rows] + 3:
        raise Broken(f"three more people, and the rows went from {before[rows]} to {after[rows]}")
    if over[0].get("bylaw_database_over_limit{}") != 1:
        raise Broken("a database over the limit is not told of")
    if (times := lab.logs.text.count(said) - warned) != 1:
        raise Broken(f"the log warned {times} times in three minutes")
    return f"{after[told]:,.0f} bytes, and three rows more; over the limit: told, and warned of once"


@probe("medium", "S2-042")
def a_backup_that_is_late_is_noticed(lab: Any) -> str:
    """No copy, and one that is older than the policy says, are told and warned of; a fresh one is not."""
    with tempfile.TemporaryDirectory(prefix="bylaw-backups-") as folder, _open(lab) as paths:
        settings = {"backups": folder, "backup_age": 3600}
        with lab.under(monitoring.Settings, **settings):
            chore, seen = monitoring.measuring(lab.site.house), []
            for name in ("", "app-20200101T000000Z.db", "app.db"):
                if name:
                    Path(folder, name).write_bytes(b"")
                seen.append(_measured(lab, chore, paths["metrics"]))
        lab.site.house.gauges.pop("backup_taken_seconds", None)
        lab.site.house.gauges.pop("backup_overdue", None)
        warned = f"no copy of the database in {folder}" in lab.logs.text
    overdue = [each.get("bylaw_backup_overdue{}") for each in seen]
    if overdue != [1, 1, 0] or not warned:
        raise Broken(f"without a copy, with an old and with a fresh one: {overdue}, warned: {warned}")
    return "none: late; one of 2020: late; one of now: not"


def _measured(lab: Any, chore: Any, path: str) -> dict[str, float]:
    """What an operator sees after the next look."""
    lab.clock.advance(measures.EVERY)
    chore()
    return _samples(lab, path)


@probe("low", "S1-139")
def a_policy_whose_paths_clash_does_not_start(lab: Any) -> str:
    """One path for two things, a path of bylaw's own pages, or a network that is none refuses to start."""
    settings = lab.policy.of(monitoring.Settings)
    wrong: list[dict[str, Any]] = [
        {"health": "/a", "ready": "/a"},
        {"metrics": f"{lab.policy.pages.prefix}/metrics"},
        {"networks": ("everybody",)},
        {"networks": ("10.0.0.1/8",)},
    ]
    for changes in wrong:
        controls = {**lab.policy.controls, "monitoring": settings.model_copy(update=changes)}
        if not list(monitoring.CONTROL.conflicts(replace(lab.policy, controls=controls))):
            raise Broken(f"a policy with {changes} would start")
    return f"{len(wrong)} policies, all refused"


PROBES: Final = (
    the_process_says_that_it_answers,
    what_is_not_ready_is_noticed,
    only_an_operator_learns_why,
    a_storm_of_questions_asks_once,
    metrics_are_not_there_for_strangers,
    metrics_count_what_happened,
    nothing_of_a_request_is_in_a_metric,
    a_database_that_grows_is_noticed,
    a_backup_that_is_late_is_noticed,
    a_policy_whose_paths_clash_does_not_start,
)
