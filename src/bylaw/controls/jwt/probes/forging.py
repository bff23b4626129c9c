"""Attacks with forged and misplaced tokens."""

from __future__ import annotations

import hmac
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import OctKey

from bylaw.control import Broken, probe
from bylaw.controls import cookies, jwt, secrets
from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.probes.common import bearing, decoded, demand_good, encoded, refresh, refused


def _signed(lab: Any, payload: Any, key: Any = None, **header: Any) -> str:
    """A token that bears the application's own signature, whatever it says; or another key's."""
    maker = jwt.maker(lab.policy)
    name, own = next(iter(maker.keys.items()))
    head = {"alg": maker.algorithm, "typ": tokens.TYPE, "kid": name, **header}
    head = {field: value for field, value in head.items() if value is not None}
    key = key or own
    if isinstance(key, OctKey):
        said = f"{encoded(head)}.{encoded(payload)}"
        return f"{said}.{encoded(hmac.digest(key.raw_value, said.encode(), 'sha256'))}"
    plain = {"alg": maker.algorithm}
    made = jws.serialize_compact({**head, **plain}, json.dumps(payload), key, algorithms=[maker.algorithm])
    return str(made)


@probe("critical", "S3-009", "S3-014", "A048", "A049", "A054", "A180")
def only_our_own_signature_counts(lab: Any) -> str:
    """Unsigned, re-signed, changed and foreign tokens are refused, whatever their header says."""
    with bearing(lab):
        person = lab.person()
        good = lab.pair(person).access
        head, payload, seal = good.split(".")
        claims = decoded(payload)
        demand_good(lab, "a good token", good, person)
        other = OctKey.import_key(secrets.new().encode())
        forged = {
            "a changed payload": f"{head}.{encoded({**claims, 'jti': 'x'})}.{seal}",
            "another key": _signed(lab, claims, other),
            "the empty key": _empty(head, payload),
            "an unknown kid": _signed(lab, claims, kid="../../../../dev/null"),
            "no kid": _signed(lab, claims, kid=None),
            "a kid that is a list": _signed(lab, claims, kid=["x"]) if _symmetric(lab) else "",
            "another type": _signed(lab, claims, typ="JWT"),
            "no type": _signed(lab, claims, typ=None),
            "a key of its own": _signed(lab, claims, other, jwk=other.as_dict(private=True)),
            "something critical": _signed(lab, claims, crit=["exp"]) if _symmetric(lab) else "",
            "no signature": f"{head}.{payload}.",
            "two parts": f"{head}.{payload}",
            "padding": f"{head}.{payload}.{seal}=",
            "a byte of the signature": f"{head}.{payload}.{_flipped(seal)}",
        }
        for algorithm in ("none", "None", "nOnE", "", "HS384", "RS256"):
            forged[f"alg {algorithm!r}"] = f"{encoded({**decoded(head), 'alg': algorithm})}.{payload}."
            forged[f"alg {algorithm!r} with a signature"] = (
                f"{encoded({**decoded(head), 'alg': algorithm})}.{payload}.{seal}"
            )
        for what, token in forged.items():
            if token:
                refused(lab, what, token)
    return f"{sum(map(bool, forged.values()))} forged tokens, each 401"


def _symmetric(lab: Any) -> bool:
    return bool(jwt.maker(lab.policy).algorithm == "HS256")


def _empty(head: str, payload: str) -> str:
    said = f"{head}.{payload}"
    return f"{said}.{encoded(hmac.digest(b'', said.encode(), 'sha256'))}"


def _flipped(seal: str) -> str:
    return ("B" if seal[0] == "A" else "A") + seal[1:]


@probe("critical", "S3-010", "S3-012", "S3-015", "A052")
def every_claim_is_asked_for(lab: Any) -> str:
    """Signed as it should be, a token without a claim, of another time, service or environment is refused."""
    with bearing(lab):
        person, settings = lab.person(), lab.policy.of(jwt.Settings)
        good = lab.pair(person).access
        claims = decoded(good.split(".")[1])
        now = int(lab.clock())
        wrong: dict[str, Any] = {f"without {name}": {**claims, name: None} for name in claims}
        wrong |= {
            "of another service": {**claims, "aud": f"{claims['aud']}.evil.test"},
            "for several services": {**claims, "aud": [claims["aud"]]},
            "of another environment": {**claims, "iss": f"{claims['iss']}/"},
            "not good yet": {**claims, "nbf": now + 3600},
            "made far ahead": {**claims, "iat": now + 3600},
            "over at this second": {**claims, "exp": now},
            "without an end": {**claims, "exp": "never"},
            "good for ever": {**claims, "exp": True},
            "of another's sign-in": {**claims, "sub": lab.person().id},
            "of another epoch": {**claims, "epoch": claims["epoch"] + 1},
            "of a family that never was": {**claims, "sid": "x"},
        }
        for what, payload in wrong.items():
            kept = {name: value for name, value in payload.items() if value is not None}
            refused(lab, f"a token {what}", _signed(lab, kept))
        demand_good(lab, "the same, as it should be,", _signed(lab, claims), person)
        lab.clock.advance(settings.lifetime - 1)
        demand_good(lab, "a token in its last second", good, person)
        lab.clock.advance(1)
        refused(lab, "a token whose time is over", good)
    return f"{len(wrong)} kinds of wrong claims refused; good until the second at which it ends"


@probe("high", "A056", "A062")
def nothing_else_passes_for_it(lab: Any) -> str:
    """A refresh token opens nothing, an access token renews nothing; neither counts in an address or a
    cookie, no cookie counts where tokens do, and of a cookie and a token the token alone."""
    with bearing(lab) as me:
        person, other = lab.client(), lab.client()
        pair = lab.pair(person)
        refused(lab, "a refresh token", pair.refresh)
        if refresh(lab, pair.access).status != 401:
            raise Broken("an access token renews itself")
        for name in ("access_token", "token", "jwt"):
            reply = lab.visitor().get(f"{me}?{name}={pair.access}")
            if reply.status == 200:
                raise Broken(f"a token in the address is taken ({name})")
        if pair.access in lab.logs.text:
            raise Broken("a token is in the log")
        name = cookies.name(lab.policy, cookies.SESSION)
        for jar in ({name: pair.access}, {"access_token": pair.access}, other.cookies):
            visitor = lab.visitor()
            visitor.cookies = dict(jar)
            reply = visitor.get(me)
            if reply.status != 401:
                raise Broken(f"where tokens are asked for a cookie says who asks: {reply}")
        both = other.get(me, headers=[("Authorization", f"Bearer {pair.access}")])
        if both.status != 200 or both.json()["id"] != person.id:
            raise Broken(f"with a cookie and a token: {both}")
        twice = [("Authorization", f"Bearer {pair.access}"), ("Authorization", "Bearer x.y.z")]
        reply = lab.visitor().get(me, headers=twice)
        if reply.status not in (400, 401):
            raise Broken(f"of two tokens one is chosen: {reply}")
        page = lab.visitor().get(lab.api("sessions"), headers=[("Authorization", f"Bearer {pair.access}")])
        if page.status != 401:
            raise Broken(f"where cookies are asked for a token says who asks: {page}")
    return "one kind of credential in one place, and nothing else"
