"""Second factors in the database: once only, encrypted, counted, and through a change of secrets. On both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pyotp
import pytest

from bylaw.controls import cookies, lockout, mfa, roles, sessions
from bylaw.controls.lockout import Whence
from bylaw.exchange import Exchange, PairHeaders
from bylaw.house import House
from bylaw.identity import STEP_UP, Identity, StepUp
from bylaw.keys import KeyRing
from bylaw.operations import (
    accounts,
    administering,
    authenticator_apps,
    proving,
    second_factors,
    showing_factors,
    signing_in,
)
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Reason, Refused
from bylaw.store import audit, factors, outbox
from bylaw.store import sessions as session_rows
from bylaw.store.users import User

PASSWORD = "wide green fields and quiet water"
DAY = 86_400
HERE = Whence("192.0.2.1")


@pytest.fixture
def user(house: House) -> User:
    return administering.create(house, SYSTEM, email="ann@people.test", password=PASSWORD, granted=["user"])


def advance(house: House, seconds: float) -> None:
    clock: Any = house.ports.clock
    clock.advance(seconds)


def browser() -> Exchange:
    return Exchange("POST", "/", PairHeaders([]))


def came_back(house: House, before: Exchange) -> Exchange:
    """The same browser's next request, with the cookies that it was given."""
    given = [c.partition(";")[0] for c in before.cookie_changes or []]
    return Exchange("POST", "/", PairHeaders([("cookie", "; ".join(given))]))


def signed_in(house: House, user: User, *, assurance: int = 1) -> tuple[Identity, str]:
    """Whoever opened a session just now, and the digest of it."""
    now = administering.find(house, SYSTEM, user.id)
    opened = signing_in.open_session(house, now, method="password", assurance=assurance)
    return who(house, opened.digest), opened.digest


def who(house: House, digest: str) -> Identity:
    with house.store.reading() as connection:
        row = session_rows.find(connection, digest)
    assert row is not None
    return sessions._remembered(house, row).identity


def enrol(house: House, user: User, *, name: str = "") -> tuple[str, list[str], str]:
    """An app's secret, the recovery codes that came with it, and the session that went on."""
    asked, digest = signed_in(house, user, assurance=2)
    exchange = browser()
    begun = authenticator_apps.begin(house, exchange, asked)
    added = authenticator_apps.confirm(
        house,
        came_back(house, exchange),
        asked,
        session=digest,
        code=shown(house, begun.secret),
        name=name,
    )
    return begun.secret, list(added.codes), added.opened.digest


def shown(house: House, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(house.now()) + mfa.STEP * steps)


def attempt(house: House, user: User, code: str, whence: Whence = HERE) -> Reason | None:
    """The reason why a code was refused; None where it was right."""
    asked, digest = signed_in(house, user)
    return _refused(lambda: showing_factors.show(house, asked, session=digest, code=code, whence=whence))


def _refused(work: Callable[[], object]) -> Reason | None:
    try:
        work()
    except Refused as refused:
        return refused.reason
    return None


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, action=action)


def mails(house: House) -> list[str]:
    with house.store.reading() as connection:
        return [row.subject for row in connection.execute(outbox.outbox.select())]


def at_once(count: int, work: Callable[[int], Reason | None]) -> list[Reason | None]:
    together = Barrier(count)

    def one(number: int) -> Reason | None:
        together.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# Once


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_twenty_at_once_are_one(house: House, user: User, kind: str) -> None:
    """A076: one code, sent twenty times at the same moment, opens one session."""
    house.paced = False
    secret, codes, _ = enrol(house, user)
    advance(house, 60)
    code = shown(house, secret) if kind == "app" else codes[0]
    asked = [signed_in(house, user) for _ in range(20)]
    seen = at_once(
        20,
        lambda n: _refused(
            lambda: showing_factors.show(house, asked[n][0], session=asked[n][1], code=code, whence=HERE)
        ),
    )
    assert seen.count(None) == 1
    assert set(seen) == {None, mfa.WRONG}


@pytest.mark.requirement("S3-083")
def test_a_code_and_all_before_it_are_used_up(house: House, user: User) -> None:
    """The one that confirmed the app does not sign in; nor does one from before the last that did."""
    house.paced = False
    secret, _, _ = enrol(house, user)
    assert attempt(house, user, shown(house, secret)) is mfa.WRONG
    assert attempt(house, user, shown(house, secret, 1)) is None
    assert attempt(house, user, shown(house, secret, 0)) is mfa.WRONG
    assert attempt(house, user, shown(house, secret, 1)) is mfa.WRONG
    advance(house, mfa.STEP)
    assert attempt(house, user, shown(house, secret, 0)) is mfa.WRONG
    assert attempt(house, user, shown(house, secret, 1)) is None


@pytest.mark.requirement("S3-083")
def test_one_accounts_codes_are_no_others(house: House, user: User) -> None:
    """A recovery code and an app's code open the account that they were made for."""
    house.paced = False
    bob = administering.create(house, SYSTEM, email="bob@people.test", password=PASSWORD, granted=["user"])
    secret, codes, _ = enrol(house, user)
    enrol(house, bob)
    advance(house, 60)
    assert attempt(house, bob, codes[0]) is mfa.WRONG
    assert attempt(house, bob, shown(house, secret)) is mfa.WRONG
    assert attempt(house, user, codes[0]) is None


def test_a_right_code_in_a_session_that_has_ended(house: House, user: User) -> None:
    """Whoever was signed out meanwhile is not signed in by his code."""
    secret, _, _ = enrol(house, user)
    advance(house, 60)
    asked, digest = signed_in(house, user)
    signing_in.sign_out(house, asked, digest)
    with pytest.raises(Refused) as refused:
        showing_factors.show(house, asked, session=digest, code=shown(house, secret), whence=HERE)
    assert refused.value.reason.code == "roles.unauthenticated"


# Counted


@pytest.mark.requirement("S3-083", "S1-156")
def test_two_hundred_codes_at_once_are_five(house: House, user: User) -> None:
    """A078: from two hundred addresses and sessions at the same moment, five codes are looked at."""
    secret, _, _ = enrol(house, user)
    advance(house, 300)
    asked = [signed_in(house, user) for _ in range(60)]
    seen = at_once(
        60,
        lambda n: _refused(
            lambda: showing_factors.show(
                house, asked[n][0], session=asked[n][1], code="q" * 24, whence=Whence(f"192.0.2.{n}")
            )
        ),
    )
    assert [seen.count(reason) for reason in (mfa.WRONG, mfa.WAIT, None)] == [5, 55, 0]
    assert len(records(house, "authn_factor_fail")) == 5
    assert len(records(house, "authn_factor_lock")) == 1
    assert attempt(house, user, shown(house, secret)) is mfa.WAIT
    assert [s for s in mails(house) if "knows your password" in s] == [
        "Somebody knows your password at Rooms"
    ]


@pytest.mark.requirement("S3-083", "S1-156")
def test_guessing_ends_and_an_administrator_begins_anew(house: House, user: User) -> None:
    """After the hundredth in a row not even the right code is looked at, however long somebody waits."""
    secret, codes, _ = enrol(house, user)
    settings = house.policy.of(lockout.Settings)
    for _ in range(settings.most):
        advance(house, settings.longest)
        assert attempt(house, user, "q" * 24, Whence()) is mfa.WRONG
    advance(house, 30 * DAY)
    assert attempt(house, user, shown(house, secret)) is mfa.SHUT
    assert attempt(house, user, codes[0]) is mfa.SHUT
    assert len(records(house, "authn_factor_fail_max")) == 1
    with house.store.transaction() as connection:
        assert not proving.forgive(house, connection, user.email)  # of a password: it has none
        assert proving.forgive_factor(house, connection, user)
    assert attempt(house, user, shown(house, secret)) is None


@pytest.mark.requirement("S3-083", "S1-156")
def test_a_new_session_or_a_known_device_begins_no_new_count(house: House, user: User) -> None:
    """Whoever has the password has as many sessions and known devices as he likes: none counts anew."""
    secret, _, _ = enrol(house, user)
    advance(house, 300)
    exchange = browser()
    lockout.remember(house, exchange, user.email)
    device = (exchange.cookie_changes or [""])[0].partition("=")[2].partition(";")[0]
    assert cookies.DEVICE
    for _ in range(5):
        assert attempt(house, user, "q" * 24) is mfa.WRONG
    assert attempt(house, user, shown(house, secret), Whence("198.51.100.9", device)) is mfa.WAIT


def test_a_success_begins_the_count_anew(house: House, user: User) -> None:
    """Four mistakes of an owner are forgotten with the right code."""
    secret, _, _ = enrol(house, user)
    for _ in range(3):
        advance(house, 60)
        assert [attempt(house, user, "q" * 24) for _ in range(4)] == [mfa.WRONG] * 4
        assert attempt(house, user, shown(house, secret)) is None


@pytest.mark.requirement("S1-156")
def test_codes_are_counted_where_lockout_is_off(house: House, user: User) -> None:
    """Six digits are no secret without a count: switching [lockout] off does not switch it off here."""
    enrol(house, user)
    house.policy.controls["lockout"] = house.policy.of(lockout.Settings).model_copy(update={"off": True})
    assert [attempt(house, user, "q" * 24) for _ in range(6)] == [mfa.WRONG] * 5 + [mfa.WAIT]


def test_what_was_not_looked_at_is_not_counted(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours is no failure of theirs."""
    secret, _, _ = enrol(house, user)
    advance(house, 60)

    def broken(*given: object) -> bool:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(factors, "use_step", broken)
        for _ in range(8):
            with pytest.raises(OSError, match="full"):
                attempt(house, user, shown(house, secret))
    assert attempt(house, user, shown(house, secret)) is None


# Encrypted


def stored(house: House, user: User) -> str:
    with house.store.reading() as connection:
        return str(factors.apps(connection, user.id)[0]["secret"])


@pytest.mark.requirement("S3-083", "C-21")
def test_a_year_of_new_secrets(house: House, user: User) -> None:
    """The application's secret is changed every month, with one predecessor in the ring: an app that is used
    goes on working, since its secret is encrypted anew at its use; one that never was does not."""
    used, _, digest = enrol(house, user, name="used")
    bob = administering.create(house, SYSTEM, email="bob@people.test", password=PASSWORD, granted=["user"])
    unused, codes, _ = enrol(house, bob)
    seen = {stored(house, user)}
    ring = [house.keys._secrets[0]]
    for month in range(12):
        advance(house, 30 * DAY)
        ring = [f"secret of month {month} ".encode() * 4, *ring][:2]
        house.keys = KeyRing(ring)
        assert attempt(house, user, shown(house, used)) is None, month
        seen.add(stored(house, user))
        advance(house, mfa.STEP)
        assert attempt(house, user, shown(house, used)) is None, month
    assert len(seen) == 13  # once at the first use after each change, not at every use
    assert attempt(house, bob, shown(house, unused)) is mfa.WRONG
    assert attempt(house, bob, codes[0]) is None
    assert digest


def test_a_secret_that_nobody_can_read_is_said_in_the_log(
    house: House, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator learns which app is lost, and nothing about its secret; another app still works."""
    lost, _, _ = enrol(house, user)
    with house.store.transaction() as connection:
        app_id = factors.apps(connection, user.id)[0]["id"]
        connection.execute(factors.totp_secrets.update().values(secret="1.AAAA"))
    second, _, _ = enrol(house, user)
    advance(house, 60)
    with caplog.at_level(logging.WARNING, "bylaw.mfa"):
        assert attempt(house, user, shown(house, lost)) is mfa.WRONG
        assert attempt(house, user, shown(house, second)) is None
    assert app_id in caplog.text
    assert lost not in caplog.text


@pytest.mark.requirement("S3-083")
def test_nothing_that_is_returned_shows_a_secret_when_it_is_logged(house: House, user: User) -> None:
    """Whoever logs what an operation returned has logged no secret."""
    asked, _ = signed_in(house, user)
    begun = authenticator_apps.begin(house, browser(), asked)
    assert begun.secret not in repr(begun)
    assert (
        authenticator_apps.Added(signing_in.Opened("s3cret", "d", "id"), ("code",)).__repr__()
        == "Added(Opened(id))"
    )


# Set up and removed


@pytest.mark.requirement("S3-083")
def test_whoever_has_the_password_alone_sets_up_nothing(house: House, user: User) -> None:
    """CVE-2019-16766: with a second factor there, a session that has not shown it changes none, by any."""
    _, _, _ = enrol(house, user)
    with house.store.reading() as connection:
        app_id = factors.apps(connection, user.id)[0]["id"]
    asked, digest = signed_in(house, user)
    for work in (
        lambda: authenticator_apps.begin(house, browser(), asked),
        lambda: second_factors.new_codes(house, asked),
        lambda: authenticator_apps.rename(house, asked, app_id, "mine"),
        lambda: authenticator_apps.remove(house, asked, app_id, session=digest),
    ):
        with pytest.raises(StepUp) as refused:
            work()
        assert refused.value.rule.assurance == 2


def test_nobody_who_acts_for_another_changes_his_factors(house: House, user: User) -> None:
    """An administrator who looks at an account as its owner does gives it no factor of his own."""
    asked = Identity(user.id, authenticated_at=house.now(), assurance=2, acting="root")
    with pytest.raises(Refused) as refused:
        authenticator_apps.begin(house, browser(), asked)
    assert refused.value.status == 403


@pytest.mark.requirement("S3-083")
def test_two_confirmations_at_once_are_one_app(house: House, user: User) -> None:
    """A double click adds the app once."""
    asked, digest = signed_in(house, user)
    exchange = browser()
    begun = authenticator_apps.begin(house, exchange, asked)
    code = shown(house, begun.secret)
    seen = at_once(
        4,
        lambda n: _refused(
            lambda: authenticator_apps.confirm(
                house, came_back(house, exchange), asked, session=digest, code=code
            )
        ),
    )
    assert seen.count(None) == 1
    with house.store.reading() as connection:
        assert len(factors.apps(connection, user.id)) == 1


@pytest.mark.requirement("S3-083")
def test_signing_in_while_a_factor_is_added(house: House, user: User) -> None:
    """No session with the password alone is left, whichever of the two comes first."""
    for _ in range(5):
        asked, digest = signed_in(house, user, assurance=2)
        exchange = browser()
        begun = authenticator_apps.begin(house, exchange, asked)
        code = shown(house, begun.secret)

        def work(
            number: int,
            exchange: Exchange = exchange,
            digest: str = digest,
            code: str = code,
            asked: Identity = asked,
        ) -> Reason | None:
            if number:
                return _refused(lambda: signing_in.open_session(house, user, method="password"))
            return _refused(
                lambda: authenticator_apps.confirm(
                    house, came_back(house, exchange), asked, session=digest, code=code
                )
            )

        assert at_once(4, work) == [None] * 4
        with house.store.reading() as connection:
            rows = session_rows.of_user(connection, user.id)
        assert [
            row
            for row in rows
            if row.assurance < 2 and "second" not in row.owes and row.expires_at > house.now()
        ] == []
        with house.store.transaction() as connection:
            factors.end_of_user(connection, user.id)


@pytest.mark.requirement("S3-083")
def test_the_last_factor_of_somebody_who_must_have_one_stays(house: House, user: User) -> None:
    """Two apps removed at the same moment leave one, where the role asks for it."""
    house.policy.controls["mfa"] = mfa.Settings(required=("user",))
    enrol(house, user)
    _, _, digest = enrol(house, user)
    asked = who(house, digest)
    with house.store.reading() as connection:
        ids = [row["id"] for row in factors.apps(connection, user.id)]
    seen = at_once(
        2, lambda n: _refused(lambda: authenticator_apps.remove(house, asked, ids[n], session=digest))
    )
    assert sorted(str(r and r.code) for r in seen) == ["None", "mfa.needed"]
    with house.store.reading() as connection:
        assert len(factors.apps(connection, user.id)) == 1


def test_the_codes_go_with_the_last_factor(house: House, user: User) -> None:
    """Recovery codes stand in for something: alone they would be a second way in that nobody sees."""
    _, codes, digest = enrol(house, user)
    asked = who(house, digest)
    app_id = second_factors.held(house, asked).apps[0]["id"]
    authenticator_apps.remove(house, asked, app_id, session=digest)
    left = second_factors.held(house, asked)
    assert (left.apps, left.codes_left, left.enrolled) == ((), 0, False)
    with pytest.raises(Refused) as refused:
        second_factors.new_codes(house, who(house, digest))
    assert refused.value.reason is mfa.UNKNOWN
    _, again, _ = enrol(house, user)
    assert len(again) == mfa.CODES
    assert not set(again) & set(codes)


def test_first_codes_come_once(house: House, user: User) -> None:
    """A second factor of another kind brings no further codes."""
    with house.store.transaction() as connection:
        assert len(second_factors.first_codes(house, connection, user.id)) == mfa.CODES
        assert second_factors.first_codes(house, connection, user.id) == []


# Asked for again


@pytest.mark.requirement("S3-083")
def test_the_strongest_is_asked_for(house: House, user: User) -> None:
    """The password where there is nothing more, and then no longer; a proof counts from now."""
    asked, digest = signed_in(house, user)
    advance(house, 900)
    opened = showing_factors.step_up(house, asked, session=digest, password=PASSWORD, whence=HERE)
    assert who(house, opened.digest).authenticated_at == house.now()
    assert who(house, opened.digest).assurance == 1
    for given, reason in (({"password": "wrong"}, "passwords.wrong"), ({}, "errors.invalid")):
        with pytest.raises(Refused) as refused:
            showing_factors.step_up(house, asked, session=opened.digest, whence=HERE, **given)
        assert refused.value.reason.code == reason
    secret, _, digest = enrol(house, user)
    advance(house, 900)
    asked = who(house, digest)
    with pytest.raises(Refused) as refused:
        showing_factors.step_up(house, asked, session=digest, password=PASSWORD, whence=HERE)
    assert refused.value.reason.code == "errors.invalid"
    opened = showing_factors.step_up(house, asked, session=digest, code=shown(house, secret), whence=HERE)
    assert (who(house, opened.digest).assurance, who(house, opened.digest).method) == (2, "password+totp")


def test_an_account_that_is_gone_shows_nothing(house: House, user: User) -> None:
    """Disabled between the two steps, nobody is signed in by the second."""
    secret, _, _ = enrol(house, user)
    asked, digest = signed_in(house, user)
    administering.disable(house, SYSTEM, user.id)
    with pytest.raises(Refused) as refused:
        showing_factors.show(house, asked, session=digest, code=shown(house, secret, 1), whence=HERE)
    assert refused.value.status == 401


def test_however_many_proofs_there_were_they_fit(house: House, user: User) -> None:
    """What a session was opened by is 32 characters at most, the first and the latest of them."""
    _, digest = signed_in(house, user)
    for method in ("passkey", "totp", "recovery", "google", "totp", "somebody-else-entirely"):
        digest = signing_in.go_on(house, digest, method=method).digest
        assert len(who(house, digest).method) <= session_rows.LONGEST_METHOD
    assert who(house, digest).method == "password+somebody-else-entirely"
    assert roles.CHALLENGE


@pytest.mark.requirement("S3-083")
def test_a_password_is_no_late_proof_of_two_factors(house: House) -> None:
    """A thief with the session and the password changes the password, and cannot pass for fresh with it."""
    user = administering.create(house, SYSTEM, email="b@people.test", password=PASSWORD, confirmed=True)
    _, _, digest = enrol(house, user)
    before = who(house, digest).authenticated_at
    advance(house, 601)
    opened = accounts.change_password(
        house, who(house, digest), digest=digest, current=PASSWORD, new=f"{PASSWORD} anew"
    )
    after = who(house, opened.digest)
    assert (after.assurance, after.authenticated_at) == (2, before)
    with pytest.raises(Refused) as refused:
        mfa.demand_fresh(house, after)
    assert refused.value.reason is STEP_UP
