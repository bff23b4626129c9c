"""Attacks with answers: of other sign-ins, other browsers, forged, or repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from joserfc import jwk, jws

from bylaw import oidc
from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls.federated.probes.common import EVIL, arrive, demand_in, demand_nobody, opened, somebody
from bylaw.keys import base64url


def _query(location: str, name: str) -> str:
    return parse_qs(urlsplit(location).query).get(name, [""])[0]


_STATES: Final[dict[str, Callable[[str], str]]] = {
    "no state": lambda state: "",
    "an empty state": lambda state: "&state=",
    "another state": lambda state: f"&state={state[:-1]}{'A' if state[-1] != 'A' else 'B'}",
    "two states": lambda state: f"&state={state}&state={EVIL}",
}


@probe("critical", "S1-021", "C-42", "C-09", "A021", "A023")
def an_answer_counts_once_in_its_own_browser(lab: Any) -> str:
    """An answer without the state of this very sign-in opens nothing, nor does one that comes again."""
    with opened(lab) as issuer:
        for what, change in _STATES.items():
            client = lab.visitor()
            location = lab.go_to(client)
            code = _query(f"?{issuer.consent(location, **somebody())}", "code")
            asked = len(issuer.asked)
            reply = lab.come_back(
                client, f"code={code}&iss={quote(issuer.url)}{change(_query(location, 'state'))}"
            )
            demand_nobody(lab, client, what, reply, (400, 401, 403))
            if any(url.endswith("/token") for url in issuer.asked[asked:]):
                raise Broken(f"{what}: the code was redeemed all the same")
        client, thief = lab.visitor(), lab.visitor()
        location = lab.go_to(client)
        query = issuer.consent(location, **somebody())
        lab.go_to(thief)
        demand_nobody(lab, thief, "in another browser", lab.come_back(thief, query), (403,))
        papers = dict(client.cookies)
        demand_in(lab, client, lab.come_back(client, query))
        for what, replayed in (
            ("the same answer", query),
            ("its state", issuer.consent(location, **somebody())),
        ):
            again = lab.visitor()
            again.cookies = dict(papers)
            demand_nobody(lab, again, f"{what} again", lab.come_back(again, replayed), (400, 401, 403))
        late = lab.visitor()
        query = issuer.consent(lab.go_to(late), **somebody())
        lab.clock.advance(601)
        demand_nobody(lab, late, "after ten minutes", lab.come_back(late, query), (400, 401, 403))
    return f"{len(_STATES)} wrong states, another browser, a replay and a late answer: nobody"


_CLAIMS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "another issuer": lambda c: {**c, "iss": f"{c['iss']}.evil.test"},
    "an issuer with a slash more": lambda c: {**c, "iss": f"{c['iss']}/"},
    "a list of issuers": lambda c: {**c, "iss": [c["iss"]]},
    "another client's": lambda c: {**c, "aud": "another"},
    "for two clients": lambda c: {**c, "aud": [c["aud"], "another"], "azp": "another"},
    "presented by another client": lambda c: {**c, "azp": "another"},
    "without a nonce": lambda c: {k: v for k, v in c.items() if k != "nonce"},
    "another nonce": lambda c: {**c, "nonce": "another"},
    "run out": lambda c: {**c, "exp": c["iat"] - 300},
    "without an end": lambda c: {k: v for k, v in c.items() if k != "exp"},
    "of an hour ago": lambda c: {**c, "iat": c["iat"] - 3600},
    "of tomorrow": lambda c: {**c, "iat": c["iat"] + 86400, "exp": c["exp"] + 86400},
    "of nobody": lambda c: {**c, "sub": ""},
    "of a number": lambda c: {**c, "sub": 1},
    "of another access token": lambda c: {**c, "at_hash": "another"},
}


@probe("critical", "C-42", "A028", "A029", "A030")
def a_token_of_another_sign_in_is_nobodys(lab: Any) -> str:
    """An id_token of another issuer, client, sign-in or time opens nothing, however well it is signed."""
    with opened(lab) as issuer:
        for what, change in _CLAIMS.items():
            client = lab.visitor()
            with issuer.saying(claims=change):
                reply = arrive(lab, issuer, client, **somebody())
            demand_nobody(lab, client, f"an id_token {what}", reply, (401,))
        client = lab.visitor()
        query = issuer.consent(lab.go_to(client), **somebody())
        reply = lab.come_back(client, query.replace(quote(issuer.url, safe=""), quote(EVIL, safe="")))
        demand_nobody(lab, client, "an answer of another issuer", reply, (401,))
        demand_in(lab, client, arrive(lab, issuer, client, **somebody()))
    return f"{len(_CLAIMS)} id_tokens and another issuer's answer: 401, nobody"


def _forgeries(issuer: Any) -> dict[str, Callable[[str], str]]:
    """Ways to change an id_token without the issuer's key, by name."""
    stranger = jwk.ECKey.generate_key("P-256", {"kid": issuer.keys[-1].kid})
    public = issuer.keys[-1].as_dict(private=False)

    def parts(token: str) -> tuple[dict[str, Any], bytes]:
        made = jws.extract_compact(token.encode())
        return dict(made.headers()), made.payload

    def signed(token: str, key: Any, **header: Any) -> str:
        said, payload = parts(token)
        known = [*jws.JWSRegistry.recommended, "HS256"]
        return jws.serialize_compact({**said, **header}, payload, key, algorithms=known)

    def secret_of(text: str) -> Any:
        return jwk.OctKey.import_key(text)

    return {
        "unsigned": lambda t: _reheaded(t, alg="none"),
        "unsigned, another spelling": lambda t: _reheaded(t, alg="nOnE"),
        "with the public key as a secret": lambda t: signed(t, secret_of(json.dumps(public)), alg="HS256"),
        "with the client's secret": lambda t: signed(t, secret_of(issuer.client_secret * 2), alg="HS256"),
        "with another key of the same name": lambda t: signed(t, stranger),
        "with a key that it brings along": lambda t: signed(t, stranger, jwk=stranger.as_dict(private=False)),
        "with a key of another address": lambda t: signed(t, stranger, kid="theirs", jku=f"{EVIL}/keys"),
        "with its signature cut off": lambda t: t.rpartition(".")[0] + ".",
        "with no dots": lambda t: t.replace(".", ""),
        "changed after it was signed": _changed,
    }


def _reheaded(token: str, **header: Any) -> str:
    made = base64url(json.dumps({"kid": "x", **header}).encode())
    return f"{made}.{token.partition('.')[2].rpartition('.')[0]}."


def _changed(token: str) -> str:
    head, body, signature = token.split(".")
    flipped = "A" if body[20] != "A" else "B"
    return f"{head}.{body[:20]}{flipped}{body[21:]}.{signature}"


@probe("critical", "C-42")
def a_token_is_signed_by_its_issuer(lab: Any) -> str:
    """An id_token that the issuer's published key did not sign opens nothing; a new key of its own does."""
    with opened(lab) as issuer:
        forgeries = _forgeries(issuer)
        for what, forge in forgeries.items():
            client = lab.visitor()
            with issuer.saying(token=forge):
                reply = arrive(lab, issuer, client, **somebody())
            demand_nobody(lab, client, f"an id_token {what}", reply, (401,))
        client = lab.visitor()
        with issuer.saying(header=lambda h: {**h, "typ": "at+jwt"}):
            reply = arrive(lab, issuer, client, **somebody())
        demand_nobody(lab, client, "another kind of token", reply, (401,))
        asked = [url for url in issuer.asked if url.endswith("/keys")]
        if len(asked) > 2:
            raise Broken(f"{len(asked)} looks for keys that tokens made up")
        lab.clock.advance(oidc.KEYS_AGAIN)
        issuer.rotate()
        demand_in(lab, client, arrive(lab, issuer, client, **somebody()))
    return f"{len(forgeries) + 1} forgeries: 401, nobody; {len(asked)} look(s) for keys"


@probe("critical", "S1-018", "S1-020", "S1-021", "C-42", "A124", "A125")
def what_is_asked_for_is_the_policys(lab: Any) -> str:
    """Each request asks for a code with PKCE, a state and nonce of its own, and comes back here alone."""
    policy = lab.policy
    wanted = f"{policy.app.base_url}{policy.pages.prefix}/callback/laboratory"
    with opened(lab) as issuer:
        seen: dict[str, set[str]] = {"state": set(), "nonce": set(), "code_challenge": set()}
        for spoofed in ((), (("X-Forwarded-Host", "evil.test"),), (("Forwarded", "host=evil.test"),)):
            client = lab.visitor()
            reply = client.act(
                "POST",
                lab.api("federated_begin").replace("{id}", "laboratory"),
                headers=list(spoofed),
                json={},
            )
            if reply.status != 200:
                raise CouldNotLook(f"signing in with another provider cannot be begun: {reply}")
            location = reply.json()["location"]
            asked = {
                name: _query(location, name)
                for name in ("response_type", "redirect_uri", "code_challenge_method", "client_id")
            }
            if asked != {
                "response_type": "code",
                "redirect_uri": wanted,
                "code_challenge_method": "S256",
                "client_id": issuer.client_id,
            }:
                raise Broken(f"asked for {asked}")
            for name, values in seen.items():
                values.add(_query(location, name))
        if any(len(values) < 3 or min(map(len, values)) < 22 for values in seen.values()):
            raise Broken("two requests have a state, nonce or challenge in common, or a short one")
        for target in (EVIL, "//evil.test", "/\\evil.test", "javascript:alert(1)", "/%5cevil.test"):
            client = lab.visitor()
            query = issuer.consent(lab.go_to(client, next=target), **somebody())
            reply = lab.come_back(client, query)
            if "evil" in f"{reply.headers}{reply.text}" or "alert(1)" in reply.text:
                raise Broken(f"after signing in, {target} is where the browser goes")
    return f"3 requests to {wanted}, each with its own state, nonce and S256 challenge"


@probe("critical", "C-42")
def a_code_belongs_to_the_browser_that_asked(lab: Any) -> str:
    """Somebody else's code, put into one's own sign-in, is not redeemed: its verifier is elsewhere."""
    with opened(lab) as issuer:
        victim, thief = lab.visitor(), lab.visitor()
        stolen = _query(f"?{issuer.consent(lab.go_to(victim), **somebody())}", "code")
        location = lab.go_to(thief)
        state = _query(location, "state")
        reply = lab.come_back(thief, f"code={stolen}&state={state}&iss={quote(issuer.url)}")
        demand_nobody(lab, thief, "a stolen code", reply, (401,))
    return f"a code of another browser: {reply}"


@probe("high", "S1-107", "A188")
def an_answer_is_not_repeated(lab: Any) -> str:
    """Neither a page nor the log has anything of an answer: no code, no state, no words of the provider."""
    with opened(lab) as issuer:
        client = lab.visitor()
        state = _query(lab.go_to(client), "state")
        said = "<script>alert(1)</script>"
        reply = lab.come_back(
            client,
            f"error=access_denied&error_description={quote(said)}&error_uri={quote(EVIL)}"
            f"&state={state}&iss={quote(issuer.url)}",
        )
        demand_nobody(lab, client, "an error of the provider's", reply, (400, 401, 403))
        if any(part in reply.text for part in ("alert(1)", EVIL, state)):
            raise Broken("the page repeats what the provider says")
        query = issuer.consent(lab.go_to(client), **somebody())
        code = _query(f"?{query}", "code")
        reply = lab.come_back(client, query)
        demand_in(lab, client, reply)
        shown = f"{reply.text}{reply.headers}"
        if code in lab.logs.text or code in shown or _query(f"?{query}", "state") in lab.logs.text:
            raise Broken("the code or the state is in the log or on the page")
    return "an error and an honest answer: nothing of either on a page or in the log"
