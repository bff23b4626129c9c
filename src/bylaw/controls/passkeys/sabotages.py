"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import passkeys
from bylaw.controls.passkeys import answers
from bylaw.reasons import Refused


def _operations() -> Any:
    return sys.modules["bylaw.operations.passkeys"]


def _library(kind: str) -> Any:
    return sys.modules[f"webauthn.{kind}.verify_{kind}_response"]


class _AnyOrigin(list[str]):
    def index(self, *_: Any) -> int:
        return 0


@sabotage
def any_origin_will_do(patch: Patch) -> None:
    """Nobody looks for which site an answer was given."""
    patch(passkeys, "origins", lambda policy: _AnyOrigin(["any"]))


@sabotage
def another_sites_frame_may_ask(patch: Patch) -> None:
    """Whether a page was shown in another site's frame is not looked at."""
    patch(answers, "_asked_here", lambda asked, said: None)


@sabotage
def whoever_holds_it_may_use_it(patch: Patch) -> None:
    """A passkey need not have verified its owner."""
    library = sys.modules["webauthn"]
    real = library.verify_authentication_response

    def verify(**given: Any) -> Any:
        return real(**{**given, "require_user_verification": False})

    patch(library, "verify_authentication_response", verify)


@sabotage
def challenges_stay_open(patch: Patch) -> None:
    """A question may be answered as often as anybody likes."""
    store = sys.modules["bylaw.store.ceremonies"]
    patch(store, "end", store.find)


@sabotage
def a_question_is_for_anything(patch: Patch) -> None:
    """A challenge that was made for one purpose is taken for another, and for anybody."""
    operations = _operations()
    patch(operations, "SIGN_IN", operations.REGISTRATION)
    patch(operations, "_is_asked", lambda begun, who: True)


@sabotage
def it_never_gets_too_late(patch: Patch) -> None:
    """An answer is waited for all year."""
    real = _operations().ceremonies.begin
    patch(
        _operations().ceremonies,
        "begin",
        lambda *given, **named: real(*given, **{**named, "lifetime": 365 * 86400}),
    )


@sabotage
def any_passkey_opens_any_account(patch: Patch) -> None:
    """Whose passkey it is, is not compared with whom it is asked for."""
    users = sys.modules["bylaw.store.users"]

    def owner(connection: Any, row: Any, said: Any, who: Any) -> Any:
        return users.by_id(connection, who.id if who else row["user_id"])

    patch(_operations(), "_owner", owner)


@sabotage
def signatures_are_not_looked_at(patch: Patch) -> None:
    """Whoever knows a credential's id can sign in with it."""
    patch(_library("authentication"), "verify_signature", lambda **given: None)


@sabotage
def any_key_is_taken(patch: Patch) -> None:
    """A key is registered whatever its algorithm and length."""
    patch(answers, "_usable", lambda public_key: None)


@sabotage
def counters_mean_nothing(patch: Patch) -> None:
    """Nobody notices that a passkey was copied."""
    patch(answers, "grown", lambda before, now: True)


@sabotage
def strangers_are_told(patch: Patch) -> None:
    """A passkey that is nobody's gets an answer of its own."""
    operations = _operations()
    real = operations._used

    def used(house: Any, said: Any, facts: Any, who: Any = None) -> Any:
        with house.store.reading() as connection:
            if operations.store.held(connection, said.credential_id) is None:
                raise Refused(passkeys.UNKNOWN)
        return real(house, said, facts, who)

    patch(operations, "_used", used)


SABOTAGES: Final = (
    any_origin_will_do,
    another_sites_frame_may_ask,
    whoever_holds_it_may_use_it,
    challenges_stay_open,
    a_question_is_for_anything,
    it_never_gets_too_late,
    any_passkey_opens_any_account,
    signatures_are_not_looked_at,
    any_key_is_taken,
    counters_mean_nothing,
    strangers_are_told,
)
