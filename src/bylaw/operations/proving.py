"""Proving a password or a code: the one door to each, at which failures are counted (see lockout).

Whoever takes a password from a person calls `prove`: the sign-in page and its JSON twin, the form that
changes a password, whatever asks again who somebody is. Whoever takes the code of a second factor calls
`prove_factor`. A second door would be one that nobody watches (CVE-2026-9798, GHSA-85v8-vx4w-q684).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, TypeVar

from sqlalchemy import Connection

from bylaw.controls import audit, lockout, mfa, passwords, signup
from bylaw.controls.lockout import Keys, Settings, Whence
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import unlocking
from bylaw.reasons import Refused
from bylaw.store import devices, failures, users
from bylaw.store.failures import Counted
from bylaw.store.users import User

T = TypeVar("T")
log = logging.getLogger("bylaw.lockout")

_NONE = Counted(0, 0.0)
_SLACK = 0.001
"""Seconds by which sums of fractions of an hour may be off."""
_Kind = Literal["account", "device", "address", "factor"]


@dataclass(frozen=True, slots=True)
class Proof:
    """An account whose password was right. `stronger` is a hash to keep in the place of its own."""

    user: User
    stronger: str | None = None


@dataclass(frozen=True, slots=True)
class _Count:
    """A count that an attempt was added to: what it was before, and what it is now."""

    kind: _Kind
    keys: Keys
    before: Counted
    now: Counted
    alarm: str = ""
    """The action to be recorded if the attempt fails: it is the one that begins the waiting, or ends it."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one attempt was added to, and the rows that a success drops."""

    counts: tuple[_Count, ...] = ()
    drops: tuple[str, ...] = ()


def prove(
    house: House,
    *,
    email: str,
    password: str,
    whence: Whence,
    failure: str,
    actor: Identity | None = None,
) -> Proof:
    """The account `email`, if `password` is its password. Raises Refused, alike for every account.

    `failure` is the action that is recorded where it is not. No connection is held while hashing: a
    storm of sign-ins must not exhaust the pool.
    """
    passwords.demand(house)
    attempt = _count(house, email, whence)
    user = _account(house, email)
    usable = user is not None and user.disabled_at is None
    try:
        stronger = passwords.check(house, user.password_hash if user and usable else None, password)
        if user is None:
            raise Refused(passwords.WRONG)
    except Refused as refused:
        if refused.reason is passwords.WRONG:
            _failed(house, attempt, user, failure, actor)
        else:
            _uncount(house, attempt)  # nobody looked at the password
        raise
    _succeeded(house, attempt)
    return Proof(user, stronger)


def prove_factor(
    house: House,
    user: User,
    *,
    whence: Whence,
    check: Callable[[], T | None],
    failure: str,
    slowed: Callable[[Connection], None],
) -> T:
    """What `check` returns, if the code that it looks at is right; None says that it is not. Raises Refused.

    Apps and recovery codes of an account share one count. It is no password's: a new password does not
    begin it anew, and no device has one of its own, since whoever knows the password gets as many devices
    as he likes. `slowed` is called once, in the transaction that records the failure from which on it has
    to wait. It counts also where [lockout] is off: six digits are no secret without a count.
    """
    attempt = _count_factor(house, user, whence)
    try:
        found = check()
    except BaseException:
        _uncount(house, attempt)  # nobody knows whether it was right
        raise
    if found is None:
        _failed(house, attempt, user, failure, None, slowed)
        raise Refused(mfa.WRONG)
    _succeeded(house, attempt)
    return found


def forgive_factor(house: House, connection: Connection, user: User) -> bool:
    """Forget the wrong codes of an account. Whether there were any."""
    return failures.drop_of(connection, _of_factor(house, user).all) > 0


def forgive(house: House, connection: Connection, email: str) -> bool:
    """Forget the failures of an account, in the transaction of what is a reason to: an administrator's
    word, a new password. Whether there were any."""
    keys = lockout.of_account(house, lockout.subject(email))
    return failures.drop_of(connection, keys.all) > 0


def _account(house: House, email: str) -> User | None:
    try:
        canonical = signup.address(email)
    except Refused:
        canonical = ""  # no address is nobody's: the same query and the same work follow
    with house.store.reading() as connection:
        return users.by_email(connection, canonical)


# Before the password is looked at


def _count(house: House, email: str, whence: Whence) -> _Attempt:
    """Count the attempt as a failure, until it is known to be none. Raises Refused where it must wait.

    Counting first and checking after is what makes two hundred at once not two hundred guesses: the
    transaction that says yes to one has counted it already when the next one asks.
    """
    settings = house.policy.of(Settings)
    if settings.off or not house.paced:
        return _Attempt()
    name = lockout.subject(email)
    number = lockout.nonce(house, whence.device, name)
    account = lockout.of_account(house, name)
    address = lockout.of_address(house, whence.address) if whence.address else None
    with house.store.reading() as connection:  # a flood that must wait need not wait for the writer, too
        # Asked for cookies alone that bylaw sealed: those of accounts that are, or were, there.
        if number and not devices.known(connection, [lockout.fingerprint(number, name)]):
            number = ""  # its owner has forgotten it
        device = lockout.of_device(house, name, number) if number else None
        everything = [key for keys in (device, account, address) if keys for key in keys.all]
        _decide(house, settings, failures.read(connection, everything), device, account, address)
    with house.store.transaction() as connection:
        held = failures.hold(connection, everything)
        counts = _decide(house, settings, held, device, account, address)
        for count in counts:
            failures.put(connection, count.keys.current, count.now, account=count.keys.account)
        unused = held.keys() - {count.keys.current for count in counts}
        failures.drop(connection, [key for key in unused if held[key] == _NONE])
    known = counts[0].kind == "device"
    drops = (*(device.all if device else ()), *(() if known else account.all))
    return _Attempt(counts, drops)


def _of_factor(house: House, user: User) -> Keys:
    keys = tuple(house.keys.seals("lockout", f"factor {user.id}"))
    return Keys(keys[0], keys)


def _count_factor(house: House, user: User, whence: Whence) -> _Attempt:
    """Count a code as a wrong one, until it is known to be right. Raises Refused where it must wait."""
    if not house.paced:
        return _Attempt()
    settings, account = house.policy.of(Settings), _of_factor(house, user)
    address = lockout.of_address(house, whence.address) if whence.address else None
    everything = [key for keys in (account, address) if keys for key in keys.all]
    try:
        with house.store.reading() as connection:
            _decide_factor(house, settings, failures.read(connection, everything), account, address)
        with house.store.transaction() as connection:
            held = failures.hold(connection, everything)
            counts = _decide_factor(house, settings, held, account, address)
            for count in counts:
                failures.put(connection, count.keys.current, count.now, account=count.keys.account)
            unused = held.keys() - {count.keys.current for count in counts}
            failures.drop(connection, [key for key in unused if held[key] == _NONE])
    except Refused as refused:
        reason = mfa.SHUT if refused.reason is lockout.SHUT else mfa.WAIT
        raise Refused(reason, headers=refused.headers) from None
    return _Attempt(counts, account.all)


def _decide_factor(
    house: House, settings: Settings, rows: dict[str, Counted], account: Keys, address: Keys | None
) -> tuple[_Count, ...]:
    first = _of_account(house, settings, rows, "factor", account)
    return (first, _of_address(house, settings, rows, address)) if address is not None else (first,)


def _decide(
    house: House,
    settings: Settings,
    rows: dict[str, Counted],
    device: Keys | None,
    account: Keys,
    address: Keys | None,
) -> tuple[_Count, ...]:
    """What the attempt adds to the counts. Raises Refused where it may not be made."""
    if device is not None and lockout.trusted(settings, _most(rows, device).failures):
        # Neither what strangers did to the account nor what neighbours did to the address counts here.
        return (_of_account(house, settings, rows, "device", device),)
    first = _of_account(house, settings, rows, "account", account)
    return (first, _of_address(house, settings, rows, address)) if address is not None else (first,)


def _of_account(
    house: House, settings: Settings, rows: dict[str, Counted], kind: _Kind, keys: Keys
) -> _Count:
    row = _most(rows, keys)
    if row.failures >= settings.most:
        raise Refused(lockout.SHUT)
    _wait_until(house, row.at + lockout.wait(settings, row.failures))
    now = Counted(row.failures + 1, house.now())
    what = "authn_factor" if kind == "factor" else "authn_login"
    alarms = {settings.free: f"{what}_lock", settings.most: f"{what}_fail_max"}
    return _Count(kind, keys, row, now, alarms.get(now.failures, ""))


def _of_address(house: House, settings: Settings, rows: dict[str, Counted], keys: Keys) -> _Count:
    """An address has a budget that fills up again with time (GCRA): `at` is when it will be whole, and
    `failures` is 1 from when it was used up until then.

    No success makes it whole: an attacker would sign in to an account of his own in between.
    """
    row = _most(rows, keys)
    now, each = house.now(), lockout.interval(settings)
    whole = max(row.at, now)
    spare = (settings.per_address - 1) * each
    _wait_until(house, whole - spare)
    known = row.failures > 0 and row.at > now
    used_up = whole + each - now > spare + _SLACK
    counted = Counted(1 if known or used_up else 0, whole + each)
    return _Count("address", keys, row, counted, "authn_login_lock" if used_up and not known else "")


def _most(rows: dict[str, Counted], keys: Keys) -> Counted:
    """The row of a count: under the current secret's key, or an earlier one's."""
    return max((rows.get(key, _NONE) for key in keys.all), key=lambda row: (row.failures, row.at))


def _wait_until(house: House, at: float) -> None:
    left = at - house.now()
    if left > _SLACK:
        raise Refused(lockout.WAIT, headers=(("Retry-After", str(math.ceil(left - _SLACK))),))


# After it


def _failed(
    house: House,
    attempt: _Attempt,
    user: User | None,
    failure: str,
    actor: Identity | None,
    slowed: Callable[[Connection], None] | None = None,
) -> None:
    """Record the failure, and once what it leads to: an alarm for each further one would be a flood."""
    whose = user.id if user else ""
    alarms = [count for count in attempt.counts if count.alarm]
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action=failure,
            outcome="failure",
            actor=actor or whose,
            entity_type="user",
            entity_id=whose,
        )
        for count in alarms:
            audit.record(
                house,
                connection,
                action=count.alarm,
                outcome="refused",
                actor=actor or whose,
                entity_type="user",
                entity_id=whose,
                changes={"of": count.kind, "failures": _number(house, count)},
            )
            if slowed is not None and count.alarm == "authn_factor_lock":
                slowed(connection)
        settings = house.policy.of(Settings)
        if any(c.kind == "account" and lockout.long(settings, c.now.failures) for c in attempt.counts):
            unlocking.tell(house, connection, user)
    for count in alarms:
        log.warning(
            "%s: %d wrong %s for one %s; user %s",
            count.alarm,
            _number(house, count),
            "codes" if count.kind == "factor" else "passwords",
            count.kind,
            whose or "unknown",
        )


def _number(house: House, count: _Count) -> int:
    settings = house.policy.of(Settings)
    return settings.per_address if count.kind == "address" else count.now.failures


def _succeeded(house: House, attempt: _Attempt) -> None:
    """Begin the account's (or the device's) count anew; the address gets back this attempt alone."""
    _settle(house, [c for c in attempt.counts if c.kind == "address"], attempt.drops)


def _uncount(house: House, attempt: _Attempt) -> None:
    """Leave the counts as if the attempt had not been made."""
    _settle(house, attempt.counts)


def _settle(house: House, counts: Collection[_Count], drops: Collection[str] = ()) -> None:
    """Take one attempt back from each of the counts, and drop the others."""
    if not counts and not drops:
        return
    with house.store.transaction() as connection:
        # All at once, also what will be dropped: in two steps they would not be in one order.
        held = failures.hold(connection, [*drops, *(count.keys.current for count in counts)])
        over = set(drops)
        for count in counts:
            row = held[count.keys.current]
            left = count.before if row == count.now else _less(house, count, row)
            failures.put(connection, count.keys.current, left, account=count.keys.account)
            if left.at <= 0 or (count.kind != "address" and not left.failures):
                over.add(count.keys.current)
        failures.drop(connection, over)


def _less(house: House, count: _Count, row: Counted) -> Counted:
    """A count without one attempt, where others have been counted since."""
    if count.kind == "address":
        return Counted(row.failures, row.at - lockout.interval(house.policy.of(Settings)))
    return Counted(max(0, row.failures - 1), row.at)
