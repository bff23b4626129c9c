"""The strength meter: what it says to whom, what it costs, and what it keeps (nothing)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bylaw.controls import csrf, rate_limits
from bylaw.controls.passwords import Settings
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory

COMMON = "one that is not among the first that an attacker would try"
LONG = "wide green fields and quiet water"


def measure(laboratory: Laboratory, client: Client | None = None, **values: Any) -> Reply:
    """Ask as the script of a page does."""
    asking = client or laboratory.visitor()
    headers = list(asking.from_here)
    if client is not None and laboratory.cookie in client.cookies:
        headers.append((asking.token_header, asking.token()))
    return asking.send("POST", laboratory.api("password_strength"), headers=headers, json=values)


@pytest.mark.requirement("S3-008")
@pytest.mark.parametrize(
    ("password", "accepted", "score", "label", "needed"),
    [
        (LONG, True, 4, "Strong", []),
        ("short", False, 0, "Not yet", ["at least 15 characters", COMMON]),
        ("kT5!mQz9x", False, 1, "Not yet", ["at least 15 characters"]),
        ("passwordpassword", False, 0, "Not yet", [COMMON]),
    ],
)  # fmt: skip
def test_a_password_is_measured_and_judged(
    laboratory: Laboratory, password: str, accepted: bool, score: int, label: str, needed: list[str]
) -> None:
    """The score, in a word too, and what the policy would say; what it would refuse is never called good."""
    reply = measure(laboratory, password=password)
    found = reply.json()
    assert reply.status == 200
    assert (found["accepted"], found["score"], found["label"]) == (accepted, score, label)
    assert found["needed"] == needed
    assert found["advice"] or found["needed"] or score > 2
    assert password not in reply.text
    assert reply.header("cache-control") == "no-store"


@pytest.mark.requirement("S3-008", "C-41")
def test_it_knows_no_account_but_ones_own(flask_laboratory: Laboratory) -> None:
    """The address and name of the form count, and of whoever is signed in; nobody's are looked up."""
    someone = flask_laboratory.person(email="marguerite.dubois@people.test")
    own = flask_laboratory.client()
    named = measure(flask_laboratory, password="MargueriteDubois1!", name="Marguerite Dubois").json()
    assert "your name" in named["needed"][0]
    assert measure(flask_laboratory, password="MargueriteDubois1!").json()["accepted"]
    answers = [
        measure(flask_laboratory, password=LONG, email=email).json()
        for email in (someone.email, "nobody@people.test")
    ]
    assert answers[0] == answers[1]
    assert not measure(flask_laboratory, own, password=own.email).json()["accepted"]


@pytest.mark.requirement("S3-008", "S1-106", "S3-036")
def test_what_is_typed_is_kept_nowhere(laboratory: Laboratory) -> None:
    """A meter that logged would log every password before it is chosen."""
    canary = "Quartz umbrella 71 canary"
    for client in (None, laboratory.client()):
        assert measure(laboratory, client, password=canary).status == 200
    kept = f"{laboratory.dump()} {laboratory.logs.text} {laboratory.audit()}"
    assert canary not in kept
    assert "umbrella" not in kept


@pytest.mark.requirement("S3-008", "C-11")
@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, 422),
        ({"password": None}, 422),
        ({"password": ["a"]}, 422),
        ({"password": 7}, 422),
        ({"password": "a\0b"}, 422),
        ({"password": "\ud800" * 20}, 400),
        ({"password": ""}, 422),
        ({"password": LONG, "email": "a\nb"}, 422),
        ({"password": LONG, "name": "x" * 121}, 422),
        ({"password": LONG, "email": "x" * 255}, 422),
        ({"password": LONG, "role": "admin"}, 422),
        ({"password": "x" * 70_000}, 413),
        ({"password": "x" * 5000}, 200),
        ({"password": LONG, "email": "", "name": ""}, 200),
    ],
)
def test_what_cannot_be_measured_is_said(
    flask_laboratory: Laboratory, values: dict[str, Any], status: int
) -> None:
    """What is no text, too much or not asked for is the client's mistake, and is not repeated."""
    reply = measure(flask_laboratory, **values)
    assert reply.status == status
    assert LONG not in reply.text
    if status == 200 and len(values["password"]) > 1024:
        assert reply.json()["needed"] == ["at most 1024 characters, none of them NUL"]


@pytest.mark.requirement("C-03", "S3-006")
def test_it_is_quick_whatever_is_typed(flask_laboratory: Laboratory) -> None:
    """Signs that may stand for many letters, and a thousand of them: milliseconds, and no hash (A007)."""
    measure(flask_laboratory, password=LONG)
    began = time.process_time()
    with flask_laboratory.site.house.hashes.occupied():
        for text in ("4@8({[<369&#0$5+7%2/1!|" * 44, "".join(f"{n:x}" for n in range(300)), "a" * 60_000):
            assert measure(flask_laboratory, password=text).status == 200
    assert time.process_time() - began < 1


@pytest.mark.requirement("S3-008", "C-12")
def test_it_is_limited_like_any_other_route(laboratory: Laboratory) -> None:
    """Nobody has this site work through his list of words."""
    with (
        laboratory.paced(),
        laboratory.under(rate_limits.Settings, default=("5/minute",)),
    ):
        statuses = [measure(laboratory, password=LONG).status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2


@pytest.mark.requirement("S1-037")
def test_another_site_cannot_ask_with_somebodys_session(laboratory: Laboratory) -> None:
    """It changes nothing, and is refused from elsewhere all the same, like any other POST."""
    client = laboratory.client()
    for headers in ([("Origin", "https://evil.test")], [("Sec-Fetch-Site", "cross-site")]):
        reply = client.send(
            "POST", laboratory.api("password_strength"), headers=headers, json={"password": LONG}
        )
        assert (reply.status, reply.code) == (laboratory.policy.of(csrf.Settings).status, "csrf.cross_site")


def test_beside_a_second_factor_less_is_asked_for(flask_laboratory: Laboratory) -> None:
    """The meter asks for what the form will ask for."""
    client = flask_laboratory.client()
    with flask_laboratory.under(Settings, min_length=15, min_length_with_second_factor=15):
        assert not measure(flask_laboratory, client, password="mqzvwkxtbrplgn").json()["accepted"]
    with flask_laboratory.under(Settings, min_length=14, min_length_with_second_factor=8):
        assert measure(flask_laboratory, client, password="mqzvwkxtbrplgn").json()["accepted"]


@pytest.mark.parametrize("page", ["sign_up", "change_password"])
def test_the_pages_bring_the_meter_along(flask_laboratory: Laboratory, page: str) -> None:
    """Hidden until its script is there, of which no line stands in the page itself."""
    client = flask_laboratory.client() if page == "change_password" else flask_laboratory.visitor()
    text = client.page(flask_laboratory.url(page)).text
    assert f'data-strength="{flask_laboratory.api("password_strength")}"' in text
    meter = text.partition('class="meter"')[2]
    assert meter.partition(">")[0].endswith("hidden")
    assert 'role="status"' in meter
    assert "<script>" not in text
    script = meter.partition('<script src="')[2].partition('"')[0]
    assert client.get(script).header("content-type").startswith("text/javascript")
