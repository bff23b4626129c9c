"""API keys: what one is, what it may do, where it counts, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import GeneratorType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from bylaw.controls import api_keys
from bylaw.controls.api_keys import CONTROL, Settings, reasons, text
from bylaw.controls.logs import redaction
from bylaw.controls.sessions import long_exchanges
from bylaw.exchange import ALLOW, Exchange, PairHeaders, Refuse, Verdict
from bylaw.identity import BY_KEY, STEP_UP, Identity, Permissions
from bylaw.operations import api_keys as operations
from bylaw.operations.authority import SYSTEM
from bylaw.reasons import Refused
from bylaw.verify.laboratory import Bench, Laboratory
from tests.controls.houses import Builder, decided

PATHS = '[api_keys]\npaths = ["/api/*"]\n'


@pytest.fixture(scope="module")
def lab(benches: dict[str, Bench]) -> Iterator[Laboratory]:
    """One laboratory for all of these: each test has people of its own."""
    with benches["flask"].laboratory() as made:
        yield made


def asked(
    key: str = "", *pairs: tuple[str, str], path: str = "/bearer/me", query: str = "", peer: str = "192.0.2.1"
) -> Exchange:
    fields = [("Authorization", f"Bearer {key}")] if key else []
    return Exchange("GET", path, PairHeaders([*fields, *pairs]), query=query, peer=peer)


def identified(lab: Laboratory, exchange: Exchange) -> Verdict:
    return decided(CONTROL.steps["identify"](lab.site.house), exchange)


# Text


@pytest.mark.requirement("S3-084", "C-40")
@given(st.binary(min_size=8, max_size=8), st.binary(min_size=32, max_size=32))
def test_every_key_is_well_formed_and_as_long(name: bytes, secret: bytes) -> None:
    """Whatever the random bytes are, the key has one form, a checksum that fits, and its id in it."""
    drawn = {8: name, 32: secret}
    minted = text.mint(lambda n: drawn[n])
    assert text.well_formed(minted.text)
    assert len(minted.text) == 71
    assert minted.text.startswith(f"bylaw_key_{minted.id}_")
    assert minted.text not in repr(minted)


@pytest.mark.requirement("S3-084")
@given(st.integers(0, 70), st.sampled_from("0aZ_-. \u00e9"))
def test_a_key_with_one_other_letter_is_none(place: int, letter: str) -> None:
    """A checksum tells a mistyped key, and an invented one, without asking the database."""
    key = text.mint(lambda n: bytes(range(n))).text
    changed = key[:place] + letter + key[place + 1 :]
    assert text.well_formed(changed) == (changed == key)


@given(st.text(max_size=200))
def test_no_text_makes_it_stumble(anything: str) -> None:
    """Whatever comes in a header is a key or is none."""
    assert not text.well_formed(anything)


@pytest.mark.requirement("S3-038")
@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer {}",
        "GET /bearer/notes?api_key={}",
        "X-API-Key: {}",
        "tried with {} and failed",
        "a{}b",
        "%20{}%20",
        '{{"value": "{}"}}',
        "cut off: {:.40}",
    ],
)
def test_no_key_is_logged(line: str) -> None:
    """A key in a log is a key that everybody has who reads it: masked in every place, and when cut off."""
    key = text.mint(lambda n: bytes(range(n))).text
    for each in (key, key.replace("_", "%5F")):
        said = redaction.text(line.format(each))
        assert key[22:36] not in said, said


# Permissions that are narrowed

NOUNS, VERBS = st.sampled_from(["note", "paper", "user"]), st.sampled_from(["read", "update", "manage"])
PATTERN = st.one_of(
    st.just("*"),
    st.builds("{}:{}".format, NOUNS, VERBS),
    st.builds("{}:*".format, NOUNS),
    st.builds("*:{}".format, VERBS),
    st.builds("{}:{}:own".format, NOUNS, VERBS),
    st.builds("{}:*:own".format, NOUNS),
)
PATTERNS = st.lists(PATTERN, max_size=4)


@pytest.mark.requirement("S3-084")
@given(PATTERNS, PATTERNS, NOUNS, VERBS)
def test_what_is_narrowed_holds_what_both_hold(
    owner: list[str], scopes: list[str], noun: str, verb: str
) -> None:
    """A key never allows what its owner may not, nor what its scopes do not say, nor less than both hold."""
    mine, limits = Permissions(owner), Permissions(scopes)
    both, wanted = mine.narrowed(scopes), f"{noun}:{verb}"
    assert both.allow(wanted) == (mine.allow(wanted) and limits.allow(wanted))
    assert both.allow_own(wanted) == (mine.allow_own(wanted) and limits.allow_own(wanted))


@given(PATTERNS, PATTERNS, PATTERNS, NOUNS, VERBS)
def test_narrowing_never_adds_and_its_order_is_all_one(
    owner: list[str], first: list[str], second: list[str], noun: str, verb: str
) -> None:
    """Narrowed twice it holds no more than once, and the same whichever came first."""
    one, other = Permissions(owner).narrowed(first).narrowed(second), Permissions(owner).narrowed(second)
    wanted = f"{noun}:{verb}"
    assert one.allow(wanted) <= other.allow(wanted) <= Permissions(owner).allow(wanted)
    assert one.allow(wanted) == other.narrowed(first).allow(wanted)


@pytest.mark.requirement("S3-084")
@pytest.mark.parametrize(
    ("owner", "scopes", "common"),
    [
        (["*"], ["note:read"], {"note:read"}),
        (["note:*"], ["*:read"], {"note:read"}),
        (["note:update:own"], ["note:update"], {"note:update:own"}),
        (["note:update"], ["note:*:own"], {"note:update:own"}),
        (["*"], ["*"], {"*"}),
        (["note:*:own"], ["*"], {"note:*:own"}),
        (["note:read"], ["paper:read"], set()),
        (["note:read"], [], set()),
    ],
)
def test_the_common_part_of_patterns_is_patterns(
    owner: list[str], scopes: list[str], common: set[str]
) -> None:
    """What a key may is said as a role's permissions are said, so that everything that asks can."""
    assert Permissions(owner).narrowed(scopes).patterns == common


@pytest.mark.requirement("S3-084")
def test_a_narrowed_identity_bears_no_role_and_keeps_to_its_objects() -> None:
    """An application that asks for a role by name gives a key nothing; what held within one object is
    narrowed there, and holds nowhere else."""
    whole = Identity(
        "ann",
        roles=frozenset({"admin"}),
        permissions=Permissions(["note:*"]),
        scoped={"planning:17": Permissions(["task:*"])},
    )
    narrow = whole.narrowed(["note:read", "task:read"])
    assert narrow.roles == frozenset()
    assert narrow.may("note:read")
    assert not narrow.may("note:update")
    assert narrow.may("task:read", within="planning:17")
    assert not narrow.may("task:update", within="planning:17")
    assert not narrow.may("task:read", within="planning:18")


@pytest.mark.requirement("S3-084")
def test_a_key_is_no_proof_and_manages_nothing() -> None:
    """No step-up is passed with a key, however new; and what asks for the person himself refuses."""
    who = Identity("ann", method="api_key", permissions=Permissions(["*"]), clock=lambda: 1_800_000_000.0)
    with pytest.raises(Refused) as refused:
        who.demand_self()
    assert refused.value.reason is BY_KEY
    for proof in ({"max_age": "24h"}, {"max_age": 0, "second_factor": True}):
        with pytest.raises(Refused) as refused:
            who.demand_fresh(**proof)  # type: ignore[arg-type]
        assert refused.value.reason is STEP_UP


# The policy


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ('[api_keys]\npaths = ["api"]', "is no path"),
        ('[api_keys]\npaths = ["/api/*/x"]', "is no path"),
        ('[api_keys]\npaths = ["/*"]', "is no path"),
        ('[api_keys]\npaths = ["/auth/*"]', "bylaw's own pages"),
        ('[api_keys]\npaths = ["/auth/api_me"]', "bylaw's own pages"),
        (
            '[api_keys]\npaths = ["/api/*"]\n[pages.aliases]\n"/api/login" = "/auth/login"',
            "bylaw's own pages",
        ),
        (PATHS + 'header = "Cookie"', "says something else"),
        (PATHS + 'header = "X API"', "header"),
        (PATHS + "never = true", "for ever"),
        (PATHS + 'off = true\nbecause = "none"', "without paths there are no keys"),
        (PATHS + 'rate = "often"', "rate"),
        (PATHS + 'lifetime = "1m"', "lifetime"),
    ],
)
def test_what_cannot_be_kept_refuses_to_start(tmp_path: Path, changed: str, said: str) -> None:
    """Paths on which people sign in, headers that mean something else, and keys for ever without a reason."""
    assert said in Builder(tmp_path).refusal(changed)


def test_a_good_policy_starts_and_says_where_it_is_below(tmp_path: Path) -> None:
    """Keys for ever and keys for longer than 90 days are allowed, with a reason, and marked."""
    policy = Builder(tmp_path).policy(
        PATHS + 'never = true\nlifetime = "400d"\nheader = "X-API-Key"\nbecause = "old machines"'
    )
    assert [below.key for below in policy.of(Settings).below_standard()] == ["never", "lifetime"]
    assert list(Settings().below_standard()) == []
    said = " ".join(CONTROL.statement(policy))
    assert "one that never expires may be made" in said
    assert "`X-API-Key`" in said


@pytest.mark.requirement("S3-084")
def test_without_paths_there_are_no_keys(tmp_path: Path) -> None:
    """No path, no step, no pages, and nothing to make a key with."""
    house = Builder(tmp_path).house("[roles]\nuser = ['note:read']")
    assert CONTROL.statement(house.policy) == ["There are no API keys."]
    assert CONTROL.steps["identify"](house)(asked("x")) is ALLOW
    with pytest.raises(Refused) as refused:
        operations.make(house, SYSTEM, name="x", scopes=["note:read"], owner="x")
    assert refused.value.reason is reasons.NONE


# A request


@pytest.mark.requirement("S3-084")
def test_a_known_key_is_decided_at_once(lab: Laboratory) -> None:
    """The first sight is one look at the database; from then on it is memory's, without waiting."""
    step = CONTROL.steps["identify"](lab.site.house)
    key = lab.key(lab.person("user"), "note:read")
    lab.site.house.store.feed.read()  # what was revoked while the person was made is heeded now
    first = asked(key.text)
    assert isinstance(step(first), GeneratorType)
    assert decided(step, first) is ALLOW
    again = asked(key.text)
    assert step(again) is ALLOW
    assert again.identity is first.identity
    assert again.credential is lab.site.house.store.memory.get(
        text.kept(lab.site.policy.environment, key.text)
    )
    assert (again.identity.method, again.identity.session) == ("api_key", key.id)  # type: ignore[union-attr]


@pytest.mark.requirement("S3-084")
@pytest.mark.parametrize(
    ("pairs", "path", "query", "reason"),
    [
        ([("Authorization", "Bearer {key}"), ("X-API-Key", "{key}")], "/bearer/me", "", reasons.TWICE),
        ([], "/bearer/me", "key={key}", reasons.IN_QUERY),
        ([("X-API-Key", "{key}")], "/bearer/me", "a=%62ylaw%255Fkey_1", reasons.IN_QUERY),
        ([("Authorization", "Basic eDp5")], "/bearer/me", "", reasons.INVALID),
        ([("Authorization", "{key}")], "/bearer/me", "", reasons.INVALID),
        ([("Authorization", "Bearer")], "/bearer/me", "", reasons.INVALID),
        ([("Authorization", "")], "/bearer/me", "", reasons.INVALID),
        ([("X-API-Key", "")], "/bearer/me", "", reasons.INVALID),
        ([("X-API-Key", "Bearer {key}")], "/bearer/me", "", reasons.INVALID),
        ([("Authorization", "bearer   {key} ")], "/bearer/me", "", None),
        ([("X-API-Key", "{key}")], "/bearer/me", "", None),
        ([("X-API-Key", "{key}")], "/bearer/me", "q=bylaw_keys", None),
        ([("Authorization", "Bearer {key}")], "/api/notes", "", None),
        ([], "/api/notes", "key={key}", None),
    ],
)
def test_where_a_key_may_stand(
    lab: Laboratory, pairs: list[tuple[str, str]], path: str, query: str, reason: object
) -> None:
    """One header, on the paths of the policy; elsewhere a key says nothing, in an address it is refused."""
    key = lab.key(lab.person("user"), "note:read").text
    exchange = asked("", *[(k, v.format(key=key)) for k, v in pairs], path=path, query=query.format(key=key))
    verdict = identified(lab, exchange)
    if reason is None:
        assert verdict is ALLOW
        assert (exchange.identity is not None) == (path == "/bearer/me")
    else:
        assert isinstance(verdict, Refuse)
        assert verdict.reason is reason
        assert exchange.identity is None


@pytest.mark.requirement("S3-084")
def test_where_only_access_tokens_are_taken_a_key_is_none(lab: Laboratory) -> None:
    """A good key on the paths of access tokens alone is refused like a bad token."""
    key = lab.key(lab.person("user"), "note:read").text
    with lab.under(Settings, paths=("/elsewhere/*",)):
        verdict = identified(lab, asked(key))
    assert isinstance(verdict, Refuse)
    assert verdict.reason.code == "jwt.invalid"


@pytest.mark.requirement("S3-084")
def test_a_role_that_expires_ends_what_is_remembered(lab: Laboratory) -> None:
    """Memory holds a key for as long as all that it says is so: until a role of its owner expires."""
    from bylaw.store import assignments

    person = lab.person("user")
    key = lab.key(person, "note:read")
    with lab.site.house.store.transaction() as connection:
        assignments.grant(connection, person.id, "editor", expires_at=lab.clock() + 60)
    exchange = asked(key.text)
    assert identified(lab, exchange) is ALLOW
    assert exchange.credential.expires_at == lab.clock() + 60


@pytest.mark.requirement("S3-084")
def test_a_scoped_role_is_narrowed_too(lab: Laboratory) -> None:
    """What the owner may within one object alone, his key may there alone."""
    from bylaw.store import assignments

    person = lab.person()
    with lab.site.house.store.transaction() as connection:
        assignments.grant(connection, person.id, "editor", scope="planning:17")
    exchange = asked(lab.key(person, "note:read").text)
    assert identified(lab, exchange) is ALLOW
    who = exchange.identity
    assert who is not None
    assert who.may("note:read", within="planning:17")
    assert not who.may("note:create", within="planning:17")
    assert not who.may("note:read")


def test_a_use_is_written_down_off_the_request_path(lab: Laboratory) -> None:
    """The last use is in memory at once, in the table with the next chore, and never written back in time."""
    person = lab.person("user")
    key = lab.key(person, "note:read")
    assert lab.keys_of(person)[0]["used_at"] is None
    identified(lab, asked(key.text))
    used = lab.clock()
    assert lab.keys_of(person)[0]["used_at"] == used
    api_keys.write_used(lab.site.house)
    lab.site.house.store.memory.clear()
    assert lab.keys_of(person)[0]["used_at"] == used


def test_a_use_is_written_at_once_where_memory_keeps_nothing(lab: Laboratory) -> None:
    """A process whose memory is full must not forget that a key was used."""
    person = lab.person("user")
    key = lab.key(person, "note:read")
    memory = lab.site.house.store.memory
    before, memory._limit = memory._limit, 0
    try:
        identified(lab, asked(key.text))
    finally:
        memory._limit = before
    assert lab.keys_of(person)[0]["used_at"] == lab.clock()


@pytest.mark.requirement("S3-084")
def test_refusals_are_recorded_once_an_hour_for_a_key_and_a_cause(lab: Laboratory) -> None:
    """A program that goes on with a revoked key, and a thief elsewhere, are in the log; a flood is not."""
    person = lab.person("user")
    key = lab.key(person, "note:read", networks=["198.51.100.0/24"])
    step = CONTROL.steps["identify"](lab.site.house)
    for _ in range(3):
        assert decided(step, asked(key.text, peer="203.0.113.1")).reason is reasons.NETWORK  # type: ignore[union-attr]
    lab.revoke_key(person, key.id)
    for _ in range(3):
        assert decided(step, asked(key.text)).reason is reasons.INVALID  # type: ignore[union-attr]
    why = [row["changes"]["why"] for row in lab.audit(action="api_key_refused", entity_id=key.id)]
    assert why == ["revoked", "network"]


def test_a_refusal_stands_where_it_cannot_be_recorded(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that cannot be written opens no door."""
    key = lab.key(lab.person("user"), "note:read", networks=["198.51.100.0/24"])
    identified(lab, asked(key.text, peer="198.51.100.1"))

    def gone() -> None:
        raise OperationalError("", {}, ConnectionError("away"))

    monkeypatch.setattr(lab.site.house.store, "transaction", gone)
    verdict = identified(lab, asked(key.text, peer="203.0.113.1"))
    assert isinstance(verdict, Refuse)
    assert verdict.reason is reasons.NETWORK


@pytest.mark.requirement("S3-084", "C-05")
def test_a_long_exchange_ends_with_its_key(lab: Laboratory) -> None:
    """A WebSocket that was opened with a key is closed when it is revoked, or its owner may less."""
    from bylaw.operations import granting

    house, person = lab.site.house, lab.person("user")
    key = lab.key(person, "note:read")
    exchange = asked(key.text)
    house.store.feed.read()  # what was revoked while the person was made is forgotten now, not in between
    identified(lab, exchange)
    assert long_exchanges.remembered(house, exchange)
    house.store.memory.clear()
    assert not long_exchanges.remembered(house, exchange)
    assert long_exchanges.stands(house, exchange)
    long_exchanges.used(house, exchange)
    assert exchange.credential.seen_at == lab.clock()
    granting.set_roles(house, SYSTEM, person.id, ["manager"])
    assert long_exchanges.stands(house, exchange)  # what the key holds is the same
    granting.set_roles(house, SYSTEM, person.id, [])
    assert not long_exchanges.stands(house, exchange)
    granting.set_roles(house, SYSTEM, person.id, ["user"])
    identified(lab, exchange)
    lab.revoke_key(person, key.id)
    assert not long_exchanges.remembered(house, exchange)
    assert not long_exchanges.stands(house, exchange)


def test_a_long_exchange_ends_where_nobody_can_say(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a database and without a memory it is refused rather than trusted."""
    house = lab.site.house
    exchange = asked(lab.key(lab.person("user"), "note:read").text)
    identified(lab, exchange)
    house.store.memory.clear()

    def gone() -> None:
        raise OperationalError("", {}, ConnectionError("away"))

    monkeypatch.setattr(house.store, "reading", gone)
    assert not long_exchanges.stands(house, exchange)


@pytest.mark.requirement("S3-084", "S1-111")
def test_a_record_says_which_key_it_was(lab: Laboratory) -> None:
    """What a program did is told from what its owner did, and from what his other programs did."""
    person = lab.person("user")
    key = lab.key(person, "note:read")
    reply = lab.visitor().send(
        "POST", "/bearer/notes", headers=[("Authorization", f"Bearer {key.text}")], json={"text": "x"}
    )
    assert (reply.status, reply.code) == (403, "roles.forbidden")
    record = lab.audit(action="authz_fail", entity_type="route")[0]
    assert (record["user_id"], record["actor_role"]) == (person.id, f"api_key {key.id}")
