"""Who has an account, asked at every door: one answer for everybody, and mail for owners alone.

The doors are found, not listed: whatever a stranger may send an address to, as a page and as JSON.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from bylaw.pages import Route
from bylaw.store import users
from bylaw.store.tables import federated_accounts
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry
from tests.attacks.interpreter import normal

NEW = "a long and winding passphrase 7"


def doors(laboratory: Laboratory) -> list[Route]:
    """Every public endpoint that takes an address from whoever sends one."""
    return [
        route
        for route in laboratory.site.pages.routes()
        if route.rule.kind == "public" and any(field.name == "email" for field in route.endpoint.fields)
    ]


def known(laboratory: Laboratory) -> str:
    return laboratory.person("user").email


def unknown(_: Laboratory) -> str:
    return f"user-{uuid.uuid4().hex[:8]}@people.test"  # as long as the others: a form shows it again


def changed(laboratory: Laboratory, **values: object) -> str:
    person = laboratory.person("user")
    with laboratory.site.house.store.transaction() as connection:
        users.change(connection, person.id, **values)
    return person.email


def disabled(laboratory: Laboratory) -> str:
    return changed(laboratory, disabled_at=laboratory.clock())


def unconfirmed(laboratory: Laboratory) -> str:
    return changed(laboratory, confirmed_at=None)


def without_a_password(laboratory: Laboratory) -> str:
    """Somebody who signs in with another provider alone."""
    person = laboratory.person("user", password=None)
    with laboratory.site.house.store.transaction() as connection:
        connection.execute(
            federated_accounts.insert().values(
                oauth_provider="google",
                oauth_id=uuid.uuid4().hex,
                user_id=person.id,
                email=person.email,
                created_at=laboratory.clock(),
            )
        )
    return person.email


def knock(laboratory: Laboratory, route: Route, email: str) -> Reply:
    """Send an address to a door, with whatever else it asks for."""
    visitor = laboratory.visitor()
    values = {f.name: NEW if f.secret else "" for f in route.endpoint.fields if f.required or f.secret}
    values["email"] = email
    if route.api:
        return visitor.send("POST", route.path, headers=visitor.from_here, json=values)
    visitor.token_page = route.path
    return visitor.act("POST", route.path, form=values)


def without(reply: Reply, email: str) -> tuple[object, ...]:
    """An answer as far as it could tell something: not what was typed into it."""
    status, text, *rest = normal(reply)
    return status, str(text).replace(email, "the address"), *rest


PEOPLE: dict[str, Callable[[Laboratory], str]] = {
    "disabled": disabled,
    "unconfirmed": unconfirmed,
    "without a password": without_a_password,
    "known": known,
}


@pytest.mark.requirement("C-41", "S1-012")
def test_no_door_tells_who_has_an_account(laboratory: Laboratory) -> None:
    """Somebody asks at every door for addresses of every kind: status, body, headers and cookies are one."""
    hurry(laboratory)
    found = doors(laboratory)
    assert {r.endpoint.name for r in found} >= {"sign_in", "sign_up", "forgot_password", "unlock"}
    told = []
    for route in found:
        nobody = unknown(laboratory)
        answer = without(knock(laboratory, route, nobody), nobody)
        for name, make in PEOPLE.items():
            email = make(laboratory)
            if without(knock(laboratory, route, email), email) != answer:
                told.append(f"{route.path} tells {name}")
    assert told == []


@pytest.mark.requirement("C-41", "S1-015")
def test_mail_goes_to_owners_alone(laboratory: Laboratory) -> None:
    """Whatever a stranger sends where, no mail leaves for an address that he made up, but a sign-up's."""
    hurry(laboratory)
    owner, nobody = known(laboratory), unknown(laboratory)
    for route in doors(laboratory):
        if route.endpoint.name != "sign_up":
            knock(laboratory, route, nobody)
        knock(laboratory, route, owner)
    recipients = {str(message["To"]) for message in laboratory.mail()}
    assert nobody not in recipients
    assert owner in recipients


@pytest.mark.requirement("C-41", "A066")
def test_no_mailed_secret_opens_another_door(laboratory: Laboratory) -> None:
    """A secret out of a mail is nothing as a bearer credential, nor as the cookie of a session."""
    hurry(laboratory)
    person = laboratory.person("user")
    for route in doors(laboratory):
        if route.api and route.endpoint.name in ("forgot_password", "unlock"):
            knock(laboratory, route, person.email)
    secrets = {
        line.rpartition("/")[2].rpartition("=")[2].strip()
        for message in laboratory.mail()
        for line in message.get_body(("plain",)).get_content().splitlines()  # type: ignore[union-attr]
        if line.startswith(laboratory.policy.app.base_url)
    }
    secrets = {secret for secret in secrets if len(secret) >= 40}
    assert secrets
    for secret in secrets:
        visitor: Client = laboratory.visitor()
        me = laboratory.api("me")
        assert visitor.send("GET", me, headers=[("Authorization", f"Bearer {secret}")]).status == 401
        assert visitor.send("GET", me, headers=[("Cookie", f"{laboratory.cookie}={secret}")]).status == 401
