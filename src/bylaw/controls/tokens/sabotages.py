"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

from bylaw.control import Patch, sabotage
from bylaw.controls import secrets
from bylaw.controls.tokens import form
from bylaw.exchange import current
from bylaw.keys import digest
from bylaw.reasons import Refused
from bylaw.store import access_tokens as rows

_DAY: Final = 86400


def _control() -> Any:
    return sys.modules["bylaw.controls.tokens"]


def _verbs(name: str) -> Any:
    return sys.modules[f"bylaw.operations.{name}"]


@sabotage
def the_session_lives_as_long_as_the_token(patch: Patch) -> None:
    """A session that a token opens is given the token's ninety days."""
    patch(sys.modules["bylaw.controls.sessions"], "ends", lambda house, at: at + 90 * _DAY)


@sabotage
def its_sessions_go_on(patch: Patch) -> None:
    """Revoking a token leaves those signed in who came with it."""
    patch(rows, "end_sessions", lambda connection, token_id, but=None: [])


@sabotage
def it_lives_for_ever(patch: Patch) -> None:
    """Nobody looks when a token expires."""
    patch(_verbs("bearing"), "good", lambda row, now: True)


@sabotage
def its_session_outlives_it(patch: Patch) -> None:
    """A session takes no notice of when its token ends."""
    patch(_verbs("signing_in"), "_sooner", lambda until, token_until, house: until)


@sabotage
def it_is_kept_in_the_clear(patch: Patch) -> None:
    """The table holds the tokens."""
    control = _control()
    patch(control, "stored", lambda policy, token: form.read(control.head(policy), token)[:64])


@sabotage
def it_is_short(patch: Patch) -> None:
    """A token holds 32 random bits."""
    real = form.make
    patch(form, "make", lambda beginning, random: real(beginning, random[:4]))


@sabotage
def an_address_is_read_as_well(patch: Patch) -> None:
    """A token is taken from the address too, where servers log it."""
    forms = sys.modules["bylaw.pages.forms"]
    real: Callable[..., dict[str, Any]] = forms.read

    def read(body: Any, kind: str, fields: Any, **how: Any) -> dict[str, Any]:
        exchange, fields = current(), tuple(fields)
        given = parse_qs(exchange.query).get("token") if exchange is not None else None
        if not given or not any(field.name == "token" for field in fields):
            return real(body, kind, fields, **how)
        return {**{field.name: field.absent for field in fields}, "token": given[0]}

    patch(forms, "read", read)


@sabotage
def a_refusal_says_why(patch: Patch) -> None:
    """Whoever tries a token learns what became of it."""
    bearing, wrong = _verbs("bearing"), _control().WRONG

    def refuse(house: Any, row: Any, why: str) -> None:
        raise Refused(wrong, detail=f"The token is {why}.")

    patch(bearing, "_refuse", refuse)


@sabotage
def the_list_shows_what_is_kept(patch: Patch) -> None:
    """The list of tokens gives away their digests."""
    pages = sys.modules["bylaw.pages.tokens"]
    real = pages._token
    patch(pages, "_token", lambda call, row: {**real(call, row), "digest": row["digest"]})


@sabotage
def whoever_manages_users_may_all(patch: Patch) -> None:
    """Nobody asks whether the owner of a token may more than whoever makes it."""
    accounts, authority = _verbs("accounts"), _verbs("authority")
    patch(authority, "below", lambda house, connection, by, user_id: accounts.found(connection, user_id))


@sabotage
def every_environment_is_one(patch: Patch) -> None:
    """What is kept of a token says nothing of the environment."""
    control = _control()
    for name in ("stored", "elsewhere"):
        patch(control, name, lambda policy, token: digest(form.read(control.head(policy), token)))


@sabotage
def the_first_one_is_as_any(patch: Patch) -> None:
    """The first administrator's token need not be changed."""
    patch(_control(), "FIRST", "none that there is")


@sabotage
def anything_is_a_token(patch: Patch) -> None:
    """Nobody looks at the first administrator's token before it is taken."""
    patch(secrets, "weakness", lambda value, **how: None)


SABOTAGES: Final = (
    the_session_lives_as_long_as_the_token,
    its_sessions_go_on,
    it_lives_for_ever,
    its_session_outlives_it,
    it_is_kept_in_the_clear,
    it_is_short,
    an_address_is_read_as_well,
    a_refusal_says_why,
    the_list_shows_what_is_kept,
    whoever_manages_users_may_all,
    every_environment_is_one,
    the_first_one_is_as_any,
    anything_is_a_token,
)
