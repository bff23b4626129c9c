"""JWT access tokens: what is read of a text, which keys are keys, and whom a request comes from."""

from __future__ import annotations

import base64
import hmac
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from bylaw.controls import jwt, mfa, passwords, rate_limits, sessions
from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.tokens import Claims, Maker, Unreadable
from bylaw.operations import chores, granting
from bylaw.operations.authority import SYSTEM
from bylaw.store import token_families as families
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications.stacks import hurry
from tests.controls.houses import ENVIRON, Builder

ME, NOTES = "/bearer/me", "/bearer/notes"
SECRET = "3c1f0d9e8b7a6958473625140f1e2d3c4b5a69788796a5b4c3d2e1f00112233f"
OTHER = "a7c1e09d3b5f72864c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0099"
US = "https://app.lab"
NOW = 1_800_000_000
CLAIMS = Claims("user", "family", 1, NOW, NOW + 1800, "id")


def maker(*keys: Key, algorithm: Any = "HS256") -> Maker:
    made = keys or (tokens.load("HS256", SECRET),)
    return Maker(algorithm, tokens.named(made), US, US)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def said(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A token's header and payload."""
    head, payload = (json.loads(base64.urlsafe_b64decode(each + "===")) for each in text.split(".")[:2])
    return head, payload


def sealed(head: Any, payload: Any, secret: str = SECRET) -> str:
    """A token that says this, with a good signature."""
    text = f"{part(head)}.{part(payload)}"
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def bear(client: Client, token: str, path: str = ME, method: str = "GET", **how: Any) -> Reply:
    return client.send(method, path, headers=[("Authorization", f"Bearer {token}")], **how)


# The text


@pytest.mark.requirement("S3-009", "S3-010", "S3-016", "S3-018")
def test_what_a_token_says() -> None:
    """The algorithm, a type and a key in its header; eight claims, no roles and no mail address."""
    text = maker().make(CLAIMS)
    head, payload = said(text)
    assert head == {"alg": "HS256", "typ": "at+jwt", "kid": next(iter(maker().keys))}
    assert payload == {
        "iss": US,
        "aud": US,
        "sub": "user",
        "sid": "family",
        "epoch": 1,
        "iat": NOW,
        "exp": NOW + 1800,
        "jti": "id",
    }
    assert maker().read(text, NOW) == CLAIMS
    assert len(text) < 512


@pytest.mark.requirement("S3-012", "S3-015")
@pytest.mark.parametrize(("at", "good"), [(-61, False), (-60, True), (0, True), (1799, True), (1800, False)])
def test_when_a_token_is_good(at: int, good: bool) -> None:
    """Until the second that it names, without leeway; from a minute before, for a clock that is behind."""
    text = maker().make(CLAIMS)
    if good:
        assert maker().read(text, NOW + at) == CLAIMS
    else:
        with pytest.raises(Unreadable):
            maker().read(text, NOW + at)


HEAD, PAYLOAD = said(maker().make(CLAIMS))


@pytest.mark.requirement("S3-009", "S3-010", "S3-014")
@pytest.mark.parametrize(
    "text",
    [
        *(pytest.param(sealed(HEAD, {k: v for k, v in PAYLOAD.items() if k != name}), id=f"no {name}")
          for name in PAYLOAD),
        *(pytest.param(sealed({k: v for k, v in HEAD.items() if k != name}, PAYLOAD), id=f"header: no {name}")
          for name in HEAD),
        *(pytest.param(sealed(HEAD, {**PAYLOAD, name: value}), id=f"{name}={value!r}"[:40])
          for name, value in [
              ("iss", "https://app.lab/"), ("iss", [US]), ("iss", ""), ("aud", [US]), ("aud", "https://app"),
              ("sub", 1), ("sub", ""), ("sub", "a\0b"), ("sub", "x" * 65), ("sid", None),
              ("sid", "' OR 1=1 --"),
              ("jti", []), ("exp", float(NOW + 1)), ("exp", True), ("exp", str(NOW + 1)), ("exp", None),
              ("exp", -1), ("iat", NOW + 61), ("iat", "now"), ("epoch", "1"), ("epoch", True),
              ("nbf", NOW + 61), ("nbf", "soon"), ("nbf", None),
          ]),
        *(pytest.param(sealed({**HEAD, name: value}, PAYLOAD), id=f"header: {name}={value!r}"[:40])
          for name, value in [
              ("typ", "JWT"), ("typ", "AT+JWT"), ("typ", "application/at+jwt"), ("typ", None),
              ("alg", "none"),
              ("alg", "HS384"), ("alg", "hs256"), ("kid", "../../../../dev/null"), ("kid", None), ("kid", []),
              ("kid", "x" * 100_000), ("crit", ["exp"]), ("b64", False), ("jku", "https://evil.test"),
              ("x5c", []), ("jwk", {"kty": "oct", "k": "AAAA"}), ("cty", "JWT"), ("zip", "DEF"),
          ]),
        pytest.param(sealed([], PAYLOAD), id="header: a list"),
        pytest.param(sealed(HEAD, []), id="a list"),
        pytest.param(sealed(HEAD, "text"), id="a text"),
        pytest.param(sealed(HEAD, b"{"), id="no JSON"),
        pytest.param(sealed(b'{"alg":"none",' + json.dumps(HEAD)[1:].encode(), PAYLOAD), id="alg twice"),
        pytest.param(sealed(HEAD, b'{"sub":"root",' + json.dumps(PAYLOAD)[1:].encode()), id="sub twice"),
        pytest.param(sealed(json.dumps(HEAD).encode("utf-16"), PAYLOAD), id="header: UTF-16"),
        pytest.param(sealed(HEAD, json.dumps(PAYLOAD).encode("utf-16")), id="UTF-16"),
        pytest.param(sealed(HEAD, json.dumps(PAYLOAD).encode("utf-8-sig")), id="byte order mark"),
        pytest.param(sealed(HEAD, b'{"a":' + b"[" * 5000), id="deep"),
        pytest.param(sealed(HEAD, PAYLOAD, OTHER), id="another key"),
        pytest.param(sealed(HEAD, PAYLOAD, ""), id="the empty key"),
        pytest.param(sealed(HEAD, {**PAYLOAD, "more": "x" * 2000}), id="long"),
    ],
)  # fmt: skip
def test_what_is_no_token(text: str) -> None:
    """Signed as it should be or not: another type, key, claim or shape is refused, whatever it says."""
    assert maker().read(sealed(HEAD, PAYLOAD), NOW) == CLAIMS, "the same without the change is taken"
    with pytest.raises(Unreadable):
        maker().read(text, NOW)


@pytest.mark.requirement("S3-009")
@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "NONE", "", None, "HS384", "HS512", "ES256"])
@pytest.mark.parametrize("seal", ["", "x", None])
def test_a_token_does_not_choose_how_it_is_checked(algorithm: str | None, seal: str | None) -> None:
    """CVE-2026-28802: unsigned, under each spelling of it, with no signature, another or the old one."""
    head, payload, old = maker().make(CLAIMS).split(".")
    other = part({**said(f"{head}.{payload}")[0], "alg": algorithm})
    text = f"{other}.{payload}.{old if seal is None else seal}"
    with pytest.raises(Unreadable):
        maker().read(text, NOW)


@pytest.mark.requirement("S3-014")
@pytest.mark.parametrize("algorithm", ["Ed25519", "ES256"])
def test_a_public_key_is_no_secret(algorithm: Any) -> None:
    """CVE-2022-29217: the public key in each of its forms, as the secret of HS256."""
    key = _made(algorithm)
    reader = maker(tokens.load(algorithm, _pem(key)), algorithm=algorithm)
    head, payload = said(reader.make(CLAIMS))
    pem = _pem(key, private=False)
    for secret in (pem, pem.strip(), f" \n{pem}", f"x{pem}", json.dumps(key.as_dict(private=False))):
        for alg in ("HS256", algorithm):
            with pytest.raises(Unreadable):
                reader.read(sealed({**head, "alg": alg}, payload, secret), NOW)
    assert reader.read(reader.make(CLAIMS), NOW) == CLAIMS


# Keys


def _made(algorithm: str) -> Any:
    return OKPKey.generate_key("Ed25519") if algorithm == "Ed25519" else ECKey.generate_key("P-256")


def _pem(key: Any, *, private: bool = True) -> str:
    return str(key.as_pem(private=private).decode())


@pytest.mark.parametrize("algorithm", ["Ed25519", "ES256"])
def test_keys_come_in_pem_or_as_jwk(algorithm: Any) -> None:
    """One key in two forms has one name; what its JWK says besides is not published."""
    key = _made(algorithm)
    data = {
        **key.as_dict(private=True),
        "alg": algorithm,
        "use": "sig",
        "key_ops": ["sign"],
        "x-note": "mine",
    }
    loaded = [tokens.load(algorithm, _pem(key)), tokens.load(algorithm, json.dumps(data))]
    assert len(tokens.named(loaded)) == 1
    reader = maker(*loaded, algorithm=algorithm)
    [published] = reader.published()
    assert published.keys() <= {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert published["kid"] == next(iter(reader.keys))
    elsewhere = ECKey if algorithm == "ES256" else OKPKey
    text = reader.make(CLAIMS)
    assert jws.deserialize_compact(text, elsewhere.import_key(published), algorithms=[algorithm]).payload


def test_another_service_cannot_make_what_it_checks() -> None:
    """Its keys are the published ones: public halves check and do not make."""
    key = _made("Ed25519")
    public = tokens.load("Ed25519", _pem(key, private=False))
    assert not tokens.makes(public)
    assert maker(public, algorithm="Ed25519").read(
        maker(tokens.load("Ed25519", _pem(key)), algorithm="Ed25519").make(CLAIMS), NOW
    )


_ED = OKPKey.generate_key("Ed25519").as_dict(private=True)
_EC = ECKey.generate_key("P-256").as_dict(private=True)


@pytest.mark.requirement("S3-011")
@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        ("HS256", ""),
        ("HS256", "short"),
        ("HS256", "x" * 31),
        ("HS256", _pem(_made("ES256"), private=False)),
        ("HS256", json.dumps(_ED)),
        ("HS256", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("Ed25519", SECRET),
        ("Ed25519", json.dumps(_EC)),
        ("Ed25519", _pem(OKPKey.generate_key("X25519"))),
        ("Ed25519", _pem(OKPKey.generate_key("Ed448"))),
        ("Ed25519", json.dumps({**_ED, "use": "enc"})),
        ("Ed25519", json.dumps({**_ED, "alg": "ES256"})),
        ("Ed25519", json.dumps({**_ED, "key_ops": ["encrypt"]})),
        ("Ed25519", json.dumps({**_ED, "kty": "EC"})),
        ("Ed25519", json.dumps({**_ED, "x": OKPKey.generate_key("Ed25519").as_dict()["x"]})),
        ("Ed25519", json.dumps(_ED)[:-1] + ', "kty": "OKP"}'),
        ("Ed25519", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        ("Ed25519", "{"),
        ("Ed25519", "{" * 5000),
        ("ES256", _pem(ECKey.generate_key("P-384"))),
        ("ES256", _pem(RSAKey.generate_key(2048))),
        ("ES256", json.dumps({**_EC, "kty": "RSA"})),
        ("ES256", json.dumps({**_EC, "y": _EC["x"]})),
        ("ES256", json.dumps({**_EC, "d": ECKey.generate_key("P-256").as_dict(private=True)["d"]})),
    ],
)  # fmt: skip
def test_what_is_no_key(algorithm: Any, text: str) -> None:
    """Of another kind, curve or use, of two halves, or too short: nothing is ever signed with it."""
    with pytest.raises(ValueError, match=f"no key for {algorithm}"):
        tokens.load(algorithm, text)


def test_a_key_goes_on_checking_until_it_is_taken_out() -> None:
    """Rotation: the new one makes, the old one's tokens are good, and after it is gone they are not."""
    old, new = tokens.load("HS256", OTHER), tokens.load("HS256", SECRET)
    text = maker(old).make(CLAIMS)
    both = maker(new, old)
    assert both.read(text, NOW) == CLAIMS
    assert said(both.make(CLAIMS))[0]["kid"] == next(iter(maker(new).keys))
    with pytest.raises(Unreadable):
        maker(new).read(text, NOW)


# The policy

JWT = '[jwt]\npaths = ["/api/*"]\nkey = "env:JWT_KEY"\n'


@pytest.mark.requirement("S3-011", "S1-066", "C-19")
@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (JWT, "", "JWT_KEY"),
        (JWT, " ", "not set"),
        (JWT, "None", "placeholder"),
        (JWT, "your_secret_key_here", "placeholder"),
        (JWT, "0123456789abcdef", "too short"),
        (JWT, "a" * 64, "one piece over and over"),
        (JWT, ENVIRON["SECRET_KEY"], "the key that signs cookies, too"),
        (JWT, f" {ENVIRON['SECRET_KEY']}\n", "the key that signs cookies, too"),
        (JWT, "correct horse battery staple correct horse battery staple", "words"),
        (JWT + 'earlier_keys = ["env:JWT_KEY"]\n', SECRET, "the same key twice"),
        (JWT + 'algorithm = "Ed25519"\n', SECRET, "it is no key for Ed25519"),
        (
            JWT + 'algorithm = "Ed25519"\n',
            _pem(_made("Ed25519"), private=False),
            "a public key signs nothing",
        ),
        (JWT + 'algorithm = "ES256"\n', _pem(_made("Ed25519")), "it is no key for ES256"),
        (JWT + 'algorithm = "none"\n', SECRET, "HS256"),
        (JWT + 'algorithm = "RS256"\n', SECRET, "HS256"),
        (JWT + 'lifetime = "2h"\n', SECRET, "3600 seconds or less"),
        (JWT + 'refresh_idle = "60d"\n', SECRET, "longer than a client can refresh"),
        (JWT + 'refresh_absolute = "90d"\n', SECRET, "because"),
        ('[jwt]\npaths = ["/api/*"]\n', SECRET, "nothing to sign with"),
        ('[jwt]\npaths = ["api"]\nkey = "env:JWT_KEY"\n', SECRET, "is no path"),
        ('[jwt]\npaths = ["/*"]\nkey = "env:JWT_KEY"\n', SECRET, "is no path"),
        ('[jwt]\npaths = ["/auth/login"]\nkey = "env:JWT_KEY"\n', SECRET, "bylaw's own pages"),
        (JWT + "[pages.aliases]\n" + '"/api/sign-in" = "/auth/api_login"\n', SECRET, "bylaw's own pages"),
    ],
)
def test_what_does_not_start(tmp_path: Path, text: str, key: str, says: str) -> None:
    """A key that others know or guess, a value that breaks the promise: refused, and never shown."""
    refusal = Builder(tmp_path).refusal(text, JWT_KEY=key)
    if says == "because":  # below the standard, which is allowed with a reason: said, not refused
        assert refusal == ""
        return
    assert says in refusal
    assert not key.strip() or len(key) < 10 or key.strip() not in refusal


@pytest.mark.requirement("S1-066")
def test_without_paths_there_are_no_tokens(tmp_path: Path) -> None:
    """No key is asked for, no address answers, and SECURITY.md says so."""
    policy = Builder(tmp_path).policy("")
    assert not jwt.used(policy)
    assert jwt.endpoints(policy) == frozenset()
    assert jwt.CONTROL.statement(policy) == ["There are no JWT access tokens."]


def test_a_token_endpoint_may_have_another_name_among_the_tokens_paths(tmp_path: Path) -> None:
    """`/api/token` is no page that goes by cookies: as an alias it takes none, either."""
    policy = Builder(tmp_path).policy(JWT + '[pages.aliases]\n"/api/token" = "/auth/token"\n', JWT_KEY=SECRET)
    assert "/api/token" in jwt.endpoints(policy)
    assert sessions.bearers(policy).covers("/auth/token")
    assert list(jwt.Settings(refresh_absolute=90 * 86400).below_standard())


def test_what_the_document_says(tmp_path: Path) -> None:
    """Where tokens are taken, how they are signed, how long they live, and what ends them."""
    said = " ".join(jwt.CONTROL.statement(Builder(tmp_path).policy(JWT, JWT_KEY=SECRET)))
    for fact in ("`/api/*`", "HS256", "30 minutes", "7 days", "30 days", "within 1 second", "second time"):
        assert fact in said


# A request


@pytest.fixture
def person(laboratory: Laboratory) -> Client:
    return laboratory.client("editor")


@pytest.mark.requirement("S3-015", "C-05")
def test_a_token_is_its_owner_in_the_application(laboratory: Laboratory, person: Client) -> None:
    """By a token alone, without a cookie: what its owner may, and no more."""
    token, program = laboratory.pair(person).access, laboratory.visitor()
    assert bear(program, token).json() == {"id": person.id, "method": "password"}
    assert bear(program, token, NOTES, "POST", json={"text": "by a program"}).status == 201
    assert bear(program, token, NOTES).status == 200
    reader = laboratory.pair(laboratory.client("user")).access
    refused = bear(program, reader, NOTES, "POST", json={"text": "x"})
    assert (refused.status, refused.code) == (403, "roles.forbidden")
    assert program.cookies == {}


def test_nobody_is_told_what_is_asked_for(laboratory: Laboratory) -> None:
    """Without a token a 401 asks for one, also to whoever would like a page: no cookie would help there."""
    for reply in (laboratory.visitor().get(ME), laboratory.visitor().page(ME)):
        assert reply.status == 401
        assert reply.header("www-authenticate").startswith("Bearer")


@pytest.mark.requirement("S3-015")
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_how_a_token_may_come(laboratory: Laboratory, person: Client, scheme: str) -> None:
    """The scheme in any case; not as Basic, not twice, not with a comma, not in the address or a form."""
    token = laboratory.pair(person).access
    visitor = laboratory.visitor()
    assert visitor.get(ME, headers=[("Authorization", f"{scheme} {token}")]).status == 200
    for fields in (
        [("Authorization", f"Basic {token}")],
        [("Authorization", token)],
        [("Authorization", f"{scheme} {token}, {scheme} {token}")],
        [("Authorization", f"{scheme} {token}"), ("Authorization", f"{scheme} {token}")],
        [("X-Authorization", f"{scheme} {token}")],
        [("Cookie", f"access_token={token}; Authorization={token}")],
    ):
        assert visitor.get(ME, headers=fields).status in (400, 401), fields
    assert visitor.get(f"{ME}?access_token={token}").status in (400, 401)
    assert visitor.send("POST", NOTES, form={"access_token": token, "text": "x"}).status in (401, 415)


@pytest.mark.requirement("S3-015", "C-17")
def test_of_cookie_and_token_each_counts_in_its_place(laboratory: Laboratory, person: Client) -> None:
    """On the paths of tokens a cookie is nobody, elsewhere a token is; with both the token's owner asks."""
    other = laboratory.client("manager")
    token = laboratory.pair(person).access
    assert other.get(ME).status == 401
    assert bear(other, token).json()["id"] == person.id
    assert bear(laboratory.visitor(), token, "/api/notes").status == 401
    assert other.get("/api/notes").status == 200
    assert bear(other, "x.y.z").status == 401, "a bad token is not mended by a good cookie"


@pytest.mark.requirement("C-05", "S3-072", "S3-017")
def test_a_role_that_is_lost_is_lost_at_the_next_request(laboratory: Laboratory, person: Client) -> None:
    """No role is in the token: it is read from the database, and remembered until it changes."""
    token, program = laboratory.pair(person).access, laboratory.visitor()
    assert bear(program, token, NOTES, "POST", json={"text": "one"}).status == 201
    granting.set_roles(laboratory.site.house, SYSTEM, person.id, ["user"])
    assert bear(program, token, NOTES, "POST", json={"text": "two"}).status == 403
    assert bear(program, token).status == 200


def test_a_role_that_ends_today_ends_in_memory_too(flask_laboratory: Laboratory) -> None:
    """What is remembered of a token never outlives the first of its owner's roles that expires."""
    lab = flask_laboratory
    person = lab.client("user")
    granting.grant(lab.site.house, SYSTEM, person.id, "editor", until=lab.clock() + 600, because="a week")
    token = lab.pair(person).access
    assert bear(lab.visitor(), token, NOTES, "POST", json={"text": "x"}).status == 201
    lab.clock.advance(600)
    assert bear(lab.visitor(), token, NOTES, "POST", json={"text": "x"}).status == 403


@pytest.mark.requirement("S1-156")
def test_a_role_that_asks_for_two_factors_asks_programs_too(laboratory: Laboratory, person: Client) -> None:
    """From the moment on at which the policy does: a token of one factor is good for nothing."""
    one, two = (laboratory.pair(person, assurance=n).access for n in (1, 2))
    assert bear(laboratory.visitor(), one).status == 200
    with laboratory.under(mfa.Settings, required=("editor",)):
        laboratory.site.house.store.memory.clear()
        assert bear(laboratory.visitor(), one).status == 401
        assert bear(laboratory.visitor(), two).status == 200


@pytest.mark.requirement("C-05")
def test_a_known_token_is_not_asked_about(laboratory: Laboratory, person: Client) -> None:
    """Zero queries from the second request on, until it expires; then it is looked at again, and refused."""
    token, visitor = laboratory.pair(person).access, laboratory.visitor()
    laboratory.site.house.store.feed.read()  # what was revoked until now is heeded now, not in between
    assert bear(visitor, token).status == 200
    with laboratory.unreachable(laboratory.site.house.store, "engine"):
        assert bear(visitor, token).status == 200
    laboratory.clock.advance(1800)
    assert bear(visitor, token).status == 401


@pytest.mark.requirement("C-05")
def test_cut_off_from_everything_it_refuses(laboratory: Laboratory, person: Client) -> None:
    """No feed: the database is asked each time. No database either: 503 and when to come again."""
    token, visitor, store = laboratory.pair(person).access, laboratory.visitor(), laboratory.site.house.store
    assert bear(visitor, token).status == 200
    with laboratory.cut_off():
        assert bear(visitor, token).status == 200
        with laboratory.unreachable(store, "engine"):
            reply = bear(visitor, token)
            assert (reply.status, reply.code, reply.header("retry-after")) == (503, "jwt.unavailable", "5")
        laboratory.disable(person)  # and memory still holds the token
        assert bear(visitor, token).status == 401


@pytest.mark.requirement("C-05")
def test_what_was_read_before_the_end_is_not_remembered_after_it(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request reads the family, the account is disabled, the request goes on: the next one is refused."""
    lab = flask_laboratory
    person, real = lab.client("editor"), families.find
    token = lab.pair(person).access

    def slow(connection: Any, family_id: str, now: float) -> Any:
        found = real(connection, family_id, now)
        connection.rollback()
        monkeypatch.setattr(families, "find", real)
        lab.disable(person)
        return found

    monkeypatch.setattr(families, "find", slow)
    assert bear(lab.visitor(), token).status == 200, "it began before"
    assert bear(lab.visitor(), token).status == 401


def test_the_last_use_is_written_down_off_the_request_path(
    flask_laboratory: Laboratory, caplog: pytest.LogCaptureFixture
) -> None:
    """By a chore, of whichever of a family's tokens was used last; an outage loses nothing."""
    lab = flask_laboratory
    house = lab.site.house
    person = lab.client("editor")
    pair = lab.pair(person)
    bear(lab.visitor(), pair.access)
    lab.clock.advance(60)
    bear(lab.visitor(), pair.access)
    before = _seen(lab, pair.family)
    with caplog.at_level(logging.WARNING, "bylaw.jwt"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "touch", _fails)
        jwt.write_seen(house)
    assert "was not written" in caplog.text
    assert _seen(lab, pair.family) == before
    jwt.write_seen(house)
    assert _seen(lab, pair.family) == lab.clock()
    chores.install(house)
    assert len(house.store.feed.chores) >= 4


def _fails(*given: Any) -> None:
    raise OperationalError("update", None, ConnectionError("gone"))


def _seen(lab: Laboratory, family_id: str) -> float:
    with lab.site.house.store.reading() as connection:
        family = families.find(connection, family_id, lab.clock())
    assert family is not None
    return family.seen_at


@pytest.mark.requirement("S3-011", "S3-014")
def test_a_new_key_in_the_running_application(flask_laboratory: Laboratory) -> None:
    """The key is changed with its predecessor kept: no client notices; without it each renews and goes on."""
    lab = flask_laboratory
    pair = lab.pair(lab.client("editor"))
    old = lab.policy.of(jwt.Settings).key
    with lab.under(jwt.Settings, key=SecretStr(OTHER), earlier_keys=(old,)):
        assert bear(lab.visitor(), pair.access).status == 200
    with lab.under(jwt.Settings, key=SecretStr(OTHER)):
        lab.site.house.store.memory.clear()
        assert bear(lab.visitor(), pair.access).status == 401
        renewed = lab.visitor().send("POST", "/auth/refresh", json={"refresh_token": pair.refresh})
        assert bear(lab.visitor(), renewed.json()["access_token"]).status == 200


@pytest.mark.parametrize("algorithm", ["Ed25519", "ES256"])
def test_other_services_check_with_the_published_keys(laboratory: Laboratory, algorithm: Any) -> None:
    """Signed with a private key, checked with the JWK set; with a shared secret there is no such set."""
    assert laboratory.visitor().get("/auth/jwks.json").status == 404
    key = _made(algorithm)
    with laboratory.under(jwt.Settings, algorithm=algorithm, key=SecretStr(_pem(key))):
        pair = laboratory.pair(laboratory.client("editor"))
        assert bear(laboratory.visitor(), pair.access).status == 200
        published = laboratory.visitor().get("/auth/jwks.json").json()["keys"]
        assert [each["kid"] for each in published] == [said(pair.access)[0]["kid"]]
        assert "d" not in published[0]
        kind: Any = OKPKey if algorithm == "Ed25519" else ECKey
        checked = jws.deserialize_compact(pair.access, kind.import_key(published[0]), algorithms=[algorithm])
        assert json.loads(checked.payload)["iss"] == US


# Where tokens are given


def form(lab: Laboratory, endpoint: str = "/auth/token", **fields: str) -> Reply:
    return lab.visitor().send("POST", endpoint, form=fields)


def grant(lab: Laboratory, person: Client, **more: str) -> Reply:
    fields = {"grant_type": "password", "username": person.email, "password": person.password, **more}
    return form(lab, **fields)


@pytest.mark.requirement("S3-012", "S3-018")
def test_as_an_oauth_client_asks(laboratory: Laboratory) -> None:
    """RFC 6749 4.3, as OAuth2PasswordRequestForm and Swagger's Authorize have it, and what they get."""
    hurry(laboratory)
    person = laboratory.person("editor")
    fields = {"grant_type": "password", "username": person.email, "password": person.password, "scope": ""}
    for headers in ([], [("Authorization", "Basic Og==")], laboratory.visitor().from_here):
        reply = laboratory.visitor().send(
            "POST", "/auth/token", form={**fields, "client_id": "", "resource": "ignored"}, headers=headers
        )
        assert reply.status == 200
        assert reply.header("cache-control") == "no-store"
        assert reply.header("content-type") == "application/json"
        assert reply.all("set-cookie") == []
        given = reply.json()
        assert given.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 1800)
    renewed = form(laboratory, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert renewed.status == 200
    again = form(laboratory, "/auth/refresh", refresh_token=renewed.json()["refresh_token"])
    assert bear(laboratory.visitor(), again.json()["access_token"]).status == 200
    ended = form(laboratory, "/auth/revoke", token=again.json()["refresh_token"], token_type_hint="wrong")
    assert (ended.status, ended.json()) == (200, {})
    assert bear(laboratory.visitor(), again.json()["access_token"]).status == 401


@pytest.mark.requirement("C-11", "C-41")
@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "{me}"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "{me}", "password": "wrong"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "no@x.test", "password": "wrong"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "no@x.test", "password": "a\0b"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "x" * 300, "password": "w"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a", "scope": "admin"}, 400, "invalid_scope"),
        ({"grant_type": "password", "username": "a", "client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "bylaw_rt_x"}, 400, "invalid_grant"),
    ],
)  # fmt: skip
def test_what_a_client_is_refused_with(
    flask_laboratory: Laboratory, fields: dict[str, str], status: int, error: str
) -> None:
    """RFC 6749 5.2: the protocol's word, and a sentence that holds nothing of what was sent."""
    hurry(flask_laboratory)
    person = flask_laboratory.person()
    sent = {k: v.replace("{me}", person.email) for k, v in fields.items()}
    reply = form(flask_laboratory, **sent)
    said = reply.json()
    assert (reply.status, said["error"]) == (status, error)
    assert reply.header("content-type") == "application/json"
    assert said["code"].partition(".")[0] in ("jwt", "passwords", "errors")
    assert person.email not in reply.text
    assert set(said["error_description"]) <= set(map(chr, range(0x20, 0x7F))) - set('"\\')


def test_other_ways_to_ask(laboratory: Laboratory) -> None:
    """JSON is taken; a parameter that comes twice, another type, GET and a client's secret are not."""
    hurry(laboratory)
    person, visitor = laboratory.person(), laboratory.visitor()
    fields = {"grant_type": "password", "username": person.email, "password": person.password}
    assert visitor.send("POST", "/auth/token", json=fields).status == 200
    twice = visitor.send("POST", "/auth/token", form=[*fields.items(), ("grant_type", "refresh_token")])
    assert (twice.status, twice.json()["error"]) == (400, "invalid_request")
    other = visitor.send("POST", "/auth/token", body=b"x", headers=[("Content-Type", "text/plain")])
    assert other.status == 415
    files = visitor.send(
        "POST",
        "/auth/token",
        body=b"--b--",
        headers=[("Content-Type", "multipart/form-data; boundary=b")],
    )
    assert (files.status, files.json()["error"]) == (415, "invalid_request")
    assert visitor.get("/auth/token").status == 405
    basic = base64.b64encode(b"client:secret").decode()
    reply = visitor.send("POST", "/auth/token", form=fields, headers=[("Authorization", f"Basic {basic}")])
    assert (reply.status, reply.json()["error"]) == (401, "invalid_client")
    assert reply.header("www-authenticate").startswith("Basic")
    numbers = visitor.send("POST", "/auth/refresh", json={"refresh_token": 1})
    assert (numbers.status, numbers.json()["error"]) == (400, "invalid_request")
    wrong = visitor.send("POST", "/auth/refresh", json={"refresh_token": "x", "grant_type": "password"})
    assert wrong.json()["error"] == "unsupported_grant_type"


@pytest.mark.requirement("C-17")
def test_no_cookie_counts_where_tokens_are_given(laboratory: Laboratory, person: Client) -> None:
    """No token against forgery is needed there, since no session counts."""
    before = dict(person.cookies)
    refused = person.send("POST", "/auth/token", form={"grant_type": "password"})
    assert refused.json()["error"] == "invalid_request"
    pair = laboratory.pair(person)
    assert person.send("POST", "/auth/refresh", json={"refresh_token": pair.refresh}).status == 200
    assert person.cookies == before
    foreign = person.send(
        "POST",
        "/auth/token",
        form={"grant_type": "password", "username": person.email, "password": person.password},
        headers=[("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")],
    )
    assert (foreign.status, foreign.code) == (403, "csrf.cross_site")


def test_the_limit_of_the_sign_in_page_holds_here(benches: dict[str, Bench]) -> None:
    """Two doors, one count: whoever has used up his tries at the page has none left for tokens."""
    routes = {"/auth/login": ("3/minute",)}
    with benches["flask"].laboratory() as lab, lab.paced(), lab.under(rate_limits.Settings, routes=routes):
        visitor = lab.visitor()
        for number in range(3):
            how = [("/auth/api_login", {"email": "a@b.test", "password": "\0"}), ("/auth/token", {})]
            path, fields = how[number % 2]
            visitor.send("POST", path, json=fields, headers=visitor.from_here)
        assert visitor.send("POST", "/auth/token", json={}).status == 429


def test_without_passwords_none_is_taken(flask_laboratory: Laboratory) -> None:
    """A policy that has people sign in otherwise gives no token for a password; refreshing goes on."""
    pair = flask_laboratory.pair(flask_laboratory.client("editor"))
    with flask_laboratory.under(passwords.Settings, off=True):
        reply = form(flask_laboratory, grant_type="password", username="a@b.test", password="x")
        assert (reply.status, reply.json()["error"]) == (400, "unsupported_grant_type")
        again = form(flask_laboratory, grant_type="refresh_token", refresh_token=pair.refresh)
        assert again.status == 200


# What its owner sees


@pytest.mark.requirement("C-05")
def test_programs_are_seen_and_ended_on_the_page_of_sessions(laboratory: Laboratory, person: Client) -> None:
    """Each with from where and since when; one is ended by its id, all of them with everything else."""
    first, second = laboratory.pair(person), laboratory.pair(person)
    listed = person.get("/auth/api_sessions").json()["programs"]
    assert {each["id"] for each in listed} == {first.family, second.family}
    assert listed[0]["agent"] == "laboratory"
    assert "Programs" in person.page("/auth/sessions").text
    assert person.get("/auth/api_account").json()["programs"] == 2
    assert person.act("POST", "/auth/api_sessions", json={"session": first.family}).status == 200
    assert bear(laboratory.visitor(), first.access).status == 401
    assert bear(laboratory.visitor(), second.access).status == 200
    stranger = laboratory.client("user")
    assert stranger.act("POST", "/auth/api_sessions", json={"session": second.family}).status == 200
    assert bear(laboratory.visitor(), second.access).status == 200, "nobody ends another's"
    assert person.act("POST", "/auth/api_sessions", json={"session": "everywhere"}).status == 200
    assert bear(laboratory.visitor(), second.access).status == 401


def test_the_openapi_document_says_how_to_sign_in(benches: dict[str, Bench]) -> None:
    """Swagger's Authorize finds the token's address; each path says which credential it takes."""
    with benches["fastapi"].laboratory() as lab:
        document = lab.app.openapi()
    schemes = document["components"]["securitySchemes"]
    flow = schemes["oauth2"]["flows"]["password"]
    assert flow == {"tokenUrl": "/auth/token", "refreshUrl": "/auth/refresh", "scopes": {}}
    assert {"oauth2": []} in document["paths"]["/bearer/notes"]["get"]["security"]
    assert document["paths"]["/api/notes"]["get"]["security"] == [{"session": []}]
    taken = document["paths"]["/auth/token"]["post"]["requestBody"]["content"]
    assert taken.keys() == {"application/x-www-form-urlencoded", "application/json"}


def test_an_identity_of_a_token_is_told_by_the_laboratorys_clock(flask_laboratory: Laboratory) -> None:
    """`demand_fresh` counts from the sign-in, by the clock of the house."""
    lab = flask_laboratory
    person = lab.client("editor")
    bear(lab.visitor(), lab.pair(person).access)
    [known] = [k for k in lab.site.house.store.memory._by_digest.values() if k.kind == "jwt"]
    assert known.identity.clock() == lab.clock()
    known.identity.demand_fresh(60)
    lab.clock.advance(61)
    with pytest.raises(Exception, match=r"mfa\.step_up"):
        known.identity.demand_fresh(60)
