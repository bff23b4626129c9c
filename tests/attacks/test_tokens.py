"""Attacks with access tokens that data cannot express: in another process, by somebody who acts as another,
and while somebody is signing in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bylaw.controls import sessions, tokens
from bylaw.controls.tokens import form
from bylaw.operations import tokens as verbs
from bylaw.operations.authority import SYSTEM
from bylaw.verify.laboratory import Laboratory
from tests.attacks.test_sessions import watch


@pytest.mark.requirement("S2-046", "S2-068", "C-05", "C-06")
def test_a_second_process_heeds_a_revocation_within_the_bound(
    flask_laboratory: Laboratory, tmp_path: Path
) -> None:
    """A thief's session, opened with a token, is in another process's memory: revoking the token ends it
    there within the policy's bound, a second."""
    laboratory = flask_laboratory
    alice, thief = laboratory.ordinary(), laboratory.visitor()
    stolen = laboratory.token(alice)
    assert laboratory.sign_in_with(thief, stolen.secret).status == 200
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    for pipe in (ready, ended):  # to read one is to wait for the other process
        os.mkfifo(pipe)
    laboratory.environ |= {
        "ALICES_COOKIE": thief.cookies[laboratory.cookie],
        "READY": str(ready),
        "ENDED": str(ended),
    }
    alice.token()  # of the page, asked for before

    def end() -> None:
        assert ready.read_text() == "ready"
        body = {"action": "revoke", "token": stolen.id}
        reply = alice.act("POST", laboratory.api("tokens"), json=body)
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


@pytest.mark.requirement("S2-046")
def test_what_an_administrators_token_opened_ends_with_it(laboratory: Laboratory) -> None:
    """A thief with an administrator's token acts as somebody else: revoking the token ends that session too,
    which is another account's."""
    with laboratory.under(sessions.Settings, impersonation=True):
        chief, victim = laboratory.administrator(), laboratory.ordinary()
        stolen, thief = laboratory.token(chief), laboratory.visitor()
        assert laboratory.sign_in_with(thief, stolen.secret).status == 200
        thief.token_page = laboratory.url("sessions")
        path = laboratory.api("act_as").replace("{id}", victim.id)
        reply = thief.act("POST", path, json={"reason": "a thief's"})
        if reply.status == 401:  # the role asks for a second factor, which the thief does not have
            return
        assert laboratory.whoami(thief).json()["id"] == victim.id
        verbs.revoke(laboratory.site.house, SYSTEM, stolen.id)
        assert laboratory.whoami(thief).status == 401
        assert laboratory.whoami(victim).status == 200


@pytest.mark.requirement("S2-067", "S2-065")
def test_a_token_works_from_anywhere_and_each_browser_has_a_session(laboratory: Laboratory) -> None:
    """Possession is all that it takes, which the list of sessions shows to its owner; signing out of one
    browser ends neither the token nor the other browser."""
    token = laboratory.token(laboratory.ordinary()).secret
    here, there = laboratory.visitor(), laboratory.visitor(peer="203.0.113.9")
    for browser in (here, there):
        assert laboratory.sign_in_with(browser, token).status == 200
    assert here.cookies[laboratory.cookie] != there.cookies[laboratory.cookie]
    here.token_page = laboratory.url("sessions")
    assert here.act("POST", laboratory.api("sign_out"), json={}).status == 200
    assert laboratory.whoami(here).status == 401
    assert laboratory.whoami(there).status == 200
    assert laboratory.sign_in_with(laboratory.visitor(), token).status == 200


@pytest.mark.requirement("S2-006", "S2-071")
def test_signing_in_with_a_token_replaces_the_session_that_was_there(laboratory: Laboratory) -> None:
    """A browser in which somebody planted a session is not the planter's afterwards (session fixation)."""
    browser = laboratory.ordinary()
    planted = browser.cookies[laboratory.cookie]
    owner = laboratory.ordinary()
    reply = browser.act(
        "POST", laboratory.api("sign_in_token"), json={"token": laboratory.token(owner).secret}
    )
    assert reply.status == 200
    assert laboratory.whoami(browser).json()["id"] == owner.id
    thief = laboratory.visitor()
    thief.cookies[laboratory.cookie] = planted
    assert laboratory.whoami(thief).status == 401


@pytest.mark.requirement("S2-005", "C-40")
def test_a_digest_in_the_place_of_a_token_and_the_other_way_round(laboratory: Laboratory) -> None:
    """Whoever reads the table cannot sign in by it, and whoever writes a token's text into it neither."""
    from bylaw.store.tables import access_tokens

    given = laboratory.token(laboratory.ordinary())
    kept = tokens.stored(laboratory.policy, given.secret)
    assert laboratory.sign_in_with(laboratory.visitor(), kept).status == 401
    with laboratory.site.house.store.transaction() as connection:
        mine = access_tokens.c.id == given.id
        connection.execute(access_tokens.update().where(mine).values(digest=given.secret[:64]))
    assert laboratory.sign_in_with(laboratory.visitor(), given.secret).status == 401


@pytest.mark.requirement("C-41", "S2-004")
def test_guessing_at_a_token_costs_the_same_whatever_is_guessed(laboratory: Laboratory) -> None:
    """No guess is hashed as a password is, and none says whether it was nearly right."""
    good = laboratory.token(laboratory.ordinary()).secret
    head = tokens.head(laboratory.policy)
    near = [good[:-1], good + "0", good[:-6], good[len(head) : -1], form.make(head, b"\x00" * 32), head]
    replies = [laboratory.sign_in_with(laboratory.visitor(), guess) for guess in near]
    assert {(reply.status, reply.code) for reply in replies} == {(401, "tokens.wrong")}
    assert len({reply.json()["title"] for reply in replies}) == 1


@pytest.mark.requirement("S2-040", "C-40")
def test_neither_log_nor_record_nor_mail_has_it(laboratory: Laboratory) -> None:
    """Made, used, mistyped, replaced and revoked: nothing that is written down holds a token."""
    person = laboratory.ordinary()
    made = person.act("POST", laboratory.api("token_new"), json={"name": "phone"}).json()
    laboratory.sign_in_with(laboratory.visitor(), made["token"])
    laboratory.sign_in_with(laboratory.visitor(), made["token"] + "x")
    body = {"action": "replace", "token": made["id"]}
    new = person.act("POST", laboratory.api("tokens"), json=body).json()
    verbs.revoke(laboratory.site.house, SYSTEM, new["id"])
    mail = "".join(message.as_string() for message in laboratory.mail())
    for token in (made["token"], new["token"]):
        part = token.rpartition("_")[2][:16]
        for place in (laboratory.logs.text, laboratory.dump(), str(laboratory.audit(limit=200)), mail):
            assert part not in place
