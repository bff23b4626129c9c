"""Accounts in an administrator's hands: what each verb does, for whom, and what it never does; on both
databases. What they have in common with all verbs is in test_accounts.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select

from bylaw.controls import errors, roles, signup
from bylaw.house import House
from bylaw.identity import ACTING, FORBIDDEN, STEP_UP, UNAUTHENTICATED, Identity
from bylaw.operations import acting, administering, authority, chores, granting, recovering, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.store import assignments, devices, factors, sessions
from bylaw.store.tables import devices as devices_table
from bylaw.store.tables import password_resets, recovery_codes, totp_secrets
from bylaw.store.users import User, Wanted
from tests.operations.test_accounts import (
    NOBODY,
    OTHER,
    PASSWORD,
    at_once,
    found,
    identity,
    made,
    records,
    refused,
)

BOSS = "boss@people.test"
WHY = "she asked for it in person"


def mails(house: House) -> list[tuple[str, str, str]]:
    """What was mailed so far: to whom, about what, and the text."""
    chores.send(house)
    sent = house.mailer.messages  # type: ignore[attr-defined]
    return [(m["To"], m["Subject"], m.get_body(("plain",)).get_content()) for m in sent]


def live(house: House, user: User) -> int:
    with house.store.reading() as connection:
        return len(sessions.of_user(connection, user.id))


def enrol(house: House, user: User) -> None:
    """Give the account an authenticator app and two recovery codes."""
    with house.store.transaction() as connection:
        connection.execute(
            insert(totp_secrets).values(
                id=user.id[:22], user_id=user.id, name="phone", secret="sealed", created_at=1.0
            )
        )
        factors.replace_codes(connection, user.id, [f"{n}{user.id}"[:64] for n in range(2)], 1.0)


def known_device(house: House, user: User) -> None:
    with house.store.transaction() as connection:
        connection.execute(
            insert(devices_table).values(
                digest=user.id, id=user.id[:22], user_id=user.id, created_at=1.0, seen_at=1.0
            )
        )


# Inviting


@pytest.mark.requirement("C-05", "C-08")
def test_an_invitation_makes_an_account_that_its_owner_opens(house: House) -> None:
    """No password is set or sent; whoever reads the mailbox chooses one, once, and has confirmed it."""
    boss = made(house, "admin", email=BOSS)
    ann = administering.invite(house, identity(boss), email="Ann@People.test", name="Ann", granted=["user"])
    assert (ann.email, ann.roles, ann.password_hash, ann.confirmed_at) == (
        "ann@people.test",
        {"user"},
        None,
        None,
    )
    assert administering.is_invited(ann)
    [(to, _, text)] = mails(house)
    assert to == ann.email
    token = text.partition("/reset-password/")[2].split()[0]
    opened = recovering.opened(house, token)
    assert opened is not None
    assert opened.purpose == "invitation"
    recovering.choose(house, opened, password=PASSWORD)
    ann = found(house, ann.id)
    assert ann.confirmed_at == house.now()
    assert not administering.is_invited(ann)
    assert signing_in.sign_in(house, email=ann.email, password=PASSWORD).id
    assert recovering.opened(house, token) is None


def test_an_invitation_runs_out_and_is_sent_again(house: House) -> None:
    """After a day it opens nothing; sent again it does, and the earlier one does not."""
    boss = identity(made(house, "admin", email=BOSS))
    ann = administering.invite(house, boss, email="ann@people.test")
    assert administering.send_link(house, boss, ann.id) == "invitation"
    tokens = [text.partition("/reset-password/")[2].split()[0] for _, _, text in mails(house)]
    assert [recovering.opened(house, token) is not None for token in tokens] == [False, True]
    house.ports.clock.advance(recovering.INVITED_FOR)
    assert recovering.opened(house, tokens[1]) is None


def test_an_invitation_for_a_taken_address_is_refused(house: House) -> None:
    """An administrator is told so; nobody is mailed, and roles stay as they are."""
    ann = made(house)
    error = refused(lambda: administering.invite(house, SYSTEM, email="ANN@people.test", granted=["admin"]))
    assert (error.reason, error.fields) == (signup.TAKEN, {"email": "somebody else's address"})
    assert mails(house) == []
    assert found(house, ann.id).roles == frozenset()


def test_two_invitations_at_once_are_one_account(house: House) -> None:
    """The second is told that the address is taken, and one link is good."""
    done = at_once(*[lambda: administering.invite(house, SYSTEM, email="ann@people.test")] * 2)
    assert sorted(type(each).__name__ for each in done) == ["Refused", "User"]
    with house.store.reading() as connection:
        assert len(connection.execute(select(password_resets)).all()) == 1
    assert len(mails(house)) == 1


def test_a_clerk_invites_nobody_who_may_more(house: House) -> None:
    """Whoever manages users gives by an invitation no more than he holds (A089)."""
    clerk = identity(made(house, "clerk"))
    work = lambda: administering.invite(house, clerk, email="x@people.test", granted=["admin"])  # noqa: E731
    assert refused(work).reason is FORBIDDEN
    assert mails(house) == []


@pytest.mark.parametrize("renew", [True, False])
def test_a_password_that_an_administrator_chose_is_asked_for_anew(house: House, renew: bool) -> None:
    """The first sign-in owes another one, where whoever set it does not own it (ASVS 6.4.1)."""
    user = administering.create(house, SYSTEM, email="ann@people.test", password=PASSWORD, renew=renew)
    opened = signing_in.sign_in(house, email=user.email, password=PASSWORD)
    assert ("password" in opened.owes.split()) is renew
    administering.set_password(house, SYSTEM, user.id, OTHER, renew=renew)
    opened = signing_in.sign_in(house, email=user.email, password=OTHER)
    assert ("password" in opened.owes.split()) is renew


def test_an_address_may_be_known_to_be_the_owners(house: House) -> None:
    """Whoever makes the account may say so."""
    user = administering.create(house, SYSTEM, email="ann@people.test", confirmed=True)
    assert user.confirmed_at == house.now()


# Who may, and when

Verb = Callable[[House, Identity, str], object]
CHANGES: dict[str, Verb] = {
    "set_roles": lambda h, by, u: granting.set_roles(h, by, u, ["user"], reason=WHY),
    "disable": lambda h, by, u: administering.disable(h, by, u, reason=WHY),
    "enable": lambda h, by, u: administering.enable(h, by, u, reason=WHY),
    "unlock": lambda h, by, u: administering.unlock(h, by, u, reason=WHY),
    "send_link": lambda h, by, u: administering.send_link(h, by, u, reason=WHY),
    "set_password": lambda h, by, u: administering.set_password(h, by, u, OTHER, reason=WHY),
    "require_password": lambda h, by, u: administering.require_password(h, by, u, reason=WHY),
    "reset_factors": lambda h, by, u: administering.reset_factors(h, by, u, reason=WHY),
    "end_sessions": lambda h, by, u: administering.end_sessions(h, by, u, reason=WHY),
}
READING: dict[str, Verb] = {
    "find": administering.find,
    "sessions_of": administering.sessions_of,
    "factors_of": administering.factors_of,
    "history": administering.history,
    "listing": lambda h, by, u: administering.listing(h, by),
}
WEIGHED = ("disable", "require_password", "reset_factors")
NOT_ONESELF = ("disable", "require_password", "reset_factors", "end_sessions")


def prepared(house: House, *granted: str, verb: str = "") -> User:
    """Somebody for whom every verb has something to do."""
    user = made(house, *granted)
    enrol(house, user)
    signing_in.open_session(house, user, method="password", assurance=2)
    if verb == "enable":
        administering.disable(house, SYSTEM, user.id)
    return found(house, user.id)


@pytest.mark.requirement("S1-031", "S1-033")
@pytest.mark.parametrize("verb", [*CHANGES, *READING])
def test_every_verb_asks_for_the_permission(house: House, verb: str) -> None:
    """Somebody without it gets nowhere, whatever his role is called, and leaves nothing behind."""
    user, work = prepared(house, "user", verb=verb), {**CHANGES, **READING}[verb]
    before = (found(house, user.id), live(house, user), len(records(house)), mails(house))
    stranger = identity(made(house, "user", email="s@people.test"))
    count = len(records(house))
    assert refused(lambda: work(house, stranger, user.id)).reason is FORBIDDEN
    assert refused(lambda: work(house, Identity(id=""), user.id)).reason is UNAUTHENTICATED
    assert (found(house, user.id), live(house, user), mails(house)) == (before[0], before[1], before[3])
    assert len(records(house)) == count


@pytest.mark.parametrize("verb", CHANGES)
def test_a_session_that_was_left_open_changes_nobody(house: House, verb: str) -> None:
    """Every change asks for a proof of lately; looking does not. Nor does it work for whoever acts as him."""
    boss, user = identity(made(house, "admin", email=BOSS)), prepared(house, "user", verb=verb)
    before = (found(house, user.id), live(house, user))
    late = replace(boss, authenticated_at=house.now() - 601)
    assert refused(lambda: CHANGES[verb](house, late, user.id)).reason is STEP_UP
    posing = replace(boss, acting=NOBODY)
    assert refused(lambda: CHANGES[verb](house, posing, user.id)).reason is ACTING
    assert (found(house, user.id), live(house, user)) == before
    for look in READING.values():
        look(house, late, user.id)
    CHANGES[verb](house, boss, user.id)


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize("verb", CHANGES)
def test_nobody_acts_on_his_betters(house: House, verb: str) -> None:
    """Whoever may only manage users does nothing to somebody who may do everything (A089)."""
    clerk, boss = identity(made(house, "clerk", email="c@people.test")), prepared(house, "admin")
    made(house, "admin", email=BOSS)
    if verb == "enable":
        administering.disable(house, SYSTEM, boss.id)
    before = (found(house, boss.id), live(house, boss), mails(house))
    assert refused(lambda: CHANGES[verb](house, clerk, boss.id)).reason is FORBIDDEN
    assert (found(house, boss.id), live(house, boss), mails(house)) == before


@pytest.mark.parametrize("verb", NOT_ONESELF)
def test_nobody_shuts_himself_out(house: House, verb: str) -> None:
    """One's own account has pages of its own, which ask for more than these verbs."""
    boss = prepared(house, "admin")
    made(house, "admin", email=BOSS)
    before = (found(house, boss.id), live(house, boss))
    assert refused(lambda: CHANGES[verb](house, identity(boss), boss.id)).reason is roles.ONESELF
    assert (found(house, boss.id), live(house, boss)) == before


def test_nobody_takes_the_management_from_himself(house: House) -> None:
    """By mistake or not: another administrator does it. Other roles he may give and take."""
    boss = made(house, "admin", email=BOSS)
    made(house, "admin")
    me = identity(boss)
    work = lambda: granting.set_roles(house, me, boss.id, ["user"])  # noqa: E731
    assert refused(work).reason is roles.ONESELF
    granting.set_roles(house, me, boss.id, ["admin", "user"])
    assert found(house, boss.id).roles == {"admin", "user"}


@pytest.mark.parametrize("verb", WEIGHED)
@pytest.mark.parametrize("reason", ["", "   ", "\t"])
def test_what_cannot_be_taken_back_asks_for_a_reason(house: House, verb: str, reason: str) -> None:
    """Without one nothing happens; at the command line there may be none."""
    boss, user = identity(made(house, "admin", email=BOSS)), prepared(house, "user")
    work = getattr(administering, verb)
    error = refused(lambda: work(house, boss, user.id, reason=reason))
    assert (error.reason, list(error.fields)) == (errors.INVALID, ["reason"])
    assert live(house, user) == 1
    work(house, SYSTEM, user.id, reason=reason)


@pytest.mark.requirement("S1-112", "S3-069")
@pytest.mark.parametrize(
    ("verb", "action"),
    [
        ("set_roles", "privilege_permissions_changed"),
        ("disable", "user_disabled"),
        ("enable", "user_enabled"),
        ("send_link", "user_link_sent"),
        ("set_password", "authn_password_change"),
        ("require_password", "user_password_renewal"),
        ("reset_factors", "user_factors_reset"),
        ("end_sessions", "session_ended"),
    ],
)
def test_every_change_is_recorded_with_its_reason(house: House, verb: str, action: str) -> None:
    """One record names who, whom, what and why; the reason is one printable line."""
    boss, user = made(house, "admin", email=BOSS), prepared(house, "clerk", verb=verb)
    CHANGES[verb](house, identity(boss), user.id)
    [row, *_] = records(house, action=action, entity_id=user.id)
    assert (row["user_id"], row["actor_role"], row["outcome"]) == (boss.id, "admin", "success")
    assert row["changes"]["reason"] == WHY


def test_a_reason_is_one_line_of_some_length(house: House) -> None:
    """Whatever is typed there ends as printable text, and not endless."""
    assert authority.stated("  it was\nlost\0 \u2028x") == "it was?lost? ?x"
    assert len(authority.stated("x" * 9000)) == authority.MAX_REASON


# What each does


def test_asking_for_a_new_password(house: House) -> None:
    """Everything that the account holds ends; its password still signs in, and owes another one."""
    user = prepared(house, "user")
    known_device(house, user)
    administering.require_password(house, SYSTEM, user.id)
    assert live(house, user) == 0
    with house.store.reading() as connection:
        assert not devices.known(connection, [user.id])
    opened = signing_in.sign_in(house, email=user.email, password=PASSWORD)
    assert opened.owes == "second password"
    [(to, subject, text)] = mails(house)
    assert (to, subject) == (user.email, "A new password is asked for at Rooms")
    assert PASSWORD not in text


def test_removing_second_factors(house: House) -> None:
    """Apps, passkeys and codes are gone, sessions end, the owner is told, others keep theirs."""
    user = prepared(house, "user")
    other = made(house, email="o@people.test")
    enrol(house, other)
    administering.reset_factors(house, SYSTEM, user.id, reason=WHY)
    assert live(house, user) == 0
    assert set(administering.factors_of(house, SYSTEM, user.id).values()) == {0}
    assert administering.factors_of(house, SYSTEM, other.id) == {
        "apps": 1,
        "passkeys": 0,
        "recovery codes": 2,
    }
    [row] = records(house, action="user_factors_reset")
    assert row["changes"] == {"removed": ["1 apps", "2 recovery codes"], "reason": WHY}
    assert [(to, subject) for to, subject, _ in mails(house)] == [
        (user.email, "Your second factors were removed at Rooms")
    ]
    assert signing_in.sign_in(house, email=user.email, password=PASSWORD).owes == ""
    again = refused(lambda: administering.reset_factors(house, SYSTEM, user.id, reason=WHY))
    assert again.reason is roles.HAS_NOTHING
    with house.store.reading() as connection:
        assert len(connection.execute(select(recovery_codes)).all()) == 2


def test_a_link_to_choose_a_new_password(house: House) -> None:
    """It is mailed to the owner and to nobody else; the password holds until it is used."""
    user = made(house, "user")
    boss = identity(made(house, "admin", email=BOSS))
    assert administering.send_link(house, boss, user.id) == "reset"
    [(to, _, text)] = mails(house)
    assert to == user.email
    token = text.partition("/reset-password/")[2].split()[0]
    assert all(token not in str(row) for row in records(house))
    assert signing_in.sign_in(house, email=user.email, password=PASSWORD).id
    administering.disable(house, SYSTEM, user.id)
    assert refused(lambda: administering.send_link(house, boss, user.id)).reason is roles.HAS_NOTHING
    with house.store.reading() as connection:
        assert connection.execute(select(password_resets)).all() == []


def test_ending_sessions(house: House) -> None:
    """One by its id, or all of them; never anybody else's."""
    user, other = made(house), made(house, email="o@people.test")
    mine = [signing_in.open_session(house, user, method="password") for _ in range(3)]
    theirs = signing_in.open_session(house, other, method="password")
    listed = {row.id for row in administering.sessions_of(house, SYSTEM, user.id)}
    assert listed == {opened.id for opened in mine}
    for wrong in (theirs.id, "", "nothing", "'"):
        if wrong:
            work = lambda which=wrong: administering.end_sessions(house, SYSTEM, user.id, session_id=which)  # noqa: E731
            assert refused(work).reason is roles.HAS_NOTHING
    assert administering.end_sessions(house, SYSTEM, user.id, session_id=mine[0].id) == 1
    assert live(house, user) == 2
    assert administering.end_sessions(house, SYSTEM, user.id) == 2
    assert (live(house, user), live(house, other)) == (0, 1)


def test_sessions_that_have_ended_are_not_shown(house: House) -> None:
    """Neither one that was idle for too long nor one that ran out."""
    user = made(house)
    signing_in.open_session(house, user, method="password")
    house.ports.clock.advance(3601)
    assert administering.sessions_of(house, SYSTEM, user.id) == []


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\udfff"])
def test_what_no_database_takes_finds_nobody(house: House, text: str) -> None:
    """PostgreSQL refuses NUL, drivers refuse lone surrogates: neither is in anybody's name."""
    made(house)
    for wanted in (Wanted(search=text), Wanted(search=text, anywhere=True), Wanted(role=text)):
        assert administering.listing(house, SYSTEM, wanted).users == []
    assert administering.listing(house, SYSTEM, after=text).users == []
    user = found(house, administering.listing(house, SYSTEM).users[0].id)
    assert administering.history(house, SYSTEM, user.id, action=text) == []


@pytest.mark.requirement("S1-112", "S1-114")
def test_a_history_names_people(house: House) -> None:
    """Who did what to whom, by address, the newest first; a page at a time, by action and by time."""
    boss = made(house, "admin", email=BOSS)
    user = made(house)
    granting.set_roles(house, identity(boss), user.id, ["user"], reason=WHY)
    rows = administering.history(house, SYSTEM, user.id)
    assert [(row["by"], row["action"], row["about"]) for row in rows] == [
        (BOSS, "privilege_permissions_changed", user.email),
        ("", "user_created", user.email),
    ]
    assert administering.history(house, SYSTEM, boss.id)[0]["id"] == rows[0]["id"]
    assert len(administering.history(house, SYSTEM, user.id, action="user_created")) == 1
    assert [r["id"] for r in administering.history(house, SYSTEM, user.id, before=rows[0]["id"])] == [
        rows[1]["id"]
    ]
    tomorrow = datetime.fromtimestamp(house.now() + 86400, UTC)
    assert administering.history(house, SYSTEM, user.id, since=tomorrow) == []
    assert len(administering.history(house, SYSTEM, user.id, until=tomorrow)) == 2


# Acting as somebody else


@pytest.fixture
def permitted(house: House) -> House:
    """The policy lets administrators act as others."""
    from bylaw.controls import sessions as control

    changed = house.policy.of(control.Settings).model_copy(update={"impersonation": True})
    house.policy = replace(house.policy, controls={**house.policy.controls, "sessions": changed})
    return house


def begin(house: House, by: User, whom: User, **changes: Any) -> Any:
    me = replace(identity(by), assurance=2, **changes)
    return acting.begin(house, me, whom.id, reason=WHY)


def test_acting_is_off_unless_the_policy_says_so(house: House) -> None:
    """Whoever may do everything may not do this by default."""
    boss, user = made(house, "admin", email=BOSS), made(house, "user")
    assert refused(lambda: begin(house, boss, user)).reason is roles.NO_IMPERSONATION
    assert live(house, user) == 0


@pytest.mark.requirement("S1-112", "S3-069")
def test_whoever_acts_is_named_and_the_person_told(permitted: House) -> None:
    """A session of an hour with both names, a record with the reason, a mail at once."""
    house = permitted
    boss, user = made(house, "admin", email=BOSS), made(house, "user")
    opened = begin(house, boss, user)
    with house.store.reading() as connection:
        row = sessions.find(connection, opened.digest)
    assert row is not None
    everywhere = assignments.everywhere(row.assignments)
    assert (row.user_id, row.acting, row.owes, everywhere) == (user.id, boss.id, "", {"user"})
    assert row.expires_at == house.now() + 3600
    [record] = records(house, action="user_impersonated")
    assert (record["user_id"], record["entity_id"], record["changes"]["reason"]) == (boss.id, user.id, WHY)
    [(to, _, text)] = mails(house)
    assert to == user.email
    assert WHY in text
    assert BOSS.partition("@")[0] in text or "An administrator" in text


def test_nobody_acts_as_whom_he_must_not(permitted: House) -> None:
    """Not as himself, a better, another administrator, a disabled account or nobody; not without a reason, a
    proof of lately or the permission; not from within."""
    house = permitted
    boss, second = made(house, "admin", email=BOSS), made(house, "admin", email="b2@people.test")
    user, clerk = made(house, "user"), made(house, "clerk", email="c@people.test")
    shut = made(house, email="shut@people.test")
    administering.disable(house, SYSTEM, shut.id)
    for whom in (boss, second, clerk, shut):
        assert refused(lambda whom=whom: begin(house, boss, whom)).reason is roles.NOT_AS
    for by in (clerk, user):
        assert refused(lambda by=by: begin(house, by, user)).reason is FORBIDDEN
    work = lambda **c: lambda: begin(house, boss, user, **c)  # noqa: E731
    assert refused(work(authenticated_at=0.0)).reason is STEP_UP
    assert refused(work(acting=NOBODY)).reason is ACTING
    assert refused(work(epoch=boss.epoch + 1)).reason is UNAUTHENTICATED
    blank = lambda: acting.begin(house, identity(boss), user.id, reason=" ")  # noqa: E731
    assert refused(blank).reason is errors.INVALID
    gone = lambda: acting.begin(house, identity(boss), NOBODY, reason=WHY)  # noqa: E731
    assert refused(gone).reason is roles.NO_SUCH_USER
    nobody = replace(SYSTEM, authenticated_at=house.now())
    assert refused(lambda: acting.begin(house, nobody, user.id, reason=WHY)).reason is UNAUTHENTICATED
    assert (live(house, user), mails(house)) == (0, [])
    assert records(house, action="user_impersonated") == []


CHANGED: dict[str, Verb] = {
    "the administrator is disabled": lambda h, boss, user: administering.disable(h, SYSTEM, boss.id),
    "the administrator is demoted": lambda h, boss, user: granting.set_roles(h, SYSTEM, boss.id, ["user"]),
    "the administrator's password is set": lambda h, boss, user: administering.set_password(
        h, SYSTEM, boss.id, OTHER
    ),
    "the person is made an administrator": lambda h, boss, user: granting.set_roles(
        h, SYSTEM, user.id, ["admin"]
    ),
    "the person is disabled": lambda h, boss, user: administering.disable(h, SYSTEM, user.id),
    "the person's sessions are ended": lambda h, boss, user: administering.end_sessions(h, SYSTEM, user.id),
}


@pytest.mark.parametrize("event", CHANGED)
def test_acting_ends_with_either_ones_standing(permitted: House, event: str) -> None:
    """Whoever is no administrator any more acts as nobody; nobody acts as a new administrator."""
    house = permitted
    boss, user = made(house, "admin", email=BOSS), made(house, "user")
    made(house, "admin", email="b2@people.test")
    opened = begin(house, boss, user)
    CHANGED[event](house, boss, user)  # type: ignore[arg-type]
    with house.store.reading() as connection:
        assert sessions.find(connection, opened.digest) is None


@pytest.mark.requirement("S1-031")
def test_nobody_acts_for_longer_than_he_may(permitted: House) -> None:
    """The right to act as others ends by itself in ten minutes: so does the session that it opened."""
    house = permitted
    boss, user = made(house, email=BOSS), made(house, "user")
    made(house, "admin", email="b2@people.test")
    granting.grant(house, SYSTEM, boss.id, "admin", until=house.now() + 600)
    opened = begin(house, found(house, boss.id), user)
    with house.store.reading() as connection:
        row = sessions.find(connection, opened.digest)
    assert row is not None
    assert row.expires_at == house.now() + 600


def test_beginning_to_act_while_being_disabled(permitted: House) -> None:
    """Whichever of the two comes first: nobody is left who acts with a lost right."""
    house = permitted
    made(house, "admin", email="b2@people.test")
    user = made(house, "user")
    for number in range(3):
        boss = made(house, "admin", email=f"b{number}@people.test") if number != 2 else None
        boss = boss or made(house, "admin", email="last@people.test")
        at_once(
            lambda boss=boss: begin(house, boss, user),
            lambda boss=boss: administering.disable(house, SYSTEM, boss.id),
        )
        assert live(house, user) == 0


def test_the_account_needs_a_second_factor(permitted: House) -> None:
    """Whoever acts as somebody who must show a second factor has shown one himself."""
    from bylaw.controls import mfa

    house = permitted
    changed = house.policy.of(mfa.Settings).model_copy(update={"required": ("user",)})
    house.policy = replace(house.policy, controls={**house.policy.controls, "mfa": changed})
    boss, user = made(house, "admin", email=BOSS), made(house, "user")
    one = lambda: acting.begin(house, identity(boss), user.id, reason=WHY)  # noqa: E731
    assert refused(one).reason is STEP_UP
    assert begin(house, boss, user).id
