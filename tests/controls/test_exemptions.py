"""Exemptions: what is left out or open stands in one register, and none of it has no end."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from bylaw import control
from bylaw.control import CouldNotLook
from bylaw.controls import csrf, exemptions
from bylaw.controls.exemptions import CONTROL, PUBLIC, Row, Settings, register
from bylaw.identity import SIGNED_IN, AccessRule
from bylaw.policy import Policy
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from tests.controls.houses import Builder

TODAY = datetime.datetime.now(datetime.UTC).date()
ENTRY = """
[[csrf.exempt]]
path = "{path}"
reason = "a machine calls it"
owner = "platform"
expires = {expires}
"""


def entry(days: int = 0, path: str = "/hook", more: str = "") -> str:
    return ENTRY.format(path=path, expires=TODAY + datetime.timedelta(days=days)) + more


def exemption(**facts: Any) -> control.Exemption:
    known = {"path": "/hook/*", "reason": "a machine calls it", "owner": "platform", "expires": TODAY}
    return control.Exemption(**{**known, **facts})


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


# An exemption


@pytest.mark.requirement("S1-043")
@pytest.mark.parametrize(
    ("path", "asked", "covered"),
    [
        ("/hook", "/hook", True),
        ("/hook", "/hook/", False),
        ("/hook", "/hook/a", False),
        ("/hook", "/hooked", False),
        ("/hook/*", "/hook/a", True),
        ("/hook/*", "/hook/a/b", True),
        ("/hook/*", "/hook", False),
        ("/hook/*", "/hook/../admin", False),
        ("/hook/*", "/hook//admin", False),
        ("/hook/*", "/hook/./a", False),
        ("/hook/*", "/HOOK/a", False),
    ],
)
def test_what_an_exemption_covers(path: str, asked: str, covered: bool) -> None:
    """Its path, or what is below it; nothing beside it, and nothing that climbs out."""
    assert exemption(path=path).covers(asked) is covered


def test_an_exemption_holds_to_the_end_of_its_last_day() -> None:
    """In UTC, to the second."""
    midnight = datetime.datetime.combine(TODAY, datetime.time(), datetime.UTC).timestamp()
    assert [exemption().holds(midnight + at) for at in (0, 86399, 86400)] == [True, True, False]


@pytest.mark.requirement("S1-045", "C-17")
def test_what_stands_in_its_place() -> None:
    """What the control always keeps, and what the policy adds."""
    assert exemption().standing == ""
    assert exemption(instead="a signature on each call").standing == "a signature on each call"
    more = csrf.Exemption(**exemption(instead="a signature on each call").model_dump())
    assert more.standing == "JSON only, same origin enforced; a signature on each call"


# The policy


@pytest.mark.requirement("S1-043", "S1-044")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry(-1), "the exemption of /hook expired on"),
        (entry(-1), "send the token there and drop the entry, or decide again until when"),
        (entry(367), "the exemption of /hook would run for 367 days"),
        ('[exemptions]\nlongest = "7d"\n' + entry(8), "would run for 8 days"),
        (entry(0, more='instead = "short"\n'), "csrf.exempt.0.instead"),
        ('[exemptions]\nlongest = "1h"\n', "86400 seconds or more"),
        ('[exemptions]\nowner = "x"\n', "exemptions.owner"),
        ("[exemptions]\nlast = 1\n", "no such key"),
        ('[exemptions]\noff = true\nbecause = "we trust each other"\n', "exemptions would run on unseen"),
    ],
)
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, said: str) -> None:
    """Over, too long, or unexplained: nothing starts, and it is said where and what to do."""
    assert said in build.refusal(text)


@pytest.mark.requirement("S1-043")
@pytest.mark.parametrize("text", [entry(0), entry(366), '[exemptions]\nlongest = "7d"\n' + entry(7), ""])
def test_a_policy_that_can_be_kept(build: Builder, text: str) -> None:
    """On its last day, and on the first day of the longest time."""
    assert build.refusal(text) == ""


def test_a_problem_says_when_it_may_end(build: Builder) -> None:
    """The latest day that would be taken."""
    latest = TODAY + datetime.timedelta(days=366)
    assert f"{latest} at the latest, and a decision anew by then" in build.refusal(entry(10_000))


def test_each_that_is_over_is_named(build: Builder) -> None:
    """All of them at once, with their numbers."""
    refusal = build.refusal(entry(-1) + entry(0, "/b") + entry(-2, "/c"))
    assert [f"csrf.exempt.{n}" in refusal for n in range(3)] == [True, False, True]


def test_longer_than_a_year_is_below_the_standard(build: Builder) -> None:
    """It may be written, and is printed with its source."""
    text = '[exemptions]\nlongest = "{}"\nbecause = "a test"\n'
    found = list(build.policy(text.format("800d")).below_standard())
    assert [(name, b.key, b.value, b.source) for name, b, _ in found] == [
        ("exemptions", "longest", "800 days", "PCI DSS 4.0.1 12.3.1")
    ]
    assert not list(build.policy(text.format("366d")).below_standard())


# The register

ROUTES = [
    ("GET", "/", AccessRule("public", because="the front page")),
    ("POST", "/", AccessRule("public", because="the front page")),
    ("GET", "/old", AccessRule("public")),
    ("GET", "/me", SIGNED_IN),
    ("GET", "/notes", AccessRule("permission", "note:read")),
]


@pytest.mark.requirement("S1-043", "S1-044")
def test_the_register(build: Builder) -> None:
    """What the policy exempts, then what is public: by path, with its methods, its reason and its owner."""
    policy = build.policy(
        '[exemptions]\nowner = "platform"\n' + entry(3, more='instead = "a signature of it"\n')
    )
    assert register(policy, ROUTES) == [
        Row(
            "csrf",
            "/hook",
            "a machine calls it",
            "platform",
            TODAY + datetime.timedelta(days=3),
            "JSON only, same origin enforced; a signature of it",
        ),
        Row(PUBLIC, "GET, POST /", "the front page", "platform", None, exemptions.OPEN),
        Row(PUBLIC, "GET /old", "no reason given", "platform", None, exemptions.OPEN),
    ]


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("", "nobody is named"),
        ('[app]\ncontact = "security@acme.eu"\n', "security@acme.eu"),
        ('[app]\ncontact = "security@acme.eu"\n[exemptions]\nowner = "platform"\n', "platform"),
    ],
)
def test_who_answers_for_what_is_public(build: Builder, text: str, owner: str) -> None:
    """Whoever the policy names, else its contact; and where there is none that is said."""
    assert {row.owner for row in register(build.policy(text), ROUTES)} == {owner}


def test_exemptions_of_any_control_are_found(build: Builder) -> None:
    """A control that gets exemptions one day needs no line here: they are found by their type."""

    class Another(control.Settings):
        allow: tuple[control.Exemption, ...] = ()
        other: tuple[str, ...] = ("x",)

    policy: Policy = build.policy()
    policy.controls["another"] = Another(allow=(exemption(), exemption(path="/b")))
    assert [(name, key) for name, key, _ in exemptions.found(policy)] == [
        ("another", "another.allow.0"),
        ("another", "another.allow.1"),
    ]
    assert register(policy)[0].instead == exemptions.NOTHING


def test_what_ends_soon(build: Builder) -> None:
    """Within the time that the policy says, with the days that are left."""
    policy = build.policy('[exemptions]\nwarn = "10d"\n' + entry(0) + entry(10, "/b") + entry(11, "/c"))
    assert [(row.what, days) for row, days in exemptions.ending(policy, TODAY)] == [("/hook", 0), ("/b", 10)]


@pytest.mark.requirement("S1-043", "S1-044")
def test_what_the_document_says(build: Builder) -> None:
    """Each exemption with all that it says; and that there is none where there is none."""
    said = CONTROL.statement(build.policy(entry(3)))
    assert said[1] == (
        f"- `/hook` from csrf until {TODAY + datetime.timedelta(days=3)}: a machine calls it. In its place: "
        "JSON only, same origin enforced. Owner: platform."
    )
    assert "366 days" in said[0]
    assert "Nothing is exempt." in CONTROL.statement(build.policy())


def test_settings_have_no_more_than_is_needed() -> None:
    """An owner, a longest time and a warning."""
    assert set(Settings.model_fields) - set(control.Settings.model_fields) == {"owner", "longest", "warn"}


# Proof


def test_a_probe_says_that_it_could_not_look(flask_laboratory: Laboratory) -> None:
    """Where the policy exempts bylaw's own paths, there is no path to make an exemption for."""
    house = flask_laboratory
    everything = csrf.Exemption(**exemption(path="/auth/*", expires=datetime.date.max).model_dump())
    with house.under(csrf.Settings, exempt=(everything,)), pytest.raises(CouldNotLook):
        CONTROL.probes[0].run(house)


def test_a_register_that_lists_too_much_is_noticed(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route in the register that is not public is as wrong as one that is missing."""
    real = exemptions._public

    def too_much(policy: Policy, routes: Any) -> list[Row]:
        return real(policy, [(m, p, AccessRule("public")) for m, p, _ in routes])

    monkeypatch.setattr(exemptions, "_public", too_much)
    probe = next(p for p in CONTROL.probes if p.name == "what_is_public_is_registered")
    assert "the register lists it" in attempt(CONTROL, probe, flask_laboratory).evidence
