"""API keys and service accounts as verbs: who makes, rotates and revokes which, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bylaw.controls import api_keys as control
from bylaw.controls.api_keys import reasons, text
from bylaw.house import House
from bylaw.identity import BY_KEY, FORBIDDEN, STEP_UP, UNAUTHENTICATED, Identity, permissions_of
from bylaw.operations import acting, administering, api_keys, chores, recovering, services, signing_in
from bylaw.operations.api_keys import Made
from bylaw.operations.authority import SYSTEM
from bylaw.reasons import Refused
from bylaw.store import api_keys as rows
from bylaw.store import audit as audit_rows
from bylaw.store import bearers, users
from bylaw.store.tables import api_keys as table
from bylaw.verify.fakes import Mailbox
from bylaw.verify.laboratory import Laboratory

_DAY = 86400


@pytest.fixture
def house(house: House) -> House:
    """A house in which keys are taken."""
    settings = house.policy.controls["api_keys"].model_copy(update={"paths": ("/api/*",)})
    house.policy = replace(house.policy, controls={**house.policy.controls, "api_keys": settings})
    return house


def person(house: House, *roles: str) -> Identity:
    """Somebody with these roles, who has just shown that it is he."""
    made = administering.create(
        house, SYSTEM, email=f"{'-'.join(roles) or 'nobody'}@people.test", granted=roles, confirmed=True
    )
    return identity(house, made.id)


def identity(house: House, user_id: str) -> Identity:
    with house.store.reading() as connection:
        user = users.by_id(connection, user_id)
    assert user is not None
    grants = house.policy.of(control.roles.Settings).grants
    return Identity(
        user.id,
        email=user.email,
        roles=user.roles,
        permissions=permissions_of(user.roles, grants),
        authenticated_at=house.now(),
        epoch=user.epoch,
        clock=house.ports.clock,
    )


def made(house: House, who: Identity, **wanted: object) -> Made:
    facts = {"name": "import", "scopes": ["note:read"], **wanted}
    return api_keys.make(house, who, **facts)  # type: ignore[arg-type]


def found(house: House, key: Made) -> rows.Key:
    with house.store.reading() as connection:
        row = rows.find(connection, text.kept(house.policy.environment, key.text))
    assert row is not None
    return row


def why(house: House, key: Made) -> str:
    """Why a key is good no more."""
    return control.over(found(house, key), house.now())


def refusal(work: object, *given: object, **named: object) -> object:
    with pytest.raises(Refused) as refused:
        work(*given, **named)  # type: ignore[operator]
    return refused.value.reason


def records(house: House, action: str) -> list[dict[str, object]]:
    with house.store.reading() as connection:
        return audit_rows.rows(connection, action=action)


# Made


@pytest.mark.requirement("S3-084", "C-40")
def test_a_key_is_kept_as_a_digest_and_told_by_mail(house: House, mailbox: Mailbox) -> None:
    """The text is in the answer alone; the owner hears of it, the record says what it holds."""
    ann = person(house, "user")
    key = made(house, ann, networks=["192.0.2.7", "10.0.0.0/8"], rate="100 per hour")
    chores.send(house)
    row = found(house, key)
    assert (row.scopes, row.networks, row.rate) == (["note:read"], ["10.0.0.0/8", "192.0.2.7/32"], "100/hour")
    assert row.expires_at == house.now() + 90 * _DAY
    [mail] = mailbox.to(ann.email)
    assert key.id in mail.get_content()
    assert key.text not in mail.get_content()
    [record] = records(house, "api_key_created")
    assert record["entity_id"] == key.id
    assert record["changes"]["scopes"] == ["note:read"]  # type: ignore[index]
    assert key.text not in str(record)


WRONG = [
    ({"name": " "}, {"name"}),
    ({"name": "x" * 65}, {"name"}),
    ({"scopes": []}, {"scope"}),
    ({"scopes": ["note"]}, {"scope"}),
    ({"scopes": ["note:read", "\0:x"]}, {"scope"}),
    ({"scopes": [f"note:v{n}" for n in range(41)]}, {"scope"}),
    ({"networks": ["anywhere"]}, {"network"}),
    ({"networks": ["10.0.0.1/8"]}, {"network"}),
    ({"networks": [f"10.0.0.{n}" for n in range(41)]}, {"network"}),
    ({"rate": "much"}, {"rate"}),
    ({"rate": "0/hour"}, {"rate"}),
    ({"lifetime": "91d"}, {"lifetime"}),
    ({"lifetime": "59m"}, {"lifetime"}),
    ({"lifetime": "for ever"}, {"lifetime"}),
    ({"lifetime": "never"}, {"lifetime"}),
    ({"lifetime": True}, {"lifetime"}),
    ({"name": "", "scopes": ["x"], "networks": ["y"], "rate": "z"}, {"name", "scope", "network", "rate"}),
]
"""What is asked of a key, and the fields in which that is wrong."""


@pytest.mark.requirement("S3-084")
def test_what_is_wrong_with_a_key_is_said_all_at_once(house: House) -> None:
    """Each field by its name, and never the value that was given."""
    ann = person(house, "user")
    for wanted, fields in WRONG:
        with pytest.raises(Refused) as refused:
            made(house, ann, **wanted)
        assert set(refused.value.fields) == fields, wanted
    assert records(house, "api_key_created") == []


HELD = [
    (["user"], ["note:read"], True),
    (["user"], ["note:read:own"], True),
    (["user"], ["note:update"], False),
    (["user"], ["note:*"], False),
    (["user"], ["*:read"], False),
    (["user"], ["*"], False),
    (["user"], ["note:read", "user:manage"], False),
    (["admin"], ["*"], True),
    (["admin"], ["*:read"], True),
    ([], ["note:read"], False),
]
"""Roles, scopes, and whether who holds the ones may give the others."""


@pytest.mark.requirement("S3-084")
def test_a_key_holds_no_more_than_its_owner(house: House) -> None:
    """A pattern is held only where all that it says is."""
    people = {role: person(house, *role) for role in {tuple(roles) for roles, _, _ in HELD}}
    for roles, scopes, good in HELD:
        if good:
            assert made(house, people[tuple(roles)], scopes=scopes).scopes == tuple(scopes)
        else:
            assert refusal(made, house, people[tuple(roles)], scopes=scopes) is reasons.SCOPE, scopes


@pytest.mark.requirement("S3-084", "C-06")
def test_a_key_for_ever_is_an_exception_that_the_policy_allows(house: House) -> None:
    """Where `never` is on, and only there; rotating keeps it."""
    settings = house.policy.controls["api_keys"].model_copy(update={"never": True})
    house.policy = replace(house.policy, controls={**house.policy.controls, "api_keys": settings})
    ann = person(house, "user")
    key = made(house, ann, lifetime="never")
    assert key.expires_at is None
    assert api_keys.own(house, ann)[0]["expires_at"] is None
    after = api_keys.rotate(house, ann, key.id, overlap=60)
    assert after.expires_at is None
    assert found(house, key).expires_at == house.now() + 60


@pytest.mark.requirement("S3-084", "A190")
def test_nobody_makes_a_key_with_a_key_or_an_old_proof(house: House) -> None:
    """A key, an administrator who acts as somebody, and a session that was left open make none."""
    ann = person(house, "user")
    assert refusal(made, house, replace(ann, method="api_key")) is BY_KEY
    assert refusal(made, house, replace(ann, acting="root")).code == "sessions.acting"  # type: ignore[attr-defined]
    old = replace(ann, authenticated_at=house.now() - 601)
    assert refusal(made, house, old) is STEP_UP
    key = made(house, ann)
    assert refusal(api_keys.rotate, house, old, key.id) is STEP_UP
    assert refusal(api_keys.revoke, house, replace(ann, method="api_key"), key.id) is BY_KEY
    api_keys.revoke(house, old, key.id)  # ending one gives nobody anything
    assert why(house, key) == "revoked"


@pytest.mark.requirement("S3-084", "C-32")
def test_a_request_from_before_the_sign_out_makes_none(house: House) -> None:
    """A slow request that began before its owner signed out everywhere leaves no key behind."""
    ann = person(house, "user")
    signing_in.sign_out_everywhere(house, ann)
    assert refusal(made, house, ann) is UNAUTHENTICATED


def test_an_account_has_so_many_keys_and_no_more(house: House) -> None:
    """Revoked ones do not count."""
    ann = person(house, "user")
    keys = [made(house, ann) for _ in range(control.MOST)]
    assert refusal(made, house, ann) is reasons.FULL
    api_keys.revoke(house, ann, keys[0].id)
    made(house, ann)


# Somebody else's


@pytest.mark.requirement("S3-084")
def test_nobody_touches_anothers_key(house: House) -> None:
    """By its id or by its owner's: another's key is none, to people and to managers who may less."""
    ann, ben = person(house, "user"), person(house)
    clerk, root = person(house, "clerk"), person(house, "admin")
    key, roots = made(house, ann), made(house, root)
    for verb in (api_keys.rotate, api_keys.revoke):
        assert refusal(verb, house, ben, key.id) is reasons.UNKNOWN
        assert refusal(verb, house, ben, key.id, owner=ann.id) is FORBIDDEN
        assert refusal(verb, house, ann, "nonsense\0") is reasons.UNKNOWN
        assert refusal(verb, house, clerk, roots.id, owner=root.id) is FORBIDDEN
    assert refusal(made, house, root, owner=ann.id) is reasons.OF_A_PERSON
    assert refusal(api_keys.rotate, house, root, key.id, owner=ann.id) is reasons.OF_A_PERSON
    assert refusal(api_keys.of_account, house, ben, ann.id) is FORBIDDEN
    assert why(house, key) == why(house, roots) == ""
    api_keys.revoke(house, root, key.id, owner=ann.id, reason="found in a repository")
    assert why(house, key) == "revoked"
    [record] = records(house, "api_key_revoked")
    assert record["changes"]["reason"] == "found in a repository"  # type: ignore[index]


# Rotated


@pytest.mark.requirement("S3-084")
def test_a_rotated_key_has_a_successor_and_an_end(house: House, mailbox: Mailbox) -> None:
    """The successor is as the old key was, and lives as long; the old one ends with the overlap."""
    ann = person(house, "user")
    old = made(house, ann, lifetime="30d", networks=["192.0.2.7"], rate="5/hour")
    house.ports.clock.advance(20 * _DAY)  # type: ignore[attr-defined]
    ann = identity(house, ann.id)
    new = api_keys.rotate(house, ann, old.id, overlap="1h")
    assert (new.name, new.scopes, new.replaces) == (old.name, old.scopes, old.id)
    assert new.expires_at == house.now() + 30 * _DAY
    assert new.old_until == house.now() + 3600 == found(house, old).expires_at
    row = found(house, new)
    assert (row.networks, row.rate) == (["192.0.2.7/32"], "5/hour")
    assert refusal(api_keys.rotate, house, ann, old.id) is reasons.REPLACED
    house.ports.clock.advance(3600)  # type: ignore[attr-defined]
    assert (why(house, old), why(house, new)) == ("expired", "")
    chores.send(house)
    assert any("rotated" in str(m["Subject"]) for m in mailbox.to(ann.email))


@pytest.mark.requirement("S3-084")
def test_an_overlap_is_a_time(house: House) -> None:
    """What is none is refused, and nothing is rotated."""
    ann = person(house, "user")
    key = made(house, ann)
    for overlap in ("31d", "-1", "soon", True, -5):
        with pytest.raises(Refused) as refused:
            api_keys.rotate(house, ann, key.id, overlap=overlap)
        assert set(refused.value.fields) == {"overlap"}
    assert len(api_keys.own(house, ann)) == 1


@pytest.mark.requirement("S3-084")
def test_rotating_never_makes_a_key_live_longer(house: House) -> None:
    """The overlap ends where the old key would have ended; a rotation of what has ended makes nothing."""
    ann = person(house, "user")
    old = made(house, ann, lifetime="1h")
    assert api_keys.rotate(house, ann, old.id, overlap="7d").old_until == old.expires_at
    gone = made(house, ann, lifetime="1h")
    house.ports.clock.advance(3600)  # type: ignore[attr-defined]
    assert refusal(api_keys.rotate, house, identity(house, ann.id), gone.id) is reasons.UNKNOWN
    assert refusal(api_keys.revoke, house, ann, gone.id) is reasons.UNKNOWN


@pytest.mark.requirement("S3-084")
def test_a_successor_holds_what_the_owner_still_may(house: House) -> None:
    """What was taken from the owner meanwhile is not carried on; nothing left, nothing made."""
    from bylaw.operations import granting

    person(house, "admin")
    ann = person(house, "user", "clerk")
    key = made(house, ann, scopes=["note:read", "user:manage"])
    granting.set_roles(house, SYSTEM, ann.id, ["user"])
    ann = identity(house, ann.id)
    new = api_keys.rotate(house, ann, key.id)
    assert new.scopes == ("note:read",)
    granting.set_roles(house, SYSTEM, ann.id, [])
    assert refusal(api_keys.rotate, house, identity(house, ann.id), new.id) is reasons.SCOPE


@pytest.mark.requirement("S3-084")
def test_of_two_rotations_at_once_one_makes_a_successor(flask_laboratory: Laboratory) -> None:
    """Twelve at the same moment: one key takes the old one's place, the others are told so."""
    lab = flask_laboratory
    owner = lab.person("user")
    key = lab.key(owner, "note:read")

    def rotate(number: int) -> str:
        try:
            return lab.rotate_key(owner, key.id, "1h").id
        except Refused as refused:
            return refused.reason.code

    said = lab.burst(rotate, 12)
    assert said.count("api_keys.replaced") == 11
    assert len(lab.keys_of(owner)) == 2


# Ended with the account


@pytest.mark.requirement("S3-084", "S3-072", "C-05")
def test_a_disabled_owner_has_no_keys_and_gets_none_back(house: House) -> None:
    """Disabling revokes them; enabling the account again gives none of them back."""
    ann, root = person(house, "user"), person(house, "admin")
    key = made(house, ann)
    administering.disable(house, root, ann.id, reason="left")
    assert why(house, key) == "revoked"
    administering.enable(house, root, ann.id)
    assert why(house, key) == "revoked"
    assert api_keys.own(house, ann) == []


# Service accounts


@pytest.mark.requirement("S3-084")
def test_a_service_account_is_made_by_who_may_as_much(house: House, mailbox: Mailbox) -> None:
    """An administrator makes it, somebody answers for it, and news of its keys goes to them."""
    root, clerk, ann = person(house, "admin"), person(house, "clerk"), person(house, "user")
    service = services.make(house, root, name="nightly", granted=["user"])
    assert (service.email, service.contact, service.service) == ("service:nightly", root.email, True)
    assert refusal(services.make, house, ann, name="mine") is FORBIDDEN
    assert refusal(services.make, house, clerk, name="mine", granted=["admin"]) is FORBIDDEN
    assert refusal(services.make, house, root, name="nightly").code == "signup.taken"  # type: ignore[attr-defined]
    old = replace(root, authenticated_at=house.now() - 601)
    assert refusal(services.make, house, old, name="mine") is STEP_UP
    key = made(house, root, owner=service.id)
    assert found(house, key).contact == root.email
    chores.send(house)
    assert "nightly" in mailbox.to(root.email)[-1].get_content()
    [listed] = services.listing(house, root)
    assert (listed.name, listed.keys) == ("nightly", 1)
    assert refusal(services.listing, house, ann) is FORBIDDEN
    assert refusal(made, house, clerk, owner=service.id) is FORBIDDEN  # it may read notes, the clerk may not


@pytest.mark.requirement("S3-084")
def test_a_service_account_has_a_name_and_a_contact(house: House) -> None:
    """What is no name, and what is no address, is refused by its field."""
    root = person(house, "admin")
    names = [(name, "") for name in ("", "Nightly", "a b", "-a", "a" * 41, "x\0", "\u00e9")]
    for name, contact in [*names, ("ok", "nobody")]:
        with pytest.raises(Refused) as refused:
            services.make(house, root, name=name, contact=contact)
        assert set(refused.value.fields) == {"contact" if contact else "name"}, name


@pytest.mark.requirement("S3-084")
def test_a_service_account_signs_in_by_no_door(house: House, mailbox: Mailbox) -> None:
    """No password, no link, no invitation, no renewal, no session, and nobody acts as it."""
    root = person(house, "admin")
    service = services.make(house, root, name="nightly", granted=["user"])
    for verb in (administering.send_link, administering.require_password):
        assert refusal(verb, house, root, service.id, reason="x") is reasons.SERVICE
    assert refusal(administering.set_password, house, SYSTEM, service.id, "x" * 20) is reasons.SERVICE
    with pytest.raises(Refused):
        signing_in.open_session(house, service, method="federated")
    with pytest.raises(Refused):
        acting.begin(house, root, service.id, reason="x")
    with pytest.raises(Refused):
        signing_in.sign_in(house, email=service.email, password="x")
    before = len(mailbox.messages)
    with pytest.raises(Refused):
        recovering.ask(house, email=service.email)
    chores.send(house)
    assert len(mailbox.messages) == before


@pytest.mark.requirement("S3-084")
def test_a_service_account_is_no_administrator(house: House) -> None:
    """The last person who manages users cannot go while only a machine holds the role."""
    from bylaw.operations import granting

    root = person(house, "admin")
    services.make(house, root, name="nightly", granted=["admin"])
    assert refusal(granting.set_roles, house, SYSTEM, root.id, []).code == "roles.last_administrator"  # type: ignore[attr-defined]


@pytest.mark.requirement("S3-084")
def test_a_disabled_service_has_no_keys(house: House) -> None:
    """Disabling it ends them, and none is made for it."""
    root = person(house, "admin")
    service = services.make(house, root, name="nightly", granted=["user"])
    key = made(house, root, owner=service.id)
    administering.disable(house, root, service.id, reason="no more")
    assert why(house, key) == "revoked"
    assert refusal(made, house, root, owner=service.id).code == "roles.nothing_to_do"  # type: ignore[attr-defined]


# Found


def test_a_key_is_found_by_its_id_and_everybodys_are_listed(house: House) -> None:
    """At the command line a key is named by its id; no list holds what could be sent."""
    ann, ben = person(house, "user"), person(house, "admin")
    keys = [made(house, ann), made(house, ben)]
    assert api_keys.owner_of(house, keys[0].id) == ann.id
    assert refusal(api_keys.owner_of, house, "x") is reasons.UNKNOWN
    assert refusal(api_keys.owner_of, house, "0" * 11) is reasons.UNKNOWN
    listed = api_keys.everybodys(house, SYSTEM)
    assert [row["email"] for row in listed] == [ben.email, ann.email]
    assert not any(key.text in str(listed) or found(house, key).digest in str(listed) for key in keys)
    assert api_keys.scopes_of(house, ann.id) == ["note:read"]
    with house.store.reading() as connection:
        assert bearers.by_id(connection, table, keys[0].id) is not None


def test_a_made_key_is_not_printed() -> None:
    """What somebody logs by mistake holds no secret."""
    assert "bylaw_key_secret" not in repr(Made("id", "bylaw_key_secret", "n", ("a:b",), None))
