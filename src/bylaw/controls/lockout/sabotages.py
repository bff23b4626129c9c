"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import lockout
from bylaw.keys import digest
from bylaw.reasons import Refused
from bylaw.store import devices, links
from bylaw.store.failures import Counted
from bylaw.store.tables import failures, unlock_links


def _unlocking() -> Any:
    return sys.modules["bylaw.operations.unlocking"]


def _proving() -> Any:
    return sys.modules["bylaw.operations.proving"]


@sabotage
def nothing_is_counted(patch: Patch) -> None:
    """Anybody may guess as often as they like."""
    patch(_proving(), "_count", lambda house, email, whence: _proving()._Attempt())


@sabotage
def counted_after_the_check(patch: Patch) -> None:
    """An attempt is counted when it has failed: those that come meanwhile are not."""
    this = _proving()
    count, failed = this._count, this._failed

    def before(house: Any, email: str, whence: Any) -> Any:
        attempt = count(house, email, whence)
        this._uncount(house, attempt)
        return attempt

    def after(house: Any, attempt: Any, *rest: Any) -> None:
        with house.store.transaction() as connection:
            this.failures.hold(connection, [each.keys.current for each in attempt.counts])
            for each in attempt.counts:
                this.failures.put(connection, each.keys.current, each.now, account=each.keys.account)
        failed(house, attempt, *rest)

    patch(this, "_count", before)
    patch(this, "_failed", after)


@sabotage
def waits_do_not_grow(patch: Patch) -> None:
    """Every wait is as long as the first."""
    patch(lockout, "wait", lambda settings, failures: settings.first if failures >= settings.free else 0)


@sabotage
def it_never_ends(patch: Patch) -> None:
    """One guess an hour, for ever."""
    real = _proving()._of_account

    def endless(house: Any, settings: Any, *rest: Any) -> Any:
        return real(house, settings.model_copy(update={"most": sys.maxsize}), *rest)

    patch(_proving(), "_of_account", endless)


@sabotage
def each_spelling_has_its_own_count(patch: Patch) -> None:
    """Failures are counted for what was typed."""
    patch(lockout, "subject", lambda email: email)


@sabotage
def any_cookie_will_do(patch: Patch) -> None:
    """The seal of a device's cookie is not looked at."""
    patch(lockout, "_ours", lambda house, name, number, issued, seal: True)


@sabotage
def every_device_is_a_stranger(patch: Patch) -> None:
    """Whoever knows an address can lock its owner out."""
    patch(lockout, "nonce", lambda house, device, name: "")


@sabotage
def only_accounts_that_exist_wait(patch: Patch) -> None:
    """Failures for an address without an account are not counted."""
    real = _proving()._count

    def count(house: Any, email: str, whence: Any) -> Any:
        known = _proving()._account(house, lockout.subject(email)) is not None
        return real(house, email, whence) if known else _proving()._Attempt()

    patch(_proving(), "_count", count)


@sabotage
def addresses_are_not_counted(patch: Patch) -> None:
    """One address may try a password at every account."""
    real = _proving()._decide
    patch(_proving(), "_decide", lambda *given: real(*given[:-1], None))


@sabotage
def a_success_fills_the_budget(patch: Patch) -> None:
    """An attacker who signs in to an account of his own in between may go on for ever."""
    patch(_proving(), "_less", lambda house, count, row: Counted(0, 0.0))
    patch(_proving(), "_of_address", _forgetful(_proving()._of_address))


def _forgetful(real: Any) -> Any:
    def of_address(*given: Any) -> Any:
        return replace(real(*given), before=Counted(0, 0.0))

    return of_address


@sabotage
def a_side_door(patch: Patch) -> None:
    """Where a password is changed, nobody counts how often the old one was wrong."""
    accounts = sys.modules["bylaw.operations.accounts"]
    real = accounts.change_password

    def change_password(house: Any, *given: Any, **named: Any) -> Any:
        house.paced = False
        try:
            return real(house, *given, **named)
        finally:
            house.paced = True

    patch(accounts, "change_password", change_password)


@sabotage
def nobody_is_told(patch: Patch) -> None:
    """Slowing down raises no alarm."""
    real = _proving()._of_account
    patch(_proving(), "_of_account", lambda *given: replace(real(*given), alarm=""))


@sabotage
def forgetting_a_device_changes_nothing(patch: Patch) -> None:
    """The cookie alone says who is known."""
    patch(devices, "known", lambda connection, digests: True)


@sabotage
def nobody_gets_a_link(patch: Patch) -> None:
    """Whoever is shut out waits for an administrator."""
    patch(_unlocking(), "_send", lambda *given, **named: None)


@sabotage
def a_link_lets_everybody_try(patch: Patch) -> None:
    """Using it forgets the failures of the account: an attacker has another hundred."""
    real = _unlocking().unlock

    def unlock(house: Any, exchange: Any, token: str) -> None:
        real(house, exchange, token)
        with house.store.transaction() as connection:
            connection.execute(failures.delete())

    patch(_unlocking(), "unlock", unlock)


@sabotage
def a_link_works_for_ever(patch: Patch) -> None:
    """Using it does not use it up."""
    patch(links, "redeem", links.find)


@sabotage
def looking_uses_a_link_up(patch: Patch) -> None:
    """Whatever scans the mail opens the link, and the owner comes too late."""
    patch(_unlocking(), "good", _looked)


def _looked(house: Any, token: str) -> bool:
    with house.store.transaction() as connection:
        return links.redeem(connection, unlock_links, digest(token), house.now()) is not None


@sabotage
def asking_says_who_is_there(patch: Patch) -> None:
    """A link for nobody is refused."""
    real = _unlocking().ask

    def ask(house: Any, *, email: str, address: str = "") -> None:
        if _proving()._account(house, email) is None:
            raise Refused(lockout.LINK)
        real(house, email=email, address=address)

    patch(_unlocking(), "ask", ask)


@sabotage
def anybody_fills_a_mailbox(patch: Patch) -> None:
    """A link is sent whenever somebody asks."""
    patch(_unlocking(), "ASKED_FOR", sys.maxsize)
    # Mail has a budget of its own, which would hide it (see email).
    patch(sys.modules["bylaw.operations.mailing"], "_within_budget", lambda *given: True)


SABOTAGES: Final = (
    nothing_is_counted,
    counted_after_the_check,
    waits_do_not_grow,
    it_never_ends,
    each_spelling_has_its_own_count,
    any_cookie_will_do,
    every_device_is_a_stranger,
    only_accounts_that_exist_wait,
    addresses_are_not_counted,
    a_success_fills_the_budget,
    a_side_door,
    nobody_is_told,
    forgetting_a_device_changes_nothing,
    nobody_gets_a_link,
    a_link_lets_everybody_try,
    a_link_works_for_ever,
    looking_uses_a_link_up,
    asking_says_who_is_there,
    anybody_fills_a_mailbox,
)
