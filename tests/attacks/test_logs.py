"""Logs: what an application itself logs of a request, what a flood leaves, and an id of a client's own."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import logs
from bylaw.controls.logs import output, records
from bylaw.hashing import HashPool
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.applications.stacks import hurry

CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}
FORGED = "2026-01-01 INFO root signed in"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.canary-signature"


class Kept(logging.Handler):
    """What an operator's file would hold, in both forms, at the lowest level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.json: list[str] = []
        self.text: list[str] = []
        self._forms = output.formatter("json"), output.formatter("text")

    def emit(self, record: logging.LogRecord) -> None:
        self.json.append(self._forms[0].format(record))
        self.text.append(self._forms[1].format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, root = Kept(), logging.getLogger()
    level = root.level
    records.again()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.requirement("S1-109")
def test_a172_what_an_application_logs_of_a_request_is_one_line(laboratory: Laboratory, kept: Kept) -> None:
    """User agent, referrer, basic-auth user and JSON keys with line breaks, logged as they came."""
    log = logging.getLogger("shop")
    for between in ("\r\n", "\n", "\r", "\x85", "\u2028", "\x1b[1A"):
        sent = f"x{between}{FORGED}"
        log.warning("agent %s, referrer %s", sent, sent, extra={"user": sent, "body": {sent: sent}})
        with laboratory.raising(ValueError(sent)):
            laboratory.visitor().get("/")
    for line in kept.json:
        assert len(line.splitlines()) == 1
        assert "event" in json.loads(line)
    for event in kept.text:
        assert not any(line.startswith(FORGED) for line in event.splitlines())
    assert not any(line.startswith(FORGED) for line in laboratory.logs.text.splitlines())


@pytest.mark.requirement("S1-106", "S1-107", "S3-037", "S3-038", "S3-056", "C-14")
def test_a174_a_failing_view_with_everything_in_its_hands(laboratory: Laboratory, kept: Kept) -> None:
    """The error's text repeats headers, body and local variables: the log has the id and the trace alone."""
    person = laboratory.ordinary()
    session = person.cookies[laboratory.cookie]
    canaries = [session, "canary-api-key", "canary-password", "canary-signature", "canary-csrf"]
    headers = {"Cookie": f"sid={session}", "X-API-Key": "canary-api-key", "Authorization": f"Bearer {TOKEN}"}
    body = json.dumps({"user": {"password": "canary-password"}, "csrf_token": "canary-csrf"})
    reply = None
    for text in (f"{headers} {body}", f"{list(headers.items())}", f"headers={headers!r}&token={TOKEN}"):
        with laboratory.raising(RuntimeError(text)):
            reply = person.get("/", headers=[("X-API-Key", "canary-api-key")])
    assert reply is not None
    said = "\n".join([*kept.json, *kept.text, laboratory.logs.text])
    assert not [canary for canary in canaries if canary in said]
    assert reply.header("x-request-id") in said
    assert "Traceback" in said


@pytest.mark.requirement("S1-106", "S3-038", "S3-056", "C-14")
def test_a174_an_error_reporter_gets_the_same(laboratory: Laboratory) -> None:
    """`scrub` is for a reporter's hook: an event with request, frames and their variables."""
    event = {
        "request": {
            "url": "https://app.lab/reset?token=canary-1",
            "headers": [["Cookie", "sid=canary-2"], ["X-Api-Key", "canary-3"], ["Host", "app.lab"]],
            "data": b"password=canary-4&a=1",
        },
        "exception": {"values": [{"type": "ValueError", "value": f"bad token {TOKEN}"}]},
        "frames": [{"vars": {"self": "<App>", "password": "canary-5", "api_key": ["canary-6"]}}],
        "secret": laboratory.environ["SECRET_KEY"],
        "extra": {"config": f"key is {laboratory.environ['SECRET_KEY']}"},
    }
    said = repr(logs.scrub(event))
    assert "canary" not in said
    assert laboratory.environ["SECRET_KEY"] not in said
    assert "['Host', 'app.lab']" in said
    assert "<App>" in said


@pytest.mark.requirement("S1-106", "S1-107", "S3-036", "S3-038")
@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR], ids=logging.getLevelName)
def test_a176_secrets_under_unusual_names(laboratory: Laboratory, kept: Kept, level: int) -> None:
    """Spellings, lists, bytes and form bodies that an application logs while it looks for a mistake."""
    log = logging.getLogger("shop")
    for name in ("Password", "passWord", "pwd", "new_password1", "client-secret", "apiKey"):
        log.log(level, "data %s", {name: "canary", "list": [{name: ["canary"]}], "pair": (name, "canary")})
        log.log(level, "raw %r", f"{name}=canary&next=/".encode())
        log.log(level, "json %s", json.dumps({"a": {name: b"canary".decode()}}))
    log.log(level, "tokens %s", [TOKEN, {"tokens": [TOKEN]}])
    assert len(kept.json) == 19
    assert "canary" not in "\n".join([*kept.json, *kept.text])


@pytest.mark.requirement("S3-070", "C-26")
def test_a176_a_name_that_nobody_has_is_not_written(laboratory: Laboratory, kept: Kept) -> None:
    """Somebody typed a password where the name goes: it is in no line about the failure."""
    hurry(laboratory)
    for name in ("canary-password-as-a-name", "canary@people.test"):
        stranger = laboratory.person()
        stranger.email = name
        assert laboratory.sign_in(stranger).status in (400, 401, 422)
    said = "\n".join([*kept.json, *kept.text])
    assert "canary" not in said


@pytest.mark.requirement("S1-105", "S3-070")
def test_a177_a_storm_of_failures_is_counted(laboratory: Laboratory, kept: Kept) -> None:
    """Thousands of wrong passwords a minute: sixty lines and a number, not a full disk."""
    hurry(laboratory)
    laboratory.site.house.hashes = HashPool(mebibytes=64, each=1, waiting=60)
    person = laboratory.person()
    for _ in range(3 * records.A_MINUTE):
        laboratory.sign_in(person, "wrong password")
    lines = [json.loads(line) for line in kept.json if '"user authentication' in line]
    assert len(lines) == records.A_MINUTE
    assert "more like this are counted" in lines[-1]["event"]
    assert max(len(line) for line in kept.json) < 2_000


@pytest.fixture(params=sorted(CREATE))
def taking_ids(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    """A laboratory whose policy takes a proxy's ids."""
    file = tmp_path / "bylaw.toml"
    file.write_text(f'{flask_app.POLICY.read_text("utf-8")}\n[logs]\nrequest_id_header = "X-Request-Id"\n')
    with Laboratory(Target("notes", lambda: CREATE[request.param](file))) as laboratory:
        yield laboratory


@pytest.mark.requirement("S1-109")
@pytest.mark.parametrize(
    "sent",
    [
        "x\r\nX-Evil: 1",
        "xxxxxxxx\r\nX-Evil: 1",
        "xxxxxxxx\nX-Evil: 1",
        "xxxxxxxx\0",
        "xxxxxxxx;a=b",
        "<script>x</script>",
        "x" * 5_000,
        "",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_an_id_of_a_client_adds_no_header(taking_ids: Laboratory, kept: Kept, sent: str) -> None:
    """What is no id is neither repeated in a header nor written into a line (A136)."""
    for path in ("/", "/broken"):
        reply = taking_ids.visitor().get(path, headers=[("X-Request-Id", sent)])
        assert len(reply.header("x-request-id")) == 16
        assert reply.all("x-evil") == []
    assert "X-Evil" not in "\n".join(kept.json)


@pytest.mark.requirement("S1-109")
def test_an_id_of_a_proxy_is_in_every_line(taking_ids: Laboratory, kept: Kept) -> None:
    """Requests at once, each with its own id: no line bears another's."""
    seen: dict[str, str] = {}

    def ask(number: int) -> None:
        given = f"proxy-{number:04}"
        seen[given] = (
            taking_ids.visitor().get("/broken", headers=[("X-Request-Id", given)]).header("x-request-id")
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(given == answered for given, answered in seen.items())
    lines = [json.loads(line) for line in kept.json]
    failures = [line for line in lines if line["logger"] == "bylaw.errors"]
    assert sorted(line["request_id"] for line in failures) == sorted(seen)
    assert all(line["request_id"] in line["event"] for line in failures)
