"""Attacks on signing in with another provider: forged, borrowed and stolen answers; whose account opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from bylaw.controls import email, federated, signup
from bylaw.controls.sessions import owing
from bylaw.keys import digest
from bylaw.oidc import Claims
from bylaw.operations import federating
from bylaw.store import factors
from bylaw.store import sessions as session_rows
from bylaw.store.tables import federated_accounts
from bylaw.store.tables import users as user_table
from bylaw.verify.client import Client, Reply
from bylaw.verify.issuer import Issuer
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.starting import Elsewhere
from tests.applications.stacks import hurry

ANN: dict[str, Any] = {"sub": "111", "email": "a@x.test", "email_verified": True}
BOB: dict[str, Any] = {"sub": "222", "email": "b@x.test", "email_verified": True}
POLICY = Path(__file__).parents[1] / "applications" / "bylaw.toml"


@pytest.fixture
def issuer(laboratory: Laboratory) -> Iterator[Issuer]:
    hurry(laboratory)
    with laboratory.issuer() as made:
        yield made


def arrive(laboratory: Laboratory, issuer: Issuer, client: Client | None = None, **claims: Any) -> Reply:
    client = client or laboratory.visitor()
    return laboratory.come_back(client, issuer.consent(laboratory.go_to(client), **claims))


def parameter(address: str, name: str) -> str:
    return parse_qs(urlsplit(address).query)[name][0]


def accounts(laboratory: Laboratory) -> dict[str, str]:
    """Whose account each subject opens."""
    with laboratory.site.house.store.reading() as connection:
        rows = connection.execute(federated_accounts.select()).mappings()
        return {row["oauth_id"]: row["user_id"] for row in rows}


def nobody(laboratory: Laboratory, client: Client, reply: Reply, *statuses: int) -> None:
    assert reply.status in statuses, reply
    assert laboratory.cookie not in client.cookies
    assert laboratory.whoami(client).status == 401


@pytest.mark.requirement("S1-021", "C-42")
@pytest.mark.parametrize("change", [{"state": None}, {"state": ""}, {"state": "x"}], ids=str)
def test_a021_the_state_is_another(
    laboratory: Laboratory, issuer: Issuer, change: dict[str, str | None]
) -> None:
    """With a valid code: it is not redeemed, and the sign-in that it was meant for is over."""
    client = laboratory.visitor()
    query = issuer.consent(laboratory.go_to(client), **ANN)
    pairs = {name: values[0] for name, values in parse_qs(query).items()} | change
    reply = laboratory.come_back(client, urlencode({k: v for k, v in pairs.items() if v is not None}))
    nobody(laboratory, client, reply, 403)
    assert not [url for url in issuer.asked if url.endswith("/token")]
    nobody(laboratory, client, laboratory.come_back(client, query), 403)
    assert accounts(laboratory) == {}


@pytest.mark.requirement("S1-021", "C-42")
def test_a021_two_browsers_swap_their_states(laboratory: Laboratory, issuer: Issuer) -> None:
    """Each brings the other's answer: the victim must not land in the attacker's account."""
    victim, attacker = laboratory.visitor(), laboratory.visitor()
    laboratory.go_to(victim)
    query = issuer.consent(laboratory.go_to(attacker), **BOB)
    nobody(laboratory, victim, laboratory.come_back(victim, query), 403)
    assert laboratory.come_back(attacker, query).status == 200
    assert laboratory.whoami(attacker).json()["email"] == BOB["email"]


@pytest.mark.requirement("S1-021", "C-42")
def test_a023_an_answer_comes_again(laboratory: Laboratory, issuer: Issuer) -> None:
    """After signing out, with the same cookies, in the same browser and in another: it is used up."""
    client = laboratory.visitor()
    query = issuer.consent(laboratory.go_to(client), **ANN)
    before = dict(client.cookies)
    assert laboratory.come_back(client, query).status == 200
    client.act("POST", laboratory.api("sign_out"), json={})
    for other in (client, laboratory.visitor()):
        other.cookies = dict(before)
        nobody(laboratory, other, laboratory.come_back(other, query), 403)


@pytest.mark.requirement("S1-023")
@pytest.mark.parametrize("verified", [False, True])
def test_a024_an_address_of_somebody_elses(laboratory: Laboratory, issuer: Issuer, verified: bool) -> None:
    """A new subject with the address of an account here, vouched for or not: it is not his, nor linked."""
    alice = laboratory.ordinary()
    client = laboratory.visitor()
    reply = arrive(laboratory, issuer, client, sub="9", email=alice.email.upper(), email_verified=verified)
    nobody(laboratory, client, reply, 409 if verified else 403)
    assert accounts(laboratory) == {}


@pytest.mark.requirement("S1-022", "S1-024")
def test_a027_two_people_swap_their_addresses(laboratory: Laboratory, issuer: Issuer) -> None:
    """Who somebody is, is provider and subject: each still reaches his own account."""
    for claims in (ANN, BOB):
        assert arrive(laboratory, issuer, **claims, role="admin", roles=["admin"]).status == 200
    held = accounts(laboratory)
    client = laboratory.visitor()
    assert arrive(laboratory, issuer, client, **{**ANN, "email": BOB["email"]}).status == 200
    me = laboratory.whoami(client).json()
    assert (me["id"], me["email"], me["roles"]) == (held["111"], ANN["email"], ["user"])
    assert accounts(laboratory) == held


FOREIGN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "A028 aud of another": lambda c: {**c, "aud": "another"},
    "A028 aud with another": lambda c: {**c, "aud": [c["aud"], "another"], "azp": "another"},
    "A028 azp of another": lambda c: {**c, "azp": "another"},
    "A029 suffix": lambda c: {**c, "iss": f"{c['iss']}.evil.test"},
    "A029 prefix": lambda c: {**c, "iss": c["iss"][:-1]},
    "A029 path": lambda c: {**c, "iss": f"{c['iss']}/path"},
    "A029 list": lambda c: {**c, "iss": [c["iss"]]},
    "A029 empty": lambda c: {**c, "iss": ""},
    "A030 no nonce": lambda c: {k: v for k, v in c.items() if k != "nonce"},
    "A030 another nonce": lambda c: {**c, "nonce": "x" * 43},
}


@pytest.mark.requirement("C-42")
@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a028_a_token_of_another_client(laboratory: Laboratory, issuer: Issuer, change: Any) -> None:
    """Rightly signed, and for another client, issuer or sign-in: 401, and nobody."""
    client = laboratory.visitor()
    with issuer.saying(claims=change):
        nobody(laboratory, client, arrive(laboratory, issuer, client, **ANN), 401)
    [record] = laboratory.audit(action="authn_login_fail")
    assert record["changes"]["provider"] == "laboratory"
    assert accounts(laboratory) == {}


@pytest.mark.requirement("C-42")
def test_a028_a_token_that_is_sent_by_hand(laboratory: Laboratory, issuer: Issuer) -> None:
    """No endpoint takes a token: what counts is what the server itself has redeemed."""
    now = int(laboratory.clock())
    token = issuer.signed({**ANN, "iss": issuer.url, "aud": issuer.client_id, "iat": now, "exp": now + 60})
    client = laboratory.visitor()
    state = parameter(laboratory.go_to(client), "state")
    nobody(laboratory, client, laboratory.come_back(client, f"id_token={token}&state={state}"), 401, 403)
    begin = laboratory.api("federated_begin").replace("{id}", "laboratory")
    for body in ({"id_token": token}, {"access_token": "x"}, {"code": "x"}):
        assert client.act("POST", begin, json=body).status == 422


@pytest.mark.requirement("C-42")
def test_a029_an_answer_of_another_issuer(laboratory: Laboratory, issuer: Issuer) -> None:
    """The `iss` of the answer names another, or nobody though it must: the code is not sent anywhere."""
    for iss in ("https://evil.test", "", None):
        client = laboratory.visitor()
        pairs = {k: v[0] for k, v in parse_qs(issuer.consent(laboratory.go_to(client), **ANN)).items()}
        pairs.pop("iss")
        reply = laboratory.come_back(client, urlencode(pairs | ({} if iss is None else {"iss": iss})))
        nobody(laboratory, client, reply, 401)
    assert not [url for url in issuer.asked if url.endswith("/token")]


@pytest.mark.requirement("C-42")
def test_a030_the_nonce_of_an_earlier_sign_in(laboratory: Laboratory, issuer: Issuer) -> None:
    """The nonce of the same browser's last sign-in is as good as none."""
    client = laboratory.visitor()
    earlier = parameter(laboratory.go_to(client), "nonce")
    with issuer.saying(claims=lambda c: {**c, "nonce": earlier}):
        nobody(laboratory, client, arrive(laboratory, issuer, client, **ANN), 401)


@pytest.mark.requirement("C-42")
def test_a_code_of_another_browser(laboratory: Laboratory, issuer: Issuer) -> None:
    """Code injection (RFC 9700 section 4.5): the attacker puts the victim's code into his own sign-in."""
    victim, attacker = laboratory.visitor(), laboratory.visitor()
    stolen = parameter(f"?{issuer.consent(laboratory.go_to(victim), **ANN)}", "code")
    state = parameter(laboratory.go_to(attacker), "state")
    reply = laboratory.come_back(attacker, urlencode({"code": stolen, "state": state, "iss": issuer.url}))
    nobody(laboratory, attacker, reply, 401)


@pytest.mark.requirement("S1-020")
def test_a_spoofed_host_changes_nothing(laboratory: Laboratory, issuer: Issuer) -> None:
    """Host is refused; what a stranger forwards is not believed: the address to come back to stays."""
    begin = laboratory.api("federated_begin").replace("{id}", "laboratory")
    for header in (
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Original-URL",
    ):
        client = laboratory.visitor()
        reply = client.act("POST", begin, headers=[(header, "evil.test")], json={})
        assert parameter(reply.json()["location"], "redirect_uri") == (
            f"{laboratory.policy.app.base_url}/auth/callback/laboratory"
        )
    # A name that the policy allows besides its own is not where a code may go either.
    headers = [("Host", "app.example.test:8443"), *laboratory.visitor().from_here]
    reply = laboratory.visitor().send("POST", begin, headers=headers, json={})
    if reply.status == 200:
        assert "app.example.test" not in reply.json()["location"]


@pytest.mark.requirement("S1-038")
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\/evil.test",
        "/%5cevil.test",
        "/%2f%2fevil.test",
        "https:evil.test",
        "https://app.lab@evil.test",
        "javascript:alert('evil.test')",
        "data:text/html,evil.test",
    ],
)
def test_where_a_sign_in_leads(laboratory: Laboratory, issuer: Issuer, target: str) -> None:
    """Whatever was asked for on the way out, the way back leads to a path of this site (A124 to A127)."""
    client = laboratory.visitor()
    location = laboratory.go_to(client, next=target)
    reply = laboratory.come_back(client, issuer.consent(location, **ANN) + f"&next={target}")
    assert reply.header("refresh") == f"0;url={laboratory.policy.pages.home}"
    assert "evil" not in f"{reply.headers}{reply.text}"


@pytest.mark.requirement("S1-021", "C-41")
def test_a_local_target_is_kept(laboratory: Laboratory, issuer: Issuer) -> None:
    """Where somebody wanted to go is kept on the server: the provider does not hear of it."""
    client = laboratory.visitor()
    location = laboratory.go_to(client, next="/api/notes?q=1&r=2")
    assert "notes" not in location
    reply = laboratory.come_back(client, issuer.consent(location, **ANN))
    assert reply.header("refresh") == "0;url=/api/notes?q=1&r=2"
    assert 'href="/api/notes?q=1&amp;r=2"' in reply.text
    assert reply.header("referrer-policy") == "no-referrer"
    assert reply.header("cache-control") == "no-store"


@pytest.mark.requirement("S1-107", "C-14")
def test_an_error_of_the_provider_is_not_repeated(laboratory: Laboratory, issuer: Issuer) -> None:
    """A188: nothing of it is on the page, in a header or in the log; nor is the code of a good answer."""
    client = laboratory.visitor()
    state = parameter(laboratory.go_to(client), "state")
    words = {
        "error": "canary-error",
        "error_description": "<script>canary()</script>",
        "error_uri": "https://canary.test",
        "state": state,
        "iss": issuer.url,
    }
    reply = laboratory.come_back(client, urlencode(words))
    nobody(laboratory, client, reply, 403)
    query = issuer.consent(laboratory.go_to(client), **ANN)
    arrived = laboratory.come_back(client, query)
    assert arrived.status == 200
    shown = (
        "".join(f"{r.headers}{r.text}" for r in (reply, arrived)) + laboratory.logs.text + laboratory.dump()
    )
    for secret in ("canary", state, parameter(f"?{query}", "code"), parameter(f"?{query}", "state")):
        assert secret not in shown


@pytest.mark.requirement("C-42")
def test_no_token_and_no_secret_is_kept(laboratory: Laboratory, issuer: Issuer) -> None:
    """Neither in a table nor in the log: what the provider gave out is used once, and forgotten."""
    given: list[str] = []

    def keep(said: dict[str, Any]) -> dict[str, Any]:
        given.extend([said["access_token"], said["id_token"]])
        return said

    with issuer.saying(answer=keep):
        assert arrive(laboratory, issuer, **ANN).status == 200
    everything = laboratory.dump() + laboratory.logs.text
    assert given
    for secret in (*given, issuer.client_secret):
        assert secret not in everything


@pytest.mark.requirement("S1-021", "C-09", "S1-078")
def test_the_session_before_is_ended(laboratory: Laboratory, issuer: Issuer) -> None:
    """Somebody signs in elsewhere while he is signed in; a Strict cookie does not come back with him."""
    alice = laboratory.ordinary()
    before = alice.cookies[laboratory.cookie]
    query = issuer.consent(laboratory.go_to(alice), **ANN)
    del alice.cookies[laboratory.cookie]
    assert laboratory.come_back(alice, query).status == 200
    assert laboratory.whoami(alice).json()["email"] == ANN["email"]
    with laboratory.site.house.store.reading() as connection:
        assert session_rows.find(connection, digest(before)) is None


@pytest.mark.requirement("S1-022")
def test_a_second_factor_is_still_asked_for(
    laboratory: Laboratory, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has one shows it here too: the provider is one factor, and the session opens nothing yet."""
    arrive(laboratory, issuer, **ANN)
    monkeypatch.setattr(factors, "enrolled", lambda connection, user_id: True)
    client = laboratory.visitor()
    reply = arrive(laboratory, issuer, client, **ANN, acr="high", amr=["mfa", "hwk"])
    page = laboratory.url(owing.PAGES["second"])
    assert reply.header("refresh").startswith(f"0;url={page}?next=")
    assert laboratory.whoami(client).status == 401


def test_a_linked_account_with_an_unconfirmed_address_owes_its_confirmation(
    laboratory: Laboratory, issuer: Issuer
) -> None:
    """The provider's word for its own address is none for the address that the account has here."""
    alice = laboratory.ordinary()
    link(laboratory, issuer, alice, **ANN)
    with laboratory.site.house.store.transaction() as connection:
        change = user_table.update().where(user_table.c.id == alice.id).values(confirmed_at=None)
        connection.execute(change)
    with laboratory.under(email.Settings, confirm=True):
        client = laboratory.visitor()
        reply = arrive(laboratory, issuer, client, **ANN)
        assert laboratory.url(owing.PAGES["confirm"]) in reply.header("refresh")
        assert laboratory.whoami(client).status == 401


def link(laboratory: Laboratory, issuer: Issuer, client: Client, **claims: Any) -> Reply:
    begun = client.act(
        "POST", laboratory.api("federated_accounts"), json={"action": "link", "provider": "laboratory"}
    )
    assert begun.status == 200, begun
    return laboratory.come_back(client, issuer.consent(begun.json()["location"], **claims))


@pytest.mark.requirement("S1-022")
def test_an_owner_links_and_unlinks(laboratory: Laboratory, issuer: Issuer) -> None:
    """By way of his own page: listed, signed in with, and gone again."""
    alice = laboratory.ordinary()
    reply = link(laboratory, issuer, alice, **ANN)
    assert reply.header("refresh") == f"0;url={laboratory.url('federated_accounts')}?notice=linked"
    listed = alice.get(laboratory.api("federated_accounts")).json()
    assert [(each["provider"], each["email"]) for each in listed["linked"]] == [("laboratory", ANN["email"])]
    assert listed["providers"] == []
    other = laboratory.visitor()
    assert arrive(laboratory, issuer, other, **ANN).status == 200
    assert laboratory.whoami(other).json()["id"] == alice.id
    gone = alice.act(
        "POST", laboratory.api("federated_accounts"), json={"action": "unlink", "provider": "laboratory"}
    )
    assert gone.status == 200
    assert laboratory.whoami(other).status == 401
    assert laboratory.whoami(alice).status == 200
    assert accounts(laboratory) == {}


@pytest.mark.requirement("S1-022")
def test_a_link_answered_in_another_browser(laboratory: Laboratory, issuer: Issuer) -> None:
    """The attacker begins to link, and has the victim's browser bring his answer: nothing is linked."""
    mallory, alice = laboratory.ordinary(), laboratory.ordinary()
    begun = mallory.act(
        "POST", laboratory.api("federated_accounts"), json={"action": "link", "provider": "laboratory"}
    )
    query = issuer.consent(begun.json()["location"], **BOB)
    assert laboratory.come_back(alice, query).status == 403
    assert accounts(laboratory) == {}


def test_where_signing_up_is_closed(laboratory: Laboratory, issuer: Issuer) -> None:
    """Nobody new gets in by this door either, and the answer names neither role nor person."""
    with laboratory.under(signup.Settings, open=False):
        client = laboratory.visitor()
        nobody(laboratory, client, arrive(laboratory, issuer, client, **ANN), 403)


def test_what_programs_are_told(laboratory: Laboratory, issuer: Issuer) -> None:
    """The names of the providers that are on, and nothing of how they are reached."""
    reply = laboratory.visitor().get(laboratory.api("federated_providers"))
    assert reply.json() == {"providers": [{"name": "laboratory", "label": "Laboratory"}]}
    page = laboratory.visitor().page(laboratory.url("sign_in")).text
    assert "Continue with Laboratory" in page
    for text in (page, reply.text):
        assert issuer.url not in text
        assert issuer.client_id not in text.replace("/laboratory", "").replace('"laboratory"', "")


def test_the_button_without_a_script(laboratory: Laboratory, issuer: Issuer) -> None:
    """A plain form leads to a page that leads on: no other site stands in `form-action`."""
    client = laboratory.visitor()
    form = [(laboratory.site.policy.controls["csrf"].field, client.token())]  # type: ignore[attr-defined]
    page = f"{laboratory.url('federated_begin')}/laboratory"
    reply = client.send("POST", page, form=form, headers=[("Accept", "text/html"), *client.from_here])
    assert reply.status == 200
    location = reply.header("refresh").removeprefix("0;url=")
    assert location.startswith(f"{issuer.url}/authorize?")
    assert "form-action 'self'" in reply.header("content-security-policy")
    assert laboratory.come_back(client, issuer.consent(location, **ANN)).status == 200


def test_a_provider_that_is_down(laboratory: Laboratory, issuer: Issuer) -> None:
    """503 with Retry-After, calmly; everything else goes on."""
    issuer.down = True
    begin = laboratory.api("federated_begin").replace("{id}", "laboratory")
    reply = laboratory.visitor().act("POST", begin, json={})
    assert (reply.status, reply.header("retry-after")) == (503, "30")
    assert laboratory.visitor().page(laboratory.url("sign_in")).status == 200


def _make(elsewhere: Elsewhere, number: int) -> str:
    """The first sign-in of one subject, in a process of its own."""
    site = elsewhere.site(POLICY)
    try:
        offer = federated.Offered("laboratory", "Laboratory", "https://issuer.lab", "id", "none")
        return federating._account(site.house, offer, Claims("111", "a@x.test", True, "Ann")).id
    finally:
        site.close()


@pytest.mark.requirement("S1-022")
def test_first_sign_ins_in_many_processes_make_one_account(flask_laboratory: Laboratory) -> None:
    """Four workers have the same person come back at the same moment: all of them find one account."""
    made = flask_laboratory.processes(_make, 4)
    assert len(set(made)) == 1
    assert accounts(flask_laboratory) == {"111": made[0]}
