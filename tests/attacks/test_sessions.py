"""Sessions: races, other processes, long times, whole tables."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest

from bylaw.exchange import Exchange, PairHeaders
from bylaw.keys import digest
from bylaw.store import sessions
from bylaw.verify.client import Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.starting import Elsewhere
from tests.applications import bare
from tests.attacks.interpreter import state

POLICY = Path(bare.POLICY)


def attributes(cookie: str) -> set[str]:
    return {part.strip().lower() for part in cookie.split(";")[1:]}


@pytest.mark.requirement("C-32", "S3-066")
def test_a036_no_request_that_races_with_signing_out_revives_the_session(
    laboratory: Laboratory,
) -> None:
    """Twenty requests with the cookie at the very moment of signing out: afterwards it is dead."""
    alice = laboratory.ordinary()
    copy = alice.cookies[laboratory.cookie]
    cookie = [("Cookie", f"{laboratory.cookie}={copy}")]
    token = alice.token()
    out = [*alice.from_here, ("X-CSRF-Token", token)]

    def one(number: int) -> Reply:
        if number == 7:
            return alice.send("POST", laboratory.api("sign_out"), headers=out, json={}, keep=False)
        return laboratory.visitor().get(laboratory.api("me"), headers=cookie)

    answers = laboratory.burst(one, 21)
    assert answers[7].status == 200
    assert {reply.status for reply in answers} <= {200, 401}
    for _ in range(3):
        laboratory.site.house.store.feed.read()  # another reading must not bring it back
        assert laboratory.visitor().get(laboratory.api("me"), headers=cookie).status == 401


def watch(elsewhere: Elsewhere, number: int) -> tuple[str, float]:
    """In another process: hold alice's session in memory, and see how long it is still accepted.

    Returns who she was, and by how many seconds the last acceptance came after its end.
    """
    site = elsewhere.site(POLICY)
    secret = elsewhere.environ["ALICES_COOKIE"]
    ready, ended = Path(elsewhere.environ["READY"]), Path(elsewhere.environ["ENDED"])
    try:
        first = _identity(site, secret)
        ready.write_text("ready")
        asked = time.monotonic()
        while (now := time.monotonic()) and _identity(site, secret):
            asked = now  # before the asking: whatever delays this process is no acceptance
            assert now - BEGAN < 60
        # Both processes read the machine's one monotonic clock.
        return first, asked - float(ended.read_text())
    finally:
        site.close()


BEGAN = time.monotonic()


def _identity(site: object, secret: str) -> str:
    pairs = [("Host", "app.lab"), ("Cookie", f"__Host-sid={secret}")]
    exchange = Exchange(method="GET", path="/", headers=PairHeaders(pairs))
    bare.driven(site.gate.deciding(exchange), b"")  # type: ignore[attr-defined]
    return exchange.identity.id if exchange.identity else ""


@pytest.mark.requirement("C-32")
def test_a036_a_second_process_heeds_it_within_the_bound(
    flask_laboratory: Laboratory, tmp_path: Path
) -> None:
    """Another process holds alice's session in memory; she signs out here, and within the policy's
    bound (a second) it is dead there too."""
    laboratory = flask_laboratory
    alice = laboratory.ordinary()
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    for pipe in (ready, ended):  # to read one is to wait for the other process
        os.mkfifo(pipe)
    laboratory.environ |= {
        "ALICES_COOKIE": alice.cookies[laboratory.cookie],
        "READY": str(ready),
        "ENDED": str(ended),
    }
    token = alice.token()

    def end() -> None:
        assert ready.read_text() == "ready"
        reply = alice.send(
            "POST", laboratory.api("sign_out"), json={}, headers=[*alice.from_here, ("X-CSRF-Token", token)]
        )
        ended.write_text(str(time.monotonic()))
        assert reply.status == 200

    def work(number: int) -> list[tuple[str, float]]:
        if number:
            return laboratory.processes(watch, 1)
        end()
        return []

    ((who, late),) = laboratory.burst(work, 2)[1]
    assert who == alice.id
    assert late < laboratory.policy.store.revocation_bound


@pytest.mark.requirement("S2-011", "C-32")
def test_a042_being_busy_does_not_prolong_a_session_for_ever(laboratory: Laboratory) -> None:
    """Used every half hour, a session still ends a day after signing in, and stays ended."""
    alice = laboratory.ordinary()
    copy = [("Cookie", f"{laboratory.cookie}={alice.cookies[laboratory.cookie]}")]
    began = laboratory.clock()
    while laboratory.clock() + 1800 < began + 86400:
        laboratory.clock.advance(1800)
        assert laboratory.whoami(alice).status == 200
    laboratory.clock.advance(86401 - (laboratory.clock() - began))
    assert laboratory.whoami(alice).status == 401
    laboratory.clock.advance(86400)
    assert laboratory.visitor().get(laboratory.api("me"), headers=copy).status == 401


@pytest.mark.requirement("S1-076", "S1-077", "S2-008", "S2-009")
def test_a039_every_cookie_of_every_answer_is_marked(laboratory: Laboratory) -> None:
    """Every route, as nobody and as everybody, with pages and data: no cookie leaves unmarked."""
    people = [laboratory.visitor(), laboratory.ordinary(), laboratory.administrator()]
    seen = 0
    for _, path, _ in laboratory.routes():
        for client in people:
            for method in ("GET", "HEAD", "OPTIONS"):
                for accept in ("text/html", "application/json"):
                    reply = client.send(method, path, headers=[("Accept", accept)], keep=False)
                    for cookie in reply.all("set-cookie"):
                        seen += 1
                        assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes(cookie)
                        assert "domain" not in cookie.lower()
    assert seen


@pytest.mark.requirement("S1-076", "S1-077", "S2-009")
@pytest.mark.parametrize(
    "cookie",
    [
        "a=1",
        "a=1; secure",
        "a=1; Path=/x",
        'a="x; Secure"',
        "a=secure",
        "a=1; Comment=Secure",
        "a=1; HttpOnly",
        "a=1; samesite=strict",
        "a=1;Max-Age=60",
        "a=",
        "__Host-a=1; Path=/",
        "a=1; HttpOnly=false",
        "a=1; SECURE; HTTPONLY",
    ],
)
def test_a039_an_applications_cookie_is_completed_once(laboratory: Laboratory, cookie: str) -> None:
    """An application sets a cookie as if there were no attackers; it leaves marked, each mark once."""
    with laboratory.answering(headers=[("Set-Cookie", cookie), ("Set-Cookie", "b=2")]):
        given = laboratory.visitor().get("/").all("set-cookie")
    assert len(given) == 2
    for text in given:
        # What stands in quotes is the value's own: a browser takes it for the next attribute.
        names = [part.strip().partition("=")[0].lower() for part in text.split(";")[1:]]
        for name in ("secure", "httponly", "samesite"):
            assert names.count(name) >= 1, text


@pytest.mark.requirement("S1-076")
def test_a039_no_cookie_for_every_site_without_a_declaration(laboratory: Laboratory) -> None:
    """An application's SameSite=None never leaves without Secure."""
    with laboratory.answering(headers=[("Set-Cookie", "a=1; SameSite=None")]):
        (given,) = laboratory.visitor().get("/").all("set-cookie")
    assert "secure" in attributes(given)


@pytest.mark.requirement("C-40")
def test_a044_a_secret_that_decodes_alike_is_another_one(laboratory: Laboratory) -> None:
    """The last character of a cookie has unused bits: a variant with the same bytes is refused."""
    alice = laboratory.ordinary()
    secret = alice.cookies[laboratory.cookie]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twins = [
        secret[:-1] + last
        for last in alphabet
        if last != secret[-1]
        and base64.urlsafe_b64decode(secret[:-1] + last + "=") == base64.urlsafe_b64decode(secret + "=")
    ]
    assert len(twins) == 3
    for twin in [*twins, secret.swapcase(), secret + "=", f'"{secret}"', secret.replace("A", "%41")]:
        if twin != secret:
            reply = laboratory.visitor().get(
                laboratory.api("me"), headers=[("Cookie", f"{laboratory.cookie}={twin}")]
            )
            assert reply.status == 401, twin


@pytest.mark.requirement("C-32")
def test_a045_a_thousand_made_up_ids_leave_nothing_behind(laboratory: Laboratory) -> None:
    """A robot makes up a thousand sessions: no row, nothing remembered, no record of each."""
    before, remembered = state(laboratory), len(laboratory.site.house.store.memory)
    records = len(laboratory.audit())
    visitor = laboratory.visitor()
    for number in range(1000):
        made_up = digest(str(number))[:43]
        reply = visitor.get(laboratory.api("me"), headers=[("Cookie", f"{laboratory.cookie}={made_up}")])
        assert reply.status == 401
    for _ in range(20):
        visitor.send("POST", laboratory.api("sign_out"), headers=visitor.from_here, json={})
    assert state(laboratory) == before
    assert len(laboratory.site.house.store.memory) == remembered
    assert len(laboratory.audit()) == records


@pytest.mark.requirement("C-32")
def test_a045_what_has_ended_is_cleared_away(flask_laboratory: Laboratory) -> None:
    """Sessions that nobody uses any more do not stay in the table."""
    laboratory = flask_laboratory
    for _ in range(5):
        laboratory.ordinary()
    laboratory.clock.advance(2 * 86400)
    for chore in laboratory.site.house.store.feed.chores:
        chore()
    with laboratory.site.house.store.reading() as connection:
        assert sessions.count(connection) == 0


@pytest.mark.requirement("S1-010", "C-40")
def test_a046_the_record_of_a_session_holds_no_secret(laboratory: Laboratory) -> None:
    """Somebody decodes the cookie and copies the table: random bytes, and hashes of them."""
    alice = laboratory.person("user")
    assert laboratory.sign_in(alice).status == 200
    secret = alice.cookies[laboratory.cookie]
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    dump = laboratory.dump()
    assert secret not in dump
    assert alice.password not in dump
    with laboratory.site.house.store.reading() as connection:
        row = sessions.find(connection, digest(secret))
    assert row is not None
    stored = {k: v for k, v in state(laboratory)["sessions"].copy().pop()}
    assert alice.email not in str(stored)
    assert alice.password not in laboratory.logs.text
