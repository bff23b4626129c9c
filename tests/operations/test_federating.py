"""Signing in with another provider, and linking: whose account opens, on both databases."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from bylaw.controls import federated, mfa, signup
from bylaw.house import House
from bylaw.identity import ACTING, Identity
from bylaw.operations import administering, chores, federating, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.operations.federating import Arrived, Linked
from bylaw.reasons import Refused
from bylaw.store import audit, users
from bylaw.store import federated as rows
from bylaw.store import sessions as session_rows
from bylaw.store.tables import federated_accounts
from bylaw.store.tables import users as user_table
from bylaw.store.users import User
from bylaw.verify.fakes import FakeClock, Mailbox
from bylaw.verify.issuer import Issuer
from tests.controls.houses import exchange

ANN = {"sub": "111", "email": "ann@people.test", "email_verified": True, "name": "Ann"}
PASSWORD = "wide green fields and quiet water"


def under(house: House, settings: type[Any], **changes: Any) -> None:
    """Other settings from here on."""
    name, found = next((n, s) for n, s in house.policy.controls.items() if type(s) is settings)
    controls = {**house.policy.controls, name: found.model_copy(update=changes)}
    house.policy = replace(house.policy, controls=controls)


def provided(issuer: Issuer) -> federated.Provider:
    return federated.Provider.model_validate(
        {
            "issuer": issuer.url,
            "label": "Lab",
            "client_id": issuer.client_id,
            "client_secret": issuer.client_secret,
        }
    )


class Network:
    """Every issuer of a test, by its address."""

    def __init__(self, *issuers: Issuer) -> None:
        self.issuers = issuers

    def __call__(self, method: str, url: str, /, **how: Any) -> Any:
        for issuer in self.issuers:
            if url.startswith(issuer.url):
                return issuer(method, url, **how)
        raise OSError("nobody")


@pytest.fixture
def issuer(house: House) -> Issuer:
    """Two providers of the house: this one, called lab, and another, called other."""
    made, other = Issuer(house.now), Issuer(house.now, url="https://other.lab")
    under(house, federated.Settings, lab=provided(made), other=provided(other))
    house.ports = replace(house.ports, network=Network(made, other))
    return made


def other(house: House) -> Issuer:
    """The other provider."""
    network = house.ports.network
    assert isinstance(network, Network)
    return network.issuers[1]


def go(house: House, name: str = "lab", **how: Any) -> tuple[str, str]:
    """Where the browser is sent, and the cookie that it gets."""
    asked = exchange("POST", f"/auth/federated/{name}")
    location = federating.begin(house, asked, name, to="/here", **how)
    [cookie] = asked.cookie_changes or []
    return location, cookie.partition(";")[0]


def back(house: House, cookie: str, query: str, name: str = "lab") -> Arrived | Linked:
    return federating.finish(
        house, exchange("GET", f"/auth/callback/{name}", ("cookie", cookie), query=query), name
    )


def arrive(house: House, issuer: Issuer, at: str = "lab", **claims: Any) -> User:
    """Sign in, all the way."""
    location, cookie = go(house, at)
    arrived = back(house, cookie, issuer.consent(location, **{**ANN, **claims}), at)
    assert isinstance(arrived, Arrived)
    assert arrived.next == "/here"
    return arrived.user


def signed_in(house: House, user: User, **how: Any) -> tuple[Identity, str]:
    """Whoever has just signed in with a password, and the digest of the session."""
    opened = signing_in.open_session(house, user, method="password", **how)
    with house.store.reading() as connection:
        row = session_rows.find(connection, opened.digest)
    assert row is not None
    return Identity(
        user.id, email=user.email, session=row.id, authenticated_at=house.now(), epoch=user.epoch
    ), opened.digest


def link(house: House, issuer: Issuer, user: User, name: str = "lab", **claims: Any) -> Linked:
    """Link an account of the provider's with a person's here."""
    who, digest = signed_in(house, user)
    location, cookie = go(house, name, who=who, session=digest)
    linked = back(house, cookie, issuer.consent(location, **claims), name)
    assert isinstance(linked, Linked)
    return linked


def made(house: House, email: str = "bob@people.test", **how: Any) -> User:
    return administering.create(house, SYSTEM, email=email, granted=["user"], **how)


def links(house: House) -> list[tuple[str, str, str]]:
    with house.store.reading() as connection:
        found = connection.execute(select(federated_accounts)).mappings()
        return sorted((r["oauth_provider"], r["oauth_id"], r["user_id"]) for r in found)


def count(house: House) -> int:
    with house.store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(user_table)).scalar_one())


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit.rows(connection, action=action)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as error:
        work()
    return error.value.reason.code


# The first time


@pytest.mark.requirement("S1-022", "S1-023", "S1-024")
def test_the_first_sign_in_makes_one_account_and_the_second_none(house: House, issuer: Issuer) -> None:
    """With provider and subject, a confirmed address and the role of signing up, whatever the claims say."""
    user = arrive(house, issuer, role="admin", roles=["admin"], groups=["admin"], id="1", disabled_at=1)
    assert (user.email, user.name, user.roles, user.password_hash) == (ANN["email"], "Ann", {"user"}, None)
    assert user.confirmed_at == house.now()
    assert links(house) == [("lab", "111", user.id)]
    assert arrive(house, issuer).id == user.id
    assert count(house) == 1
    [record] = records(house, "federated_linked")
    assert (record["entity_id"], record["changes"]) == (user.id, {"provider": "lab"})


@pytest.mark.requirement("S1-022")
def test_two_people_who_swap_their_addresses(house: House, issuer: Issuer) -> None:
    """A027: each still reaches his own account, whose address stays what it was."""
    ann = arrive(house, issuer)
    bob = arrive(house, issuer, sub="222", email="bob@people.test")
    assert arrive(house, issuer, email="bob@people.test").id == ann.id
    assert arrive(house, issuer, sub="222", email="ann@people.test", email_verified=False).id == bob.id
    assert arrive(house, issuer).email == "ann@people.test"


@pytest.mark.requirement("S1-022")
def test_a_subject_is_of_its_provider(house: House, issuer: Issuer) -> None:
    """Two providers have a 111 each: they are two people."""
    ann = arrive(house, issuer)
    assert arrive(house, other(house), "other", email="bea@people.test").id != ann.id
    assert arrive(house, issuer, sub="111 ", email="x@people.test").id != ann.id
    assert len(links(house)) == 3


@pytest.mark.requirement("S1-023")
@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_nobody_vouches_for_makes_no_account(
    house: House, issuer: Issuer, verified: object
) -> None:
    """Not even an unconfirmed one: its maker would sit in it when the owner comes (pre-hijacking)."""
    assert refused(lambda: arrive(house, issuer, email_verified=verified)) == "federated.unverified"
    assert (count(house), links(house)) == (0, [])
    [record] = records(house, "authn_login_fail")
    assert record["changes"]["provider"] == "lab"


@pytest.mark.parametrize(
    "email", ["", "none", "a@b@c", "ann@people.test\0", "x" * 300 + "@people.test", "\ud800@x.y"]
)
def test_an_address_that_is_none(house: House, issuer: Issuer, email: str) -> None:
    """Nothing is made of it, and nothing breaks."""
    assert refused(lambda: arrive(house, issuer, email=email)) == "federated.unverified"


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "x" * 5000, "<b>", "", None, 7])
def test_a_name_that_is_none(house: House, issuer: Issuer, name: object) -> None:
    """It is kept in a form that every database takes."""
    assert len(arrive(house, issuer, name=name).name) <= signup.MAX_NAME


@pytest.mark.requirement("S1-023")
def test_an_account_with_the_address_is_not_entered(house: House, issuer: Issuer) -> None:
    """A024: verified or not, in whatever case: its owner must link it himself."""
    made(house, "ann@people.test", password=PASSWORD)
    assert refused(lambda: arrive(house, issuer)) == "federated.taken"
    assert refused(lambda: arrive(house, issuer, email="ANN@People.Test")) == "federated.taken"
    # An address that is not vouched for does not even tell whether there is an account.
    assert refused(lambda: arrive(house, issuer, email_verified=False)) == "federated.unverified"
    assert links(house) == []


@pytest.mark.requirement("S1-022")
@pytest.mark.parametrize("changes", [{"open": False}, {"off": True}])
def test_where_nobody_signs_up_only_links_sign_in(
    house: House, issuer: Issuer, changes: dict[str, bool]
) -> None:
    """Closed is closed, by this door as well."""
    user = arrive(house, issuer)
    under(house, signup.Settings, **changes)
    assert arrive(house, issuer).id == user.id
    assert refused(lambda: arrive(house, issuer, sub="222", email="bob@people.test")) == "federated.nobody"
    assert count(house) == 1


@pytest.mark.requirement("S3-066")
def test_a_disabled_account_is_refused_like_one_that_is_not_there(house: House, issuer: Issuer) -> None:
    """The provider still knows him; this site does not."""
    user = arrive(house, issuer)
    with house.store.transaction() as connection:
        users.change(connection, user.id, disabled_at=house.now())
    assert refused(lambda: arrive(house, issuer)) == "federated.nobody"
    [record] = records(house, "authn_login_fail")
    assert (record["user_id"], record["changes"]["why"]) == (user.id, "disabled")


@pytest.mark.requirement("S1-022")
def test_many_first_sign_ins_at_once_make_one_account(house: House, issuer: Issuer) -> None:
    """Twelve windows of one person, and everybody arrives in the same account."""
    gates = [go(house) for _ in range(12)]
    answers = [(cookie, issuer.consent(location, **ANN)) for location, cookie in gates]
    gate = Barrier(len(answers))

    def arrive_with(answer: tuple[str, str]) -> str:
        gate.wait(30)
        arrived = back(house, *answer)
        assert isinstance(arrived, Arrived)
        return arrived.user.id

    with ThreadPoolExecutor(len(answers)) as pool:
        arrived = set(pool.map(arrive_with, answers))
    assert len(arrived) == 1
    assert (count(house), len(links(house))) == (1, 1)


@pytest.mark.requirement("S1-022")
def test_two_people_with_one_address_at_once(house: House, issuer: Issuer) -> None:
    """One of them gets the account, the other is told that the address is taken, and nothing breaks."""
    gates = [go(house) for _ in range(8)]
    answers = [(c, issuer.consent(loc, **{**ANN, "sub": str(n)})) for n, (loc, c) in enumerate(gates)]
    gate = Barrier(len(answers))

    def arrive_with(answer: tuple[str, str]) -> str:
        gate.wait(30)
        try:
            back(house, *answer)
        except Refused as error:
            return error.reason.code
        return "in"

    with ThreadPoolExecutor(len(answers)) as pool:
        seen = sorted(pool.map(arrive_with, answers))
    assert seen == ["federated.taken"] * 7 + ["in"]
    assert (count(house), len(links(house))) == (1, 1)


# What was begun


@pytest.mark.requirement("S1-021", "C-09", "C-42")
def test_an_answer_is_used_up_before_it_is_looked_at(house: House, issuer: Issuer) -> None:
    """A023: of many at once one is taken; a wrong one, an error and a late one end what was begun, too."""
    location, cookie = go(house)
    query = issuer.consent(location, **ANN)
    gate = Barrier(8)

    def answer(_: int) -> str:
        gate.wait(30)
        try:
            back(house, cookie, query)
        except Refused as error:
            return error.reason.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(answer, range(8))) == ["federated.state"] * 7 + ["in"]
    for wrong in ("state=x&code=y", "error=access_denied", ""):
        location, cookie = go(house)
        query = issuer.consent(location, **ANN)
        assert refused(lambda cookie=cookie, wrong=wrong: back(house, cookie, wrong)) == "federated.state"
        assert refused(lambda cookie=cookie, query=query: back(house, cookie, query)) == "federated.state"
    location, cookie = go(house)
    query = issuer.consent(location, **ANN)
    assert isinstance(house.ports.clock, FakeClock)
    house.ports.clock.advance(601)
    assert refused(lambda: back(house, cookie, query)) == "federated.state"


@pytest.mark.requirement("S1-021", "C-42")
def test_what_was_begun_with_one_provider_is_not_ended_by_another(house: House, issuer: Issuer) -> None:
    """Mix-up (RFC 9700 section 4.4): the answer comes to the address of another provider."""
    location, cookie = go(house)
    query = issuer.consent(location, **ANN)
    before = len(other(house).asked)
    assert refused(lambda: back(house, cookie, query, "other")) == "federated.state"
    assert other(house).asked[before:] == []
    assert refused(lambda: back(house, "x=y", query)) == "federated.state"


def test_a_provider_that_is_not_there(house: House, issuer: Issuer) -> None:
    """One that the policy does not have, one that is off, one that is down."""
    assert refused(lambda: go(house, "nobody")) == "errors.not_found"
    assert refused(lambda: back(house, "x=y", "", "../../lab")) == "errors.not_found"
    under(house, federated.Settings, lab=provided(issuer).model_copy(update={"client_secret": None}))
    assert refused(lambda: go(house)) == "errors.not_found"
    other(house).down = True
    assert refused(lambda: go(house, "other")) == "federated.unavailable"
    under(house, federated.Settings, off=True)
    assert federated.offered(house.policy) == {}


def test_a_provider_that_goes_down_in_between(house: House, issuer: Issuer) -> None:
    """The browser is back, and the code cannot be redeemed: 503, and the answer is used up."""
    location, cookie = go(house)
    query = issuer.consent(location, **ANN)
    issuer.down = True
    with pytest.raises(Refused) as error:
        back(house, cookie, query)
    assert error.value.reason is federated.UNAVAILABLE
    assert ("Retry-After", "30") in error.value.headers


def test_whoever_declines_is_nobody(house: House, issuer: Issuer) -> None:
    """An error that bears the right state is told apart, and leaves no record."""
    location, cookie = go(house)
    state = dict(p.split("=") for p in location.partition("?")[2].split("&"))["state"]
    declined = f"error=access_denied&error_description=no&state={state}&iss={issuer.url}"
    assert refused(lambda: back(house, cookie, declined)) == "federated.declined"


# Sessions


@pytest.mark.requirement("S1-021", "C-09")
def test_the_session_that_it_was_begun_in_ends(house: House, issuer: Issuer) -> None:
    """Its cookie does not come back where it is Strict: no old session stays behind all the same."""
    _, digest = signed_in(house, made(house))
    location, cookie = go(house, session=digest)
    arrived = back(house, cookie, issuer.consent(location, **ANN))
    assert isinstance(arrived, Arrived)
    opened = federating.open_session(house, arrived, address="192.0.2.7")
    with house.store.reading() as connection:
        assert session_rows.find(connection, digest) is None
        row = session_rows.find(connection, opened.digest)
    assert row is not None
    assert (row.method, row.assurance, row.address) == ("federated", 1, "192.0.2.7")


def test_an_account_that_is_disabled_in_that_moment(house: House, issuer: Issuer) -> None:
    """Between being known and the session: nobody gets one, and the answer speaks of no password."""
    location, cookie = go(house)
    arrived = back(house, cookie, issuer.consent(location, **ANN))
    assert isinstance(arrived, Arrived)
    with house.store.transaction() as connection:
        users.change(connection, arrived.user.id, disabled_at=house.now())
    assert refused(lambda: federating.open_session(house, arrived)) == "federated.nobody"


# Linking


@pytest.mark.requirement("S1-022")
def test_an_owner_links_and_is_told(house: House, issuer: Issuer, mailbox: Mailbox) -> None:
    """Without any address being compared: it then opens his account, and he gets a mail."""
    bob = made(house)
    link(house, issuer, bob, sub="222", email="somebody@else.test", email_verified=False)
    assert arrive(house, issuer, sub="222").id == bob.id
    chores.send(house)
    [message] = mailbox.to("bob@people.test")
    assert message["Subject"] == "Your account at Rooms now opens with Lab"
    link(house, issuer, bob, sub="222")  # once more is no news
    chores.send(house)
    assert len(mailbox.to("bob@people.test")) == 1
    assert links(house) == [("lab", "222", bob.id)]


@pytest.mark.requirement("S1-022")
def test_one_account_of_a_provider_for_each_account_here(house: House, issuer: Issuer) -> None:
    """Neither may be linked twice: who a subject is, and who a person is there, has one answer."""
    ann, bob = made(house, "ann@people.test"), made(house)
    link(house, issuer, ann, sub="111")
    assert refused(lambda: link(house, issuer, bob, sub="111")) == "federated.linked"
    assert refused(lambda: link(house, issuer, ann, sub="222")) == "federated.linked"
    link(house, other(house), ann, "other", sub="111")
    assert [(p, s) for p, s, _ in links(house)] == [("lab", "111"), ("other", "111")]


@pytest.mark.requirement("S1-022")
def test_linking_at_once(house: House, issuer: Issuer) -> None:
    """Eight people link one account of the provider's at the same moment: one of them has it."""
    people = [made(house, f"p{n}@people.test") for n in range(8)]
    begun = []
    for person in people:
        who, digest = signed_in(house, person)
        location, cookie = go(house, who=who, session=digest)
        begun.append((cookie, issuer.consent(location, **ANN)))
    gate = Barrier(len(begun))

    def answer(each: tuple[str, str]) -> str:
        gate.wait(30)
        try:
            back(house, *each)
        except Refused as error:
            return error.reason.code
        return "linked"

    with ThreadPoolExecutor(len(begun)) as pool:
        assert sorted(pool.map(answer, begun)) == ["federated.linked"] * 7 + ["linked"]
    assert len(links(house)) == 1


def test_linking_asks_for_a_proof_of_lately(house: House, issuer: Issuer) -> None:
    """A session that was left open, or an administrator who acts as somebody, links nothing."""
    who, digest = signed_in(house, made(house))
    late = replace(who, authenticated_at=house.now() - house.policy.of(mfa.Settings).fresh - 1)
    assert refused(lambda: go(house, who=late, session=digest)) == "mfa.step_up"
    assert refused(lambda: federating.unlink(house, late, digest, "lab")) == "mfa.step_up"
    acting = replace(who, acting="somebody")
    assert refused(lambda: go(house, who=acting, session=digest)) == ACTING.code
    assert refused(lambda: federating.unlink(house, acting, digest, "lab")) == ACTING.code


def test_linking_ends_in_the_session_that_began_it(house: House, issuer: Issuer) -> None:
    """Signed out, disabled, run out or another's meanwhile: nothing is linked, and the answer is used up."""

    def sign_out(user: User, who: Identity, digest: str) -> None:
        signing_in.sign_out(house, who, digest)

    def disable(user: User, who: Identity, digest: str) -> None:
        with house.store.transaction() as connection:
            users.change(connection, user.id, disabled_at=house.now())

    def end_others(user: User, who: Identity, digest: str) -> None:
        with house.store.transaction() as connection:
            users.next_epoch(connection, user.id)

    for number, event in enumerate((sign_out, disable, end_others)):
        user = made(house, f"p{number}@people.test")
        who, digest = signed_in(house, user)
        location, cookie = go(house, who=who, session=digest)
        query = issuer.consent(location, **ANN)
        event(user, who, digest)
        assert refused(lambda c=cookie, q=query: back(house, c, q)) == "federated.state"
    who, _ = signed_in(house, made(house, "p8@people.test"))
    _, theirs = signed_in(house, made(house, "p9@people.test"))
    location, cookie = go(house, who=who, session=theirs)
    query = issuer.consent(location, **ANN)
    assert refused(lambda: back(house, cookie, query)) == "federated.state"
    assert links(house) == []


# Unlinking


def test_unlinking_ends_other_sessions_and_tells_the_owner(
    house: House, issuer: Issuer, mailbox: Mailbox
) -> None:
    """Whoever came in by it is out, the owner stays where he is, and gets a mail."""
    bob = made(house, password=PASSWORD)
    link(house, issuer, bob, sub="222")
    thief = signing_in.open_session(house, arrive(house, issuer, sub="222"), method="federated")
    who, digest = signed_in(house, bob)
    federating.unlink(house, who, digest, "lab")
    with house.store.reading() as connection:
        assert session_rows.find(connection, thief.digest) is None
        assert session_rows.find(connection, digest) is not None
    assert links(house) == []
    chores.send(house)
    assert mailbox.to("bob@people.test")[-1]["Subject"] == "Your account at Rooms no longer opens with Lab"
    assert refused(lambda: federating.unlink(house, who, digest, "lab")) == "errors.not_found"
    [record] = records(house, "federated_unlinked")
    assert record["changes"] == {"provider": "lab"}


def test_the_last_way_in_stays(house: House, issuer: Issuer) -> None:
    """Neither password nor passkey nor another link that is on: unlinking would shut the owner out."""
    user = arrive(house, issuer)
    who, digest = signed_in(house, user)
    assert refused(lambda: federating.unlink(house, who, digest, "lab")) == "federated.last"
    link(house, other(house), user, "other", sub="9")
    under(house, federated.Settings, other=provided(other(house)).model_copy(update={"client_id": None}))
    who, digest = signed_in(house, user)
    assert refused(lambda: federating.unlink(house, who, digest, "lab")) == "federated.last"
    federating.unlink(house, who, digest, "other")  # it opened nothing any more
    with house.store.transaction() as connection:
        users.change(connection, user.id, password_hash="a hash")
        assert rows.ways_in(connection, user.id, ["lab"]) == 2
    who, digest = signed_in(house, accounts_of(house, user.id))
    federating.unlink(house, who, digest, "lab")
    assert links(house) == []


def accounts_of(house: House, user_id: str) -> User:
    with house.store.reading() as connection:
        user = users.by_id(connection, user_id)
    assert user is not None
    return user


def test_two_unlinkings_at_once_leave_one_way_in(house: House, issuer: Issuer) -> None:
    """Each sees the other's link as the way that is left: one of them is refused."""
    user = arrive(house, issuer)
    link(house, other(house), user, "other", sub="9")
    who, digest = signed_in(house, user)
    gate = Barrier(2)

    def unlink(name: str) -> str:
        gate.wait(30)
        try:
            federating.unlink(house, who, digest, name)
        except Refused as error:
            return error.reason.code
        return "unlinked"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(unlink, ["lab", "other"])) == ["federated.last", "unlinked"]
    assert len(links(house)) == 1


def test_all_links_of_an_account_can_be_ended(house: House, issuer: Issuer) -> None:
    """For whoever takes an account back that somebody else had made."""
    user = arrive(house, issuer)
    with house.store.transaction() as connection:
        assert rows.end_of_user(connection, user.id) == 1
    assert links(house) == []


def test_what_a_provider_is_called_that_is_gone(house: House, issuer: Issuer) -> None:
    """A link outlives its table in the policy; its owner still sees what it was, and unlinks it."""
    bob = made(house, password=PASSWORD)
    link(house, issuer, bob, sub="222")
    under(house, federated.Settings, off=True)
    who, digest = signed_in(house, bob)
    assert [row["oauth_provider"] for row in federating.links(house, who)] == ["lab"]
    assert federating.label_of(house, "gone-one") == "Gone-One"
    federating.unlink(house, who, digest, "lab")
    assert federating.links(house, who) == []


# TESTING


@pytest.mark.requirement("S1-025", "C-30")
def test_under_testing_the_same_person_comes_back_and_nobody_is_asked(
    house: House, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket is opened, no issuer asked; state and cookie count as always."""

    def no(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    house.policy = replace(house.policy, testing=True)
    house.ports = replace(house.ports, network=no)
    if house.store.engine.dialect.name == "sqlite":  # the other database is reached by a socket itself
        monkeypatch.setattr(socket, "socket", no)
        monkeypatch.setattr(socket, "getaddrinfo", no)
    seen = set()
    for _ in range(2):
        location, cookie = go(house)
        assert location.startswith("https://app.lab/auth/callback/lab?code=testing&state=")
        arrived = back(house, cookie, location.partition("?")[2])
        assert isinstance(arrived, Arrived)
        seen.add((arrived.user.id, arrived.user.email, arrived.user.name, arrived.user.roles))
    assert len(seen) == 1
    assert seen.pop()[1:] == ("test-user@lab.example", "Test User", {"user"})
    location, cookie = go(house)
    assert refused(lambda: back(house, cookie, "code=testing&state=another")) == "federated.state"
