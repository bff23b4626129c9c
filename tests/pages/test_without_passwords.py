"""An application in which nobody has a password: what goes with passwords is not there, and the rest is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import errors, mfa, passwords
from bylaw.operations import accounts, administering, proving, recovering
from bylaw.pages import ENDPOINTS
from bylaw.reasons import Refused
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.people import PASSWORD
from bylaw.verify.target import Target
from tests.applications import flask_app
from tests.applications.bare import POLICY
from tests.controls.houses import Builder

OFF = '[passwords]\noff = true\nbecause = "people sign in with tokens"\n'
WITHOUT_FILES = {"imports", "malware"}
"""What has nothing to do where no file is taken."""
TOKENS = f"{OFF}[tokens]\nsign_in = true\n"
GONE = (
    "/auth/signup",
    "/auth/api_signup",
    "/auth/api_login",
    "/auth/password",
    "/auth/api_password",
    "/auth/api_password_strength",
    "/auth/forgot-password",
    "/auth/api_forgot_password",
    "/auth/reset-password",
    "/auth/reset-password/secret",
    "/auth/api_reset_password",
    "/auth/unlock",
    "/auth/api_unlock",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """The notes application, in which people sign in with tokens and no mail is sent."""
    policy = tmp_path_factory.mktemp("without") / "bylaw.toml"
    text = POLICY.read_text("utf-8").replace("open = true\n", "")
    policy.write_text(f'{text}\n{OFF}\n[email]\noff = true\nbecause = "no mail is sent"\n', "utf-8")
    with Laboratory(Target("without", lambda: flask_app.create_app(policy))) as made:
        yield made


def test_what_goes_with_passwords_is_not_there(site: Laboratory) -> None:
    """Every door for a password, open today, answers as a path that never was one."""
    with Laboratory(Target("with", flask_app.create_app)) as usual:
        for path in GONE:
            assert usual.visitor().send("POST", path, headers=usual.visitor().from_here).status != 404, path
    visitor = site.visitor()
    for path in GONE:
        for method in ("GET", "POST"):
            reply = visitor.send(method, path, headers=visitor.from_here)
            assert reply.status == 404, (method, path)
            assert reply.code == errors.NOT_FOUND.code


def test_the_sign_in_page_asks_for_a_token_alone(site: Laboratory) -> None:
    """Nobody is asked for what he does not have, and a password that is sent all the same reaches nothing."""
    page = site.visitor().page(site.url("sign_in"))
    assert page.status == 200
    assert 'name="token"' in page.text
    for text in (
        'type="password" autocomplete="current-password"',
        "Forgot",
        "Make an account",
        'name="email"',
    ):
        assert text not in page.text
    person = site.person()
    form = {"email": person.email, "password": PASSWORD}
    assert person.act("POST", site.url("sign_in"), form=form).status == 405
    assert site.sign_in(person).status == 200
    assert site.whoami(person).json()["email"] == person.email


def test_the_account_page_offers_what_there_is(site: Laboratory) -> None:
    """No password to change, no address to confirm; tokens, second factors, passkeys and sessions."""
    text = site.client("user").page(site.url("account")).text
    assert 'id="ways"' in text
    assert "/auth/password" not in text
    assert "/auth/email" not in text
    assert site.url("tokens") in text
    assert site.url("factors") in text


def test_administrators_are_offered_no_mail(site: Laboratory) -> None:
    """Inviting, a link for a new password and asking for one are gone; an account is made without a mail."""
    admin, person = site.administrator(), site.person("user")
    listing = admin.page(site.url("users")).text
    assert "Make the account" in listing
    assert "nvit" not in listing
    shown = admin.page(f"{site.url('users')}/{person.id}").text
    for text in ("new password", "Ask for a new password", "invitation"):
        assert text not in shown
    before = len(site.mail())
    made = admin.act("POST", site.api("users"), json={"email": "new@people.test", "name": "New", "role": []})
    assert made.status == 201
    assert made.json()["invited"] is False
    assert len(site.mail()) == before
    for action in ("send_link", "require_password"):
        said = {"action": action, "reason": "an attack on what is not offered"}
        refused = admin.act("POST", f"{site.api('users')}/{person.id}", json=said)
        assert (refused.status, refused.code) == (403, "passwords.none")


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(
            lambda house, who: proving.prove(
                house, email=who.email, password=PASSWORD, whence=Any, failure="x"
            ),
            id="proving one",
        ),
        pytest.param(lambda house, who: accounts.hashed(house, who.email, PASSWORD), id="keeping one"),
        pytest.param(
            lambda house, who: administering.set_password(house, administering.SYSTEM, who.id, PASSWORD),
            id="setting one at the command line",
        ),
        pytest.param(
            lambda house, who: administering.create(
                house, administering.SYSTEM, email="other@people.test", password=PASSWORD
            ),
            id="making an account with one",
        ),
    ],
)
def test_no_verb_takes_a_password(site: Laboratory, verb: Callable[[Any, Any], object]) -> None:
    """The rule stands at the operations: a page of tomorrow, or an application, finds no other way in."""
    with pytest.raises(Refused) as refused:
        verb(site.site.house, site.person("user"))
    assert refused.value.reason is passwords.NONE


def test_no_link_sets_a_password(site: Laboratory) -> None:
    """A link that was mailed while there were passwords is not issued anew by whoever asks for it now."""
    house, person = site.site.house, site.person("user")
    with pytest.raises(Refused) as refused, house.store.transaction() as connection:
        recovering.issue(house, connection, accounts.found(connection, person.id))
    assert refused.value.reason is passwords.NONE


def test_a_fresh_proof_is_the_token_once_more(site: Laboratory) -> None:
    """A session that was left open cannot make itself at home: the token is asked for once more."""
    person = site.client("user")
    site.clock.advance(site.policy.of(mfa.Settings).fresh + 1)
    assert person.act("POST", site.api("authenticator"), json={}).status == 401
    page = person.page(site.url("step_up"))
    assert 'name="token"' in page.text
    assert "password" not in page.text.lower().replace("password_strength", "")
    thief = site.person("user")
    assert person.act("POST", site.api("step_up"), json=site.proof(thief)).status == 401
    assert person.act("POST", site.api("step_up"), json=site.proof(person)).status == 200
    assert person.act("POST", site.api("authenticator"), json={}).status == 200


# The policy


def test_controls_of_passwords_are_off_with_them(tmp_path: Path) -> None:
    """Reset, lockout and sign-up have nothing to do, say why, and are below no standard by that."""
    policy = Builder(tmp_path).policy(TOKENS)
    assert policy.idle == {"jwt", "lockout", "reset", "signup", *WITHOUT_FILES}
    for name in policy.idle:
        assert policy.controls[name].off
        assert policy.controls[name].because
    assert not {name for name, _, _ in policy.below_standard()} & policy.idle
    assert Builder(tmp_path).policy("[tokens]\nsign_in = true\n").idle == WITHOUT_FILES


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        (OFF, "passwords.off", "nobody could sign in"),
        (f"{OFF}[tokens]\nsign_in = false\n", "passwords.off", "nobody could sign in"),
        (f"{TOKENS}[signup]\nopen = true\n", "signup.open", "nobody could sign up"),
        (f'{TOKENS}[mfa]\noff = true\nbecause = "x"\n', "mfa.off", "leave the key out"),
    ],
)
def test_a_policy_by_which_nobody_gets_in_does_not_start(
    tmp_path: Path, text: str, key: str, why: str
) -> None:
    """Passwords off without another way in would be an application of closed doors."""
    said = Builder(tmp_path).refusal(text)
    assert key in said
    assert why in said


def test_another_provider_is_a_way_in(tmp_path: Path) -> None:
    """Where people come from a provider, they need neither password nor token, and may still sign up."""
    google = '[federated.google]\nclient_id = "x.apps"\nclient_secret = "env:GOOGLE"\n[signup]\nopen = true\n'
    policy = Builder(tmp_path).policy(f"{OFF}{google}", GOOGLE="vT9qkz3Lw7Rp2XcB8nYd")
    assert policy.idle == {"jwt", "lockout", "reset", *WITHOUT_FILES}


def test_every_condition_is_one_of_the_policy(tmp_path: Path) -> None:
    """What an endpoint needs is asked of the policy alone: the table is made before anybody asks."""
    with_passwords, without = Builder(tmp_path).policy(), Builder(tmp_path).policy(TOKENS)
    there = {e.name for e in ENDPOINTS if e.under(with_passwords)}
    gone = there - {e.name for e in ENDPOINTS if e.under(without)}
    assert {"change_password", "sign_up", "forgot_password", "reset_password", "unlock"} <= gone
    assert {"sign_in", "sign_out", "me", "account", "factors", "step_up", "sessions"}.isdisjoint(gone)
