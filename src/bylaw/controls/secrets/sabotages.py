"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

from typing import Final

from bylaw.control import Patch, sabotage
from bylaw.controls import errors, secrets
from bylaw.exchange import Exchange, Refuse
from bylaw.keys import KeyRing


@sabotage
def any_key_will_do(patch: Patch) -> None:
    """Secrets are not looked at."""
    patch(secrets, "weakness", lambda value, **least: None)


@sabotage
def placeholders_start(patch: Patch) -> None:
    """Published values are taken for secrets."""
    patch(secrets, "placeholder", lambda text: False)


@sabotage
def words_are_random(patch: Patch) -> None:
    """Sentences and rows of keys are taken for secrets."""
    patch(secrets, "_spoken", lambda text: 0.0)


@sabotage
def only_one_way_to_write_it(patch: Patch) -> None:
    """Random keys are taken in hexadecimal alone."""
    patch(secrets, "_repeats", lambda text: not text.isalnum())


@sabotage
def the_previous_is_forgotten(patch: Patch) -> None:
    """Only the current secret is heeded: changing it signs everybody out of what they were doing."""

    def sealed(self: KeyRing, purpose: str, message: str, seal: str) -> bool:
        return self.seal(purpose, message) == seal

    patch(KeyRing, "sealed", sealed)


@sabotage
def one_key_for_everything(patch: Patch) -> None:
    """Every purpose is served by the secret itself."""
    patch(KeyRing, "derive", lambda self, purpose: tuple(s[:32] for s in self._secrets))


@sabotage
def errors_show_the_policy(patch: Patch) -> None:
    """A failure's answer holds what the application knows."""

    def failed(exchange: Exchange, error: BaseException) -> Refuse:
        return Refuse(errors.INTERNAL, detail=str(error))

    patch(errors, "failed", failed)
    patch(KeyRing, "__repr__", lambda self: f"KeyRing({self._secrets})")


SABOTAGES: Final = (
    any_key_will_do,
    placeholders_start,
    words_are_random,
    only_one_way_to_write_it,
    the_previous_is_forgotten,
    one_key_for_everything,
    errors_show_the_policy,
)
