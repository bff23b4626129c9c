"""Passkeys in the database: set up, used, renamed and removed, on both databases, and by many at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bylaw.controls import cookies
from bylaw.controls import passkeys as control
from bylaw.exchange import Exchange, PairHeaders
from bylaw.house import House
from bylaw.identity import Identity, permissions_of
from bylaw.operations import administering, chores, passkeys, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Refused
from bylaw.store import assignments, audit, users
from bylaw.store import passkeys as rows
from bylaw.store import sessions as session_rows
from bylaw.store.users import User
from bylaw.verify.authenticator import Authenticator
from tests.controls.houses import OWN

PASSWORD = "wide green fields and quiet water"


@dataclass
class Browser:
    """Somebody at a browser of their own, without an application in between."""

    house: House
    user: User | None = None
    digest: str = ""
    jar: dict[str, str] = field(default_factory=dict)
    device: Authenticator = field(default_factory=lambda: Authenticator(OWN))

    def asks(self) -> Exchange:
        """A request with the cookies that this browser has."""
        pairs = [("cookie", "; ".join(f"{k}={v}" for k, v in self.jar.items()))] if self.jar else []
        return Exchange("POST", "/", PairHeaders(pairs))

    def keep(self, exchange: Exchange) -> None:
        for cookie in exchange.cookie_changes or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar[name] = value

    @property
    def who(self) -> Identity:
        """Whoever the session says it is."""
        with self.house.store.reading() as connection:
            row = session_rows.find(connection, self.digest)
        assert row is not None
        assert self.user is not None
        held = assignments.everywhere(row.assignments)
        return Identity(
            row.user_id,
            email=row.email,
            name=row.name,
            roles=held,
            permissions=permissions_of(held, {}),
            authenticated_at=row.authenticated_at,
            session=row.id,
            assurance=row.assurance,
            acting=row.acting or "",
        )

    def ask(self, work: Callable[..., Any], *given: Any) -> Any:
        exchange = self.asks()
        asked = work(self.house, exchange, *given)
        self.keep(exchange)
        return asked

    def add(self, **lies: Any) -> passkeys.Registered:
        """Set up a passkey."""
        asked = self.ask(passkeys.offer, self.who)
        return self.register(self.device.create(asked, **lies))

    def register(self, credential: str) -> passkeys.Registered:
        registered = passkeys.register(
            self.house, self.asks(), self.who, digest=self.digest, credential=credential
        )
        self.digest = registered.opened.digest
        return registered

    def sign_in(self, **lies: Any) -> Any:
        asked = self.ask(passkeys.offer_sign_in)
        return passkeys.sign_in(self.house, self.asks(), credential=self.device.get(asked, **lies))


def person(house: House, email: str = "ann@people.test", *roles: str, password: bool = True) -> Browser:
    """Somebody with an account, signed in with the password."""
    user = administering.create(
        house,
        SYSTEM,
        email=email,
        password=PASSWORD if password else None,
        granted=roles or ("user",),
        confirmed=True,
    )
    opened = signing_in.open_session(house, user, method="password")
    return Browser(house, user, opened.digest)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as error:
        work()
    return error.value.reason.code


def held(house: House, user_id: str) -> list[Any]:
    with house.store.reading() as connection:
        return rows.of_user(connection, user_id)


def recorded(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, action=action)


@pytest.mark.requirement("S3-083")
def test_setting_one_up(house: House, mailbox: Any) -> None:
    """It is kept, codes are shown once, weaker sessions end, this one rises, and the owner is told."""
    ann = person(house)
    assert ann.user is not None
    other = signing_in.open_session(house, ann.user, method="password")
    before = ann.digest
    first = ann.add()
    assert len(first.codes) == 10
    assert first.codes[0] not in repr(first)
    [row] = held(house, ann.user.id)
    assert (row["id"], row["sign_count"], row["discoverable"]) == (first.id, 0, True)
    with house.store.reading() as connection:
        assert session_rows.find(connection, other.digest) is None
        replaced = session_rows.find(connection, before)
        now = session_rows.find(connection, ann.digest)
    assert replaced is None or replaced.expires_at <= house.now()
    assert now is not None
    assert (now.assurance, now.method, now.owes) == (2, "password+passkey", "")
    chores.send(house)
    assert [m["To"] for m in mailbox.messages] == ["ann@people.test"]
    ann.device = Authenticator(OWN)
    second = ann.add()
    assert second.codes == []
    assert second.name != first.name
    assert {row["user_handle"] for row in held(house, ann.user.id)} == {row["user_handle"]}


@pytest.mark.requirement("S3-083")
def test_signing_in_with_one(house: House) -> None:
    """Nobody is named; the session has shown two factors and owes nothing; the use is written down."""
    ann = person(house)
    ann.add()
    ann.jar.clear()
    opened = ann.sign_in()
    with house.store.reading() as connection:
        row = session_rows.find(connection, opened.digest)
    assert row is not None
    assert ann.user is not None
    assert (row.user_id, row.method, row.assurance, row.owes) == (ann.user.id, "passkey", 2, "")
    [kept] = held(house, ann.user.id)
    assert (kept["sign_count"], kept["used_at"]) == (1, house.now())
    assert ann.sign_in(counter=0xFFFFFFFF).digest  # more than a signed 32-bit number
    assert held(house, ann.user.id)[0]["sign_count"] == 0xFFFFFFFF


@pytest.mark.requirement("S3-083", "C-41")
@pytest.mark.parametrize("how", ["unknown", "removed", "disabled", "deleted", "another's", "shut meanwhile"])
def test_who_is_not_signed_in(house: House, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer for every cause; which it was is in the audit log."""
    ann, bob = person(house), person(house, "bob@people.test")
    registered = ann.add()
    bob.add()
    assert ann.user is not None
    lies: dict[str, Any] = {}
    match how:
        case "unknown":
            lies = {"id": b"x" * 32}
        case "removed":
            passkeys.remove(house, ann.who, registered.id, digest=ann.digest)
        case "disabled":
            administering.disable(house, SYSTEM, ann.user.id)
        case "deleted":
            with house.store.transaction() as connection:
                connection.exec_driver_sql("DELETE FROM users WHERE email = 'ann@people.test'")
        case "another's":
            lies = {"user_handle": bob.device.credentials[0].user_handle}
        case "shut meanwhile":
            stale = ann.user
            monkeypatch.setattr(passkeys, "_owner", lambda *given: replace(stale, epoch=stale.epoch - 1))
    assert refused(lambda: ann.sign_in(**lies)) == "passkeys.not_accepted"
    if how != "shut meanwhile":
        [record] = recorded(house, "authn_passkey_fail")
        assert record["outcome"] == "refused"
        assert record["changes"]["why"] == "nobody's passkey"


@pytest.mark.requirement("S3-083")
def test_a_passkey_of_before_a_new_secret_still_works(house: House) -> None:
    """The handle is kept with the passkey: it does not have to be derived again."""
    ann = person(house)
    ann.add()
    assert ann.user is not None
    house.keys = type(house.keys)([b"another secret altogether, as long as one"])
    assert ann.sign_in().digest
    asked = ann.ask(passkeys.offer, ann.who)
    assert asked["user"]["id"] == held(house, ann.user.id)[0]["user_handle"]


@pytest.mark.requirement("S3-083")
def test_as_the_second_factor(house: House) -> None:
    """Whoever owes it shows one of his own; anybody else's leaves him where he was."""
    ann, bob = person(house), person(house, "bob@people.test")
    ann.add()
    bob.add()
    assert ann.user is not None
    opened = signing_in.open_session(house, ann.user, method="password")
    assert opened.owes == "second"
    ann.digest = opened.digest

    def prove(device: Authenticator, **lies: Any) -> Any:
        asked = ann.ask(passkeys.offer_proof, ann.who)
        assert len(asked["allowCredentials"]) == 1
        used = device.credentials[0]
        credential = device.get(asked, credential=used, **lies)
        return passkeys.prove(house, ann.asks(), ann.who, digest=ann.digest, credential=credential)

    assert refused(lambda: prove(bob.device)) == "passkeys.not_accepted"
    assert refused(lambda: prove(ann.device, user_handle=b"x")) == "passkeys.not_accepted"
    went_on = prove(ann.device, user_handle=b"")  # a security key need not name the account
    assert went_on.owes == ""
    with house.store.reading() as connection:
        row = session_rows.find(connection, went_on.digest)
    assert row is not None
    assert (row.assurance, row.method) == (2, "password+passkey")
    assert recorded(house, "authn_passkey_success")[0]["user_id"] == ann.user.id


def test_nobody_is_asked_for_what_he_does_not_have(house: House) -> None:
    """Without a passkey there is no question to one."""
    ann = person(house)
    assert refused(lambda: passkeys.offer_proof(house, ann.asks(), ann.who)) == "passkeys.unknown"


@pytest.mark.requirement("S3-083")
def test_what_is_not_fresh_adds_and_removes_nothing(house: House) -> None:
    """A session that was left open must show again that it is its owner."""
    ann = person(house)
    registered = ann.add()
    house.ports.clock.advance(601)  # type: ignore[attr-defined]
    assert refused(lambda: passkeys.offer(house, ann.asks(), ann.who)) == "mfa.step_up"
    assert not passkeys.may_change(house, ann.who)
    for work in (
        lambda: passkeys.remove(house, ann.who, registered.id, digest=ann.digest),
        lambda: passkeys.rename(house, ann.who, registered.id, "mine"),
    ):
        assert refused(work) == "mfa.step_up"
    asked = ann.ask(passkeys.offer_proof, ann.who)
    opened = passkeys.prove(house, ann.asks(), ann.who, digest=ann.digest, credential=ann.device.get(asked))
    ann.digest = opened.digest
    assert passkeys.may_change(house, ann.who)
    passkeys.remove(house, ann.who, registered.id, digest=ann.digest)


def test_a_name_of_ones_own(house: House) -> None:
    """Renamed, in one printable line; nobody else's, and not to nothing."""
    ann, bob = person(house), person(house, "bob@people.test")
    registered = ann.add()
    passkeys.rename(house, ann.who, registered.id, " My\x1b key " + "x" * 100)
    assert ann.user is not None
    [row] = held(house, ann.user.id)
    assert (row["name"][:7], len(row["name"])) == ("My? key", 64)
    assert refused(lambda: passkeys.rename(house, ann.who, registered.id, "  ")) == "errors.invalid"
    for which in (registered.id, "x", "", "\x00"):
        assert refused(lambda which=which: passkeys.rename(house, bob.who, which, "x")) == "passkeys.unknown"
    assert recorded(house, "authn_passkey_renamed")[0]["changes"]["name"]["new"] == row["name"]


@pytest.mark.requirement("S3-083")
def test_removing_one(house: House, mailbox: Any) -> None:
    """Other sessions end, this one goes on, the owner is told, and nothing is left of a second factor."""
    ann = person(house)
    registered = ann.add()
    other = ann.sign_in()
    passkeys.remove(house, ann.who, registered.id, digest=ann.digest)
    assert ann.user is not None
    assert held(house, ann.user.id) == []
    with house.store.reading() as connection:
        assert session_rows.find(connection, other.digest) is None
        assert session_rows.find(connection, ann.digest) is not None
    chores.send(house)
    assert any("was removed from" in m["Subject"] for m in mailbox.messages)
    assert signing_in.open_session(house, users_now(house, ann), method="password").owes == ""


def users_now(house: House, browser: Browser) -> User:
    assert browser.user is not None
    with house.store.reading() as connection:
        found = users.by_id(connection, browser.user.id)
    assert found is not None
    return found


@pytest.mark.requirement("S3-083")
def test_the_last_way_in_stays(house: House) -> None:
    """Without a password, the last passkey cannot be removed; the one before it can."""
    ann = person(house, password=False)
    first = ann.add()
    ann.device = Authenticator(OWN)
    second = ann.add()
    passkeys.remove(house, ann.who, first.id, digest=ann.digest)
    assert refused(lambda: passkeys.remove(house, ann.who, second.id, digest=ann.digest)) == "passkeys.last"
    assert ann.user is not None
    assert len(held(house, ann.user.id)) == 1


def test_there_is_an_end_to_how_many(house: House) -> None:
    """Twenty, counted again when the twenty-first is set up."""
    ann = person(house)
    for _ in range(control.MOST - 1):
        ann.add(id=None)
        ann.device.credentials.clear()
    asked = ann.ask(passkeys.offer, ann.who)
    credential = ann.device.create(asked)
    jar = dict(ann.jar)
    other = Browser(house, ann.user, ann.digest)
    other.add()
    ann.digest = other.digest
    ann.jar = jar
    # What had begun in the session of before is over, and no further one begins.
    assert refused(lambda: ann.register(credential)) == "passkeys.expired"
    assert refused(lambda: passkeys.offer(house, ann.asks(), ann.who)) == "passkeys.full"


@pytest.mark.requirement("S3-083")
def test_a_credential_belongs_to_one_account(house: House) -> None:
    """The same id again, for the same account or another, is refused and recorded."""
    ann, bob = person(house), person(house, "bob@people.test")
    ann.add(id=b"x" * 32)
    for browser in (ann, bob):
        assert refused(lambda browser=browser: browser.add(id=b"x" * 32)) == "passkeys.not_registered"
    assert [r["changes"]["why"] for r in recorded(house, "authn_passkey_add_fail")] == [
        "registered already"
    ] * 2


@pytest.mark.requirement("S3-083")
def test_one_credential_for_two_accounts_at_once(house: House) -> None:
    """Both look and find nothing: the database takes one of them."""
    browsers = [person(house, f"p{number}@people.test") for number in range(4)]
    answers = [b.device.create(b.ask(passkeys.offer, b.who), id=b"y" * 32) for b in browsers]
    gate = threading.Barrier(len(browsers))

    def one(number: int) -> str:
        gate.wait(30)
        try:
            browsers[number].register(answers[number])
        except Refused as refused:
            return refused.reason.code
        return "set up"

    with ThreadPoolExecutor(len(browsers)) as pool:
        outcomes = sorted(pool.map(one, range(len(browsers))))
    assert outcomes == ["passkeys.not_registered"] * 3 + ["set up"]


@pytest.mark.requirement("S3-083")
def test_what_the_database_refuses_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the look before finds nothing, the unique index still holds."""
    ann, bob = person(house), person(house, "bob@people.test")
    ann.add(id=b"z" * 32)
    monkeypatch.setattr(rows, "held", lambda connection, credential_id: None)
    assert refused(lambda: bob.add(id=b"z" * 32)) == "passkeys.not_registered"


@pytest.mark.requirement("S3-083")
def test_one_count_is_used_once(house: House) -> None:
    """An authenticator and its copy answer two questions at the same moment with one count: one gets in."""
    ann = person(house)
    ann.add()
    browsers = [Browser(house, device=ann.device) for _ in range(2)]
    answers = [b.device.get(b.ask(passkeys.offer_sign_in), counter=7) for b in browsers]
    gate = threading.Barrier(2)

    def one(number: int) -> bool:
        gate.wait(30)
        try:
            passkeys.sign_in(house, browsers[number].asks(), credential=answers[number])
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(one, range(2))) == [False, True]
    assert len(recorded(house, "authn_passkey_copied")) == 1


def test_the_question_is_kept_as_a_digest(house: House) -> None:
    """A copy of the table of ceremonies answers nothing: the browser's secret is not in it."""
    ann = Browser(house)
    ann.ask(passkeys.offer_sign_in)
    secret = ann.jar[cookies.name(house.policy, cookies.PASSKEY)]
    with house.store.reading() as connection:
        kept = connection.exec_driver_sql("SELECT digest, kind, facts FROM ceremonies").all()
    assert len(kept) == 1
    assert secret not in str(kept)
    assert json.dumps(secret) not in str(kept)
