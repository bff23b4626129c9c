"""Password reset: what the policy may say, what browsers and programs see of it, and what it proves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bylaw import document
from bylaw.controls import cookies, reset
from bylaw.controls.reset import CONTROL, Settings
from bylaw.document.endings import endings
from bylaw.document.evidence import Evidence, Proof
from bylaw.keys import digest
from bylaw.reasons import Refused
from bylaw.store.counters import Lost
from bylaw.store.tables import ceremonies
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications.stacks import hurry
from tests.attacks.interpreter import newest_link
from tests.controls.houses import Builder

NEW = "seven grey herons over cold marshes"
MTC = Path(__file__).resolve().parents[2] / "apps" / "mtc" / "bylaw.toml"


def ask(laboratory: Laboratory, email: str, **how: Any) -> Reply:
    visitor = laboratory.visitor()
    path, here = laboratory.api("forgot_password"), visitor.from_here
    return visitor.send("POST", path, headers=here, json={"email": email}, **how)


def link(laboratory: Laboratory, client: Client) -> str:
    assert ask(laboratory, client.email).status == 202
    return newest_link(laboratory, client.email)


def opened(laboratory: Laboratory, token: str) -> Client:
    """A browser that has opened a link, and stands before its form."""
    visitor = laboratory.visitor()
    reply = visitor.page(f"{laboratory.url('reset_password')}/{token}")
    assert (reply.status, reply.header("location")) == (303, laboratory.url("reset_password"))
    visitor.token_page = laboratory.url("reset_password")
    return visitor


def submit(laboratory: Laboratory, visitor: Client, password: str = NEW) -> Reply:
    form = [("csrf_token", visitor.token()), ("password", password)]
    headers = [("Accept", "text/html"), *visitor.from_here]
    return visitor.send("POST", laboratory.url("reset_password"), form=form, headers=headers)


# The policy


@pytest.mark.requirement("S1-013", "C-35")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('lifetime = "25h"', "86400 seconds or less"),
        ('lifetime = "1m"', "300 seconds or more"),
        ("per_account = 0", "1 or more"),
        ("per_account = 21", "20 or less"),
        ("per_address = 0", "1 or more"),
        ("for_ever = true", "no such key"),
        ("off = true", "because"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    """More than the day that NIST SP 800-63B-4 4.2 allows, or no limit at all, refuses to start."""
    assert said in Builder(tmp_path).refusal(f"[reset]\n{text}\n")


@pytest.mark.requirement("C-35")
@pytest.mark.parametrize(("text", "below"), [("1h", []), ("24h", ["lifetime"]), ("61m", ["lifetime"])])
def test_what_is_below_the_standard(tmp_path: Path, text: str, below: list[str]) -> None:
    """The default is an hour; the day of the first source policy is allowed, and printed."""
    policy = Builder(tmp_path).policy(f'[reset]\nlifetime = "{text}"\nbecause = "it was promised so"\n')
    assert [found.key for name, found, _ in policy.below_standard() if name == "reset"] == below
    assert Settings().lifetime == 3600


@pytest.mark.requirement("S1-013", "C-35")
def test_mtc_has_its_day(tmp_path: Path) -> None:
    """The company's policy promises 24 hours, and its file says why that is more than it should be."""
    text = MTC.read_text("utf-8")
    assert re.search(r'\[reset\]\nlifetime = "24h"\nbecause = "', text)
    assert '"/api/forgot_password" = "/auth/api_forgot_password"' in text


def test_what_the_document_says(tmp_path: Path) -> None:
    """The numbers are the policy's."""
    policy = Builder(tmp_path).policy('[reset]\nlifetime = "30m"\nper_account = 3\nper_address = 7\n')
    text = " ".join(CONTROL.statement(policy))
    for words in ("30 minutes", "3 links an hour", "7 may be asked for", "SHA-256", "(#what-ends-with-what)"):
        assert words in text


@pytest.mark.requirement("C-41")
def test_the_document_prints_what_ends_with_what(tmp_path: Path) -> None:
    """The table that the operations enforce, with the probe that looked at its cells, or that none did."""
    policy = Builder(tmp_path).policy()
    text = document.security_md(policy, None)
    assert "## What ends with what\n" in text
    assert endings() in text
    assert "Not looked at by a probe yet." in text
    proof = {"reset": Proof(passed=8, sabotages=2, caught=2)}
    proven = Evidence("2026-11-21", "p", controls=proof)
    assert "was looked at on 2026-11-21 by the probe `reset.an_event_ends_what_the_table_says`" in (
        document.security_md(policy, proven)
    )
    for bad in (Proof(passed=7, failed=1), Proof(passed=7, not_examined=1), Proof()):
        evidence = Evidence("2026-11-21", "p", controls={"reset": bad})
        assert "Not looked at by a probe yet." in document.security_md(policy, evidence)
    page = Path(__file__).resolve().parents[2] / "docs" / "controls" / "reset.md"
    assert endings() in page.read_text("utf-8")


@pytest.mark.requirement("S1-041", "S1-042", "S1-040")
@pytest.mark.parametrize("path", ["/auth/api_forgot_password", "/api/forgot_password"])
def test_mtcs_doors_for_scripts(path: str) -> None:
    """Both take JSON of this site without a token, from somebody signed in too; no form, nobody else's."""
    with Laboratory(Target.named("apps.mtc")) as laboratory:
        person = laboratory.client("user")
        asked = {"json": {"email": person.email}}
        assert person.send("POST", path, headers=person.from_here, **asked).status == 202
        assert laboratory.visitor().send("POST", path, **asked).status == 202
        for headers in ([("Origin", "https://evil.test")], [("Sec-Fetch-Site", "cross-site")]):
            assert person.send("POST", path, headers=headers, **asked).code == "csrf.cross_site"
        assert person.send("POST", path, **asked).code == "csrf.no_origin"
        form = {"form": {"email": person.email}}
        assert person.send("POST", path, headers=person.from_here, **form).code == "csrf.not_json"
        assert newest_link(laboratory, person.email)


# Asking


@pytest.mark.requirement("S1-012", "S1-041", "S1-042")
def test_asking_by_page_and_by_program(laboratory: Laboratory) -> None:
    """Both have their door; the page says what follows, to everybody the same."""
    hurry(laboratory)
    person, visitor = laboratory.person("user"), laboratory.visitor()
    assert "Forgot your password?" in visitor.page(laboratory.url("sign_in")).text
    visitor.token_page = laboratory.url("forgot_password")
    form = [("csrf_token", visitor.token()), ("email", person.email)]
    headers = [("Accept", "text/html"), *visitor.from_here]
    reply = visitor.send("POST", laboratory.url("forgot_password"), form=form, headers=headers)
    assert reply.status == 303
    assert "a link is on its way" in visitor.page(reply.header("location")).text
    assert newest_link(laboratory, person.email)
    assert ask(laboratory, person.email).json() == {
        "message": "If there is an account with that address, a link is on its way."
    }


def test_where_nobody_may_ask(laboratory: Laboratory) -> None:
    """Switched off, the pages send people to an administrator, whose links still work."""
    hurry(laboratory)
    person = laboratory.person("user")
    token = link(laboratory, person)
    with laboratory.under(Settings, off=True, because="accounts are the directory's"):
        visitor = laboratory.visitor()
        assert (ask(laboratory, person.email).code, ask(laboratory, "x@people.test").code) == (
            "reset.closed",
        ) * 2
        assert visitor.page(laboratory.url("forgot_password")).status == 403
        assert "Forgot your password?" not in visitor.page(laboratory.url("sign_in")).text
        ended = visitor.page(f"{laboratory.url('reset_password')}/nothing").text
        assert "An administrator can mail you a new one." in ended
        assert submit(laboratory, opened(laboratory, token)).status == 303


@pytest.mark.requirement("C-41")
def test_counters_that_are_lost_let_people_ask(tmp_path: Path) -> None:
    """Redis is away: the limit of each account stands in the database, and nobody is kept out."""
    house = Builder(tmp_path).house("[reset]\nper_address = 1\n")

    class Away:
        def over(self, groups: object) -> Any:
            def take(keys: object, now: float) -> Any:
                raise Lost("away")

            return take

    reset.pace(house, "192.0.2.1")
    with pytest.raises(Refused) as refused:
        reset.pace(house, "192.0.2.1")
    assert refused.value.reason is reset.WAIT
    reset.pace(house, "")  # at the command line there is no address
    house.counters = Away()  # type: ignore[assignment]
    reset.pace(house, "192.0.2.1")


# Opening


@pytest.mark.requirement("S1-016", "C-34")
def test_a_link_becomes_a_ceremony(laboratory: Laboratory) -> None:
    """The secret leaves the address at once; what stands for it is another one, of which a hash is kept."""
    hurry(laboratory)
    person = laboratory.person("user")
    token = link(laboratory, person)
    visitor = opened(laboratory, token)
    secret = visitor.cookies[cookies.name(laboratory.policy, cookies.CEREMONY)]
    assert secret != token
    with laboratory.site.house.store.reading() as connection:
        [row] = connection.execute(ceremonies.select()).mappings()
    assert (row["digest"], row["kind"], row["user_id"]) == (digest(secret), "reset", person.id)
    assert row["facts"] == {"link": digest(token)}
    page = visitor.page(laboratory.url("reset_password"))
    assert page.status == 200
    assert person.email in page.text
    assert 'autocomplete="new-password"' in page.text
    assert token not in page.text


@pytest.mark.requirement("S1-017", "C-34")
def test_whoever_finds_a_used_link_finds_nothing(laboratory: Laboratory) -> None:
    """From a log, a history, a mailbox: neither the secret nor a cookie from before opens anything."""
    hurry(laboratory)
    person = laboratory.person("user")
    token = link(laboratory, person)
    here, there = opened(laboratory, token), opened(laboratory, token)
    reply = submit(laboratory, here)
    assert (reply.status, reply.header("location")) == (
        303,
        f"{laboratory.url('sign_in')}?notice=password-set",
    )
    assert "Your password is set." in here.page(reply.header("location")).text
    assert cookies.name(laboratory.policy, cookies.CEREMONY) not in here.cookies
    for visitor in (here, there, laboratory.visitor()):
        assert visitor.page(laboratory.url("reset_password")).status == 400
        assert visitor.page(f"{laboratory.url('reset_password')}/{token}").status == 400


@pytest.mark.requirement("S1-017")
def test_a_ceremony_does_not_outlive_its_time(laboratory: Laboratory) -> None:
    """A browser that was left at the form for ten minutes has to open the link once more, which is good."""
    hurry(laboratory)
    token = link(laboratory, laboratory.person("user"))
    visitor = opened(laboratory, token)
    laboratory.clock.advance(600)
    assert visitor.page(laboratory.url("reset_password")).status == 400
    assert submit(laboratory, opened(laboratory, token)).status == 303


@pytest.mark.requirement("S1-004", "S1-011")
def test_the_form_says_what_is_wrong_with_a_password(laboratory: Laboratory) -> None:
    """The policy's rules and the account's own words; nothing typed is shown, and nothing is used up."""
    hurry(laboratory)
    person = laboratory.person("user")
    visitor = opened(laboratory, link(laboratory, person))
    for bad, said in (("short one", "at least 15 characters"), (f"x{person.email}", "Needed:")):
        reply = submit(laboratory, visitor, bad)
        assert reply.status == 422
        assert said.lower() in reply.text.lower()
        assert f'value="{bad}"' not in reply.text
        assert reply.header("referrer-policy") == "no-referrer"
    assert submit(laboratory, visitor).status == 303
    assert laboratory.sign_in(person, NEW).status == 200


@pytest.mark.requirement("S1-078", "C-09")
def test_strict_cookies_and_a_page_of_mail(laboratory: Laboratory) -> None:
    """Somebody signed in opens the link in his webmail: the browser keeps the Strict session to itself on the
    way here, so the form is made on the next request, which is this site's own."""
    hurry(laboratory)
    person = laboratory.person("user")
    token = link(laboratory, person)
    with laboratory.under(cookies.Settings, same_site="Strict"):
        client = laboratory.client("user")
        session = client.cookies[laboratory.cookie]
        elsewhere = [("Accept", "text/html"), ("Sec-Fetch-Site", "cross-site")]
        client.cookies.pop(laboratory.cookie)  # what a browser does
        where = laboratory.url("reset_password")
        assert client.send("GET", f"{where}/{token}", headers=elsewhere).status == 303
        reply = client.send("GET", where, headers=elsewhere)
        assert (reply.status, reply.header("refresh")) == (200, f"0;url={where}")
        assert "csrf_token" not in reply.text
        client.cookies[laboratory.cookie] = session
        client.token_page = where
        assert submit(laboratory, client).status == 303
        assert laboratory.sign_in(person, NEW).status == 200
        assert laboratory.whoami(client).status == 200, "another account's reset is none of his"


# Proof


def obstructed(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...]) -> None:
    real = laboratory.transport

    def transport(sent: Any) -> Reply:
        if sent.path in paths:
            return Reply(429, [], b'{"code": "rate_limits.exceeded"}')
        return real(sent)

    monkeypatch.setattr(laboratory, "transport", transport)


def test_what_cannot_be_looked_at_is_not_counted_as_seen(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that cannot be brought about, sessions that owe more than a laboratory opens: it is said."""
    hurry(flask_laboratory)
    obstructed(flask_laboratory, monkeypatch, (flask_laboratory.api("change_password"),))
    [events] = [p for p in CONTROL.probes if p.name == "an_event_ends_what_the_table_says"]
    result = attempt(CONTROL, events, flask_laboratory)
    assert (result.outcome, result.evidence) == ("not_examined", "changing it: 429 rate_limits.exceeded")
    obstructed(flask_laboratory, monkeypatch, (flask_laboratory.api("me"),))
    for name in ("an_event_ends_what_the_table_says", "a_reset_ends_tells_and_signs_nobody_in"):
        [probe] = [p for p in CONTROL.probes if p.name == name]
        assert attempt(CONTROL, probe, flask_laboratory).outcome == "not_examined"


def test_a_narrower_limit_is_not_taken_for_this_one(flask_laboratory: Laboratory) -> None:
    """Where the policy lets an address ask less often than this control does, its own limit is not seen."""
    from bylaw.controls import rate_limits

    hurry(flask_laboratory)
    path = flask_laboratory.api("forgot_password")
    [probe] = [p for p in CONTROL.probes if p.name == "asking_is_limited"]
    for limit in ("5/hour", "20/hour"):
        with flask_laboratory.under(rate_limits.Settings, routes={path: (limit,)}):
            assert attempt(CONTROL, probe, flask_laboratory).outcome == "not_examined"
        flask_laboratory.clock.advance(7200)
