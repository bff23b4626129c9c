"""Tokens for programs: given, renewed once each, and ended, on both databases."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pydantic import SecretStr

from bylaw.controls import jwt, mfa, passwords
from bylaw.controls.jwt import reasons
from bylaw.controls.lockout import Whence
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import (
    administering,
    chores,
    granting,
    showing_factors,
    signing_in,
    standing,
    token_families,
)
from bylaw.operations.administering import SYSTEM
from bylaw.operations.standing import Event
from bylaw.operations.token_families import Pair, Use
from bylaw.reasons import Refused
from bylaw.store import assignments, audit, users
from bylaw.store import token_families as rows
from bylaw.store.users import User
from bylaw.verify.fakes import Mailbox
from bylaw.verify.starting import Elsewhere
from tests.controls import houses
from tests.operations.conftest import POLICY

PASSWORD = "wide green fields and quiet water"
KEY = "3c1f0d9e8b7a6958473625140f1e2d3c4b5a69788796a5b4c3d2e1f00112233f"
HERE = Use("192.0.2.7", "reader/1")
THERE = Use("203.0.113.9", "curl/8")
DAY = 86400
AT_ONCE = 20


def under(house: House, settings: type[Any], **changes: Any) -> None:
    """The house under another policy from now on."""
    before = house.policy
    name = next(name for name, found in before.controls.items() if type(found) is settings)
    changed = before.controls[name].model_copy(update=changes)
    house.policy = replace(before, controls={**before.controls, name: changed})


@pytest.fixture(autouse=True)
def bearing(house: House) -> None:
    """Access tokens are taken."""
    under(house, jwt.Settings, paths=("/api/*",), key=SecretStr(KEY))


@pytest.fixture
def user(house: House) -> User:
    return administering.create(
        house, SYSTEM, email="ann@people.test", password=PASSWORD, granted=["user"], confirmed=True
    )


def sign_in(house: House, use: Use = HERE, **how: str) -> Pair:
    return token_families.sign_in(house, **{"email": "ann@people.test", "password": PASSWORD, **how}, use=use)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as error:
        work()
    return error.value.reason.code


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, action=action)


def stands(house: House, pair: Pair) -> bool:
    """Whether both halves of a pair are good."""
    claims = jwt.maker(house.policy).read(pair.access, house.now())
    with house.store.reading() as connection:
        family = rows.find(connection, claims.family, house.now())
    return family is not None and jwt.belongs(claims, family)


# Given


@pytest.mark.requirement("S3-010", "S3-012", "S3-018")
def test_a_password_gets_a_pair(house: House, user: User) -> None:
    """The claims are those that are asked for; neither token is in the database, and it is recorded."""
    pair = sign_in(house)
    claims = jwt.maker(house.policy).read(pair.access, house.now())
    assert (claims.subject, claims.family, claims.epoch) == (user.id, pair.family, user.epoch)
    assert (claims.expires_at - claims.issued_at, pair.lifetime) == (1800, 1800)
    assert pair.refresh.startswith("bylaw_rt_")
    assert len(pair.refresh) == len("bylaw_rt_") + 43
    assert pair.refresh not in repr(pair)
    assert pair.access not in repr(pair)
    [record] = records(house, "authn_login_success")
    assert record["changes"] == {"method": "password", "family": pair.family}


@pytest.mark.requirement("C-41")
def test_whoever_is_not_there_is_told_the_same(house: House, user: User) -> None:
    """A wrong password, nobody's address and a disabled account: one reason."""
    assert refused(lambda: sign_in(house, password="wrong")) == passwords.WRONG.code
    assert refused(lambda: sign_in(house, email="bob@people.test")) == passwords.WRONG.code
    administering.disable(house, SYSTEM, user.id)
    assert refused(lambda: sign_in(house)) == passwords.WRONG.code
    assert records(house, "authn_token_created") == []


@pytest.mark.requirement("S1-156")
def test_a_second_factor_is_asked_for(house: House, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password alone gets nothing, a code besides gets a pair of two factors; a used code gets none."""
    monkeypatch.setattr("bylaw.store.factors.enrolled", lambda connection, user_id: True)
    codes = ["123456"]

    def used(house: House, whose: User, code: str) -> str | None:
        return "totp" if code in codes and not codes.remove(code) else None

    monkeypatch.setattr(showing_factors, "_used", used)
    assert refused(lambda: sign_in(house)) == reasons.SECOND.code
    assert refused(lambda: sign_in(house, code="000000")) == mfa.WRONG.code
    pair = sign_in(house, code="123456")
    [row] = token_families.own(house, Identity(user.id))
    assert (row["id"], row["method"], row["assurance"]) == (pair.family, "password+totp", 2)
    assert refused(lambda: sign_in(house, code="123456")) == mfa.WRONG.code


@pytest.mark.requirement("S1-003")
@pytest.mark.parametrize(
    ("change", "said"),
    [({"renew_password": True}, "Another password"), ({"confirmed_at": None}, "mail address")],
)
def test_what_a_program_cannot_do_is_done_at_the_page(
    house: House, user: User, change: dict[str, Any], said: str
) -> None:
    """A password to be changed, an address to be confirmed: no token before, none renewed after."""
    pair = sign_in(house)
    with house.store.transaction() as connection:
        users.change(connection, user.id, **change)
    with pytest.raises(Refused) as error:
        sign_in(house)
    assert (error.value.reason.code, said in error.value.detail) == (reasons.UNFINISHED.code, True)
    assert records(house, "authn_token_refused")[0]["outcome"] == "refused"
    assert refused(lambda: token_families.refresh(house, pair.refresh, use=HERE)) == reasons.REFRESH.code


@pytest.mark.requirement("S1-156")
def test_a_role_that_asks_for_a_second_factor_ends_refreshing(house: House, user: User) -> None:
    """Whoever must show one from now on does so at the page, and his program waits for it."""
    pair = sign_in(house)
    under(house, mfa.Settings, required=("user",))
    for _ in range(2):  # a program that tries again has not lost its token to a thief
        assert refused(lambda: token_families.refresh(house, pair.refresh, use=HERE)) == reasons.REFRESH.code
    assert records(house, "authn_token_reuse") == []
    assert refused(lambda: sign_in(house)) == reasons.UNFINISHED.code


def test_a_new_client_is_told_of(house: House, user: User, mailbox: Mailbox) -> None:
    """The first sign-in of all surprises nobody; one from elsewhere is told, the same one again is not."""
    sign_in(house)
    sign_in(house)
    chores.send(house)
    assert mailbox.messages == []
    sign_in(house, THERE)
    sign_in(house, THERE)
    chores.send(house)
    assert [message["Subject"] for message in mailbox.messages] == ["New sign-in to your account at Rooms"]


def test_an_account_has_so_many_clients_at_most(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that signs in each time, and never renews, ends its own oldest."""
    monkeypatch.setattr(token_families, "MOST", 3)
    pairs = []
    for _ in range(4):
        pairs.append(sign_in(house))
        house.ports.clock.advance(1)
    assert [stands(house, pair) for pair in pairs] == [False, True, True, True]


# Renewed


@pytest.mark.requirement("S3-013")
def test_a_refresh_token_is_good_once(house: House, user: User, mailbox: Mailbox) -> None:
    """It gives the next pair; used again it ends the family, with the facts of both uses, and mail."""
    first, other = sign_in(house), sign_in(house)
    second = token_families.refresh(house, first.refresh, use=HERE)
    assert second.refresh != first.refresh
    assert stands(house, second)
    house.ports.clock.advance(60)
    assert refused(lambda: token_families.refresh(house, first.refresh, use=THERE)) == reasons.REFRESH.code
    assert not stands(house, second)
    assert stands(house, other), "another client has nothing to do with it"
    assert refused(lambda: token_families.refresh(house, second.refresh, use=HERE)) == reasons.REFRESH.code
    [record] = records(house, "authn_token_reuse")
    assert (record["outcome"], record["user_id"], record["entity_id"]) == ("refused", user.id, first.family)
    before = record["changes"]["first_use"]
    assert (before["address"], before["agent"]) == (HERE.address, HERE.agent)
    assert record["changes"]["again_at"] - before["at"] == 60
    chores.send(house)
    [message] = [m for m in mailbox.messages if "signed out" in m["Subject"]]
    assert message["To"] == user.email
    assert HERE.address in message.get_content()


@pytest.mark.requirement("S3-013")
def test_refreshing_has_an_end(house: House, user: User) -> None:
    """A week unused, or a month after signing in, the client signs in again."""
    idle = sign_in(house)
    house.ports.clock.advance(7 * DAY - 1)
    pair = token_families.refresh(house, idle.refresh, use=HERE)
    house.ports.clock.advance(7 * DAY)
    assert refused(lambda: token_families.refresh(house, pair.refresh, use=HERE)) == reasons.REFRESH.code
    pair = sign_in(house)
    for _ in range(4):
        house.ports.clock.advance(7 * DAY - 1)
        pair = token_families.refresh(house, pair.refresh, use=HERE)
    house.ports.clock.advance(2 * DAY)
    pair = token_families.refresh(house, pair.refresh, use=HERE)
    house.ports.clock.advance(DAY)
    assert refused(lambda: token_families.refresh(house, pair.refresh, use=HERE)) == reasons.REFRESH.code


@pytest.mark.requirement("S3-013")
def test_an_access_token_ends_with_its_family(house: House, user: User) -> None:
    """One that is given in a family's last minute is good for that minute."""
    under(house, jwt.Settings, refresh_absolute=3600, refresh_idle=3600)
    pair = sign_in(house)
    house.ports.clock.advance(3540)
    assert token_families.refresh(house, pair.refresh, use=HERE).lifetime == 60


@pytest.mark.requirement("S3-013", "C-05")
def test_twenty_at_once_get_one_pair(house: House, user: User) -> None:
    """Twenty threads use one refresh token at the same moment: one is given the next, then all of it ends."""
    pair, start = sign_in(house), Barrier(AT_ONCE)

    def use(number: int) -> Pair | None:
        start.wait(30)
        try:
            return token_families.refresh(house, pair.refresh, use=HERE)
        except Refused:
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        won = [each for each in pool.map(use, range(AT_ONCE)) if each is not None]
    assert len(won) == 1
    assert not stands(house, won[0])
    assert len(records(house, "authn_token_reuse")) == 1, "what has ended is not ended again"


def _use(elsewhere: Elsewhere, policy: Path, secret: str) -> str:
    site = elsewhere.site(policy)
    try:
        return token_families.refresh(site.house, secret, use=HERE).access
    except Refused as error:
        return error.reason.code
    finally:
        site.close()


@pytest.mark.requirement("S3-013", "C-05")
def test_of_several_processes_one_gets_a_pair(house: House, user: User, tmp_path: Path) -> None:
    """The same by processes that share nothing but the database."""
    secret = sign_in(house).refresh
    file = tmp_path / "bylaw.toml"
    file.write_text(POLICY + '[jwt]\npaths = ["/api/*"]\nkey = "env:JWT_SECRET_KEY"\n')
    url = house.store.engine.url.render_as_string(hide_password=False)
    environ = {**houses.ENVIRON, "DATABASE_URL": url, "JWT_SECRET_KEY": KEY}
    elsewhere = Elsewhere(url, environ, house.now())
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        tried = [pool.submit(_use, elsewhere, file, secret) for _ in range(2)]
        given = sorted(each.result() for each in tried)
    assert [each.count(".") for each in given] == [2, 1]
    assert given[1:] == [reasons.REFRESH.code]


@pytest.mark.requirement("C-05", "S3-072")
@pytest.mark.parametrize("event", [e for e in Event if standing.TABLE[e].sessions in ("all", "others")])
def test_a_refresh_under_way_does_not_outlive_the_end(
    house: House, user: User, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account changes between looking at the refresh token and using it: nothing is given."""
    pair, real = sign_in(house), rows.owner

    def meanwhile(connection: Any, family_id: str) -> str | None:
        found = real(connection, family_id)
        connection.rollback()
        monkeypatch.setattr(rows, "owner", real)
        with house.store.transaction() as other:
            standing.end(house, other, user.id, event)
        return found

    monkeypatch.setattr(rows, "owner", meanwhile)
    assert refused(lambda: token_families.refresh(house, pair.refresh, use=HERE)) == reasons.REFRESH.code
    assert not stands(house, pair)


@pytest.mark.parametrize(
    "secret", ["", "bylaw_rt_", "bylaw_rt_" + "x" * 43, "x.y.z", "\0", "a" * 10**5, "\ud800"]
)
def test_what_is_no_refresh_token_is_refused(house: House, user: User, secret: str) -> None:
    """Whatever is sent, the answer is the same, and the database is asked for nothing that it cannot hold."""
    assert refused(lambda: token_families.refresh(house, secret, use=HERE)) == reasons.REFRESH.code
    assert not token_families.revoke(house, secret)


# Ended


@pytest.mark.requirement("C-05", "S3-017")
@pytest.mark.parametrize("which", ["refresh", "access"])
def test_revoking_either_ends_both(house: House, user: User, which: str) -> None:
    """RFC 7009: the family ends, whichever of its tokens is named; once."""
    pair, other = sign_in(house), sign_in(house)
    assert token_families.revoke(house, getattr(pair, which))
    assert not stands(house, pair)
    assert stands(house, other)
    assert not token_families.revoke(house, getattr(pair, which))
    [record] = records(house, "authn_token_revoked")
    assert (record["user_id"], record["entity_id"]) == (user.id, pair.family)


def test_an_expired_access_token_revokes_nothing(house: House, user: User) -> None:
    """Nor does one that somebody else has signed: an old token in a log ends nothing."""
    pair = sign_in(house)
    forged = pair.access[:-3] + "AAA"
    assert not token_families.revoke(house, forged)
    house.ports.clock.advance(1800)
    assert not token_families.revoke(house, pair.access)
    assert token_families.refresh(house, pair.refresh, use=HERE)


def test_one_ends_ones_own_and_nobody_elses(house: House, user: User) -> None:
    """By its id, as the page shows it; another's is not there."""
    pair, who = sign_in(house), Identity(user.id)
    [row] = token_families.own(house, who)
    assert (row["id"], row["address"], row["agent"]) == (pair.family, HERE.address, HERE.agent)
    assert not token_families.end(house, Identity("somebody-else"), pair.family)
    assert not token_families.end(house, who, "nothing\0")
    assert stands(house, pair)
    assert token_families.end(house, who, pair.family)
    assert token_families.own(house, who) == []
    assert not stands(house, pair)


@pytest.mark.requirement("C-05", "S3-072")
def test_what_ends_sessions_ends_programs(house: House, user: User) -> None:
    """The password of the account changes: the client's next refresh is refused."""
    pair = sign_in(house)
    administering.set_password(house, SYSTEM, user.id, "another field of quiet water")
    assert not stands(house, pair)
    assert refused(lambda: token_families.refresh(house, pair.refresh, use=HERE)) == reasons.REFRESH.code


@pytest.mark.requirement("S1-031")
def test_a_change_of_roles_leaves_the_client_signed_in(house: House, user: User) -> None:
    """No role is in a token: the next request reads the new ones, and nobody has to sign in."""
    pair = sign_in(house)
    granting.set_roles(house, SYSTEM, user.id, ["clerk"])
    assert stands(house, pair)
    with house.store.reading() as connection:
        family = rows.find(connection, pair.family, house.now())
    assert family is not None
    assert assignments.everywhere(family.assignments) == {"clerk"}


def test_what_is_over_is_cleared_away(house: House, user: User) -> None:
    """A chore: what can be renewed stays; the rest goes once its last access token has expired."""
    pair = sign_in(house)
    house.ports.clock.advance(7 * DAY + jwt.LONGEST - 1)
    for still in (1, 0):
        with house.store.transaction() as connection:
            rows.end_expired(connection, house.now(), jwt.LONGEST)
            assert len(rows.of_user(connection, user.id)) == still
        house.ports.clock.advance(1)
    assert token_families.own(house, Identity(user.id)) == []
    assert not stands_any(house, pair)


def stands_any(house: House, pair: Pair) -> bool:
    with house.store.reading() as connection:
        return rows.owner(connection, pair.family) is not None


def test_a_page_and_a_program_pass_the_same_door(house: House, user: User) -> None:
    """Signing in at the page and for a token is one verb: failures at one count at the other."""
    wrong = {"email": "ann@people.test", "password": "wrong", "whence": Whence(HERE.address)}
    for _ in range(5):
        assert refused(lambda: signing_in.by_password(house, **wrong)) == passwords.WRONG.code
    assert refused(lambda: sign_in(house)) == "lockout.wait"
