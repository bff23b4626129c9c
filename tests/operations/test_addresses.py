"""Addresses: confirmed and changed, by whoever has the link and the account. On both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from bylaw.controls import email, signup
from bylaw.house import House
from bylaw.identity import STEP_UP, UNFINISHED, Identity
from bylaw.keys import digest
from bylaw.operations import accounts, addresses, administering, chores, signing_in, standing
from bylaw.operations.administering import SYSTEM
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import audit, sessions, users
from bylaw.store.users import User
from bylaw.verify.fakes import Mailbox

PASSWORD = "wide green fields and quiet water"
LINK = re.compile(r"https://app\.lab/auth/confirm-email/([\w-]{43})\n")


def made(house: House, address: str = "ann@people.test") -> User:
    return administering.create(
        house, SYSTEM, email=address, password=PASSWORD, granted=["user"], confirmed=True
    )


def who(house: House, user: User) -> tuple[Identity, str]:
    """Somebody signed in, and the digest of the session."""
    opened = signing_in.open_session(house, user, method="password")
    return Identity(id=user.id, email=user.email, authenticated_at=house.now()), opened.digest


def account(house: House, address: str) -> User | None:
    with house.store.reading() as connection:
        return users.by_email(connection, address)


def mails(house: House, mailbox: Mailbox, to: str) -> list[str]:
    chores.send(house)
    return [message.get_content() for message in mailbox.to(to)]


def secrets(house: House, mailbox: Mailbox, to: str) -> list[str]:
    return [match[1] for text in mails(house, mailbox, to) if (match := LINK.search(text))]


def refused(work: Callable[[], object]) -> Any:
    with pytest.raises(Refused) as error:
        work()
    return error.value.reason


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, action=action)


def at_once(*work: Callable[[], object]) -> list[object]:
    """What each of them ends with, begun in the same moment."""
    gate = Barrier(len(work))

    def one(each: Callable[[], object]) -> object:
        gate.wait(30)
        try:
            return each()
        except Refused as error:
            return error.reason

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


def changing(house: House, mailbox: Mailbox, address: str, new: str) -> Callable[[], bool]:
    """An account that has asked for another address and has opened the link: what is left to do."""
    ann, session = who(house, made(house, address))
    addresses.ask_to_change(house, ann, new)
    link = digest(secrets(house, mailbox, new)[-1])
    return lambda: addresses.confirm(house, ann, link=link, session=session, owes="")


# Confirming


@pytest.mark.requirement("C-10")
def test_signing_up_confirming_and_the_session_in_between(house: House, mailbox: Mailbox) -> None:
    """The session of a new account owes the confirmation; with link and session it owes nothing."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    opened = signing_in.sign_in(house, email="ann@people.test", password=PASSWORD)
    assert opened.owes == "confirm"
    user = account(house, "ann@people.test")
    assert user is not None
    assert user.confirmed_at is None
    ann = Identity(id=user.id, email=user.email)
    assert addresses.state(house, ann) == addresses.State("ann@people.test", False)
    [secret] = secrets(house, mailbox, "ann@people.test")
    assert not addresses.confirm(house, ann, link=digest(secret), session=opened.digest, owes="confirm")
    assert addresses.state(house, ann).confirmed
    renewed = signing_in.go_on(house, opened.digest, done=("confirm",))
    assert renewed.owes == ""
    assert signing_in.sign_in(house, email="ann@people.test", password=PASSWORD).owes == ""
    [record] = records(house, "user_email_confirmed")
    assert (record["user_id"], record["entity_id"]) == (user.id, user.id)


@pytest.mark.requirement("C-40")
def test_only_the_hash_of_a_link_is_kept(house: House, mailbox: Mailbox) -> None:
    """A copy of the table of links opens nothing."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    [secret] = secrets(house, mailbox, "ann@people.test")
    with house.store.reading() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM email_confirmations").all())
    assert secret not in rows
    assert digest(secret) in rows


@pytest.mark.parametrize("owes", ["second confirm", "enrol confirm", "password confirm"])
def test_what_comes_before_it_is_done_first(house: House, mailbox: Mailbox, owes: str) -> None:
    """Whoever owes a second factor or another password confirms nothing yet, and the link stays good."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    user = account(house, "ann@people.test")
    assert user is not None
    ann, [secret] = Identity(id=user.id), secrets(house, mailbox, user.email)
    work = lambda owes: addresses.confirm(house, ann, link=digest(secret), session="", owes=owes)  # noqa: E731
    assert refused(lambda: work(owes)) is UNFINISHED
    assert not work("confirm")


def test_a_link_is_used_by_one_of_many(house: House, mailbox: Mailbox) -> None:
    """Eight tabs at once: one confirms, and the others are told that the link is used."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    user = account(house, "ann@people.test")
    assert user is not None
    ann, [secret] = Identity(id=user.id), secrets(house, mailbox, user.email)
    work = lambda: addresses.confirm(house, ann, link=digest(secret), session="", owes="confirm")  # noqa: E731
    ended = at_once(*[work] * 8)
    assert sorted(map(str, ended)) == sorted(map(str, [False, *[email.LINK] * 7]))
    assert len(records(house, "user_email_confirmed")) == 1


def test_another_ones_link_is_not_used_up(house: House, mailbox: Mailbox) -> None:
    """Mallory, signed in to her own account, neither confirms Ann's with Ann's link nor spoils it."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    mallory, session = who(house, made(house, "mallory@people.test"))
    [secret] = secrets(house, mailbox, "ann@people.test")
    link = digest(secret)
    assert (
        refused(lambda: addresses.confirm(house, mallory, link=link, session=session, owes="")) is email.LINK
    )
    user = account(house, "ann@people.test")
    assert user is not None
    assert user.confirmed_at is None
    assert not addresses.confirm(house, Identity(id=user.id), link=link, session="", owes="confirm")


@pytest.mark.requirement("C-41")
def test_a_second_sign_up_tells_the_owner_how_to_get_in(house: House, mailbox: Mailbox) -> None:
    """A stranger has made an account with Ann's address. When Ann signs up she gets a mail that leads her to
    a password of her own; the stranger's stays good for nothing."""
    accounts.sign_up(house, email="ann@people.test", password="a stranger's password, long enough")
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    told = mails(house, mailbox, "ann@people.test")[-1]
    assert "https://app.lab/auth/forgot-password" in told
    opened = signing_in.sign_in(house, email="ann@people.test", password="a stranger's password, long enough")
    assert opened.owes == "confirm"


def test_sending_again_leaves_one_link(house: House, mailbox: Mailbox) -> None:
    """Only the newest link opens anything; for a confirmed address nothing is sent."""
    accounts.sign_up(house, email="ann@people.test", password=PASSWORD)
    user = account(house, "ann@people.test")
    assert user is not None
    ann = Identity(id=user.id)
    addresses.send_again(house, ann)
    old, new = secrets(house, mailbox, user.email)
    confirm = lambda s: addresses.confirm(house, ann, link=digest(s), session="", owes="confirm")  # noqa: E731
    assert refused(lambda: confirm(old)) is email.LINK
    assert not confirm(new)
    addresses.send_again(house, ann)
    assert len(secrets(house, mailbox, user.email)) == 2


# Changing


@pytest.mark.requirement("C-05")
def test_a_change_of_address(house: House, mailbox: Mailbox) -> None:
    """Nothing changes before the link is used; then the new one signs in, the old one does not, other
    sessions end, and the old one has had two mails."""
    user = made(house)
    ann, session = who(house, user)
    _, other = who(house, user)
    addresses.ask_to_change(house, ann, "Ann@B\u00fccher.test")
    new = "ann@xn--bcher-kva.test"
    assert addresses.state(house, ann) == addresses.State(user.email, True, new)
    [secret] = secrets(house, mailbox, new)
    assert addresses.confirm(house, ann, link=digest(secret), session=session, owes="")
    assert account(house, user.email) is None
    moved = account(house, new)
    assert moved is not None
    assert moved.id == user.id
    with house.store.reading() as connection:
        assert sessions.find(connection, session) is not None
        assert sessions.find(connection, other) is None
    assert signing_in.sign_in(house, email=new, password=PASSWORD).owes == ""
    asked, changed = mails(house, mailbox, user.email)
    assert new in asked
    assert "Choose another password" in asked
    assert new in changed
    assert "tell an administrator at once" in changed
    assert secrets(house, mailbox, user.email) == []
    assert [r["outcome"] for r in records(house, "user_email_changed")] == ["success"]


def test_asking_takes_a_late_proof(house: House, mailbox: Mailbox) -> None:
    """A session that was left open does not give the account away."""
    ann, _ = who(house, made(house))
    clock: Any = house.ports.clock
    clock.advance(3601)
    assert refused(lambda: addresses.ask_to_change(house, ann, "new@people.test")) is STEP_UP
    assert mails(house, mailbox, "new@people.test") == []


@pytest.mark.parametrize("new", ["ann@people.test", "ANN@People.TEST", "ann@people\u3002test"])
def test_the_own_address_is_no_new_one(house: House, mailbox: Mailbox, new: str) -> None:
    """However it is spelt, nothing is asked for and nobody is mailed."""
    ann, _ = who(house, made(house))
    assert refused(lambda: addresses.ask_to_change(house, ann, new)) is email.SAME
    assert mails(house, mailbox, "ann@people.test") == []


@pytest.mark.requirement("C-41")
def test_a_taken_address_looks_like_a_free_one(house: House, mailbox: Mailbox) -> None:
    """Its owner is told; the asker sees it waiting, and no link to it was ever mailed."""
    made(house, "bob@people.test")
    ann, _ = who(house, made(house))
    addresses.ask_to_change(house, ann, "bob@people.test")
    assert addresses.state(house, ann).pending == "bob@people.test"
    [told] = mails(house, mailbox, "bob@people.test")
    assert LINK.search(told) is None
    assert "ann@" not in told


def test_an_unfinished_session_changes_nothing(house: House, mailbox: Mailbox) -> None:
    """Whoever owes the confirmation cannot use a link to another address, which stays good."""
    work = changing(house, mailbox, "ann@people.test", "new@people.test")
    user = account(house, "ann@people.test")
    assert user is not None
    link = digest(secrets(house, mailbox, "new@people.test")[-1])
    late = lambda: addresses.confirm(house, Identity(id=user.id), link=link, session="", owes="confirm")  # noqa: E731
    assert refused(late) is UNFINISHED
    assert work()


@pytest.mark.requirement("C-10")
def test_two_people_want_one_address(house: House, mailbox: Mailbox) -> None:
    """Both have asked, and use their links in the same moment: one gets it, the other keeps his own."""
    ann = changing(house, mailbox, "ann@people.test", "new@people.test")
    bob = changing(house, mailbox, "bob@people.test", "new@people.test")
    ended = at_once(ann, bob)
    assert sorted(map(str, ended)) == sorted(map(str, [True, email.LINK]))
    left = [address for address in ("ann@people.test", "bob@people.test") if account(house, address)]
    assert len(left) == 1
    assert account(house, "new@people.test") is not None


def test_somebody_signs_up_while_another_changes(house: House, mailbox: Mailbox) -> None:
    """The address is one account's, whichever came first, and nobody gets an error."""
    work = changing(house, mailbox, "ann@people.test", "new@people.test")
    sign_up = lambda: accounts.sign_up(house, email="new@people.test", password=PASSWORD)  # noqa: E731
    changed, signed_up = at_once(work, sign_up)
    assert signed_up is None
    assert changed in (True, email.LINK)
    assert (account(house, "ann@people.test") is None) is (changed is True)


@pytest.mark.parametrize(
    "event", [e for e in Event if standing.TABLE[e].changes], ids=lambda event: str(event.name)
)
def test_what_ends_a_request(house: House, mailbox: Mailbox, event: Event) -> None:
    """A link to another address does not outlive what changed the account's standing (A010)."""
    work = changing(house, mailbox, "ann@people.test", "new@people.test")
    user = account(house, "ann@people.test")
    assert user is not None
    with house.store.transaction() as connection:
        standing.end(house, connection, user.id, event)
    assert refused(work) is email.LINK
    assert account(house, "ann@people.test") is not None


def test_an_administrator_who_acts_as_somebody_changes_nothing(house: House) -> None:
    """Whoever acts as Ann neither takes her account to another address nor confirms one."""
    ann, session = who(house, made(house))
    acting = Identity(id=ann.id, authenticated_at=house.now(), acting="somebody")
    for work in (
        lambda: addresses.ask_to_change(house, acting, "new@people.test"),
        lambda: addresses.send_again(house, acting),
        lambda: addresses.confirm(house, acting, link="", session=session, owes=""),
    ):
        assert refused(work).status == 403


# Spelling


LOOKALIKES = (
    "m\u0131ra@people.test",  # a dotless i
    "MIRA@PEOPLE.TEST",
    "mira@PEOPLE.TEST",
    "\uff4dira@people.test",  # full width
    "mira@\uff50eople.test",
    "mira@people\u3002test",
    "mira@people.test.",
    "mira@people.test\n",
    "mira@people.test\r\nBcc: m@people.test",
    " mira@people.test",
    '"mira"@people.test',
    "mira@people.test\u200b",
    "m\u200bira@people.test",
    "mir\u0430@people.test",  # a Cyrillic a
    "mira@p\u0435ople.test",  # a Cyrillic e in the domain: another domain
    "\u2100@people.test",
    "mira@[127.0.0.1]",
    "mira\0@people.test",
    "mira@people.test,m@people.test",
    "mira@\ud800people.test",
    "mira@xn--people-.test",
    "mira+@people.test",
    "mira+shop@people.test",
    "m.ira@people.test",
)


@pytest.mark.requirement("S1-090", "S3-031", "C-10")
@pytest.mark.parametrize("text", LOOKALIKES, ids=ascii)
def test_no_spelling_reaches_another_account(house: House, mailbox: Mailbox, text: str) -> None:
    """Whatever Mallory asks for: Mira's account stays hers, and no link that opens Mallory's way goes to a
    mailbox of another spelling than the one that is kept."""
    mira = made(house, "mira@people.test")
    mallory, session = who(house, made(house, "mallory@people.test"))
    try:
        addresses.ask_to_change(house, mallory, text)
    except Refused as error:
        assert error.reason is signup.ADDRESS
    assert addresses.state(house, mallory).email == "mallory@people.test"
    pending = addresses.state(house, mallory).pending
    chores.send(house)
    for message in mailbox.messages:
        if LINK.search(message.get_content()):
            assert message["To"] == pending != "mira@people.test"
            secret = LINK.search(message.get_content())
            assert secret is not None
            addresses.confirm(house, mallory, link=digest(secret[1]), session=session, owes="")
    assert account(house, "mira@people.test") == mira
