"""Access tokens: made, signed in with, replaced, revoked and warned of, on both databases."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import func, select

from bylaw import policy as policies
from bylaw.controls import CONTROLS, errors, roles, tokens
from bylaw.controls import sessions as sessions_control
from bylaw.controls.email import reachable
from bylaw.errors import MisuseError, PolicyError
from bylaw.house import House
from bylaw.identity import FORBIDDEN, UNAUTHENTICATED, Identity
from bylaw.operations import (
    accounts,
    administering,
    bearing,
    bootstrap,
    chores,
    granting,
    minting,
    signing_in,
)
from bylaw.operations import tokens as verbs
from bylaw.operations.authority import SYSTEM
from bylaw.operations.minting import Given
from bylaw.reasons import Refused
from bylaw.site import build
from bylaw.store import assignments, bearers, sessions, users
from bylaw.store.tables import access_tokens, audit_log, revocations
from bylaw.store.tables import users as account_rows
from bylaw.verify.fakes import FakeClock, Mailbox
from tests.applications.stacks import Quick
from tests.controls.houses import ENVIRON
from tests.operations.test_accounts import identity, made, records

DAY = 86400
FIRST = "s0KxF2m9QvT7bYw4ZpL1eA"
NEXT = "Hq7RtUc3NfXj5WgB8yDk2P"


def clock(house: House) -> FakeClock:
    found: Any = house.ports.clock
    return found


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason.code


def alive(house: House, digest: str) -> bool:
    with house.store.reading() as connection:
        row = sessions.find(connection, digest)
    return row is not None and row.expires_at > house.now()


def issued(house: House, user_id: str, **how: Any) -> Given:
    return verbs.issue(house, SYSTEM, user_id, **how)


# Signing in


@pytest.mark.requirement("S2-004", "S2-011", "C-06")
def test_a_token_opens_a_session_like_any_other(house: House) -> None:
    """Ninety days of a token are none of its session, which ends after a day; the use is written down."""
    user = made(house, "user")
    given = issued(house, user.id, name=" phone ")
    opened = bearing.sign_in(house, token=given.secret, agent="x")
    with house.store.reading() as connection:
        row, token = (
            sessions.find(connection, opened.digest),
            bearers.by_id(connection, access_tokens, given.id),
        )
    assert row is not None
    assert token is not None
    assert (row.method, row.credential) == ("token", given.id)
    assert row.expires_at == house.now() + house.policy.of(sessions_control.Settings).absolute
    assert token["used_at"] == house.now()
    assert (given.name, given.expires_at) == ("phone", house.now() + 90 * DAY)
    assert given.secret not in repr(given)


@pytest.mark.requirement("C-40", "S2-005")
def test_nothing_but_a_digest_is_kept(house: House) -> None:
    """Whoever copies the database has no token: neither a table nor a record nor mail holds one."""
    user = made(house, "user")
    given = issued(house, user.id)
    bearing.sign_in(house, token=given.secret)
    with house.store.reading() as connection:
        kept = [
            str(tuple(row))
            for table in (access_tokens, audit_log)
            for row in connection.execute(table.select())
        ]
    assert given.secret[12:40] not in "".join(kept)
    assert (
        refused(lambda: bearing.sign_in(house, token=tokens.stored(house.policy, given.secret)))
        == "tokens.wrong"
    )


@pytest.mark.requirement("S2-068", "S2-038")
def test_what_opens_nothing_is_refused_alike_and_recorded(house: House) -> None:
    """Unknown, expired, revoked, of a shut account, of another environment: one answer, and a record each."""
    ann, bob = made(house, "user"), made(house, "user", email="bob@people.test")
    short, gone, shut = issued(house, ann.id, lifetime=3600), issued(house, ann.id), issued(house, bob.id)
    verbs.revoke(house, SYSTEM, gone.id, reason="lost")
    administering.disable(house, SYSTEM, bob.id)
    clock(house).advance(3601)
    foreign = "bylaw_dev_" + gone.secret.removeprefix("bylaw_pat_")
    for token in (
        "nothing",
        short.secret,
        gone.secret,
        shut.secret,
        foreign,
        "",
        "\x00",
        "\ud800",
        "x" * 10_000,
    ):
        assert refused(lambda token=token: bearing.sign_in(house, token=token)) == "tokens.wrong"  # type: ignore[misc]
    whys = [row["changes"]["why"] for row in records(house, action="authn_login_fail")]
    assert set(whys) == {"unknown", "expired", "of another environment"}
    [reused, *_] = records(house, action="authn_token_reuse")
    assert (reused["entity_id"], reused["outcome"]) in {(gone.id, "refused"), (shut.id, "refused")}


@pytest.mark.requirement("S2-046", "S2-068")
def test_revoking_ends_the_sessions_of_that_token_alone(house: House) -> None:
    """The thief who has the token is out at once, in every process; the owner's other session goes on."""
    user = made(house, "user")
    stolen, own = issued(house, user.id), issued(house, user.id)
    theirs = [bearing.sign_in(house, token=stolen.secret) for _ in range(2)]
    mine = bearing.sign_in(house, token=own.secret)
    verbs.revoke(house, SYSTEM, stolen.id)
    assert [alive(house, each.digest) for each in (*theirs, mine)] == [False, False, True]
    with house.store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(revocations)).scalar_one() >= 1
    assert refused(lambda: verbs.revoke(house, SYSTEM, stolen.id)) == "tokens.unknown"


@pytest.mark.requirement("C-06")
def test_a_session_goes_on_as_its_tokens(house: House) -> None:
    """A further proof, or another password, gives a session another id: it still ends with its token."""
    user = made(house, "user")
    given = issued(house, user.id, lifetime=7200)
    opened = bearing.sign_in(house, token=given.secret)
    further = signing_in.go_on(house, opened.digest, method="password")
    with house.store.reading() as connection:
        row = sessions.find(connection, further.digest)
    assert row is not None
    assert (row.credential, row.expires_at) == (given.id, given.expires_at)
    changed = accounts.change_password(
        house,
        identity(user),
        digest=further.digest,
        current="wide green fields and quiet water",
        new="narrow brown roads and loud wind",
    )
    with house.store.reading() as connection:
        row = sessions.find(connection, changed.digest)
    assert row is not None
    assert (row.credential, row.expires_at) == (given.id, given.expires_at)
    verbs.revoke(house, SYSTEM, given.id)
    assert not alive(house, changed.digest)


@pytest.mark.requirement("S2-046")
def test_who_signs_in_while_the_token_is_revoked_is_not_left_behind(house: House) -> None:
    """Twelve sign-ins and the revocation at the same moment: whoever came before it is out after it."""
    user = made(house, "user")
    given = issued(house, user.id)
    gate = threading.Barrier(13)
    opened: list[str] = []

    def enter() -> None:
        gate.wait(10)
        try:
            opened.append(bearing.sign_in(house, token=given.secret).digest)
        except Refused as refused:
            assert refused.reason in (tokens.WRONG,)

    def leave() -> None:
        gate.wait(10)
        verbs.revoke(house, SYSTEM, given.id)

    with ThreadPoolExecutor(13) as pool:
        for work in [pool.submit(enter) for _ in range(12)] + [pool.submit(leave)]:
            work.result()
    assert [digest for digest in opened if alive(house, digest)] == []


@pytest.mark.requirement("S2-046", "S2-047")
def test_who_signs_in_while_an_application_ends_the_token_is_not_left_behind(house: House) -> None:
    """An application, or a start with another ADMIN_TOKEN, ends a token in a transaction of its own: whoever
    comes in the middle of it is not signed in after it."""
    user = made(house, "user")
    given = issued(house, user.id)
    opened: list[str] = []

    def enter() -> None:
        with suppress(Refused):
            opened.append(bearing.sign_in(house, token=given.secret).digest)

    coming = threading.Thread(target=enter)
    with house.store.transaction() as connection:
        row = bearers.by_id(connection, access_tokens, given.id)
        assert row is not None
        minting.end(house, connection, row)
        coming.start()
        coming.join(0.2)  # it waits for us
    coming.join(30)
    assert [digest for digest in opened if alive(house, digest)] == []


# Making and replacing


@pytest.mark.requirement("S2-045", "S2-046", "S2-049")
def test_replacing_leaves_no_moment_with_two(house: House) -> None:
    """The old token is refused as soon as the new one is there; whoever replaces his own stays signed in."""
    user = made(house, "user")
    old = issued(house, user.id, name="phone")
    here, there = (bearing.sign_in(house, token=old.secret) for _ in range(2))
    new = verbs.replace(house, identity(user), old.id, session=here.digest)
    assert refused(lambda: bearing.sign_in(house, token=old.secret)) == "tokens.wrong"
    assert (new.name, alive(house, here.digest), alive(house, there.digest)) == ("phone", True, False)
    verbs.revoke(house, SYSTEM, new.id)
    assert not alive(house, here.digest)  # it was the new one's


@pytest.mark.requirement("C-06", "S2-038", "S2-068")
@pytest.mark.parametrize("how", [{"lifetime": 91 * DAY}, {"lifetime": 0}, {"lifetime": -1}, {"never": True}])
def test_no_token_outlives_the_policy(house: House, how: dict[str, Any]) -> None:
    """Whoever asks for a longer life, or for none that ends, is told what the policy allows."""
    user = made(house, "user")
    with pytest.raises(Refused) as caught:
        issued(house, user.id, **how)
    assert (caught.value.reason, caught.value.fields) == (errors.INVALID, {"lifetime": "at most 90 days"})


@pytest.mark.requirement("S1-033")
def test_whoever_makes_a_token_may_no_less(house: House) -> None:
    """A clerk who manages users is not an administrator by making himself an administrator's token, nor one
    who may do something within an object that he may not."""
    admin, clerk = made(house, "admin"), made(house, "clerk", email="clerk@people.test")
    user, other = made(house, "user", email="u@people.test"), made(house, email="v@people.test")
    who = identity(clerk)
    assert refused(lambda: verbs.issue(house, who, admin.id)) == FORBIDDEN.code
    with house.store.transaction() as connection:
        assignments.grant(connection, other.id, "admin", scope="room:1", by=None)
    assert refused(lambda: verbs.issue(house, who, other.id)) == FORBIDDEN.code
    theirs = issued(house, admin.id)
    assert refused(lambda: verbs.revoke(house, who, theirs.id)) == FORBIDDEN.code
    assert refused(lambda: verbs.replace(house, who, theirs.id)) == FORBIDDEN.code
    assert refused(lambda: verbs.issue(house, identity(user), clerk.id)) == FORBIDDEN.code
    assert refused(lambda: verbs.of_user(house, identity(user), clerk.id)) == FORBIDDEN.code
    assert refused(lambda: verbs.revoke(house, identity(user), theirs.id)) == "tokens.unknown"


def test_an_old_proof_makes_no_token(house: House) -> None:
    """Whoever finds a session open takes no token along: making one asks for a proof of lately."""
    user = made(house, "user")
    who = identity(user)
    clock(house).advance(3600)
    assert refused(lambda: verbs.issue(house, who, user.id)) == "mfa.step_up"
    given = issued(house, user.id)
    assert refused(lambda: verbs.revoke(house, who, given.id)) == "mfa.step_up"


def test_somebody_who_was_ended_meanwhile_makes_none(house: House) -> None:
    """A request that began before its owner was signed out everywhere leaves no token behind."""
    user = made(house, "user")
    who = identity(user)
    signing_in.sign_out_everywhere(house, who)
    assert refused(lambda: verbs.issue(house, who, user.id)) == UNAUTHENTICATED.code
    administering.disable(house, SYSTEM, user.id)
    assert refused(lambda: issued(house, user.id)) == roles.HAS_NOTHING.code


def test_an_account_holds_as_many_as_anybody_watches(house: House) -> None:
    """Whoever makes tokens without end is stopped; at the same moment too."""
    user = made(house, "user")

    def make(_: int) -> bool:
        try:
            return bool(issued(house, user.id))
        except Refused as refused:
            assert refused.reason is tokens.MANY
            return False

    for number in range(tokens.MOST - 3):
        assert make(number)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 3


@pytest.mark.parametrize(
    "user_id", ["\x00", "nobody", "\ud800", "x" * 40, "00000000-0000-4000-8000-000000000000"]
)
def test_no_account_is_no_accident(house: House, user_id: str) -> None:
    """An id that is nobody's is a clear answer, whatever is in it."""
    assert refused(lambda: issued(house, user_id)) == roles.NO_SUCH_USER.code
    assert refused(lambda: verbs.revoke(house, SYSTEM, user_id)) == "tokens.unknown"


# Many at once


def test_thirty_participants_in_one_transaction(house: House) -> None:
    """A facilitator has thirty cards made: accounts without an address, each with its role and its token."""
    until = house.now() + 7 * DAY
    made = verbs.issue_many(
        house,
        SYSTEM,
        30,
        "user",
        scope="planning:17",
        names=["Ann", "Bob"],
        expires_at=until,
        because="a workshop",
    )
    assert [each.name for each in made[:3]] == ["Ann", "Bob", "Participant 3"]
    assert len({secret for _, _, secret in made}) == 30
    assert made[0].secret not in repr(made)
    opened = bearing.sign_in(house, token=made[0].secret)
    with house.store.reading() as connection:
        row = sessions.find(connection, opened.digest)
        user = users.by_id(connection, made[0].account_id)
    assert row is not None
    assert user is not None
    assert not reachable(user.email)
    assert [(a.role, a.scope, a.expires_at, a.because) for a in row.assignments] == [
        ("user", "planning:17", until, "a workshop")
    ]
    assert len(records(house, action="authn_token_created", limit=100)) == 30
    clock(house).advance(7 * DAY)
    assert refused(lambda: bearing.sign_in(house, token=made[1].secret)) == "tokens.wrong"


def test_many_are_made_with_what_the_application_writes(house: House) -> None:
    """The planning and its cards are there together, or neither: a failure takes both back."""
    with pytest.raises(RuntimeError), house.store.transaction() as connection:
        verbs.issue_many(house, SYSTEM, 3, "user", scope="planning:1", connection=connection)
        raise RuntimeError
    with house.store.reading() as connection:
        assert users.count(connection) == 0


@pytest.mark.requirement("S1-033", "C-08")
def test_a_facilitator_gives_what_he_holds_in_his_own_planning(house: House) -> None:
    """`token:issue` in one planning is no way into another, nor to a role that may more."""
    facilitator = made(house, "user")
    grants = {"facilitator": ["token:issue", "note:read"], "user": ["note:read"], "admin": ["*"]}
    settings = house.policy.of(roles.Settings).model_copy(update=grants)
    house.policy.controls["roles"] = settings
    granting.grant(house, SYSTEM, facilitator.id, "facilitator", within="planning:1", because="runs it")
    who = Identity(
        id=facilitator.id,
        roles=frozenset({"user"}),
        scoped=roles.scoped(grants, _held(house, facilitator.id)),
        authenticated_at=house.now(),
        epoch=facilitator.epoch,
    )
    assert len(verbs.issue_many(house, who, 2, "user", scope="planning:1")) == 2
    for role, scope in (("user", "planning:2"), ("user", ""), ("admin", "planning:1")):
        assert refused(lambda role=role, scope=scope: verbs.issue_many(house, who, 1, role, scope=scope)) == (  # type: ignore[misc]
            FORBIDDEN.code
        )
    # Taken from him while his request was under way: it makes no card any more.
    granting.grant(house, SYSTEM, facilitator.id, "user", within="planning:1")
    granting.revoke(house, SYSTEM, facilitator.id, "facilitator", within="planning:1")
    assert refused(lambda: verbs.issue_many(house, who, 1, "user", scope="planning:1")) == FORBIDDEN.code
    administering.disable(house, SYSTEM, facilitator.id)
    assert refused(lambda: verbs.issue_many(house, who, 1, "user", scope="planning:1")) == (
        UNAUTHENTICATED.code
    )


def _held(house: House, user_id: str) -> list[assignments.Assignment]:
    with house.store.reading() as connection:
        return assignments.of_users(connection, [user_id]).get(user_id, [])


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"count": 0}, "errors.invalid"),
        ({"count": 201}, "errors.invalid"),
        ({"count": True}, "errors.invalid"),
        ({"role": "nobody"}, "roles.unknown"),
        ({"scope": "planning 1"}, "errors.invalid"),
        ({"scope": "\x00"}, "errors.invalid"),
        ({"expires_at": float("nan")}, "errors.invalid"),
        ({"expires_at": float("inf")}, "errors.invalid"),
        ({"expires_at": 1.0}, "errors.invalid"),
    ],
)
def test_what_makes_no_cards(house: House, how: dict[str, Any], code: str) -> None:
    """A number, a role, an object or a time that is none is refused before anything is made."""
    asked = {"count": 1, "role": "user", "scope": "planning:1", **how}
    assert (
        refused(lambda: verbs.issue_many(house, SYSTEM, asked.pop("count"), asked.pop("role"), **asked))
        == code
    )


def test_mail_to_an_account_without_an_address_is_not_sent(house: House, mailbox: Mailbox) -> None:
    """Nothing is mailed to what only stands for an address: it would come back, or go to a stranger."""
    [made] = verbs.issue_many(house, SYSTEM, 1, "user")
    issued(house, made.account_id)
    clock(house).advance(80 * DAY)
    bearing.warn(house)
    chores.send(house)
    assert mailbox.messages == []


def test_an_address_for_a_card(house: House) -> None:
    """The token stands behind the #, which no server sees; nothing but a token is put there."""
    [made] = verbs.issue_many(house, SYSTEM, 1, "user")
    offered = verbs.Tokens(house)
    address = offered.address(made.secret)
    assert address == f"https://app.lab/auth/sign-in-token#t={made.secret}"
    assert offered.address() == "https://app.lab/auth/sign-in-token"
    assert bearing.sign_in(house, token=offered.grouped(made.secret).upper()).digest
    for text in ("ADMIN123", made.secret[:-1], made.secret + "&x", "javascript:x"):
        with pytest.raises(MisuseError):
            offered.address(text)


# Warned


@pytest.mark.requirement("S2-038")
def test_the_owner_is_warned_once_before_it_expires(house: House, mailbox: Mailbox) -> None:
    """A fortnight before its end a token's owner is told, by one of the processes, once."""
    user = made(house, "user")
    issued(house, user.id, name="phone")
    chores.send(house)
    mailbox.messages.clear()
    clock(house).advance(75 * DAY)
    bearing.warn(house)
    assert chores.send(house) == 0
    clock(house).advance(2 * DAY)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bearing.warn(house), range(4)))
    assert chores.send(house) == 1
    [message] = mailbox.to(user.email)
    assert "expires soon" in message["Subject"]
    assert "phone" in message.get_content()
    assert "13 days" in message.get_content()


# The first administrator


@contextmanager
def started(house: House, value: str, **environ: str) -> Iterator[House]:
    """Another start of the application, with this in its ADMIN_TOKEN."""
    variables = {
        **ENVIRON,
        "DATABASE_URL": house.policy.store.database.get_secret_value(),
        "ADMIN_TOKEN": value,
        **environ,
    }
    other = build(policies.load(house.policy.file, CONTROLS, variables), house.ports)
    other.scheme = Quick()
    try:
        bootstrap.first_administrator(other)
        yield other
    finally:
        other.store.close()


def administrators(house: House) -> list[str]:
    with house.store.reading() as connection:
        return assignments.with_role(connection, "admin")


def who_owes(house: House, digest: str) -> tuple[Identity, str]:
    with house.store.reading() as connection:
        row = sessions.find(connection, digest)
        user = users.by_id(connection, row.user_id) if row is not None else None
    assert row is not None
    assert user is not None
    return identity(user), row.owes


@pytest.mark.requirement("S2-037", "S2-045", "S2-046", "S2-047", "S2-048", "S2-049", "S2-034", "S2-036")
def test_the_rotation_of_the_published_policy_step_by_step(house: House) -> None:
    """The first start, the change that it asks for, and the five steps of S2: each token ends in turn."""
    with started(house, FIRST) as running:
        [chief] = administrators(running)
        first = bearing.sign_in(running, token=FIRST)
        who, owes = who_owes(running, first.digest)
        assert (who.id, owes) == (chief, "token")
        given, opened = bootstrap.change(running, who, session=first.digest)
        assert opened.owes == ""
        assert refused(lambda: bearing.sign_in(running, token=FIRST)) == "tokens.wrong"
        assert alive(running, bearing.sign_in(running, token=given.secret).digest)
    with started(house, FIRST) as again:  # the variable still holds it: it is refused for good
        assert refused(lambda: bearing.sign_in(again, token=FIRST)) == "tokens.wrong"
        new = secrets.token_urlsafe(16)  # 1: a new token
        here = bearing.sign_in(again, token=given.secret)
        verbs.revoke(again, who, given.id)  # 2: the old one is deleted in the admin panel
        assert not alive(again, here.digest)
        assert refused(lambda: bearing.sign_in(again, token=given.secret)) == "tokens.wrong"
    with started(house, new) as restarted:  # 3 and 4: ADMIN_TOKEN is replaced, the application restarted
        opened = bearing.sign_in(restarted, token=new)  # 5: log in with the new token
        assert opened.owes == ""
        assert who_owes(restarted, opened.digest)[0].id == chief
        assert administrators(restarted) == [chief]
    with started(house, NEXT) as later:  # once more, without step 2: the one before ends all the same
        assert not alive(later, opened.digest)
        assert refused(lambda: bearing.sign_in(later, token=new)) == "tokens.wrong"
        assert alive(later, bearing.sign_in(later, token=NEXT).digest)
    with started(house, new) as back:
        assert refused(lambda: bearing.sign_in(back, token=new)) == "tokens.wrong"  # no value comes back
        assert alive(back, bearing.sign_in(back, token=NEXT).digest)


@pytest.mark.requirement("S2-037")
def test_one_administrator_however_many_start(house: House) -> None:
    """Six starts at the same moment, and another later: one account, one token."""
    gate = threading.Barrier(6)

    def start(_: int) -> None:
        with started(house, FIRST) as running:
            gate.wait(20)
            bootstrap.first_administrator(running)

    made(house, "user")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(start, range(6)))
    assert len(administrators(house)) == 1
    with house.store.reading() as connection:
        assert len(connection.execute(access_tokens.select()).all()) == 1
        assert connection.execute(select(func.count()).select_from(account_rows)).scalar_one() == 2


@pytest.mark.requirement("S2-037")
def test_where_there_is_an_administrator_no_variable_makes_another(house: House) -> None:
    """Whoever can set a variable of a running application is not its administrator by that."""
    admin = made(house, "admin")
    with started(house, FIRST) as running:
        assert administrators(running) == [admin.id]
        assert refused(lambda: bearing.sign_in(running, token=FIRST)) == "tokens.wrong"


@pytest.mark.requirement("S2-037")
def test_a_first_token_that_was_never_changed_must_be_after_a_restart(house: House) -> None:
    """Another value in the variable does not spare the change."""
    with started(house, FIRST), started(house, NEXT) as running:
        opened = bearing.sign_in(running, token=NEXT)
        assert opened.owes == "token"
        assert refused(lambda: bearing.sign_in(running, token=FIRST)) == "tokens.wrong"


def test_the_first_token_is_changed_once(house: House) -> None:
    """Two requests to change it at the same moment: one gets a token, the other nothing."""
    with started(house, FIRST) as running:
        opened = bearing.sign_in(running, token=FIRST)
        who, _ = who_owes(running, opened.digest)
        gate = threading.Barrier(2)

        def change(_: int) -> str:
            gate.wait(10)
            try:
                return bootstrap.change(running, who, session=opened.digest)[0].secret
            except Refused as refused:
                assert refused.reason is UNAUTHENTICATED
                return ""

        with ThreadPoolExecutor(2) as pool:
            made = [secret for secret in pool.map(change, range(2)) if secret]
        assert len(made) == 1
        assert alive(running, bearing.sign_in(running, token=made[0]).digest)


def test_a_change_that_was_cut_off_can_be_made_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies before the new token was shown: the first one must not be gone for it."""

    def dies(*_: Any) -> None:
        raise SystemExit

    with started(house, FIRST) as running:
        opened = bearing.sign_in(running, token=FIRST)
        who, _ = who_owes(running, opened.digest)
        with monkeypatch.context() as dying, pytest.raises(SystemExit):
            dying.setattr(sessions, "add", dies)
            bootstrap.change(running, who, session=opened.digest)
        given, _ = bootstrap.change(running, who, session=opened.digest)
        assert alive(running, bearing.sign_in(running, token=given.secret).digest)


@pytest.mark.requirement("S2-039")
def test_a_token_of_another_environment_does_not_start(house: House) -> None:
    """Development's table was copied to production, and the variable with it: the start says so."""
    with started(house, FIRST, BYLAW_ENV="development"):
        pass
    with pytest.raises(PolicyError) as caught, started(house, FIRST):
        pass
    assert "of the other environment" in str(caught.value)
    assert FIRST not in str(caught.value)


@pytest.mark.requirement("S2-068", "S2-046")
def test_disabling_and_resetting_end_tokens_for_good(house: House) -> None:
    """An account that is opened again does not get back what it held."""
    user = made(house, "user")
    given = issued(house, user.id)
    administering.disable(house, SYSTEM, user.id)
    administering.enable(house, SYSTEM, user.id)
    assert refused(lambda: bearing.sign_in(house, token=given.secret)) == "tokens.wrong"


def test_a_step_up_takes_ones_own_token_alone(house: House) -> None:
    """Whoever has no password shows a token once more; a neighbour's, or one that ended, does not do."""
    user, other = made(house, "user"), made(house, "user", email="bob@people.test")
    mine, theirs = issued(house, user.id), issued(house, other.id)
    opened = bearing.sign_in(house, token=mine.secret)
    who = identity(user)
    for token in (theirs.secret, "nothing"):
        assert refused(
            lambda token=token: bearing.step_up(house, who, session=opened.digest, token=token)
        ) == (  # type: ignore[misc]
            "tokens.wrong"
        )
    assert bearing.step_up(house, who, session=opened.digest, token=mine.secret).digest != opened.digest
