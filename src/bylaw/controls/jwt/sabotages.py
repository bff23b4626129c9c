"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import hmac
import json
import sys
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import OctKey

from bylaw import bearer
from bylaw.control import Patch, Sabotage, sabotage
from bylaw.controls import jwt
from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.probes.common import decoded, encoded
from bylaw.store import token_families as families
from bylaw.store.feed import Feed


def _verbs() -> Any:
    return sys.modules["bylaw.operations.token_families"]


@sabotage
def the_signature_is_not_looked_at(patch: Patch) -> None:
    """Whatever has three parts is believed."""

    def verified(self: tokens.Maker, text: str) -> Any:
        try:
            return decoded(text.split(".")[1])
        except (ValueError, IndexError):
            raise tokens.Unreadable from None

    patch(tokens.Maker, "verified", verified)


@sabotage
def the_header_chooses(patch: Patch) -> None:
    """The key is the current one, whatever the header names, and other types pass."""
    patch(tokens.Maker, "_key", lambda self, header: next(iter(self.keys.values())))


@sabotage
def the_end_is_not_looked_at(patch: Patch) -> None:
    """A token is good for ever."""
    real = tokens.Maker._claims

    def claims(self: tokens.Maker, payload: Any, now: float) -> tokens.Claims:
        if isinstance(payload, dict) and type(payload.get("exp")) is int:
            payload = {**payload, "exp": int(now) + 1}
        return real(self, payload, now)

    patch(tokens.Maker, "_claims", claims)


@sabotage
def any_service_will_do(patch: Patch) -> None:
    """Issuer and audience are not compared."""
    real = tokens.Maker._claims

    def claims(self: tokens.Maker, payload: Any, now: float) -> tokens.Claims:
        if isinstance(payload, dict) and "iss" in payload and "aud" in payload:
            payload = {**payload, "iss": self.issuer, "aud": self.audience}
        return real(self, payload, now)

    patch(tokens.Maker, "_claims", claims)


@sabotage
def nobody_asks_whether_it_stands(patch: Patch) -> None:
    """What is signed is believed: signing out and disabling end nothing."""
    real = families.find
    known: dict[str, Any] = {}

    def find(connection: Any, family_id: str, now: float) -> Any:
        found = real(connection, family_id, now)
        return known.setdefault(family_id, found) if found is not None else known.get(family_id)

    patch(families, "find", find)


@sabotage
def a_refresh_token_is_good_for_ever(patch: Patch) -> None:
    """No use is the last."""
    real = families.use_token

    def use(connection: Any, digest: str, now: float, **facts: str) -> Any:
        row, _ = real(connection, digest, now, **facts)
        return row, row is not None

    patch(families, "use_token", use)


@sabotage
def a_second_use_ends_nothing(patch: Patch) -> None:
    """It is refused, and whoever has the newer one goes on."""
    patch(_verbs(), "_reused", lambda house, connection, user_id, row: None)


@sabotage
def cookies_count_as_well(patch: Patch) -> None:
    """On the paths of tokens a session's cookie says who asks."""
    sessions = sys.modules["bylaw.controls.sessions"]
    patch(sessions, "bearers", lambda policy: bearer.Family(()))


@sabotage
def a_token_counts_everywhere(patch: Patch) -> None:
    """It is taken on every path."""
    patch(jwt, "family", lambda policy: _Everywhere(()))


class _Everywhere(bearer.Family):
    def covers(self, path: str) -> bool:
        return True


@sabotage
def refresh_tokens_are_access_tokens(patch: Patch) -> None:
    """The token that renews is of the same make as the one that opens."""
    verbs = _verbs()
    patch(verbs, "PREFIX", "")
    patch(verbs, "base64url", lambda random: "x" * len(random))


@sabotage
def nothing_is_remembered_of_it(patch: Patch) -> None:
    """Every request asks the database."""
    patch(jwt, "_remembered", _forgotten(jwt._remembered))


def _forgotten(real: Any) -> Any:
    def remembered(house: Any, *given: Any) -> Any:
        house.store.memory.generation += 1
        return real(house, *given)

    return remembered


@sabotage
def memory_is_believed_blindly(patch: Patch) -> None:
    """A process that is cut off from the feed goes on as if it were not."""
    patch(Feed, "current", property(lambda self: True))


@sabotage
def the_second_factor_is_not_asked_for(patch: Patch) -> None:
    """Whoever knows the password gets a token."""
    patch(sys.modules["bylaw.operations.signing_in"], "_owed", lambda *given, **named: iter(()))


@sabotage
def nobody_counts_at_this_door(patch: Patch) -> None:
    """Passwords are checked for tokens without anybody counting how often they were wrong."""
    signing_in = sys.modules["bylaw.operations.signing_in"]
    real = signing_in.by_password

    def uncounted(house: Any, **given: Any) -> Any:
        before, house.paced = house.paced, False
        try:
            return real(house, **given)
        finally:
            house.paced = before

    patch(signing_in, "by_password", uncounted)


@sabotage
def the_token_says_more(patch: Patch) -> None:
    """It bears its owner's roles and mail address, for everybody to read."""
    real = tokens.Maker.make

    def make(self: tokens.Maker, claims: tokens.Claims) -> str:
        head, payload, _ = real(self, claims).split(".")
        more = {**decoded(payload), "email": "person@people.test", "roles": ["admin"]}
        key = next(iter(self.keys.values()))
        if isinstance(key, OctKey):
            said = f"{head}.{encoded(more)}"
            return f"{said}.{encoded(hmac.digest(key.raw_value, said.encode(), 'sha256'))}"
        return str(jws.serialize_compact(decoded(head), json.dumps(more), key, algorithms=[self.algorithm]))

    patch(tokens.Maker, "make", make)


@sabotage
def a_session_is_as_good_as_a_password(patch: Patch) -> None:
    """Where tokens are given a session's cookie counts, and other sites may ask."""
    csrf = sys.modules["bylaw.controls.csrf"]
    patch(csrf, "from_here", lambda *given: True)


SABOTAGES: Final[tuple[Sabotage, ...]] = (
    the_signature_is_not_looked_at,
    the_header_chooses,
    the_end_is_not_looked_at,
    any_service_will_do,
    nobody_asks_whether_it_stands,
    a_refresh_token_is_good_for_ever,
    a_second_use_ends_nothing,
    cookies_count_as_well,
    a_token_counts_everywhere,
    refresh_tokens_are_access_tokens,
    nothing_is_remembered_of_it,
    memory_is_believed_blindly,
    the_second_factor_is_not_asked_for,
    nobody_counts_at_this_door,
    the_token_says_more,
    a_session_is_as_good_as_a_password,
)
