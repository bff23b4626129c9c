"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import base64
import sys
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import mfa
from bylaw.keys import KeyRing
from bylaw.store import factors
from bylaw.store import sessions as session_rows
from bylaw.store.tables import recovery_codes, totp_secrets


def _operations(name: str) -> Any:
    return sys.modules[f"bylaw.operations.{name}"]


@sabotage
def a_password_is_enough(patch: Patch) -> None:
    """Signing in does not look whether there is a second factor."""
    patch(_operations("signing_in"), "_owed", lambda *given, **named: iter(()))


@sabotage
def half_a_sign_in_may_change_the_account(patch: Patch) -> None:
    """Pages on which signing in is finished do not look what comes first."""
    patch(sys.modules["bylaw.pages.endpoints"], "_too_early", lambda endpoint, exchange: False)
    patch(_operations("second_factors"), "demand", _demanding_nothing)


def _demanding_nothing(house: Any, connection: Any, who: Any) -> Any:
    return _operations("accounts").found(connection, who.id)


@sabotage
def a_code_can_be_used_again(patch: Patch) -> None:
    """Nobody writes down which code was used."""
    patch(factors, "use_step", lambda *given: True)


@sabotage
def looked_at_before_written_down(patch: Patch) -> None:
    """Whether a recovery code was used is read first and written later."""

    def use_code(connection: Any, user_id: str, digest: str, now: float) -> bool:
        rows = recovery_codes
        return connection.execute(rows.select().where(rows.c.digest == digest)).first() is not None

    patch(factors, "use_code", use_code)


@sabotage
def codes_are_free(patch: Patch) -> None:
    """Wrong codes are not counted."""
    proving = _operations("proving")
    patch(proving, "_count_factor", lambda house, user, whence: proving._Attempt())


@sabotage
def nobody_is_told_of_guesses(patch: Patch) -> None:
    """Whoever knows the password may try codes without its owner hearing of it."""
    patch(_operations("showing_factors"), "_warn", lambda house, connection, user: None)


@sabotage
def secrets_are_kept_as_they_are(patch: Patch) -> None:
    """What an app makes its codes of stands in the table."""

    def encrypt(self: KeyRing, purpose: str, plain: bytes, *, bound: str, entropy: Any) -> str:
        return base64.b32encode(plain).decode()

    def decrypt(self: KeyRing, purpose: str, sealed: str, *, bound: str) -> tuple[bytes, bool]:
        return base64.b32decode(sealed), True

    patch(KeyRing, "encrypt", encrypt)
    patch(KeyRing, "decrypt", decrypt)


@sabotage
def a_secret_belongs_nowhere(patch: Patch) -> None:
    """An encrypted secret is bound to no row and nobody."""
    patch(mfa, "place", lambda row_id, user_id: "anywhere")


@sabotage
def a_factor_is_anybodys(patch: Patch) -> None:
    """Renaming a factor does not look whose it is."""

    def rename_app(connection: Any, user_id: str, app_id: str, name: str) -> bool:
        rows = totp_secrets
        return bool(connection.execute(rows.update().where(rows.c.id == app_id).values(name=name)).rowcount)

    patch(factors, "rename_app", rename_app)


@sabotage
def a_proof_never_grows_old(patch: Patch) -> None:
    """Whoever finds a session open may change the account."""
    patch(mfa, "demand_fresh", lambda house, who: None)


@sabotage
def stepping_up_takes_the_weaker_proof(patch: Patch) -> None:
    """The password or token is enough to show again who one is, though there is a second factor."""
    showing = _operations("showing_factors")
    real = showing.step_up

    def step_up(
        house: Any, who: Any, *, session: str, password: str = "", token: str = "", **given: Any
    ) -> Any:
        if not (password or token):
            return real(house, who, session=session, **given)
        return showing.signing_in.go_on(house, session, method="password")

    patch(showing, "step_up", step_up)


@sabotage
def a_role_asks_for_nothing(patch: Patch) -> None:
    """`required` is not looked at."""
    patch(mfa, "required", lambda policy, held: False)


@sabotage
def weaker_sessions_live_on(patch: Patch) -> None:
    """A session that was taken before a second factor was set up stays good."""
    patch(session_rows, "end_weaker", lambda connection, user_id, *, but: 0)


@sabotage
def removing_a_factor_ends_nothing(patch: Patch) -> None:
    """Whoever else is signed in stays when a factor is removed."""
    standing = _operations("standing")
    event = standing.Event.FACTOR_REMOVED
    kept = replace(standing.TABLE[event], sessions="new id")
    patch(standing, "TABLE", {**standing.TABLE, event: kept})


SABOTAGES: Final = (
    a_password_is_enough,
    half_a_sign_in_may_change_the_account,
    a_code_can_be_used_again,
    looked_at_before_written_down,
    codes_are_free,
    nobody_is_told_of_guesses,
    secrets_are_kept_as_they_are,
    a_secret_belongs_nowhere,
    a_factor_is_anybodys,
    a_proof_never_grows_old,
    stepping_up_takes_the_weaker_proof,
    a_role_asks_for_nothing,
    weaker_sessions_live_on,
    removing_a_factor_ends_nothing,
)
