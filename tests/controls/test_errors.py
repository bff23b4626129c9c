"""Errors: a refusal says what was wrong with the request, and nothing about the inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, StreamingResponse
from flask import Flask, abort
from flask import Response as FlaskResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException
from werkzeug.exceptions import HTTPException as WerkzeugHTTPException

from bylaw import fastapi as on_fastapi
from bylaw import flask as on_flask
from bylaw.controls import errors
from bylaw.controls.errors import CONTROL, by_status, failed, probes, problem, verdict
from bylaw.exchange import Refuse, TextHead
from bylaw.fastapi import Public
from bylaw.flask import public
from bylaw.reasons import Reason, Refused
from bylaw.verify.client import Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.target import Target
from tests.controls.houses import Builder, exchange

CANARY = "canary-7f3a postgres://app:pw@db.people.test/app"
INSIDE = (
    CANARY,
    "canary",
    "Traceback",
    'File "',
    "Error(",
    "sqlalchemy",
    "sqlite3",
    "site-packages",
    "SELECT",
)
HTML, ANY, JSON = ("Accept", "text/html"), ("Accept", "*/*"), ("Accept", "application/json")
TYPE = ("Content-Type", "application/json")


def quiet(reply: Reply) -> None:
    """Nothing of the inside is in the answer."""
    said = f"{reply.text} {reply.headers}"
    assert [word for word in INSIDE if word in said] == []


class Strange(Exception):
    """An error whose text is an error."""

    def __str__(self) -> str:
        raise RuntimeError(CANARY)


class Draft(BaseModel):
    text: str
    number: int = 0


def _raised(name: str) -> Exception:
    """What a view may raise, each with a secret in its text."""
    try:
        raise KeyError(CANARY)
    except KeyError as error:
        cause = error
    made: dict[str, Exception] = {
        "runtime": RuntimeError(CANARY),
        "key": KeyError(CANARY),
        "strange": Strange(),
        "group": ExceptionGroup(CANARY, [ValueError(CANARY)]),
        "recursion": RecursionError(CANARY),
        "memory": MemoryError(CANARY),
        "unicode": UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
        "integrity": IntegrityError("INSERT", {"password": CANARY}, Exception(CANARY)),
        "statement": ProgrammingError("SELECT", {"id": CANARY}, Exception(CANARY)),
        "stop": StopIteration(CANARY),
        "assertion": AssertionError(CANARY),
        "os": OSError(5, CANARY),
    }
    made[name].__cause__ = cause
    return made[name]


RAISED = (
    "runtime",
    "key",
    "strange",
    "group",
    "recursion",
    "memory",
    "unicode",
    "integrity",
    "statement",
    "assertion",
    "os",
)
ABORTED = (
    400,
    404,
    405,
    406,
    408,
    409,
    410,
    412,
    413,
    415,
    418,
    422,
    428,
    429,
    431,
    451,
    500,
    501,
    502,
    503,
    504,
)


def _flask(file: Path) -> Flask:
    """Views that fail in every way, in Flask."""
    app = Flask("failing", root_path=str(file.parent), static_folder=None)
    bylaw = on_flask.Bylaw(app, file)

    @app.get("/raise/<name>")
    @public("raises")
    def raising(name: str) -> str:
        raise _raised(name)

    @app.get("/abort/<int:status>")
    @public("aborts")
    def aborting(status: int) -> str:
        error = WerkzeugHTTPException(CANARY)
        error.code = status
        raise error

    @app.get("/plain-abort/<int:status>")
    @public("aborts")
    def plain(status: int) -> str:
        abort(status, CANARY)

    @app.get("/own/<int:status>")
    @public("answers itself")
    def own(status: int) -> tuple[str, int]:
        return f"<h1>{CANARY}</h1>", status

    @app.get("/busy")
    @public("refuses with a reason")
    def busy() -> str:
        raise Refused(Reason("shop.closed", 503, "We are closed.", ""), headers=(("Retry-After", "9"),))

    @app.get("/broken-table")
    @public("asks a table that is not there")
    def table() -> str:
        with bylaw.engine.connect() as connection:
            connection.execute(text("SELECT secret FROM canary_table"))
        return ""

    @app.get("/stream")
    @public("streams")
    def stream() -> FlaskResponse:
        return FlaskResponse(_pieces(), content_type="text/plain")

    @app.get("/stream-late")
    @public("fails before the first piece")
    def late() -> FlaskResponse:
        return FlaskResponse(_no_piece(), content_type="text/plain")

    @app.get("/nothing")
    @public("answers nothing")
    def nothing() -> Any:
        return None

    @app.get("/torn")
    @public("tears its head")
    def torn() -> FlaskResponse:
        response = FlaskResponse("x")
        response.headers._list.append(("X-Torn", f"a\r\nSet-Cookie: {CANARY}"))
        return response

    bylaw.ready()
    return app


def _pieces() -> Iterator[str]:
    yield "first piece\n"
    raise RuntimeError(CANARY)


def _no_piece() -> Iterator[str]:
    if CANARY:
        raise RuntimeError(CANARY)
    yield "never reached"


def _fastapi(file: Path) -> FastAPI:
    """Routes that fail in every way, in FastAPI."""
    app = FastAPI(dependencies=[Public("fails")])
    bylaw = on_fastapi.Bylaw(app, file)

    @app.get("/raise/{name}")
    def raising(name: str) -> str:
        raise _raised(name)

    @app.get("/abort/{status}")
    def aborting(status: int) -> str:
        raise HTTPException(status, detail=CANARY if status >= 500 else "")

    @app.get("/plain-abort/{status}")
    async def plain(status: int) -> str:
        raise StarletteHTTPException(status)

    @app.get("/own/{status}")
    def own(status: int) -> HTMLResponse:
        return HTMLResponse(f"<h1>{CANARY}</h1>", status)

    @app.get("/busy")
    async def busy() -> str:
        raise Refused(Reason("shop.closed", 503, "We are closed.", ""), headers=(("Retry-After", "9"),))

    @app.get("/broken-table")
    def table() -> str:
        with bylaw.engine.connect() as connection:
            connection.execute(text("SELECT secret FROM canary_table"))
        return ""

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(_pieces(), media_type="text/plain")

    @app.get("/nothing", response_model=Draft)
    def nothing() -> dict[str, str]:
        return {"text": CANARY, "number": CANARY}

    @app.post("/draft")
    def draft(draft: Draft) -> str:
        return draft.text

    return app


FACTORIES: dict[str, Callable[[Path], Any]] = {"flask": _flask, "fastapi": _fastapi}


@pytest.fixture(scope="module", params=sorted(FACTORIES))
def failing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """An application whose every route fails."""
    file = tmp_path_factory.mktemp("failing") / "bylaw.toml"
    file.write_text('[app]\nname = "Failing"\n[roles]\nadmin = ["*"]\n')
    with Laboratory(Target("failing", lambda: FACTORIES[request.param](file))) as laboratory:
        yield laboratory


# What a refusal holds


@pytest.mark.requirement("C-23")
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "errors.malformed"),
        (404, "errors.not_found"),
        (405, "errors.method_not_allowed"),
        (413, "errors.too_large"),
        (415, "errors.unsupported_type"),
        (422, "errors.invalid"),
        (402, "errors.refused"),
        (409, "errors.refused"),
        (418, "errors.refused"),
        (429, "errors.refused"),
        (499, "errors.refused"),
        (500, "errors.internal"),
        (502, "errors.internal"),
        (503, "errors.unavailable"),
        (599, "errors.internal"),
    ],
)
def test_every_status_has_a_reason(status: int, code: str) -> None:
    """A framework's status is one of a closed set of reasons, which the documentation lists."""
    assert by_status(status).code == code
    assert by_status(status) in CONTROL.reasons


@pytest.mark.requirement("C-23", "S3-055")
def test_a_problem_is_rfc_9457() -> None:
    """Type, title, status, code and the request's id; detail, fields and headers where there are some."""
    asked = exchange("POST", "/x", request_id="r1")
    plain = problem(asked, Refuse(errors.INTERNAL))
    assert plain.status == 500
    assert json.loads(plain.body) == {
        "type": "urn:bylaw:errors.internal",
        "title": "Something went wrong on our side.",
        "status": 500,
        "code": "errors.internal",
        "detail": "Internal server error",
        "instance": "urn:request:r1",
    }
    assert plain.headers == [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    full = problem(asked, Refuse(errors.INVALID, "Why.", 400, (("X-A", "b"),), {"email": "needed"}))
    assert full.status == 400
    assert ("X-A", "b") in full.headers
    body = json.loads(full.body)
    assert (body["status"], body["detail"]) == (400, "Why.")
    assert body["errors"] == [{"pointer": "#/email", "detail": "needed"}]


@given(st.dictionaries(st.text(), st.text(), max_size=60), st.text())
def test_any_refusal_can_be_said(fields: dict[str, str], detail: str) -> None:
    """Whatever a field is called, lone surrogates and all: an answer in ASCII, of bounded length."""
    body = problem(exchange(), Refuse(errors.INVALID, detail, fields=fields)).body
    said = json.loads(body.decode("ascii"))
    assert len(said.get("errors", ())) == min(len(fields), 50)
    assert all(len(each["pointer"]) <= 102 and "<" not in each["pointer"] for each in said.get("errors", ()))


@pytest.mark.requirement("S3-053", "S3-055")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError(CANARY), 500),
        (OperationalError("SELECT", {}, Exception(CANARY)), 503),
        (InterfaceError("SELECT", {}, Exception(CANARY)), 503),
        (PoolTimeoutError(CANARY), 503),
        (IntegrityError("INSERT", {}, Exception(CANARY)), 500),
        (DBAPIError("SELECT", {}, Exception(CANARY)), 500),
        (TimeoutError(CANARY), 500),
        (SystemExit(CANARY), 500),
    ],
)
def test_what_a_failure_is_to_the_client(error: BaseException, status: int) -> None:
    """A database that does not answer is told to wait for; everything else is one and the same."""
    refuse = verdict(error)
    assert refuse.reason.status == status
    assert (status == 503) == any(name == "Retry-After" for name, _ in refuse.headers)
    assert CANARY not in repr(refuse)


@pytest.mark.requirement("S3-053", "S3-054")
def test_the_log_has_the_whole_story(caplog: pytest.LogCaptureFixture) -> None:
    """One entry with method, path, request id and traceback, on one line of its own making."""
    try:
        raise RuntimeError(CANARY)
    except RuntimeError as error:
        failed(exchange("GE\nT" + "x" * 50, "/a\x1b[2J\n" + "b" * 500, request_id="r7"), error)
    [entry] = caplog.records
    assert entry.levelname == "ERROR"
    assert entry.exc_info is not None
    message = entry.getMessage()
    assert "[r7]" in message
    assert message.isprintable()
    assert len(message) < 260


@pytest.mark.requirement("S3-053")
def test_every_answer_bears_its_id(tmp_path: Path) -> None:
    """The id stands on whatever leaves, in the place of what the application put there."""
    head = TextHead(200, [("X-Request-Id", "forged"), ("A", "b")])
    CONTROL.steps["depart"](Builder(tmp_path).house())(exchange(request_id="r9"), head)
    assert head.every("x-request-id") == ["r9"]


@pytest.mark.parametrize(
    ("line", "said"),
    [('off = true\nbecause = "no"', "failures would show the inside"), ("debug = true", "no such key")],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, line: str, said: str) -> None:
    """Nobody can choose to show the inside."""
    assert said in Builder(tmp_path).refusal(f"[errors]\n{line}")


def test_the_statement(tmp_path: Path) -> None:
    """SECURITY.md says what programs and people get."""
    assert "problem+json" in " ".join(CONTROL.statement(Builder(tmp_path).policy()))


# What goes wrong inside


@pytest.mark.requirement("S3-052", "S3-053", "S3-054", "S3-055")
@pytest.mark.parametrize("accept", [HTML, JSON, ANY, ("X-Nothing", "1"), ("Accept", "\x00")])
@pytest.mark.parametrize("name", RAISED)
def test_what_a_view_raises_stays_inside(failing: Laboratory, name: str, accept: tuple[str, str]) -> None:
    """Whatever is raised, for whomever: the fixed answer, and the story in the log under its id (A184)."""
    for client in (failing.visitor(), failing.administrator()):
        reply = client.get(f"/raise/{name}", headers=[accept])
        quiet(reply)
        assert reply.status == 500
        request_id = reply.header("x-request-id")
        assert request_id in reply.text
        if accept is not HTML:
            assert reply.json() == {
                "type": "urn:bylaw:errors.internal",
                "title": errors.INTERNAL.title,
                "status": 500,
                "code": "errors.internal",
                "detail": "Internal server error",
                "instance": f"urn:request:{request_id}",
            }
        assert any(request_id in line and "Traceback" in line for line in failing.logs.lines)


@pytest.mark.requirement("S3-053", "S3-054")
def test_a_failure_is_logged_once(failing: Laboratory) -> None:
    """One entry with the trace per failure: nobody has to guess which of two belongs to a request."""
    before = len(failing.logs.lines)
    failing.visitor().get("/raise/runtime")
    traced = [line for line in failing.logs.lines[before:] if "canary-7f3a" in line and "Traceback" in line]
    assert len(traced) == 1
    assert CANARY not in traced[0]  # its password (see logs)


@pytest.mark.requirement("S3-055", "C-23")
@pytest.mark.parametrize("status", ABORTED)
def test_aborting_has_the_same_shape(failing: Laboratory, status: int) -> None:
    """abort() and HTTPException keep their status and speak the policy's words."""
    for path in (f"/abort/{status}", f"/plain-abort/{status}"):
        reply = failing.visitor().get(path, headers=[JSON])
        if status >= 500 or failing.is_wsgi:
            quiet(reply)
        assert reply.status == status
        assert reply.header("content-type") == "application/problem+json"
        assert reply.json()["code"] == by_status(status).code
        page = failing.visitor().get(path, headers=[HTML])
        assert (page.status, page.header("content-type")) == (status, "text/html; charset=utf-8")


@pytest.mark.requirement("S1-032", "S1-033", "C-37")
def test_aborting_for_want_of_identity(failing: Laboratory) -> None:
    """401 gets its challenge, 403 its record, as if bylaw had refused."""
    visitor, client = failing.visitor(), failing.client()
    nobody = visitor.get("/abort/401", headers=[JSON])
    assert (nobody.status, nobody.code) == (401, "roles.unauthenticated")
    assert nobody.header("www-authenticate")
    somebody = client.get("/abort/403", headers=[JSON])
    assert (somebody.status, somebody.code) == (403, "roles.forbidden")
    assert len(failing.audit(action="authz_fail", user_id=client.id)) == 1


@pytest.mark.requirement("S3-052", "S3-055")
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_an_own_5xx_loses_its_body(failing: Laboratory, status: int) -> None:
    """A body that the application itself sends with a 5xx does not leave."""
    reply = failing.visitor().get(f"/own/{status}", headers=[JSON])
    quiet(reply)
    assert (reply.status, reply.code) == (status, by_status(status).code)


@pytest.mark.requirement("S3-055")
@pytest.mark.parametrize("status", [200, 400, 404, 418])
def test_an_own_answer_keeps_its_body(failing: Laboratory, status: int) -> None:
    """What the application says with any other status is its own."""
    assert CANARY in failing.visitor().get(f"/own/{status}").text


def test_a_reason_of_the_applications_own(failing: Laboratory) -> None:
    """A refusal with a 5xx of its own keeps code, sentence and Retry-After."""
    reply = failing.visitor().get("/busy")
    assert (reply.status, reply.code, reply.header("retry-after")) == (503, "shop.closed", "9")


@pytest.mark.requirement("S3-052", "S3-055")
@pytest.mark.parametrize("path", ["/broken-table", "/nothing"])
def test_the_database_and_the_framework_say_nothing(failing: Laboratory, path: str) -> None:
    """A failing query and an answer that is none are failures like any other (A184)."""
    reply = failing.visitor().get(path)
    quiet(reply)
    assert reply.status in (500, 503)


@pytest.mark.requirement("S3-052")
def test_a_stream_that_fails_says_nothing(failing: Laboratory) -> None:
    """What has begun to leave can only be cut: no trace follows the first piece."""
    try:
        reply = failing.visitor().get("/stream")
    except RuntimeError as cut:
        assert CANARY in str(cut)  # the server gets it, and cuts the connection
        return
    assert reply.text in ("", "first piece\n")


@pytest.mark.requirement("S3-052")
def test_a_stream_that_fails_at_once_is_an_error(failing: Laboratory) -> None:
    """Before the first piece there is still time for the fixed answer."""
    if not failing.is_wsgi:
        assert failing.visitor().get("/stream-late").status == 404
        return
    reply = failing.visitor().get("/stream-late")
    quiet(reply)
    assert reply.status == 500


def test_a_torn_head_does_not_leave(failing: Laboratory) -> None:
    """A header with a line break in it would begin another: the whole answer is replaced."""
    reply = failing.visitor().get("/torn")
    quiet(reply)
    assert reply.status in (500, 404)
    assert not reply.all("x-torn")


def test_a_head_request_has_no_body(failing: Laboratory) -> None:
    """HEAD gets status and headers of a refusal or a failure, and nothing else."""
    visitor = failing.visitor()
    with failing.raising(RuntimeError(CANARY)):
        replies = [visitor.send("HEAD", "/"), visitor.send("HEAD", failing.api("me"))]
    assert [(reply.status, reply.body) for reply in replies] == [(500, b""), (401, b"")]
    assert all(reply.header("x-request-id") for reply in replies)


# What is wrong with a request


@pytest.mark.requirement("C-11", "C-23", "S3-030")
@pytest.mark.parametrize(("what", "header", "body"), probes.JUNK, ids=[row[0] for row in probes.JUNK])
def test_junk_is_the_clients_mistake(
    laboratory: Laboratory, what: str, header: tuple[str, str], body: bytes
) -> None:
    """Megabytes, half objects, lies about the type: 4xx at every endpoint, and nothing changes (A186)."""
    client = laboratory.client()
    token = (client.token_header, client.token())
    for name in ("sign_in", "sign_up", "change_password", "sessions", "users"):
        for path in (laboratory.api(name), laboratory.url(name)):
            headers = [*client.from_here, token, header]
            reply = client.send("POST", path, headers=headers, body=body, keep=False)
            quiet(reply)
            assert 400 <= reply.status < 500, (path, str(reply))
            assert not reply.all("set-cookie")
    assert laboratory.whoami(client).status == 200


@pytest.mark.requirement("C-11", "S3-030")
@pytest.mark.parametrize(
    "document",
    [
        {"text": "canary", "number": "canary"},
        {"text": 1},
        {"text": ["canary"]},
        {},
        ["canary"],
        "canary",
        {"text": "x", "\ud800": "canary"},
        {"text": {"canary": "canary"}},
        None,
        1e300,
        {"number": "canary"},
    ],
)
def test_fastapis_own_refusals_repeat_nothing(tmp_path: Path, document: Any) -> None:
    """422 names the field and what is accepted; FastAPI itself would echo the value."""
    (tmp_path / "bylaw.toml").write_text("")
    target = Target("failing", lambda: _fastapi(tmp_path / "bylaw.toml"))
    with Laboratory(target) as laboratory:
        visitor = laboratory.visitor()
        reply = visitor.send(
            "POST", "/draft", headers=[*visitor.from_here, TYPE], body=json.dumps(document).encode()
        )
    if document == {"text": "x", "\ud800": "canary"}:
        assert (reply.status, reply.code) == (400, "body.not_unicode")
        return
    assert (reply.status, reply.code) == (422, "errors.invalid")
    assert "canary" not in reply.text
    assert all({"pointer", "detail"} == set(each) for each in reply.json()["errors"])


@pytest.mark.requirement("C-23")
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "PROPFIND", "FOO", "get"])
def test_a_method_that_is_not_there(laboratory: Laboratory, method: str) -> None:
    """405 says which methods there are; a method of nobody's is no way in."""
    client = laboratory.client()
    for path in (laboratory.api("sign_in"), laboratory.url("sign_in"), "/api/notes"):
        reply = client.send(
            method, path, headers=[*client.from_here, (client.token_header, client.token()), TYPE]
        )
        quiet(reply)
        assert reply.status in (403, 405, 501)
        if reply.status == 405:
            assert {"GET", "POST"} & set(reply.header("allow").replace(" ", "").split(","))


MARKUP = "<script>canary()</script>\"'{{7*7}}${7*7}"


@pytest.mark.requirement("C-23")
@pytest.mark.parametrize("accept", [HTML, JSON])
@pytest.mark.parametrize(
    "place",
    [
        "path",
        "own path",
        "query",
        "content-type",
        "accept",
        "user-agent",
        "origin",
        "x-request-id",
        "referer",
        "cookie",
        "method",
        "next",
        "field",
    ],
)
def test_a_refusal_reflects_nothing(laboratory: Laboratory, place: str, accept: tuple[str, str]) -> None:
    """Markup in any part of a request comes back escaped or not at all, under a strict policy (A188)."""
    visitor = laboratory.visitor()
    headers = [accept]
    method, path, how = "GET", "/no-such-place", dict[str, Any]()
    if place == "path":
        path = f"/{MARKUP}/x"
    elif place == "own path":
        path = f"{laboratory.policy.pages.prefix}/{MARKUP}"
    elif place == "query":
        path += f"?{MARKUP}={MARKUP}"
    elif place == "method":
        method = "<script>"
    elif place == "next":
        path = f"{laboratory.url('sign_in')}?next={MARKUP}&notice={MARKUP}"
    elif place == "cookie":
        headers.append(("Cookie", f"a={MARKUP.replace(';', '')}"))
    elif place == "field":
        method, path = "POST", laboratory.api("sign_in")
        headers += visitor.from_here
        how = {"json": {MARKUP: MARKUP, "email": MARKUP}}
    elif place == "content-type":
        method, path = "POST", laboratory.api("sign_in")
        headers += [*visitor.from_here, ("Content-Type", MARKUP)]
        how = {"body": b"x"}
    else:
        headers.append((place, MARKUP))
    reply = visitor.send(method, path, headers=headers, **how)
    assert 200 <= reply.status < 500
    said = f"{reply.text} {reply.headers}"
    assert "<script>canary" not in said
    assert reply.header("content-security-policy")
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.requirement("S3-053")
def test_a_request_id_is_not_the_clients(laboratory: Laboratory) -> None:
    """The id in answer and log is made here: nobody can forge it or fill it with something else."""
    visitor = laboratory.visitor()
    ids = {visitor.get("/", headers=[("X-Request-Id", "forged")]).header("x-request-id") for _ in range(20)}
    assert len(ids) == 20
    assert all(each.isalnum() and len(each) == 16 for each in ids)
