"""Federated sign-in: which providers a policy may have, when one is on, and what its probes notice."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import federated
from bylaw.controls.federated import CONTROL, Settings, offered
from bylaw.site import build
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.runner import attempt
from tests.applications.stacks import hurry
from tests.controls.houses import Builder

GOOGLE = """
[federated.google]
client_id = "env:GOOGLE_CLIENT_ID?"
client_secret = "env:GOOGLE_CLIENT_SECRET?"
"""
BOTH = {"GOOGLE_CLIENT_ID": "123.apps", "GOOGLE_CLIENT_SECRET": "hush, it is google's"}
ACME = '[federated.acme]\nissuer = "https://login.acme.eu"\nclient_id = "mtc"\nclient_secret = "env:ACME"\n'


# When a provider is on


@pytest.mark.requirement("S1-018", "S1-019")
def test_google_with_what_it_gave_out(tmp_path: Path) -> None:
    """Its issuer and name are known; id and secret come from the two variables, and are not shown."""
    policy = Builder(tmp_path).policy(GOOGLE, **BOTH)
    assert offered(policy)["google"] == federated.Offered(
        "google",
        "Google",
        "https://accounts.google.com",
        BOTH["GOOGLE_CLIENT_ID"],
        BOTH["GOOGLE_CLIENT_SECRET"],
    )
    shown = f"{policy!r}{offered(policy)!r}{policy.of(Settings)!r}{CONTROL.statement(policy)}"
    assert BOTH["GOOGLE_CLIENT_SECRET"] not in shown


@pytest.mark.requirement("S1-019")
def test_google_without_is_off_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No variable: no button, and a warning when the process starts."""
    house = Builder(tmp_path).house(GOOGLE)
    assert offered(house.policy) == {}
    with caplog.at_level(logging.WARNING):
        assert not list(CONTROL.start(house))
    assert "Google is off: its client_id and client_secret are not set" in caplog.text


@pytest.mark.requirement("S1-019")
@pytest.mark.parametrize("missing", sorted(BOTH))
def test_google_with_one_of_the_two_does_not_start(tmp_path: Path, missing: str) -> None:
    """Half a client is a mistake that somebody should hear of."""
    variables = {name: value for name, value in BOTH.items() if name != missing}
    said = Builder(tmp_path).refusal(GOOGLE, **variables)
    assert missing in said
    assert "without either the provider is off" in said
    assert BOTH["GOOGLE_CLIENT_SECRET"] not in said


@pytest.mark.requirement("S1-019", "S1-061")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[federated.acme]\nclient_id = "mtc"\nclient_secret = "env:ACME"\n', "federated.acme.issuer"),
        (ACME.replace("https:", "http:"), "an https address"),
        (ACME.replace("https://login.acme.eu", "https://login.acme.eu/?a=b"), "an https address"),
        (ACME.replace("https://login.acme.eu", "https://a:b@login.acme.eu"), "an https address"),
        (ACME.replace("https://login.acme.eu", "login.acme.eu"), "an https address"),
        (ACME.replace("https://login.acme.eu", "http://localhost:9000"), "an https address"),
        (ACME.replace("env:ACME", "hush, it is acme's"), "written out, where everybody reads it"),
        (ACME.replace('"env:ACME"', "12345"), "text is expected"),
        (ACME.replace("[federated.acme]", "[federated.ACME]"), "no name of a provider"),
        (ACME.replace("[federated.acme]", "[federated.'a/b']"), "no name of a provider"),
        (ACME + ACME.replace("[federated.acme]", "[federated.acme-2]"), "one table for each issuer"),
        (ACME + 'scope = "all"\n', "known: client_id, client_secret, issuer, label"),
        ('[federated]\ngoogle = "yes"\n', "a table is expected"),
        ("[federated]\noff = true\n", "because"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    """An issuer that anybody could play, a secret that everybody reads, a name that is none."""
    refusal = Builder(tmp_path).refusal(text, ACME="hush, it is acme's")
    assert said in refusal
    assert "hush" not in refusal
    assert "12345" not in refusal


@pytest.mark.requirement("S1-070")
def test_a_placeholder_is_no_secret(tmp_path: Path) -> None:
    """What stands in the documentation was given out by nobody."""
    assert "placeholder" in Builder(tmp_path).refusal(ACME, ACME="your_client_secret_here")


def test_a_policy_with_more_than_one(tmp_path: Path) -> None:
    """Each under its own name, with a label of its own where one is written."""
    text = GOOGLE + ACME + 'label = "ACME & Co"\n'
    on = offered(Builder(tmp_path).policy(text, ACME="hush", **BOTH))
    assert {name: (each.label, each.issuer) for name, each in on.items()} == {
        "google": ("Google", "https://accounts.google.com"),
        "acme": ("ACME & Co", "https://login.acme.eu"),
    }


def test_in_development_an_issuer_may_be_on_this_machine(tmp_path: Path) -> None:
    """In the clear, and there alone."""
    local = ACME.replace("https://login.acme.eu", "http://localhost:9000")
    environ = {"ACME": "hush", "BYLAW_ENV": "development"}
    assert "acme" in offered(Builder(tmp_path).policy(local, **environ))
    assert "an https address" in Builder(tmp_path).refusal(ACME.replace("https:", "http:"), **environ)


@pytest.mark.requirement("S1-020")
def test_the_address_that_is_come_back_to(tmp_path: Path) -> None:
    """{BASE_URL}/auth/callback/google, exactly."""
    policy = Builder(tmp_path).policy(GOOGLE, **BOTH)
    assert federated.callback(policy, "google") == f"{policy.app.base_url}/auth/callback/google"


# TESTING


@pytest.mark.requirement("S1-025", "C-30")
def test_testing_is_for_development(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every provider of the policy is on and played, and the log says so."""
    policy = Builder(tmp_path).policy(GOOGLE, BYLAW_ENV="development", TESTING="True")
    assert policy.testing
    assert set(offered(policy)) == {"google"}
    with caplog.at_level(logging.WARNING):
        list(CONTROL.start(build(policy, Builder(tmp_path).house().ports)))
    assert "TESTING is set: google is played" in caplog.text
    for value in ("", "0", "False", "no"):
        assert not Builder(tmp_path).policy(GOOGLE, BYLAW_ENV="development", TESTING=value).testing


@pytest.mark.requirement("S1-026", "C-30")
@pytest.mark.parametrize("name", ["TESTING", "BYLAW_TESTING"])
@pytest.mark.parametrize("value", ["True", "1", "yes"])
def test_production_refuses_to_start_with_testing_set(tmp_path: Path, name: str, value: str) -> None:
    """The flag that plays a user must never reach a place where users are real."""
    assert "set in production" in Builder(tmp_path).refusal(GOOGLE, **{name: value}, **BOTH)
    assert not Builder(tmp_path).policy(GOOGLE, **BOTH).testing


@pytest.mark.requirement("S1-025", "S1-026", "C-30")
def test_testing_through_an_application(benches: dict[str, Bench]) -> None:
    """The test user signs in by the same button; with production in its place nothing starts."""
    bench = benches["flask"]
    with bench.laboratory() as laboratory, laboratory.issuer() as issuer:
        house = laboratory.site.house
        laboratory.site.policy = house.policy = replace(house.policy, testing=True)
        client = laboratory.visitor()
        location = laboratory.go_to(client)
        assert laboratory.come_back(client, location.partition("?")[2]).status == 200
        assert laboratory.whoami(client).json()["email"] == "test-user@laboratory.example"
        assert issuer.asked == []
        refused = laboratory.refuses_to_start(None, TESTING="True")
        assert refused is not None
        assert "TESTING" in str(refused)


# What is printed


@pytest.mark.requirement("S1-018", "S1-024")
def test_what_the_document_says(tmp_path: Path) -> None:
    """Which providers, who gets an account and with which role; that there are none, where there are none."""
    assert CONTROL.statement(Builder(tmp_path).policy()) == [
        "Nobody signs in with an account of another provider."
    ]
    closed = " ".join(CONTROL.statement(Builder(tmp_path).policy(GOOGLE)))
    assert "Google (`https://accounts.google.com`)" in closed
    assert "nobody can sign up" in closed
    text = GOOGLE + '[roles]\nuser = ["*:read"]\n[signup]\nopen = true\nrole = "user"\n'
    assert "the role `user`, whatever the provider says" in " ".join(
        CONTROL.statement(Builder(tmp_path).policy(text))
    )
    text = GOOGLE + "[signup]\nopen = true\n"
    assert "with no role" in " ".join(CONTROL.statement(Builder(tmp_path).policy(text)))


# Probes and sabotages


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_what_cannot_be_begun_is_not_counted_as_seen(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, probe: Any
) -> None:
    """Where another control refuses what a probe begins with, it says that it could not look."""
    hurry(flask_laboratory)
    real = flask_laboratory.transport

    def refusing(sent: Any) -> Any:
        reply = real(sent)
        if sent.method == "POST" and ("federated" in sent.path or "linked" in sent.path):
            reply.status, reply.body = 429, b'{"code": "rate_limits.exceeded"}'
        return reply

    monkeypatch.setattr(flask_laboratory, "transport", refusing)
    assert attempt(CONTROL, probe, flask_laboratory).outcome == "not_examined"
