"""The relying party's half of OpenID Connect: against a certified provider, and against every forgery."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jws

from bylaw.oidc import (
    DOWN_FOR,
    KEYS_AGAIN,
    KEYS_FOR,
    Client,
    Declined,
    Provider,
    Transaction,
    Unasked,
    Unreachable,
    Untrusted,
    safe,
)
from bylaw.outbound import Client as Asking
from bylaw.outbound import Rules, Target
from bylaw.ports import Network, Received
from bylaw.verify.fakes import FakeClock
from bylaw.verify.issuer import Issuer
from tests.oidc import provider as certified

BACK = "https://app.lab/auth/callback/lab"
SECRETS = ("s" * 43, "n" * 43, "v" * 43)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(FakeClock())


def party(issuer: Issuer, **how: Any) -> Provider:
    """A relying party that has not asked the issuer anything yet."""
    return Provider(issuer.url, network=issuer, clock=issuer.clock, **how)


def client(issuer: Issuer) -> Client:
    return Client(issuer.client_id, issuer.client_secret, BACK)


def begun(issuer: Issuer, known: Provider) -> tuple[Transaction, str]:
    """A transaction, and where the browser is sent."""
    transaction, state, nonce = Transaction.made(SECRETS, issuer.clock())
    return transaction, known.address(client(issuer), transaction, state=state, nonce=nonce)


def sign_in(issuer: Issuer, known: Provider | None = None, **claims: Any) -> Any:
    """All the way there and back."""
    known = known or party(issuer)
    transaction, address = begun(issuer, known)
    return known.claims(client(issuer), transaction, issuer.consent(address, **claims))


# A certified provider


def network_of(issuer: str) -> Network:
    """The network of a policy that names this issuer, which is on this very machine."""
    return Asking(Rules(hosts=("127.0.0.1", "localhost"), origins=(Target.read(issuer).origin,)))


@pytest.fixture(scope="module")
def real() -> Iterator[certified.Running]:
    with certified.running(BACK) as running:
        yield running


@pytest.mark.requirement("S1-018", "C-42")
def test_a_certified_provider_and_back(real: certified.Running) -> None:
    """Discovery, PKCE (which it requires), state, nonce, `iss`, signature and userinfo: all of it real."""
    known = Provider(real.issuer, network=network_of(real.issuer), clock=time.time, plain=True)
    who = Client(certified.CLIENT["client_id"], certified.CLIENT["client_secret"], BACK)
    transaction, state, nonce = Transaction.made(SECRETS, time.time())
    address = known.address(who, transaction, state=state, nonce=nonce)
    query = real.consent(address, "ann", BACK)
    claims = known.claims(who, transaction, query)
    assert (claims.subject, claims.email, claims.email_verified) == ("ann", "ann@people.example", True)
    with pytest.raises(Untrusted, match=r"not taken \(400\)"):  # it was redeemed: the provider knows
        known.claims(who, transaction, query)
    # The same with another verifier, as a thief of the code would have it.
    query = real.consent(known.address(who, transaction, state=state, nonce=nonce), "ann", BACK)
    thief = Transaction(transaction.state, transaction.nonce, "w" * 43, transaction.begun)
    with pytest.raises(Untrusted, match="not taken"):
        known.claims(who, thief, query)


@pytest.mark.requirement("S1-023")
def test_a_certified_provider_that_does_not_vouch_for_an_address(real: certified.Running) -> None:
    """What it does not say is verified is not."""
    known = Provider(real.issuer, network=network_of(real.issuer), clock=time.time, plain=True)
    who = Client(certified.CLIENT["client_id"], certified.CLIENT["client_secret"], BACK)
    transaction, state, nonce = Transaction.made(SECRETS, time.time())
    address = known.address(who, transaction, state=state, nonce=nonce)
    claims = known.claims(who, transaction, real.consent(address, "unproven", BACK))
    assert (claims.email, claims.email_verified) == ("unproven@people.example", False)


# What is sent


@pytest.mark.requirement("S1-018", "S1-020", "S1-021", "C-42")
def test_what_a_request_asks_for(issuer: Issuer) -> None:
    """A code, with S256 of the verifier, the state and nonce themselves, and one address to come back to."""
    _, address = begun(issuer, party(issuer))
    where, _, query = address.partition("?")
    assert where == f"{issuer.url}/authorize"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
    assert dict(parse_qsl(query)) == {
        "response_type": "code",
        "client_id": issuer.client_id,
        "redirect_uri": BACK,
        "scope": "openid email profile",
        "state": "s" * 43,
        "nonce": "n" * 43,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }


def test_what_is_kept_of_a_sign_in_is_no_secret_that_was_sent() -> None:
    """State and nonce are kept as digests: a copy of the table answers nothing (C-40)."""
    transaction, state, nonce = Transaction.made(SECRETS, 0.0)
    assert state not in repr(transaction)
    assert nonce not in repr(transaction)
    assert "v" * 43 not in repr(transaction)
    assert "secret" not in repr(Client("id", "the secret", BACK)).replace("secret=", "")


@pytest.mark.parametrize(
    ("ways", "where"),
    [
        (["client_secret_basic"], "header"),
        (["client_secret_post"], "form"),
        (["private_key_jwt", "client_secret_post"], "form"),
        (None, "header"),
    ],
)
def test_the_clients_secret_goes_where_the_issuer_takes_it(ways: list[str] | None, where: str) -> None:
    """In the header unless the issuer takes it in the form alone; each half of it encoded before."""
    issuer = Issuer(FakeClock(), client_id="a:b", client_secret="100% + more/ä")
    if ways:
        issuer.metadata["token_endpoint_auth_methods_supported"] = ways
    seen: list[tuple[dict[str, str], bytes]] = []

    def network(method: str, url: str, /, **how: Any) -> Received:
        if url.endswith("/token"):
            seen.append((dict(how["headers"]), how["body"]))
        return issuer(method, url, **how)

    known = Provider(issuer.url, network=network, clock=issuer.clock)
    assert sign_in(issuer, known).subject == "somebody"
    [(headers, body)] = seen
    assert ("Authorization" in headers) == (where == "header")
    assert (b"client_secret" in body) == (where == "form")
    assert b"code_verifier" in body


# The answer in the browser


def answer(issuer: Issuer, known: Provider, **changes: str | None) -> str:
    """An answer with other parameters, for a transaction that was begun; None leaves one out."""
    _, address = begun(issuer, known)
    pairs = {**dict(parse_qsl(issuer.consent(address))), **changes}
    return urlencode({name: value for name, value in pairs.items() if value is not None})


@pytest.mark.requirement("S1-021", "C-42")
@pytest.mark.parametrize(
    "change",
    [
        {"state": None},
        {"state": ""},
        {"state": "s" * 42},
        {"state": "s" * 44},
        {"state": "S" * 43},
        {"state": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")},
    ],
)
def test_an_answer_with_another_state(issuer: Issuer, change: dict[str, str | None]) -> None:
    """A021: it was not asked for, and its code is not even redeemed."""
    known = party(issuer)
    query = answer(issuer, known, **change)
    before = len(issuer.asked)
    with pytest.raises(Unasked):
        known.claims(client(issuer), begun(issuer, known)[0], query)
    assert issuer.asked[before:] == []


@pytest.mark.requirement("S1-021")
@pytest.mark.parametrize("name", ["state", "code", "iss"])
def test_a_parameter_twice(issuer: Issuer, name: str) -> None:
    """What two programs would read in two ways is refused (RFC 6749 section 3.1)."""
    known = party(issuer)
    query = answer(issuer, known)
    with pytest.raises(Unasked):
        known.claims(client(issuer), begun(issuer, known)[0], f"{query}&{name}=other")


@pytest.mark.requirement("C-42")
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("iss", [None, "", "https://evil.test", "https://issuer.lab/", "HTTPS://issuer.lab"])
def test_another_issuers_answer(issuer: Issuer, announced: bool, iss: str | None) -> None:
    """RFC 9207: an issuer that says who answers must say so, and whoever says it must be right."""
    issuer.metadata["authorization_response_iss_parameter_supported"] = announced
    known = party(issuer)
    query = answer(issuer, known, iss=iss)
    transaction = begun(issuer, known)[0]
    if iss is None and not announced:
        assert known.claims(client(issuer), transaction, query).subject == "somebody"
        return
    with pytest.raises(Untrusted, match="another issuer answers"):
        known.claims(client(issuer), transaction, query)


@pytest.mark.parametrize("code", [None, "", "x" * 5000])
def test_an_answer_without_a_code(issuer: Issuer, code: str | None) -> None:
    """None, an empty or an endless one: nothing is sent to the issuer."""
    known = party(issuer)
    with pytest.raises(Untrusted, match="no code"):
        known.claims(client(issuer), begun(issuer, known)[0], answer(issuer, known, code=code))


def test_an_error_in_the_place_of_a_code(issuer: Issuer) -> None:
    """Whatever the error is: it is told apart from a lie, and none of its words are kept."""
    known = party(issuer)
    query = answer(issuer, known, code=None, error="access_denied", error_description="<b>no</b>")
    with pytest.raises(Declined) as declined:
        known.claims(client(issuer), begun(issuer, known)[0], query)
    assert str(declined.value) == ""


@pytest.mark.parametrize("query", ["state=%ff", "&".join(f"a{n}=b" for n in range(60)), "state=%C0%AF"])
def test_an_answer_that_cannot_be_read(query: str) -> None:
    """Bytes that are no UTF-8, or more parameters than anybody needs."""
    with pytest.raises(Unasked, match="cannot be read"):
        Transaction.made(SECRETS, 0.0)[0].answered(query)


@given(st.text(max_size=300))
def test_any_answer_at_all(query: str) -> None:
    """Whatever stands in the address, it is an answer of another sign-in and nothing else."""
    with pytest.raises(Unasked):
        Transaction.made(SECRETS, 0.0)[0].answered(query)


# The id_token


_OTHERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "iss of evil": lambda c: {**c, "iss": "https://issuer.lab.evil.test"},
    "iss cut": lambda c: {**c, "iss": "https://issuer.la"},
    "iss with a slash": lambda c: {**c, "iss": c["iss"] + "/"},
    "iss in capitals": lambda c: {**c, "iss": c["iss"].upper()},
    "iss a list": lambda c: {**c, "iss": [c["iss"]]},
    "iss empty": lambda c: {**c, "iss": ""},
    "iss missing": lambda c: {k: v for k, v in c.items() if k != "iss"},
    "aud of another": lambda c: {**c, "aud": "another"},
    "aud in a list with another": lambda c: {**c, "aud": ["another", c["aud"]]},
    "aud with another azp": lambda c: {**c, "aud": [c["aud"], "another"], "azp": "another"},
    "aud twice": lambda c: {**c, "aud": [c["aud"], c["aud"]]},
    "aud a part": lambda c: {**c, "aud": c["aud"] + "x"},
    "aud empty": lambda c: {**c, "aud": []},
    "aud missing": lambda c: {k: v for k, v in c.items() if k != "aud"},
    "azp of another": lambda c: {**c, "azp": "another"},
    "azp none": lambda c: {**c, "azp": None},
    "nonce missing": lambda c: {k: v for k, v in c.items() if k != "nonce"},
    "nonce of another": lambda c: {**c, "nonce": "m" * 43},
    "nonce empty": lambda c: {**c, "nonce": ""},
    "nonce a list": lambda c: {**c, "nonce": [c["nonce"]]},
    "nonce a digest": lambda c: {**c, "nonce": hashlib.sha256(c["nonce"].encode()).hexdigest()},
    "exp past": lambda c: {**c, "exp": c["iat"] - 60},
    "exp missing": lambda c: {k: v for k, v in c.items() if k != "exp"},
    "exp text": lambda c: {**c, "exp": "9999999999"},
    "exp true": lambda c: {**c, "exp": True},
    "exp endless": lambda c: {**c, "exp": float("inf")},
    "exp no number": lambda c: {**c, "exp": float("nan")},
    "exp huge": lambda c: {**c, "exp": 10**400},
    "iat missing": lambda c: {k: v for k, v in c.items() if k != "iat"},
    "iat of an earlier sign-in": lambda c: {**c, "iat": c["iat"] - 61},
    "iat of tomorrow": lambda c: {**c, "iat": c["iat"] + 86400},
    "nbf of tomorrow": lambda c: {**c, "nbf": c["iat"] + 86400},
    "nbf text": lambda c: {**c, "nbf": "now"},
    "sub missing": lambda c: {k: v for k, v in c.items() if k != "sub"},
    "sub empty": lambda c: {**c, "sub": ""},
    "sub a number": lambda c: {**c, "sub": 111},
    "sub endless": lambda c: {**c, "sub": "x" * 256},
    "sub with NUL": lambda c: {**c, "sub": "a\0"},
    "sub not ASCII": lambda c: {**c, "sub": "änn"},
    "sub a surrogate": lambda c: {**c, "sub": "\ud800"},
    "at_hash of another": lambda c: {**c, "at_hash": "x" * 22},
    "at_hash a list": lambda c: {**c, "at_hash": []},
    "at_hash not ASCII": lambda c: {**c, "at_hash": "ä\ud800"},
}


@pytest.mark.requirement("C-42")
@pytest.mark.parametrize("change", _OTHERS.values(), ids=_OTHERS)
def test_an_id_token_for_somebody_else(
    issuer: Issuer, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """A028 to A030: well signed, by the right issuer, and not for this sign-in."""
    with issuer.saying(claims=change), pytest.raises(Untrusted):
        sign_in(issuer)
    assert sign_in(issuer).subject == "somebody"


@pytest.mark.parametrize(
    "change",
    [
        lambda c: {**c, "aud": [c["aud"]], "azp": c["aud"]},
        lambda c: {**c, "exp": c["iat"] - 59},
        lambda c: {**c, "iat": c["iat"] + 59, "nbf": c["iat"] + 59},
        lambda c: {**c, "iat": c["iat"] + 0.5},
    ],
)
def test_what_a_right_id_token_may_say(issuer: Issuer, change: Any) -> None:
    """Its one audience in a list, and clocks that differ by less than a minute."""
    with issuer.saying(claims=change):
        assert sign_in(issuer).subject == "somebody"


def test_the_access_token_that_came_along(issuer: Issuer) -> None:
    """Where the id_token has its hash, it must be this one's."""

    def hashed(said: dict[str, Any]) -> dict[str, Any]:
        claims = json.loads(jws.extract_compact(said["id_token"].encode()).payload)
        digest = hashlib.sha256(said["access_token"].encode()).digest()[:16]
        claims["at_hash"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return {**said, "id_token": issuer.signed(claims)}

    with issuer.saying(answer=hashed):
        assert sign_in(issuer).subject == "somebody"
    with (
        issuer.saying(answer=lambda said: {**hashed(said), "access_token": "another"}),
        pytest.raises(Untrusted),
    ):
        sign_in(issuer)


def resigned(token: str, key: Any, **header: Any) -> str:
    made = jws.extract_compact(token.encode())
    said = {k: v for k, v in {**made.headers(), **header}.items() if v is not None}
    names = ["RS256", "ES256", "HS256", "RS512"]
    return jws.serialize_compact(said, made.payload, key, algorithms=names)


def reheaded(token: str, **header: Any) -> str:
    """Another header over the same claims, unsigned."""
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


@pytest.mark.requirement("C-42")
@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", None, 1, ["ES256"], "HS256", "RSA1_5", "dir"]
)
def test_an_id_token_without_a_signature(issuer: Issuer, alg: Any) -> None:
    """In every spelling, also where the issuer's own document says that it does without."""
    kid = issuer.keys[-1].kid
    with issuer.saying(token=lambda t: reheaded(t, alg=alg, kid=kid)), pytest.raises(Untrusted):
        sign_in(issuer)


@pytest.mark.requirement("C-42")
def test_the_public_key_as_a_secret(issuer: Issuer) -> None:
    """HS256 with whatever form of the public key, or with the client's secret: RFC 8725 section 2.1."""
    key = issuer.keys[-1]
    forms = [
        json.dumps(key.as_dict(private=False)),
        key.as_pem(private=False),
        key.as_der(private=False),
        issuer.client_secret.ljust(32, "x"),
    ]
    for form in forms:
        secret = jwk.OctKey.import_key(
            base64.urlsafe_b64encode(form if isinstance(form, bytes) else form.encode())
        )
        with (
            issuer.saying(token=lambda t, secret=secret: resigned(t, secret, alg="HS256")),
            pytest.raises(Untrusted),
        ):
            sign_in(issuer)


@pytest.mark.requirement("C-42")
@pytest.mark.parametrize("how", ["same kid", "no kid", "jwk", "jku", "x5u", "unknown kid", "kid a path"])
def test_somebody_elses_key(issuer: Issuer, how: str) -> None:
    """Under the name of the issuer's, brought along, or to be fetched: it is not the issuer's."""
    theirs = jwk.ECKey.generate_key("P-256", auto_kid=True)
    header: dict[str, Any] = {
        "same kid": {},
        "no kid": {"kid": None},
        "jwk": {"jwk": theirs.as_dict(private=False)},
        "jku": {"kid": theirs.kid, "jku": "https://evil.test/keys"},
        "x5u": {"kid": theirs.kid, "x5u": "https://evil.test/keys"},
        "unknown kid": {"kid": theirs.kid},
        "kid a path": {"kid": "../../../../dev/null"},
    }[how]
    with issuer.saying(token=lambda t: resigned(t, theirs, **header)), pytest.raises(Untrusted):
        sign_in(issuer)
    assert not [url for url in issuer.asked if "evil" in url]


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "secevent+jwt", "JWE"])
def test_another_kind_of_token(issuer: Issuer, typ: Any) -> None:
    """An access or logout token of the same issuer is no id_token (RFC 8725 section 3.11)."""
    header = {"typ": typ}
    with issuer.saying(header=lambda h: {**h, **header}), pytest.raises(Untrusted):
        sign_in(issuer)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "missing"])
def test_how_an_id_token_may_call_itself(issuer: Issuer, typ: str) -> None:
    """As the RFC has it, in any case, or not at all."""

    def called(header: dict[str, Any]) -> dict[str, Any]:
        said = {k: v for k, v in header.items() if k != "typ"}
        return said if typ == "missing" else {**said, "typ": typ}

    with issuer.saying(header=called):
        assert sign_in(issuer).subject == "somebody"


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "a.b.c.d.e", "x" * 20_000, None, 1, [], "e30.e30.e30", "\ud800", "é.é.é",
     "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.e30.e30"],
)  # fmt: skip
def test_what_is_no_token(issuer: Issuer, token: Any) -> None:
    """Whatever is in its place."""
    with issuer.saying(answer=lambda said: {**said, "id_token": token}), pytest.raises(Untrusted):
        sign_in(issuer)


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"token_type": "mac"},
        {"token_type": None},
        {"expires_in": "x"},
        {"id_token": None},
    ],
)
def test_an_answer_that_is_none(issuer: Issuer, change: dict[str, Any]) -> None:
    """A token endpoint that leaves out what it must say."""

    def without(said: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in {**said, **change}.items() if v is not None}

    with issuer.saying(answer=without), pytest.raises(Untrusted):
        sign_in(issuer)


# Keys


@pytest.mark.requirement("C-42")
def test_a_new_key_is_looked_for_but_not_all_day(issuer: Issuer) -> None:
    """Keys change, and are found; tokens that name invented ones have nobody asked all day."""
    clock, known = issuer.clock, party(issuer)
    assert isinstance(clock, FakeClock)
    sign_in(issuer, known)
    old = issuer.keys[-1]
    clock.advance(KEYS_AGAIN)
    issuer.rotate(keep=True)
    sign_in(issuer, known)
    before = len(issuer.asked)
    theirs = jwk.ECKey.generate_key("P-256", auto_kid=True)
    for _ in range(20):
        with issuer.saying(token=lambda t: resigned(t, theirs, kid=theirs.kid)), pytest.raises(Untrusted):
            sign_in(issuer, known)
    assert not [url for url in issuer.asked[before:] if url.endswith("/keys")]
    # A key that the issuer has withdrawn is forgotten, too.
    issuer.keys = [issuer.keys[-1]]
    clock.advance(KEYS_FOR)
    with issuer.saying(token=lambda t: resigned(t, old, kid=old.kid)), pytest.raises(Untrusted):
        sign_in(issuer, known)
    assert sign_in(issuer, known).subject == "somebody"


@pytest.mark.parametrize(
    "keys",
    [
        None,
        [],
        "keys",
        [1, None],
        [{"kty": "EC"}],
        [{"kty": "oct", "k": "eA"}],
        [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}],
        [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}],
        [{"kty": "EC", "crv": "P-1", "x": 1, "y": []}],
    ],
)
def test_keys_that_are_none(issuer: Issuer, keys: Any) -> None:
    """A document without keys, with secrets, with points that are not on the curve."""

    def network(method: str, url: str, /, **how: Any) -> Received:
        if url.endswith("/keys"):
            return Received(200, "application/json", json.dumps({"keys": keys}).encode())
        return issuer(method, url, **how)

    known = Provider(issuer.url, network=network, clock=issuer.clock)
    with issuer.saying(header=lambda h: {k: v for k, v in h.items() if k != "kid"}), pytest.raises(Untrusted):
        sign_in(issuer, known)


def test_a_key_for_something_else(issuer: Issuer) -> None:
    """One that encrypts, or is of another algorithm, signs nothing; nor does one of two without a name."""
    for more in ({"use": "enc"}, {"alg": "ES384"}):

        def network(method: str, url: str, /, more: dict[str, str] = more, **how: Any) -> Received:
            if url.endswith("/keys"):
                key = {**issuer.keys[-1].as_dict(private=False), **more}
                return Received(200, "application/json", json.dumps({"keys": [key]}).encode())
            return issuer(method, url, **how)

        with pytest.raises(Untrusted, match="does not publish"):
            sign_in(issuer, Provider(issuer.url, network=network, clock=issuer.clock))
    issuer.rotate(keep=True)
    with issuer.saying(header=lambda h: {k: v for k, v in h.items() if k != "kid"}), pytest.raises(Untrusted):
        sign_in(issuer)


def test_a_short_key_is_not_taken() -> None:
    """RSA of fewer than 2,048 bits signs nothing (NIST SP 800-131A)."""
    issuer = Issuer(FakeClock())
    issuer.keys = [jwk.RSAKey.generate_key(2048, auto_kid=True)]
    assert sign_in(issuer).subject == "somebody"
    made = rsa.generate_private_key(65537, 1024)  # noqa: S505 - as breakable as it must be here

    def network(method: str, url: str, /, **how: Any) -> Received:
        if url.endswith("/keys"):
            numbers = made.public_key().public_numbers()
            n = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).decode().rstrip("=")
            key = {"kty": "RSA", "kid": issuer.keys[-1].kid, "n": n, "e": "AQAB"}
            return Received(200, "application/json", json.dumps({"keys": [key]}).encode())
        return issuer(method, url, **how)

    with warnings.catch_warnings(), pytest.raises(Untrusted, match="too short"):
        warnings.simplefilter("ignore")  # joserfc warns of it, and goes on
        sign_in(issuer, Provider(issuer.url, network=network, clock=issuer.clock))


# The person


@pytest.mark.requirement("S1-023")
@pytest.mark.parametrize("said", [False, None, "true", "True", 1, [True], "missing"])
def test_an_address_that_is_not_vouched_for(issuer: Issuer, said: Any) -> None:
    """Only `true` is true."""
    claims = {"email": "ann@people.test"} | ({} if said == "missing" else {"email_verified": said})
    assert sign_in(issuer, **claims).email_verified is False
    assert sign_in(issuer, email="ann@people.test", email_verified=True).email_verified is True


def test_claims_of_the_wrong_type(issuer: Issuer) -> None:
    """An address or a name that is no text is none."""
    claims = sign_in(issuer, email=["ann@people.test"], name={"given": "Ann"})
    assert (claims.email, claims.name) == ("", "")


def test_userinfo_speaks_of_the_same_person(issuer: Issuer) -> None:
    """Where the id_token has no address, userinfo is asked, and must speak of the same (section 5.3.2)."""
    issuer.in_id_token = False
    assert sign_in(issuer, email="ann@people.test", email_verified=True).email == "ann@people.test"

    def network(method: str, url: str, /, **how: Any) -> Received:
        if url.endswith("/userinfo"):
            return Received(200, "application/json", b'{"sub": "another", "email": "bob@people.test"}')
        return issuer(method, url, **how)

    with pytest.raises(Untrusted, match="somebody else"):
        sign_in(issuer, Provider(issuer.url, network=network, clock=issuer.clock))


# The issuer


@pytest.mark.requirement("C-42")
@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.test"},
        {"issuer": "https://issuer.lab/"},
        {"issuer": None},
        {"authorization_endpoint": "http://issuer.lab/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user@evil.test/"},
        {"authorization_endpoint": "https://issuer.lab/\r\nSet-Cookie: a=b"},
        {"authorization_endpoint": "https:///nowhere"},
        {"authorization_endpoint": "https://[::1"},
        {"authorization_endpoint": "https://issuer.lab:x/"},
        {"token_endpoint": "http://issuer.lab/token"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["https://issuer.lab/keys"]},
        {"userinfo_endpoint": "http://issuer.lab/userinfo"},
        {"response_types_supported": ["id_token"]},
        {"code_challenge_methods_supported": ["plain"]},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    ],
    ids=str,
)
def test_a_discovery_document_that_is_not_taken(issuer: Issuer, document: dict[str, Any]) -> None:
    """Another issuer's, one that leads out of https, or one that cannot do what is needed."""
    issuer.metadata.update(document)
    with pytest.raises(Untrusted):
        begun(issuer, party(issuer))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'"x"'])
def test_a_document_that_is_no_json_object(body: bytes) -> None:
    """Whatever another server answers, it is a refusal and no error."""
    known = Provider(
        "https://issuer.lab", network=lambda *_, **__: Received(200, "", body), clock=FakeClock()
    )
    with pytest.raises(Untrusted, match="JSON"):
        known.metadata()


@pytest.mark.parametrize("status", [301, 302, 404, 500])
def test_a_document_that_is_not_there(status: int) -> None:
    """Also where it has moved: no redirect is followed."""
    known = Provider("https://issuer.lab", network=lambda *_, **__: Received(status), clock=FakeClock())
    with pytest.raises(Unreachable, match=str(status)):
        known.metadata()


def test_an_issuer_that_is_down_is_not_asked_by_everybody(issuer: Issuer) -> None:
    """Ten seconds long it is not asked again: its silence must not hold every worker in turn."""
    clock, known = issuer.clock, party(issuer)
    assert isinstance(clock, FakeClock)
    issuer.down = True
    for _ in range(20):
        with pytest.raises(Unreachable):
            begun(issuer, known)
    assert len(issuer.asked) == 1
    clock.advance(DOWN_FOR)
    issuer.down = False
    assert sign_in(issuer, known).subject == "somebody"


def test_keys_that_cannot_be_had_are_not_waited_for_by_everybody(issuer: Issuer) -> None:
    """The same where the keys alone do not come."""
    asked = []

    def network(method: str, url: str, /, **how: Any) -> Received:
        if url.endswith("/keys"):
            asked.append(url)
            raise OSError("silence")
        return issuer(method, url, **how)

    known = Provider(issuer.url, network=network, clock=issuer.clock)
    for _ in range(5):
        with pytest.raises(Unreachable):
            sign_in(issuer, known)
    assert len(asked) == 1


def test_a_token_endpoint_that_fails(issuer: Issuer) -> None:
    """Its 500 is its own trouble, its 400 is what it thinks of the code."""
    for status, error in ((503, Unreachable), (400, Untrusted), (302, Untrusted)):

        def network(method: str, url: str, /, status: int = status, **how: Any) -> Received:
            return Received(status) if url.endswith("/token") else issuer(method, url, **how)

        with pytest.raises(error, match=str(status)):
            sign_in(issuer, Provider(issuer.url, network=network, clock=issuer.clock))


def test_many_at_once_ask_once(issuer: Issuer) -> None:
    """The first sign-in of the morning is everybody's, and the document is fetched once."""
    known = party(issuer)
    threads = [threading.Thread(target=begun, args=(issuer, known)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    ("url", "plain", "taken"),
    [
        ("https://accounts.google.com", False, True),
        ("https://login.example.com/tenant/v2.0", False, True),
        ("http://accounts.google.com", False, False),
        ("http://accounts.google.com", True, False),
        ("http://localhost:9000", True, True),
        ("http://127.0.0.1:9000", True, True),
        ("http://localhost:9000", False, False),
        ("http://localhost.evil.test", True, False),
        ("https://a@evil.test", False, False),
        ("https://issuer.lab/#x", False, False),
        ("https://issuer.lab:99999", False, False),
        ("https://issuer.lab/ x", False, False),
        ("ftp://issuer.lab", False, False),
        ("", False, False),
    ],
)
def test_which_addresses_are_asked(url: str, plain: bool, taken: bool) -> None:
    """https alone; in development this machine itself, too."""
    assert safe(url, plain=plain) is taken


# What is sent along


def test_where_a_state_goes(issuer: Issuer) -> None:
    """The issuer gets the state itself, and gives it back as it was, whatever stands beside it."""
    known = party(issuer)
    transaction, address = begun(issuer, known)
    state = parse_qs(urlsplit(address).query)["state"][0]
    assert transaction.answered(f"state={quote(state)}&session_state=x&scope=openid")["state"] == state
