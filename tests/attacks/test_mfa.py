"""What data cannot express of second factors: the same moment, a race for the last one, other ways in."""

from __future__ import annotations

import pytest

from bylaw.controls.mfa.probes import enrol
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry


def show(laboratory: Laboratory, client: Client, code: str) -> Reply:
    return client.act("POST", laboratory.api("second_factor"), json={"code": code})


@pytest.mark.requirement("S3-083")
def test_one_session_cannot_go_on_twice(laboratory: Laboratory) -> None:
    """Twenty times the same half sign-in with a right code at once: one session comes of it, not twenty."""
    hurry(laboratory)
    owner = laboratory.client("user")
    app = enrol(laboratory, owner)
    half = laboratory.browser(owner)
    token, codes = half.token(), [app.shown(steps=1), *app.codes]

    def send(number: int) -> Reply:
        headers = [*half.from_here, (half.token_header, token)]
        sent = {"code": codes[number % len(codes)]}
        return half.send("POST", laboratory.api("second_factor"), headers=headers, json=sent, keep=False)

    replies = laboratory.burst(send, 20)
    assert [reply.status for reply in replies].count(200) == 1
    assert {reply.status for reply in replies} <= {200, 400, 401, 403}


@pytest.mark.requirement("S3-083", "S1-156")
def test_tasks_of_one_loop_are_counted_one_by_one(laboratory: Laboratory) -> None:
    """Guesses as tasks of one event loop are no more than guesses one by one."""
    hurry(laboratory)
    owner = laboratory.client("user")
    enrol(laboratory, owner)
    sent = []
    for number in range(40):
        half = laboratory.browser(owner)
        half.peer = f"2001:db8:{number:x}::1"
        headers = [*half.from_here, (half.token_header, half.token())]
        path = laboratory.api("second_factor")
        sent.append(half.prepared("POST", path, headers=headers, json={"code": "no code"}))
    with laboratory.paced():
        codes = [reply.code for reply in laboratory.tasks(sent)]
    assert (codes.count("mfa.wrong"), codes.count("mfa.wait")) == (5, 35)


@pytest.mark.requirement("S3-083")
def test_a_password_changed_by_mail_still_asks_for_the_second(laboratory: Laboratory) -> None:
    """A075: whoever has the mailbox as well chooses a password, and stands at the second factor again."""
    hurry(laboratory)
    owner = laboratory.client("user")
    enrol(laboratory, owner)
    thief = laboratory.visitor()
    thief.email, thief.password = owner.email, owner.password
    for method in ("reset", "email", "federated", "invitation"):
        thief.id = owner.id
        laboratory.open_session(thief, method=method, assurance=1)
        assert laboratory.whoami(thief).code == "sessions.unfinished"
        assert (
            thief.page(laboratory.url("account"))
            .header("location")
            .startswith(laboratory.url("second_factor"))
        )


@pytest.mark.requirement("S3-083")
def test_an_open_stream_is_not_opened_by_a_password(laboratory: Laboratory) -> None:
    """A WebSocket handshake with half a sign-in is refused as a stranger's is."""
    hurry(laboratory)
    owner = laboratory.client("user")
    enrol(laboratory, owner)
    half = laboratory.browser(owner)
    sockets = [path for method, path, _ in laboratory.routes() if method == "WEBSOCKET"]
    if laboratory.is_wsgi:
        assert not sockets
        return
    for path in sockets:
        asked = half.prepared("GET", laboratory.sample(path), headers=half.from_here)
        assert laboratory.transport.handshake(asked).status == 403  # type: ignore[attr-defined]
    assert laboratory.whoami(half).status == 401


@pytest.mark.requirement("S3-083")
def test_nothing_about_a_factor_is_in_the_log_or_the_audit_log(laboratory: Laboratory) -> None:
    """Neither a secret nor a code, right or wrong, is written anywhere that people read."""
    hurry(laboratory)
    owner = laboratory.client("user")
    app = enrol(laboratory, owner)
    half = laboratory.browser(owner)
    tried = [app.shown(steps=1), app.codes[0], "guess-of-mine"]
    for code in reversed(tried):
        show(laboratory, laboratory.browser(owner), code)
    owner.act("POST", laboratory.api("step_up"), json={"code": app.codes[1]})
    written = laboratory.logs.text + str(laboratory.audit(limit=1000)) + laboratory.dump()
    for text in (app.secret, *tried[1:], app.codes[1], app.codes[1].replace("-", "")):
        assert text not in written
    assert half.id == owner.id
