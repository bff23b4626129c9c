"""Limits dodged: what a file of vectors cannot say."""

from __future__ import annotations

import pytest

from bylaw.controls import rate_limits
from bylaw.verify.laboratory import Laboratory


@pytest.mark.requirement("S1-099")
def test_a137_two_hundred_at_once_are_five(laboratory: Laboratory) -> None:
    """Two hundred guesses are sent in the same moment, each with another address in its headers: five are
    looked at."""
    lab = laboratory
    alice = lab.person("user")
    with lab.under(rate_limits.Settings, routes={lab.url("sign_in"): ("5/minute",)}), lab.paced():
        visitor = lab.visitor()
        sent = [
            visitor.prepared(
                "POST",
                lab.api("sign_in"),
                headers=[*visitor.from_here, ("X-Forwarded-For", f"203.0.113.{number}")],
                json={"email": alice.email, "password": f"guess number {number}"},
            )
            for number in range(200)
        ]
        replies = lab.tasks(sent)
    assert sum(reply.code != "rate_limits.exceeded" for reply in replies) == 5
    assert all(reply.header("retry-after") for reply in replies if reply.status == 429)


@pytest.mark.requirement("S1-099")
def test_a138_every_route_of_an_endpoint_is_limited_with_it(laboratory: Laboratory) -> None:
    """The limit names one path of many endpoints in turn: each of its other paths is used up with it."""
    lab = laboratory
    paths: dict[str, list[str]] = {}
    for route in lab.site.pages.routes():
        paths.setdefault(route.endpoint.name, []).append(route.path.replace("{id}", "7"))
    for name, every in sorted(paths.items()):
        with lab.under(rate_limits.Settings, routes={every[0]: ("2/minute",)}), lab.paced():
            visitor = lab.visitor(peer="203.0.113.5")

            assert [visitor.get(path).status == 429 for path in (every * 2)[:2]] == [False, False], name
            assert {visitor.get(path).code for path in every} == {"rate_limits.exceeded"}, name


@pytest.mark.requirement("S1-099", "C-12")
def test_a138_a_route_of_the_application_by_all_its_methods(laboratory: Laboratory) -> None:
    """What answers at a path by several methods is one action to its limit, whatever an account asks by."""
    lab = laboratory
    with lab.under(rate_limits.Settings, routes={"/api/notes": ("3/minute",)}), lab.paced():
        editor = lab.client("editor")
        asked = [
            editor.send(method, "/api/notes?x", headers=editor.from_here)
            for method in ("GET", "HEAD", "OPTIONS", "POST", "GET", "HEAD")
        ]
    assert [reply.status == 429 for reply in asked] == [False] * 3 + [True] * 3
