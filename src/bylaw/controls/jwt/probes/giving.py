"""Attacks on the door at which tokens are given."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import jwt, lockout
from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.probes.common import bearing, decoded, demand_good, post
from bylaw.controls.mfa.probes import enrol
from bylaw.reasons import Refused

WRONG: Final = "no password of anybody's here"
_NONE: Final = "\0"
"""What cannot be a password."""
_CLAIMS: Final = {"iss", "aud", "sub", "sid", "epoch", "iat", "exp", "jti"}


def _sign_in(lab: Any, person: Any, password: str = "", **more: str) -> Any:
    fields = {"grant_type": "password", "username": person.email, "password": password or person.password}
    return post(lab, "token", **fields, **more)


@probe("high", "S3-010", "S3-012", "S3-016", "S3-018")
def a_pair_is_given_for_a_password(lab: Any) -> str:
    """A password gets an access token that says who by an id alone, and a refresh token; for no cache."""
    with bearing(lab):
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
        demand_good(lab, "what was given", said["access_token"], person)
        kept = lab.dump()
        if said["refresh_token"] in kept or said["access_token"] in kept:
            raise Broken("the database holds a token itself")
    return f"{len(_CLAIMS)} claims, {lifetime} seconds, no-store; the database holds neither token"


@probe("critical", "C-17", "A098")
def no_cookie_gets_a_token(lab: Any) -> str:
    """A visitor's browser gets nobody a token: no session counts there, and no other site may ask."""
    with bearing(lab):
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


@probe("critical", "S1-156", "C-41", "A143")
def this_door_is_the_same_door(lab: Any) -> str:
    """Second factors, lockout and silence about who is there hold for tokens as at the sign-in page."""
    with bearing(lab):
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


def _verbs() -> Any:
    return sys.modules["bylaw.operations.token_families"]
