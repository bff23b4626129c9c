"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any, Final

from joserfc import jws

from bylaw import oidc
from bylaw.control import Patch, sabotage
from bylaw.oidc import messages


def _federating() -> Any:
    return sys.modules["bylaw.operations.federating"]


@sabotage
def the_state_is_not_compared(patch: Patch) -> None:
    """Any answer is taken for the one that was asked for."""
    patch(oidc.Transaction, "answered", lambda self, query: messages.parameters(query))


@sabotage
def an_answer_may_come_again(patch: Patch) -> None:
    """What was begun in a browser stays begun."""
    ceremonies = sys.modules["bylaw.operations.ceremonies"]
    patch(
        ceremonies,
        "end",
        lambda house, c, exchange, kind, **_: ceremonies.under_way(house, c, exchange, kind),
    )


@sabotage
def claims_are_not_looked_at(patch: Patch) -> None:
    """Whatever the issuer has signed is taken, whoever it was signed for."""
    patch(oidc.Provider, "_judged", lambda self, claims, client, transaction: None)


@sabotage
def signatures_are_not_looked_at(patch: Patch) -> None:
    """An id_token is read, and believed."""

    def verified(self: Any, tokens: Any, client: Any, transaction: Any) -> Any:
        claims = json.loads(jws.extract_compact(tokens["id_token"].encode()).payload)
        self._judged(claims, client, transaction)
        return claims

    patch(oidc.Provider, "_verified", verified)


@sabotage
def one_state_for_all(patch: Patch) -> None:
    """State, nonce and verifier are the application's, not the sign-in's."""
    made = oidc.Transaction.made
    same = ("s" * 43, "n" * 43, "v" * 43)
    patch(oidc.Transaction, "made", lambda secrets, now: made(same, now))


@sabotage
def people_are_their_addresses(patch: Patch) -> None:
    """Whoever has the address of an account opens it."""
    users = sys.modules["bylaw.store.users"]
    patch(_federating(), "_known", lambda house, c, offer, claims: users.by_email(c, claims.email.lower()))


@sabotage
def every_address_is_believed(patch: Patch) -> None:
    """What the provider does not vouch for makes an account all the same."""
    completed = oidc.Provider._completed
    patch(oidc.Provider, "_completed", lambda *given: replace(completed(*given), email_verified=True))


@sabotage
def anybody_who_is_signed_in_links(patch: Patch) -> None:
    """No proof is asked for before an account gets another way in."""
    patch(_federating(), "_demand_himself", lambda house, connection, who: None)


@sabotage
def errors_are_told(patch: Patch) -> None:
    """What the provider says is shown to the person, and logged."""
    real = _federating()._claims

    def claims(house: Any, offer: Any, facts: Any, query: str) -> Any:
        _federating().log.warning("answer: %s", query)
        return real(house, offer, facts, query)

    patch(_federating(), "_claims", claims)


SABOTAGES: Final = (
    the_state_is_not_compared,
    an_answer_may_come_again,
    claims_are_not_looked_at,
    signatures_are_not_looked_at,
    one_state_for_all,
    people_are_their_addresses,
    every_address_is_believed,
    anybody_who_is_signed_in_links,
    errors_are_told,
)
