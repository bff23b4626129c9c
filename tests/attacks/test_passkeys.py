"""Attacks on passkeys that need an authenticator: one that lies, one that was copied, and many at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bylaw.controls import passkeys
from bylaw.verify.authenticator import Authenticator
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory


def asked(laboratory: Laboratory, client: Client) -> Any:
    """The question to whatever passkey there is."""
    return client.send(
        "POST", laboratory.api("passkey_sign_in_options"), headers=client.from_here, json={}
    ).json()


def answer(laboratory: Laboratory, client: Client, credential: str) -> Reply:
    return client.send(
        "POST",
        laboratory.api("passkey_sign_in"),
        headers=client.from_here,
        json={"credential": credential},
    )


def sign_in(laboratory: Laboratory, device: Authenticator, **lies: Any) -> Reply:
    """Sign in from a browser of one's own."""
    visitor = laboratory.visitor()
    return answer(laboratory, visitor, device.get(asked(laboratory, visitor), **lies))


def register(laboratory: Laboratory, client: Client, device: Authenticator, **lies: Any) -> Reply:
    question = client.act("POST", laboratory.api("passkey_add_options"), json={}).json()
    made = {"credential": device.create(question, **lies)}
    return client.act("POST", laboratory.api("passkey_add"), json=made)


# A083


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://app.lab.evil.test"},
        {"origin": "http://app.lab"},
        {"origin": "https://app.lab:8443"},
        {"origin": "https://sub.app.lab"},
        {"origin": "https://app.lab."},
        {"origin": "https://app.lab:443"},
        {"origin": "https://user@app.lab"},
        {"origin": "https://APP.lab"},
        {"origin": ["https://app.lab"]},
        {"rp_id": "lab"},
        {"rp_id": "sub.app.lab"},
        {"rp_id": ""},
        {"type": "webauthn.create"},
        {"type": "payment.get"},
        {"says": {"crossOrigin": True}},
        {"says": {"crossOrigin": "false"}},
        {"says": {"crossOrigin": None}},
        {"says": {"topOrigin": "https://app.lab"}},
        {"says": {"challenge": 5}},
        {"says": {"origin": None}},
        {"present": False},
        {"verified": False},
        {"backed_up": True},
        {"eligible": True},
        {"tampered": True},
        {"user_handle": b""},
        {"user_handle": b"somebody else"},
        {"id": b"0123456789abcdef"},
        {"changed": {"signature": ""}},
        {"changed": {"signature": "AA=="}},
        {"changed": {"signature": "A A"}},
        {"changed": {"authenticatorData": "AAAA"}},
        {"changed": {"authenticatorData": ""}},
        {"changed": {"clientDataJSON": "W10"}},
        {"changed": {"clientDataJSON": "e30"}},
        {"changed": {"clientDataJSON": ""}},
        {"counter": 0xFFFFFFFF, "tampered": True},
    ],
    ids=str,
)
def test_a083_an_answer_that_is_not_for_this(laboratory: Laboratory, lie: dict[str, Any]) -> None:
    """One thing about an answer is not as it was asked for, and nobody is signed in."""
    owner = laboratory.ordinary()
    device = laboratory.passkey(owner)
    reply = sign_in(laboratory, device, **lie)
    assert (reply.status, reply.code) == (401, "passkeys.not_accepted")
    assert laboratory.cookie not in "".join(reply.all("set-cookie"))
    assert sign_in(laboratory, device).status == 200


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.test"},
        {"rp_id": "evil.test"},
        {"type": "webauthn.get"},
        {"says": {"crossOrigin": True}},
        {"verified": False},
        {"present": False},
        {"backed_up": True},
        {"id": b"short"},
        {"id": bytes(1024)},
        {"id": b""},
        {"format": "packed", "tampered": True},
        {"format": "tpm"},
        {"format": "unheard-of"},
        {"public_key": {}},
        {"public_key": {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}},
        {"public_key": {1: 2, 3: -7, -1: 1, -2: b"x", -3: b"y"}},
        {"public_key": {1: 2, 3: -8, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32}},
        {"public_key": {1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\1"}},
        {"public_key": {1: 9, 3: -7}},
        {"changed": {"attestationObject": "AA"}},
        {"changed": {"attestationObject": ""}},
        {"changed": {"attestationObject": 5}},
    ],
    ids=lambda lie: str(lie)[:60],
)
def test_a083_a_registration_that_is_not_for_this(laboratory: Laboratory, lie: dict[str, Any]) -> None:
    """One thing about a new passkey is not as it was asked for, and none is set up."""
    client = laboratory.ordinary()
    reply = register(laboratory, client, laboratory.authenticator(), **lie)
    assert reply.status == 422, str(reply)
    assert reply.code in ("passkeys.not_registered", "errors.invalid")
    assert client.get(laboratory.api("passkeys")).json() == {"passkeys": []}


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("format", ["none", "packed"])
def test_a083_what_browsers_make_is_taken(laboratory: Laboratory, algorithm: Any, format: str) -> None:
    """Each algorithm that is asked for sets up a passkey that signs in, attested by itself or not at all."""
    client = laboratory.ordinary()
    device = laboratory.authenticator(algorithm=algorithm)
    assert register(laboratory, client, device, format=format).status == 200
    assert sign_in(laboratory, device).status == 200


# A085


@pytest.mark.requirement("S3-083")
def test_a085_a_recorded_registration_sets_up_nothing(laboratory: Laboratory) -> None:
    """Somebody sends again what a browser sent: in that session, in another, for another account."""
    client, other = laboratory.ordinary(), laboratory.ordinary()
    question = client.act("POST", laboratory.api("passkey_add_options"), json={}).json()
    made = {"credential": laboratory.authenticator().create(question)}
    jar = dict(client.cookies)
    assert client.act("POST", laboratory.api("passkey_add"), json=made).status == 200
    client.cookies.update({k: v for k, v in jar.items() if k != laboratory.cookie})
    other.cookies.update({k: v for k, v in jar.items() if k != laboratory.cookie})
    for who in (client, other):
        reply = who.act("POST", laboratory.api("passkey_add"), json=made)
        assert (reply.status, reply.code) == (400, "passkeys.expired")
    assert other.get(laboratory.api("passkeys")).json() == {"passkeys": []}


@pytest.mark.requirement("S3-083")
def test_a085_a_question_in_one_session_is_none_in_another(laboratory: Laboratory) -> None:
    """Two sessions of one person: what was asked in the first is not answered in the second."""
    client = laboratory.ordinary()
    question = client.act("POST", laboratory.api("passkey_add_options"), json={}).json()
    laboratory.open_session(client)
    made = {"credential": laboratory.authenticator().create(question)}
    assert client.act("POST", laboratory.api("passkey_add"), json=made).code == "passkeys.expired"


@pytest.mark.requirement("S3-083")
def test_a085_of_many_answers_at_once_one_signs_in(laboratory: Laboratory) -> None:
    """A stolen answer races the owner's own: the question is answered once."""
    device = laboratory.passkey(laboratory.ordinary())
    visitor = laboratory.visitor()
    credential = device.get(asked(laboratory, visitor))
    jar = dict(visitor.cookies)

    def send(_: int) -> Reply:
        browser = laboratory.visitor()
        browser.cookies.update(jar)
        return answer(laboratory, browser, credential)

    replies = laboratory.burst(send, 8)
    assert sorted(reply.status for reply in replies) == [200] + [400] * 7
    assert {reply.code for reply in replies if reply.status != 200} == {"passkeys.expired"}


@pytest.mark.requirement("S3-083")
def test_a085_one_credential_at_two_accounts_at_once(laboratory: Laboratory) -> None:
    """Two people set up a credential of the same id at the same moment: it belongs to one of them."""
    people = [laboratory.ordinary() for _ in range(4)]
    one = bytes(range(32))
    made = []
    for client in people:
        question = client.act("POST", laboratory.api("passkey_add_options"), json={}).json()
        credential = {"credential": laboratory.authenticator().create(question, id=one)}
        token = [(client.token_header, client.token()), *client.from_here]
        made.append((client, credential, token))

    def send(number: int) -> Reply:
        client, credential, headers = made[number]
        return client.send("POST", laboratory.api("passkey_add"), json=credential, headers=headers)

    replies = laboratory.burst(send, len(people))
    assert sorted(reply.status for reply in replies) == [200, 422, 422, 422]
    held = [len(client.get(laboratory.api("passkeys")).json()["passkeys"]) for client in people]
    assert sorted(held) == [0, 0, 0, 1]


@pytest.mark.requirement("S3-083")
def test_a085_two_left_at_once_leave_one(laboratory: Laboratory) -> None:
    """Somebody without a password removes both of two passkeys at the same moment: one stays."""
    client = laboratory.person("user", password=None)
    laboratory.open_session(client)
    client.token_page = laboratory.url("passkeys")
    for _ in range(2):
        laboratory.passkey(client)
    ids = [each["id"] for each in client.get(laboratory.api("passkeys")).json()["passkeys"]]
    headers = [(client.token_header, client.token()), *client.from_here]

    def send(number: int) -> Reply:
        wish = {"action": "remove", "passkey": ids[number]}
        return client.send("POST", laboratory.api("passkeys"), json=wish, headers=headers)

    replies = laboratory.burst(send, 2)
    assert sorted(reply.status for reply in replies) == [200, 409]
    assert {reply.code for reply in replies if reply.status != 200} == {"passkeys.last"}


# A087


@pytest.mark.requirement("S3-083")
def test_a087_a_counter_that_goes_back(laboratory: Laboratory) -> None:
    """A copy signs in with an older count: refused and recorded. The largest count there is, is kept."""
    owner = laboratory.ordinary()
    device = laboratory.passkey(owner)
    counts = [(10, 200), (10, 401), (9, 401), (0, 401), (11, 200), (0xFFFFFFFF, 200), (0x7FFFFFFF, 401)]
    for counter, status in counts:
        assert sign_in(laboratory, device, counter=counter).status == status, counter
    recorded = laboratory.audit(action="authn_passkey_copied", entity_id=owner.id)
    assert [row["changes"]["counter"]["new"] for row in reversed(recorded)] == [10, 9, 0, 0x7FFFFFFF]
    assert [row["outcome"] for row in recorded] == ["refused"] * 4
    assert any("bylaw.passkeys" in line and "WARNING" in line for line in laboratory.logs.lines)


@pytest.mark.requirement("S3-083")
def test_a087_the_policy_may_only_record_it(laboratory: Laboratory) -> None:
    """With `counter = "record"` a count that goes back signs in, is recorded, and lowers nothing."""
    owner = laboratory.ordinary()
    device = laboratory.passkey(owner)
    with laboratory.under(passkeys.Settings, counter="record"):
        for counter, status in ((10, 200), (9, 200), (10, 200), (11, 200)):
            assert sign_in(laboratory, device, counter=counter).status == status
    recorded = laboratory.audit(action="authn_passkey_copied", entity_id=owner.id)
    assert [(r["outcome"], r["changes"]["counter"]) for r in reversed(recorded)] == [
        ("success", {"old": 10, "new": 9}),
        ("success", {"old": 10, "new": 10}),
    ]


@pytest.mark.requirement("S3-083")
def test_a087_a_synced_passkey_counts_nothing(laboratory: Laboratory) -> None:
    """A counter that is always 0 says nothing, and what it says of being copied is kept up to date."""
    owner = laboratory.ordinary()
    device = laboratory.passkey(owner, laboratory.authenticator(step=0, eligible=True))
    for backed_up in (False, True, True):
        device.backed_up = backed_up
        assert sign_in(laboratory, device).status == 200
        [listed] = owner.get(laboratory.api("passkeys")).json()["passkeys"]
        assert (listed["backup_eligible"], listed["backed_up"]) == (True, backed_up)


def test_a083_duplicate_names_in_an_answer_do_not_split_it(laboratory: Laboratory) -> None:
    """A credential whose JSON names a member twice is one thing for every check."""
    device = laboratory.passkey(laboratory.ordinary())
    visitor = laboratory.visitor()
    said = json.loads(device.get(asked(laboratory, visitor)))
    doubled = json.dumps(said)[:-1] + ', "id": "AAAAAAAAAAAAAAAAAAAAAAAA"}'
    assert answer(laboratory, visitor, doubled).status == 401
