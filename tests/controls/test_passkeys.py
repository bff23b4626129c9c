"""Passkeys: which site they are for, what is asked, what is believed, and what a policy may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import mfa, passkeys
from bylaw.controls.passkeys import CONTROL, Settings, answers, names, questions
from bylaw.controls.passkeys.answers import Asked, Rejected
from bylaw.keys import base64url
from bylaw.verify.authenticator import Authenticator
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.runner import attempt
from tests.controls.houses import OWN, Builder

CHALLENGE = bytes(32)
HERE = Asked(CHALLENGE, "app.lab", [OWN])
ADDRESS = "https://192.0.2.1"


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def creation(**changes: Any) -> dict[str, Any]:
    """The question for a new passkey."""
    asked: dict[str, Any] = {
        "rp_id": "app.lab",
        "app": "Notes",
        "challenge": CHALLENGE,
        "timeout": passkeys.TIMEOUT,
        "user_handle": base64url(bytes(32)),
        "email": "ann@people.test",
        "name": "",
        "registered": [],
    }
    return questions.creation(**{**asked, **changes})


def request(**changes: Any) -> dict[str, Any]:
    """The question to a passkey."""
    return questions.request(**{"rp_id": "app.lab", "challenge": CHALLENGE, "timeout": 300, **changes})


# The policy


@pytest.mark.parametrize(
    ("base_url", "rp_id", "expected"),
    [
        (OWN, "", "app.lab"),
        ("https://APP.Lab", "", "app.lab"),
        ("https://app.lab:8443", "", "app.lab"),
        ("https://deep.app.acme.eu", "acme.eu", "acme.eu"),
        (ADDRESS, "", ""),
        ("https://[2001:db8::1]:8443", "", ""),
    ],
)
def test_which_site_passkeys_are_for(build: Builder, base_url: str, rp_id: str, expected: str) -> None:
    """The host of the application's address or a domain above it; nobody's at an IP address."""
    text = f'[passkeys]\nrp_id = "{rp_id}"\n' if rp_id else ""
    assert passkeys.rp_id(build.policy(text, BASE_URL=base_url)) == expected


def test_there_are_none_where_they_are_off(build: Builder) -> None:
    """Switching them off needs a reason, and is below the standard."""
    policy = build.policy('[passkeys]\noff = true\nbecause = "a kiosk without any keyboard"\n')
    assert passkeys.rp_id(policy) == ""
    assert [(name, below.key) for name, below, _ in policy.below_standard()] == [("passkeys", "off")]
    assert not list(build.policy('[passkeys]\ncounter = "record"\n').below_standard())


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("off = true", "because"),
        ('rp_id = "lab"', "browsers bind passkeys to the host of the page (app.lab) or a domain above it"),
        ('rp_id = "evil.test"', "browsers bind passkeys"),
        ('rp_id = "pp.lab"', "browsers bind passkeys"),
        ('rp_id = "sub.app.lab"', "browsers bind passkeys"),
        ('rp_id = "https://app.lab"', "passkeys.rp_id"),
        ('rp_id = "APP.lab"', "passkeys.rp_id"),
        ('rp_id = ""', "passkeys.rp_id"),
        ('origins = ["https://evil.test"]', "no https origin at or below app.lab"),
        ('origins = ["https://evilapp.lab"]', "no https origin at or below app.lab"),
        ('origins = ["http://sub.app.lab"]', "no https origin"),
        ('origins = ["https://sub.app.lab/"]', "no https origin"),
        ('origins = ["https://*.app.lab"]', "no https origin"),
        ('origins = ["https://sub.app.lab", "null"]', "'null'"),
        ('counter = "ignore"', "passkeys.counter"),
        ("user_verification = false", "no such key"),
    ],
)
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, said: str) -> None:
    """Another site's name, an origin that is not below it, or a check that nobody may leave out."""
    assert said in build.refusal(f"[passkeys]\n{text}\n")


def test_origins_are_the_sites_own_and_what_the_policy_adds(build: Builder) -> None:
    """Compared letter by letter: the application's own comes first."""
    policy = build.policy('[passkeys]\norigins = ["https://sub.app.lab:8443"]\n')
    assert passkeys.origins(policy) == [OWN, "https://sub.app.lab:8443"]


def test_an_address_takes_no_name_for_itself(build: Builder) -> None:
    """A site that is reached at an IP address cannot have a name's passkeys, nor other origins."""
    for text in ('rp_id = "192.0.2.1"', 'origins = ["https://app.lab"]'):
        assert "passkeys" in build.refusal(f"[passkeys]\n{text}\n", BASE_URL=ADDRESS)


def test_what_the_document_says(build: Builder) -> None:
    """The site, the origins and what becomes of a copied one are the policy's."""
    text = " ".join(CONTROL.statement(build.policy('[passkeys]\norigins = ["https://two.app.lab"]\n')))
    for words in ("`app.lab`", "https://app.lab, https://two.app.lab", "5 minutes", "refused and recorded"):
        assert words in text
    assert "recorded as a risk" in " ".join(
        CONTROL.statement(build.policy('[passkeys]\ncounter = "record"\n'))
    )
    assert "there are none" in CONTROL.statement(build.policy("", BASE_URL=ADDRESS))[0]


# What is asked


@pytest.mark.requirement("S3-083")
def test_what_is_asked_for_a_new_passkey() -> None:
    """One that is found without a name, that knows its owner, and of which nobody vouches for the maker."""
    asked = creation(registered=[("AAAA", ["usb", "internal"]), ("AAAB", [])], name="Ann")
    assert asked["rp"] == {"name": "Notes", "id": "app.lab"}
    assert asked["user"] == {"id": "A" * 43, "name": "ann@people.test", "displayName": "Ann"}
    assert [each["alg"] for each in asked["pubKeyCredParams"]] == [-8, -7, -257]
    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert (asked["attestation"], asked["timeout"]) == ("none", 300_000)
    assert [each["id"] for each in asked["excludeCredentials"]] == ["AAAA", "AAAB"]
    assert asked["excludeCredentials"][0]["transports"] == ["usb", "internal"]
    assert asked["challenge"] == base64url(CHALLENGE)


@pytest.mark.requirement("C-41")
def test_what_is_asked_of_a_stranger() -> None:
    """Nobody's passkeys are named; whoever owes a second factor is asked for his own."""
    asked = request()
    assert asked["allowCredentials"] == []
    assert (asked["userVerification"], asked["rpId"], asked["timeout"]) == ("required", "app.lab", 300_000)
    assert [each["id"] for each in request(allowed=[("AAAA", ["hybrid"])])["allowCredentials"]] == ["AAAA"]


def test_a_handle_says_nothing_and_stays(build: Builder) -> None:
    """32 bytes that are the same each time, and no part of the account's id (WebAuthn 14.6.1)."""
    house = build.house()
    one = passkeys.handle(house, "8b1a9953-c461-4296-a827-abf8c47804d7")
    assert one == passkeys.handle(house, "8b1a9953-c461-4296-a827-abf8c47804d7")
    assert one != passkeys.handle(house, "8b1a9953-c461-4296-a827-abf8c47804d8")
    assert len(answers.octets(one)) == 32


# What is answered


def made(device: Authenticator, **lies: Any) -> answers.Made:
    return answers.made(HERE, answers.read(device.create(creation(), **lies)))


def shown(device: Authenticator, key: bytes | None, **lies: Any) -> answers.Shown:
    return answers.shown(HERE, answers.read(device.get(request(), **lies)), public_key=key)


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_an_answer_that_holds(algorithm: Any) -> None:
    """What was made is what is used afterwards, with its flags and its count."""
    device = Authenticator(OWN, algorithm=algorithm, eligible=True, aaguid=bytes(range(16)))
    new = made(device)
    assert new.aaguid == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert (new.sign_count, new.backup_eligible, new.backed_up) == (0, True, False)
    used = shown(device, new.public_key, backed_up=True)
    assert (used.sign_count, used.backup_eligible, used.backed_up) == (1, True, True)
    assert "public_key" not in repr(new)


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"type": "webauthn.get"}, "the answer to another kind of question"),
        ({"challenge": b"another question"}, "the answer to another question"),
        ({"origin": "https://evil.test"}, "given to another origin"),
        ({"rp_id": "evil.test"}, "given to another site"),
        ({"present": False}, "nobody was present"),
        ({"verified": False}, "nobody was verified"),
        ({"says": {"crossOrigin": True}}, "asked in another site's frame"),
        ({"says": {"topOrigin": OWN}}, "asked in another site's frame"),
        ({"backed_up": True}, "InvalidBackupFlags"),
        ({"id": b"x" * 15}, "a credential id of 15 bytes"),
        ({"id": b"x" * 1024}, "a credential id of 1024 bytes"),
        ({"public_key": {1: 2, 3: -35, -1: 2, -2: b"x" * 48, -3: b"y" * 48}}, "Unsupported"),
        ({"changed": {"attestationObject": "AA"}}, "InvalidRegistrationResponse"),
    ],
)
def test_a_registration_that_does_not_hold(lies: dict[str, Any], why: str) -> None:
    """Each thing that WebAuthn section 7.1 has looked at, and why for the audit log."""
    with pytest.raises(Rejected) as rejected:
        made(Authenticator(OWN), **lies)
    assert str(rejected.value) == why or why == "Unsupported"


@pytest.mark.parametrize("length", [answers.SHORTEST_ID, answers.LONGEST_ID])
def test_a_credential_id_of_every_length_that_is_allowed(length: int) -> None:
    """16 to 1,023 bytes."""
    assert len(answers.octets(made(Authenticator(OWN, id_bytes=length)).credential_id)) == length


@pytest.mark.parametrize(
    ("algorithm", "why"),
    [("RS256-1024", "a key that is not taken"), ("ES384", "ValueError")],
)
def test_a_key_that_is_not_taken(algorithm: Any, why: str) -> None:
    """Too short, or of an algorithm that nobody asked for."""
    with pytest.raises(Rejected) as rejected:
        made(Authenticator(OWN, algorithm=algorithm))
    assert str(rejected.value) in (why, "an algorithm that is not taken")


def test_the_curve_must_be_the_algorithms_own() -> None:
    """A P-384 key under the name of ES256 is refused."""
    device = Authenticator(OWN, algorithm="ES384")
    device.create(creation())
    lying = {**device.credentials[0].public_key, 3: -7}
    with pytest.raises(Rejected, match="a key that is not taken"):
        made(Authenticator(OWN), public_key=lying)


def test_an_attestation_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a chain of certificates is refused, even where the library finds it in order."""
    monkeypatch.setattr(answers, "_UNATTESTED", ())
    with pytest.raises(Rejected, match="attestation none, which nobody asked for"):
        made(Authenticator(OWN))


def test_the_credential_is_the_one_that_it_says() -> None:
    """The id beside the answer and the id in it are one."""
    said = json.loads(Authenticator(OWN).create(creation()))
    said["id"] = said["rawId"] = base64url(b"x" * 32)
    with pytest.raises(Rejected, match="another one than it says"):
        answers.made(HERE, answers.read(json.dumps(said)))


@pytest.mark.requirement("C-41")
def test_a_passkey_of_nobody_costs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key an answer is held against a key of nobody's, and never accepted, whatever fits."""
    device = Authenticator(OWN)
    new = made(device)
    with pytest.raises(Rejected, match="nobody's passkey"):
        shown(device, None)
    monkeypatch.setattr(answers, "_nobodys_key", lambda: new.public_key)
    with pytest.raises(Rejected, match="nobody's passkey"):
        shown(device, None)
    with pytest.raises(Rejected, match="the signature does not fit"):
        shown(device, new.public_key, tampered=True)


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", "null", "5", '"x"', '{"id": 5}', '{"id": "AA", "response": null}',
     '{"id": "AA", "response": {}}', '{"id": "A", "response": {"clientDataJSON": "AA"}}',
     '{"id": "AB", "response": {"clientDataJSON": "AA"}}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_answer(text: str) -> None:
    """Whatever is sent instead is told from an answer before anything is believed."""
    with pytest.raises(ValueError, match="not what a browser makes of a passkey"):
        answers.read(text)


@pytest.mark.parametrize("written", ["A", "AB", "AA=", "AA==", "A A", "A+", "A/", "é", "AAA\n"])
def test_bytes_have_one_spelling(written: str) -> None:
    """Two spellings of one credential would be two credentials to whoever compares text."""
    with pytest.raises(ValueError, match="base64url"):
        answers.octets(written)
    assert answers.octets(base64url(b"\xff\xfe")) == b"\xff\xfe"


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({}, True),
        ({"clientExtensionResults": {"credProps": {"rk": False}}}, False),
        ({"clientExtensionResults": {"credProps": {"rk": True}}}, True),
        ({"clientExtensionResults": {"credProps": 5}}, True),
        ({"clientExtensionResults": []}, True),
    ],
)
def test_whether_it_is_found_by_itself(results: dict[str, Any], expected: bool) -> None:
    """As far as the browser says; unknown transports are left out."""
    said = {"id": "AA", "response": {"clientDataJSON": "AA", "transports": ["usb", "x", 5, []]}, **results}
    said["response"]["transports"] = ["usb", "telepathy"]  # type: ignore[index]
    read = answers.read(json.dumps(said))
    assert (read.discoverable, read.transports) == (expected, ("usb",))


@pytest.mark.requirement("S3-083")
def test_when_a_counter_says_something() -> None:
    """It must grow, unless it is always 0 (WebAuthn section 6.1.1)."""
    cases = [(0, 0, True), (0, 1, True), (10, 11, True), (10, 10, False), (10, 9, False), (1, 0, False)]
    assert [answers.grown(before, now) for before, now, _ in cases] == [grown for *_, grown in cases]


# Names


@pytest.mark.parametrize(
    ("aaguid", "transports", "agent", "expected"),
    [
        ("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", [], "", "iCloud Keychain"),
        ("", ["usb", "nfc"], "Windows NT", "Security key"),
        ("", ["internal"], "iPhone; Mac OS X", "iPhone"),
        ("", ["internal", "hybrid"], "Linux; Android 16", "Android device"),
        ("", ["hybrid"], "Windows NT", "Passkey"),
        ("", [], "Macintosh; Intel Mac OS X", "Mac"),
        ("", [], "curl/8", "Passkey"),
    ],
)
def test_what_a_passkey_is_called_at_first(
    aaguid: str, transports: list[str], agent: str, expected: str
) -> None:
    """By who keeps it, or by what it is on."""
    assert names.called(aaguid, transports, agent) == expected


def test_two_of_a_name_are_told_apart() -> None:
    """The second gets a number."""
    assert names.distinct("Mac", []) == "Mac"
    assert names.distinct("Mac", ["mac", "Mac 2"]) == "Mac 3"


# Where there are none


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_site_at_an_address_has_none(benches: dict[str, Bench], framework: str) -> None:
    """No button and no question; the page says why, and a probe that it could not look."""
    with benches[framework].laboratory({"BASE_URL": ADDRESS}) as laboratory:
        client = laboratory.ordinary()
        assert "passkey_login" not in laboratory.visitor().page(laboratory.url("sign_in")).text
        reply = client.act("POST", laboratory.api("passkey_add_options"), json={})
        assert (reply.status, reply.code) == (404, "passkeys.unavailable")
        assert "open by its IP address" in client.page(laboratory.url("passkeys")).text
        outcomes = {attempt(CONTROL, probe, laboratory).outcome for probe in CONTROL.probes}
    assert outcomes == {"not_examined"}


def test_where_they_are_off_there_is_no_page(laboratory: Laboratory) -> None:
    """Nor a button at the sign-in page, nor an endpoint that answers."""
    client = laboratory.ordinary()
    options = ("passkey_add_options", "passkey_sign_in_options", "passkey_proof_options")
    pages = [laboratory.url("passkeys"), *map(laboratory.api, options)]
    with laboratory.under(Settings, off=True, because="tests"):
        assert client.page(pages[0]).status == 404
        for path in pages[1:]:
            assert client.act("POST", path, json={}).code == "errors.not_found"
        assert "passkey_login" not in laboratory.visitor().page(laboratory.url("sign_in")).text


# Whoever must have one


@pytest.mark.requirement("S3-083")
def test_whoever_must_have_a_second_factor_sets_up_a_passkey(laboratory: Laboratory) -> None:
    """Signing in ends at setting one up; with a passkey it goes on, and the last one cannot be removed."""
    client = laboratory.person("user")
    with laboratory.under(mfa.Settings, required=("user",)):
        laboratory.open_session(client, assurance=1)
        client.token_page = laboratory.url("passkeys")
        assert laboratory.whoami(client).status == 401
        device = laboratory.passkey(client)
        assert laboratory.whoami(client).status == 200
        [held] = client.get(laboratory.api("passkeys")).json()["passkeys"]
        wish = {"action": "remove", "passkey": held["id"]}
        reply = client.act("POST", laboratory.api("passkeys"), json=wish)
        assert (reply.status, reply.code) == (409, "mfa.needed")
        visitor = laboratory.visitor()
        asked = visitor.send(
            "POST", laboratory.api("passkey_sign_in_options"), headers=visitor.from_here, json={}
        )
        answer = {"credential": device.get(asked.json())}
        reply = visitor.send(
            "POST", laboratory.api("passkey_sign_in"), headers=visitor.from_here, json=answer
        )
        assert reply.status == 200
        assert laboratory.whoami(visitor).status == 200


# Proof


def test_the_promise_holds_where_a_copy_is_only_recorded(laboratory: Laboratory) -> None:
    """The probe of copied passkeys holds the site to what its own policy says."""
    with laboratory.under(Settings, counter="record"):
        probe = next(p for p in CONTROL.probes if p.name == "a_copied_passkey_is_noticed")
        assert attempt(CONTROL, probe, laboratory).outcome == "pass"
