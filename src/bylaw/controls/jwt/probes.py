"""Attacks with forged, stale, stolen and misplaced tokens.

Tokens are taken, besides where the policy has them, at the address that says who is signed in: so that these
attacks work on any application.
"""

from __future__ import annotations

import base64
import hmac
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import OctKey
from pydantic import SecretStr

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import cookies, jwt, lockout, passwords, secrets
from bylaw.controls.jwt import reasons, tokens
from bylaw.controls.mfa.probes import enrol
from bylaw.reasons import Refused

MANY: Final = 12
"""Clients that use one refresh token at the same moment."""
WRONG: Final = "no password of anybody's here"
_NONE: Final = "\0"
"""What cannot be a password."""
_CLAIMS: Final = {"iss", "aud", "sub", "sid", "epoch", "iat", "exp", "jti"}


# What the probes share


@contextmanager
def _bearing(lab: Any, **changes: Any) -> Iterator[str]:
    """Have access tokens taken at the address that says who is signed in, and given for passwords; that
    address."""
    settings, me = lab.policy.of(jwt.Settings), lab.api("me")
    key = settings.key if jwt.used(lab.policy) else SecretStr(secrets.new())
    given = {"off": False, "paths": (*settings.paths, me), "key": key, **changes}
    with lab.under(passwords.Settings, off=False), lab.under(jwt.Settings, **given):
        yield me


def _ask(lab: Any, token: str, *, target: str = "", scheme: str = "Bearer") -> Any:
    """Ask who is signed in, bearing a token."""
    headers = [("Authorization", f"{scheme} {token}")] if token else []
    return lab.visitor().get(target or lab.api("me"), headers=headers)


def _good(lab: Any, what: str, token: str, person: Any) -> None:
    reply = _ask(lab, token)
    if reply.status != 200 or reply.json().get("id") != person.id:
        raise Broken(f"{what} is not taken: {reply}")


def _refused(lab: Any, what: str, token: str) -> None:
    reply = _ask(lab, token)
    if reply.status != 401:
        raise Broken(f"{what}: {reply}, not 401")
    if not reply.header("www-authenticate").startswith("Bearer"):
        raise Broken(f"{what}: the refusal does not say what is asked for (WWW-Authenticate)")


def _post(lab: Any, endpoint: str, **fields: str) -> Any:
    """Ask as an OAuth 2.0 client does."""
    return lab.visitor().send("POST", lab.api(endpoint), form=fields)


def _refresh(lab: Any, secret: str) -> Any:
    return _post(lab, "token_refresh", refresh_token=secret)


def _sign_in(lab: Any, person: Any, password: str = "", **more: str) -> Any:
    fields = {"grant_type": "password", "username": person.email, "password": password or person.password}
    return _post(lab, "token", **fields, **more)


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


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


# The probes


@probe("high", "S3-010", "S3-012", "S3-016", "S3-018")
def a_pair_is_given_for_a_password(lab: Any) -> str:
    """A password gets an access token that says who by an id alone, and a refresh token; for no cache."""
    with _bearing(lab):
        person = lab.person()
        reply = _sign_in(lab, person)
        if reply.status != 200:
            raise Broken(f"the right password gets no token: {reply}")
        if reply.header("cache-control") != "no-store" or reply.all("set-cookie"):
            raise Broken("the answer may be kept by a cache, or sets a cookie")
        said = reply.json()
        lifetime = lab.policy.of(jwt.Settings).lifetime
        if said["token_type"] != "Bearer" or said["expires_in"] != lifetime:  # noqa: S105 - RFC 6749's word
            raise Broken(f"not what a client expects (RFC 6749 section 5.1): {sorted(said)}")
        head, payload = map(decoded, said["access_token"].split(".")[:2])
        if set(payload) != _CLAIMS or head["typ"] != tokens.TYPE:
            raise Broken(f"the token says {sorted(payload)}, not {sorted(_CLAIMS)}")
        if payload["sub"] != person.id or payload["exp"] - payload["iat"] != lifetime:
            raise Broken("the token is about somebody else, or lives for another time")
        _good(lab, "what was given", said["access_token"], person)
        kept = lab.dump()
        if said["refresh_token"] in kept or said["access_token"] in kept:
            raise Broken("the database holds a token itself")
    return f"{len(_CLAIMS)} claims, {lifetime} seconds, no-store; the database holds neither token"


@probe("critical", "S3-009", "S3-014", "A048", "A049", "A054", "A180")
def only_our_own_signature_counts(lab: Any) -> str:
    """Unsigned, re-signed, changed and foreign tokens are refused, whatever their header says."""
    with _bearing(lab):
        person = lab.person()
        good = lab.pair(person).access
        head, payload, seal = good.split(".")
        claims = decoded(payload)
        _good(lab, "a good token", good, person)
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
                _refused(lab, what, token)
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
    with _bearing(lab):
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
            _refused(lab, f"a token {what}", _signed(lab, kept))
        _good(lab, "the same, as it should be,", _signed(lab, claims), person)
        lab.clock.advance(settings.lifetime - 1)
        _good(lab, "a token in its last second", good, person)
        lab.clock.advance(1)
        _refused(lab, "a token whose time is over", good)
    return f"{len(wrong)} kinds of wrong claims refused; good until the second at which it ends"


@probe("critical", "C-05", "S3-017", "S3-072", "A059", "A061")
def standing_ends_it_at_once(lab: Any) -> str:
    """Disabling, signing out everywhere, revoking and a lost role end access and refresh tokens together."""
    with _bearing(lab):
        ways: dict[str, Callable[[Any, Any], Any]] = {
            "disabling the account": lambda person, pair: lab.disable(person),
            "signing out everywhere": lambda person, pair: _everywhere(lab, person),
            "revoking the refresh token": lambda person, pair: _post(lab, "token_revoke", token=pair.refresh),
            "revoking the access token": lambda person, pair: _post(lab, "token_revoke", token=pair.access),
            "deleting the account": lambda person, pair: _deleted(lab, person),
        }
        for what, way in ways.items():
            person = lab.client()
            pair = lab.pair(person)
            for _ in range(2):  # also where memory knows it
                _good(lab, "a good token", pair.access, person)
            way(person, pair)
            _refused(lab, f"after {what} the access token", pair.access)
            reply, unknown = _refresh(lab, pair.refresh), _refresh(lab, "bylaw_rt_of-nobody")
            if reply.status != 401 or (reply.status, reply.code) != (unknown.status, unknown.code):
                raise Broken(f"after {what} the refresh token: {reply}, an unknown one: {unknown}")
        reply = _post(lab, "token_revoke", token="nothing")  # noqa: S106 - no token  # nosec B106  # (the same)
        if reply.status != 200:
            raise Broken(f"revoking what is none tells so: {reply}")
    return f"{', '.join(ways)}: both tokens refused at the next request"


def _everywhere(lab: Any, person: Any) -> None:
    reply = person.act("POST", lab.api("sessions"), json={"session": "everywhere"})
    if reply.status != 200:
        raise CouldNotLook(f"signing out everywhere: {reply}")


def _deleted(lab: Any, person: Any) -> None:
    """As a database does it that forgets a person: what belongs to him goes along."""
    from bylaw.store import feed
    from bylaw.store.tables import users

    house = lab.site.house
    with house.store.transaction() as connection:
        connection.execute(users.delete().where(users.c.id == person.id))
        feed.revoke(connection, house.now(), person.id)
    house.store.memory.forget(person.id)


@probe("critical", "S3-013", "A057")
def a_refresh_token_is_good_once(lab: Any) -> str:
    """Each use gives the next one; a second use ends everything of that sign-in, is recorded and told."""
    with _bearing(lab):
        person, settings = lab.person(), lab.policy.of(jwt.Settings)
        first = lab.pair(person)
        reply = _refresh(lab, first.refresh)
        if reply.status != 200:
            raise Broken(f"a good refresh token: {reply}")
        second = reply.json()
        if second["refresh_token"] == first.refresh:
            raise Broken("a refresh token is given out twice")
        other = lab.pair(person)
        _good(lab, "the next access token", second["access_token"], person)
        if _refresh(lab, first.refresh).status != 401:
            raise Broken("a refresh token was used twice")
        _refused(lab, "after a second use the newest access token", second["access_token"])
        if _refresh(lab, second["refresh_token"]).status != 401:
            raise Broken("after a second use the newest refresh token goes on")
        _good(lab, "another client's token", other.access, person)
        records = lab.audit(action="authn_token_reuse", entity_id=first.family)
        if [set(row["changes"]) for row in records] != [{"first_use", "again_at"}]:
            raise Broken(f"{len(records)} records of the second use, or not of both")
        if not [m for m in lab.mail() if m["To"] == person.email and "signed out" in m["Subject"]]:
            raise Broken("the account's owner is not told")
        idle = lab.pair(person)
        lab.clock.advance(settings.refresh_idle)
        if _refresh(lab, idle.refresh).status != 401:
            raise Broken("a refresh token waits for longer than it may")
        _absolute(lab, person, settings)
    return "rotated at each use; the second use ended the family alone, was recorded and mailed; limits held"


def _absolute(lab: Any, person: Any, settings: Any) -> None:
    """However often it is refreshed, it ends."""
    secret, ends = lab.pair(person).refresh, lab.clock() + settings.refresh_absolute
    while lab.clock() < ends:
        reply = _refresh(lab, secret)
        if reply.status != 200:
            raise Broken(f"before its end a family is not refreshed: {reply}")
        secret = reply.json()["refresh_token"]
        lab.clock.advance(min(settings.refresh_idle - 1, ends - lab.clock()))
    if _refresh(lab, secret).status != 401:
        raise Broken("a family lives for longer than it may")


@probe("critical", "S3-013", "A057")
def at_once_one_refreshes(lab: Any) -> str:
    """Of many who use one refresh token at the same moment one gets the next, and that ends with the rest."""
    with _bearing(lab):
        person = lab.person()
        pair = lab.pair(person)
        replies = lab.burst(lambda number: _refresh(lab, pair.refresh), MANY)
        won = [reply for reply in replies if reply.status == 200]
        if len(won) != 1 or {reply.status for reply in replies} != {200, 401}:
            raise Broken(f"{len(won)} of {MANY} got a token")
        _refused(lab, "after a second use what the first has got", won[0].json()["access_token"])
    return f"{MANY} at once: 1 pair, and the family ended"


@probe("high", "A056", "A062")
def nothing_else_passes_for_it(lab: Any) -> str:
    """A refresh token opens nothing, an access token renews nothing; neither counts in an address or a
    cookie, no cookie counts where tokens do, and of a cookie and a token the token alone."""
    with _bearing(lab) as me:
        person, other = lab.client(), lab.client()
        pair = lab.pair(person)
        _refused(lab, "a refresh token", pair.refresh)
        if _refresh(lab, pair.access).status != 401:
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


@probe("critical", "C-17", "A098")
def no_cookie_gets_a_token(lab: Any) -> str:
    """A visitor's browser gets nobody a token: no session counts there, and no other site may ask."""
    with _bearing(lab):
        person = lab.client()
        before = dict(person.cookies)
        for fields in (
            {"grant_type": "password"},
            {"grant_type": "session"},
            {"grant_type": "refresh_token"},
        ):
            reply = person.send("POST", lab.api("token"), form=fields, headers=person.from_here)
            if reply.status == 200 or "access_token" in reply.text:
                raise Broken(f"a session's cookie gets a token: {reply}")
        if person.cookies != before:
            raise Broken("asking for a token changes the session")
        evil = [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")]
        pair = lab.pair(person)
        asked = {
            "token": {"grant_type": "refresh_token", "refresh_token": pair.refresh},
            "token_refresh": {"refresh_token": pair.refresh},
            "token_revoke": {"token": pair.refresh},
        }
        for endpoint, fields in asked.items():
            reply = person.send("POST", lab.api(endpoint), form=fields, headers=evil)
            if not reply.code.startswith("csrf."):
                raise Broken(f"another site may ask at {lab.api(endpoint)}: {reply}")
        reply = person.send("POST", lab.api("token_refresh"), form=asked["token_refresh"])
        if reply.status != 200:
            raise Broken(f"a token is asked against forgery where no cookie counts: {reply}")
    return f"{len(asked)} addresses: no session, no other site, and no token against forgery needed"


@probe("high", "C-05")
def a_known_token_costs_no_query(lab: Any) -> str:
    """A token seen before is known from memory; a process that may not trust it asks, or refuses with 503."""
    store = lab.site.house.store
    with _bearing(lab):
        person = lab.person()
        pair, other = lab.pair(person), lab.pair(person)
        with lab.queries() as asked:
            _good(lab, "a good token", pair.access, person)
            first = len(asked)
            for _ in range(3):
                _good(lab, "a known token", pair.access, person)
            if len(asked) > first:
                raise Broken(f"a known token costs {(len(asked) - first) / 3:g} queries")
        if not first:
            raise Broken("nobody asked the database whether the token stands")
        with lab.unreachable(store.feed, "_engine"):
            store.feed._read_at -= store.feed.bound
            with lab.queries() as asked:
                _good(lab, "cut off from the feed, with a database, a good token", pair.access, person)
            if not asked:
                raise Broken("a token was taken from a memory that nobody keeps up to date")
            with lab.unreachable(store, "engine"):
                for token in (pair.access, other.access):
                    reply = _ask(lab, token)
                    if (reply.status, reply.code) != (503, reasons.UNAVAILABLE.code):
                        raise Broken(f"without feed and database: {reply}")
    return f"{first} queries at first sight, none after it; cut off it asked, and refused with 503"


@probe("critical", "S1-156", "C-41", "A143")
def this_door_is_the_same_door(lab: Any) -> str:
    """Second factors, lockout and silence about who is there hold for tokens as at the sign-in page."""
    with _bearing(lab):
        person, settings = lab.client(), lab.policy.of(lockout.Settings)
        app = enrol(lab, person)
        reply = _sign_in(lab, person)
        if reply.status != 403 or reply.json().get("error") != "mfa_required":
            raise Broken(f"with the password alone, where there is a second factor: {reply}")
        wrong = _sign_in(lab, person, otp="000000")
        if wrong.status == 200:
            raise Broken("any code will do")
        code = app.shown(steps=1)
        reply = _sign_in(lab, person, otp=code)
        if reply.status != 200:
            raise Broken(f"with password and code: {reply}")
        if _sign_in(lab, person, otp=code).status == 200:
            raise Broken("a code is good twice")
        unknown = replace(person, email="nobody-at-all@people.test")
        told = [_sign_in(lab, who, WRONG) for who in (lab.person(), unknown)]
        if len({(reply.status, reply.json()["error_description"]) for reply in told}) != 1:
            raise Broken(f"the answers tell who is there: {told[0]}, {told[1]}")
        if not settings.off:
            _slowed(lab, settings)
    return "a code was asked for, failures were counted, and nothing told who is there"


def _slowed(lab: Any, settings: Any) -> None:
    guessed, verbs = lab.person(), _verbs()
    with lab.paced():
        for _ in range(settings.free):
            with suppress(Refused):  # what cannot be a password is wrong without being hashed
                verbs.sign_in(lab.site.house, email=guessed.email, password=_NONE, use=verbs.Use())
        reply = _sign_in(lab, guessed)
        if reply.code.startswith("rate_limits"):
            raise CouldNotLook("the limits of requests are reached before the lockout")
        if reply.code != lockout.WAIT.code or not reply.header("retry-after"):
            raise Broken(f"after {settings.free} wrong passwords: {reply}")


PROBES = (
    a_pair_is_given_for_a_password,
    only_our_own_signature_counts,
    every_claim_is_asked_for,
    standing_ends_it_at_once,
    a_refresh_token_is_good_once,
    at_once_one_refreshes,
    nothing_else_passes_for_it,
    no_cookie_gets_a_token,
    a_known_token_costs_no_query,
    this_door_is_the_same_door,
)


# What they look with


# The sabotages


def _verbs() -> Any:
    return sys.modules["bylaw.operations.token_families"]
