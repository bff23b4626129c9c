"""Logs: what is masked, what a line looks like, where it goes, and which request it belongs to."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import multiprocessing
import string
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
import structlog
from hypothesis import given as examples
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from bylaw.controls import logs
from bylaw.controls.logs import CONTROL, output, records, redaction, scrub, scrubbing
from bylaw.exchange import ALLOW, enter, leave
from bylaw.hashing import SCHEMES
from bylaw.ports import Ports
from bylaw.site import build as build_house
from bylaw.verify.fakes import FakeClock
from bylaw.verify.laboratory import Laboratory
from tests.controls.houses import ENVIRON, Builder, exchange

CANARY = "hunter2-canary"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
OPAQUE = "Zm9vYmFyYmF6cXV4Y29ycUdyYXVsdEdhcnBseVdhbGQ"  # 43 letters, as a session's secret has
FORM_TOKEN = "a1B2c3D4.kJ3hG5fD7sA9qW1eR3tY5u"


OF_SECRETS = (
    "Password passWord pwd new_password1 client-secret apiKey X-API-KEY session_id Pin "
    "set-cookie Authorization refreshToken access_token CSRFToken otp userOtp sid cvc "
    "passwordHash private_key DATABASE_URL connectionString backup.codes PASSPHRASE auth"
)
OF_NONE = (
    "user author footprint shipping compass passed options company hashtag design path outcome "
    "address spinner authority request_id action"
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("logs"))


@pytest.fixture(autouse=True)
def attached() -> None:
    """Records are cleaned, as in every process with a policy."""
    records.attach()
    records.again()


@dataclass
class Heard:
    """A logger of its own with one handler, and what that has written."""

    log: logging.Logger
    handler: logging.Handler
    stream: io.StringIO

    @property
    def said(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.said.removesuffix("\n").split("\n")

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def heard(request: pytest.FixtureRequest) -> Iterator[Heard]:
    """In the form that the test asks for: json, text, or whatever an application's own handler has."""
    style = getattr(request, "param", "json")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    plain = logging.Formatter("%(levelname)s %(name)s %(message)s")
    handler.setFormatter(plain if style == "plain" else output.formatter(style))
    log = logging.getLogger(f"test.{request.node.name}")
    log.propagate = False
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    yield Heard(log, handler, stream)
    log.removeHandler(handler)


every_style = pytest.mark.parametrize("heard", ["json", "text", "plain"], indirect=True)


# Text: by name


@pytest.mark.requirement("S1-106", "S1-107", "S1-134", "S3-036", "S3-056", "C-14")
@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"password={CANARY}", "password=•••"),
        (f"Password: {CANARY}", "Password: •••"),
        (f"passWord = {CANARY}, user=erin", "passWord = •••, user=erin"),
        (f"pwd={CANARY}&user=erin", "pwd=•••&user=erin"),
        (f"user=erin&new_password1={CANARY}", "user=erin&new_password1=•••"),
        ("password=a&b and user=erin", "password=••• user=erin"),
        (f'{{"password": "{CANARY}", "a": 1}}', '{"password": "•••", "a": 1}'),
        ('{"password": "a\\"b, c", "a": 1}', '{"password": "•••", "a": 1}'),
        (f"{{'client-secret': '{CANARY}', 'a': 1}}", "{'client-secret': '•••', 'a': 1}"),
        (f"{{'apiKey': b'{CANARY}'}}", "{'apiKey': b'•••'}"),
        (f'{{\\"token\\": \\"{CANARY}\\", \\"a\\": 1}}', '{\\"token\\": \\"•••\\", \\"a\\": 1}'),
        ('{"tokens": ["a", {"b": ["c"]}], "d": 1}', '{"tokens": •••, "d": 1}'),
        ("{'credentials': {'a': '}', 'b': 'c'}, 'd': 1}", "{'credentials': •••, 'd': 1}"),
        ("secrets (a, b", "secrets (a, b"),
        ("secrets: (a, b", "secrets: •••"),
        ("{'kind': 'token', 'password': 'x'}", "{'kind': 'token', 'password': '•••'}"),
        ("[('password', 'x'), ('user', 'erin')]", "[('password', '•••'), ('user', 'erin')]"),
        ("[(b'cookie', b'sid=x'), (b'host', b'h')]", "[(b'cookie', b'•••'), (b'host', b'h')]"),
        ("data['password'] = 'x'", "data['password'] = '•••'"),
        ("user[password]=x&b=c", "user[password]=•••&b=c"),
        ("user%5Bpassword%5D=x&b=c", "user%5Bpassword%5D=•••&b=c"),
        ("token%3Dx", "token%3D•••"),
        ("Cookie: a=b; sid=c\nHost: h", "Cookie: •••\nHost: h"),
        ("Set-Cookie: __Host-sid=c; Path=/", "Set-Cookie: •••"),
        ("Authorization: Digest username=x, response=y", "Authorization: •••"),
        ("X-API-Key: x\nHost: h", "X-API-Key: •••\nHost: h"),
        ("GET /reset?token=x&next=/home HTTP/1.1", "GET /reset?token=•••&next=/home HTTP/1.1"),
        ("GET /callback?code=x&state=y&page=2", "GET /callback?code=•••&state=•••&page=2"),
        ("code=7 state=open", "code=7 state=open"),
        ("run --password x --user erin", "run --password ••• --user erin"),
        ("run --password --user erin", "run --password --user erin"),
        ("bad password: correct horse battery", "bad password: •••"),
        ("bad password: correct horse user=erin", "bad password: ••• user=erin"),
        ("token: x of erin", "token: ••• of erin"),
        ("Nachricht: Kennwort=geheim", "Nachricht: Kennwort=•••"),
        ("password=", "password="),
        ("password=None, token=null", "password=None, token=null"),
        ("login(password='x', user='erin')", "login(password='•••', user='erin')"),
        ("password: |x|", "password: •••"),
    ],
)
def test_a_secret_is_known_by_its_name(said: str, left: str) -> None:
    """Whatever format it is written in, what a secret's name says is not in the log."""
    assert redaction.text(said) == left
    assert redaction.text(left) == left


@pytest.mark.requirement("S1-106", "S1-107")
@pytest.mark.parametrize(
    "name",
    OF_SECRETS.split(),
)
def test_names_of_secrets(name: str) -> None:
    """In camels, snakes and kebabs, in front of a number, in capitals."""
    assert redaction.is_secret(name)


@pytest.mark.parametrize(
    "name",
    OF_NONE.split(),
)
def test_names_that_only_look_like_it(name: str) -> None:
    """A log in which every other word is masked is read by nobody."""
    assert not redaction.is_secret(name)


# Text: by shape


@pytest.mark.requirement("S1-107", "S3-036", "S3-037", "S3-038", "S2-040", "S3-056")
@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        f"{JWT}.".replace(".", ".", 1),
        "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVydGV4dA.dGFn",
        "eyJ1c2VyX2lkIjoxfQ.aBcDeF.c2lnbmF0dXJlLW9mLWZsYXNr",
        OPAQUE,
        FORM_TOKEN,
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
        "$pbkdf2-sha256$600000$c2FsdA$aGFzaA",
        "pbkdf2:sha256:600000$salt$0123456789abcdef",
        "scrypt:32768:8:1$salt$0123456789abcdef",
        "ghp_" + "a1B2c3D4e5F6g7H8i9J0",
        "github_pat_" + "11ABCDEFG0abcdef",
        "glpat-" + "abcdefghijklmnop",
        "xoxb-" + "123456789012-abcdef",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "AIza" + "SyA-abcdefghijklmnop",
        "sk_" + "live_abcdefghijklmnop",
        "sk-" + "proj-abcdefghijklmnopqrst",
        "GOCSPX-" + "abcdefghijkl",
        "hf_" + "abcdefghijklmnopqrstuvwxyz",
        "dGhpcyBpcyBhIHNlY3JldCBvZiAzMiE=",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nabc",
    ],
    ids=lambda secret: secret[:12],
)
@pytest.mark.parametrize("around", ["%s", "got %s from erin", "<%s>", "('%s',)", "/reset/%s/page", "a,%s,b"])
def test_a_secret_is_known_by_its_shape(secret: str, around: str) -> None:
    """A token in the middle of a sentence has no name, and is masked all the same."""
    left = redaction.text(around % secret)
    assert secret[8:] not in left
    assert "•••" in left
    assert redaction.text(left) == left


@pytest.mark.requirement("S1-107", "S3-037")
@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Bearer abcdef", "Bearer •••"),
        ("sent bearer ABC.DEF-ghi", "sent bearer •••"),
        ("Basic YWxhZGRpbjpvcGVu", "Basic •••"),
        ("Bearer%20abcdef", "Bearer%20•••"),
        ("Basic authentication is off", "Basic authentication is off"),
        ("the Bearer token is missing", "the Bearer token is missing"),
        ("postgresql://app:pw@db/app", "postgresql://app:•••@db/app"),
        ("postgresql://app:p@ss/w:rd@db/app", "postgresql://app:•••@db/app"),
        ("redis://:pw@cache:6379/0", "redis://:•••@cache:6379/0"),
        ("https://ghtoken0123456789@git.test/x", "https://•••@git.test/x"),
        ("ssh://git@git.test/x", "ssh://g***@git.test/x"),
        ("see https://docs.test:8443/a?b=c", "see https://docs.test:8443/a?b=c"),
        (
            "[SQL: INSERT]\n[parameters: ('a', 'x')]\n(Background",
            "[SQL: INSERT]\n[parameters: •••]\n(Background",
        ),
        ("[type=x, input_value='abc', input_type=str]", "[type=x, input_value=•••, input_type=str]"),
    ],
)
def test_credentials_in_their_usual_places(said: str, left: str) -> None:
    """Schemes, addresses with a password in them, and errors that repeat what they were given."""
    assert redaction.text(said) == left
    assert redaction.text(left) == left


@pytest.mark.requirement("S1-108", "S1-134", "S3-039", "C-28")
@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("to erin@people.test.", "to e***@people.test."),
        ("to=erin%40people.test&x", "to=e***%40people.test&x"),
        ("<Erin.O'Hara+x@sub.people.test>", "<E***@sub.people.test>"),
        ("Jürgen.Müller@bücher.test", "J***@bücher.test"),
        ("card 4111 1111 1111 1111 ok", "card •••1111 ok"),
        ("card 4111111111111111", "card •••1111"),
        ("5500-0000-0000-0004", "•••0004"),
        ("no card 4111111111111112", "no card 4111111111111112"),
        ("time 1795240823123, id 1795240823123456789", "time 1795240823123, id 1795240823123456789"),
        ("IBAN DE89 3704 0044 0532 0130 00 PAID", "IBAN DE•••00 PAID"),
        ("GB29NWBK60161331926819", "GB•••19"),
        ("no IBAN DE89370400440532013001", "no IBAN DE89370400440532013001"),
        ("call +49 (170) 123-4567 today", "call +49•••67 today"),
        (
            "at 2026-11-21T06:00:00+0000 from 198.51.100.7:443",
            "at 2026-11-21T06:00:00+0000 from 198.51.100.7:443",
        ),
        ("from 2001:db8::1", "from 2001:db8::1"),
    ],
)
def test_people_are_shortened(said: str, left: str) -> None:
    """Enough is left to tell two people apart; clients' addresses are logged as they are (C-28)."""
    assert redaction.text(said) == left
    assert redaction.text(left) == left


@pytest.mark.parametrize(
    "said",
    [
        'File "/usr/lib/python3.11/site-packages/sqlalchemy/engine/base.py", line 1967, in _execute_context',
        "GET /api/upf/processes/123?page=2&sort=name 200 12ms",
        "request 9f86d081884c7d65 of user 123e4567-e89b-12d3-a456-426614174000",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "duplicate key violates pk_users_email_lower, see https://sqlalche.me/e/20/gkpj",
        "2026-11-21 06:00:00,123 INFO started 4 workers on [::]:8000",
        "KeyError: 'not_there' in {'a': 1, 'b': [1, 2, 3]}",
    ],
)
def test_what_is_no_secret_is_left(said: str) -> None:
    """Paths, ids, digests and times are what a log is read for."""
    assert redaction.text(said) == said


@pytest.mark.requirement("S1-106", "S3-056", "C-14")
def test_what_libraries_say_of_a_value_they_refuse(tmp_path: Path) -> None:
    """SQLAlchemy and pydantic repeat the value in their errors: it is not in the log."""

    class Form(BaseModel):
        secret_word: int

    with pytest.raises(ValidationError) as refused:
        Form.model_validate({"secret_word": CANARY})
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a TEXT UNIQUE)"))
        connection.execute(text("INSERT INTO t VALUES (:a)"), {"a": CANARY})
        with pytest.raises(IntegrityError) as doubled:
            connection.execute(text("INSERT INTO t VALUES (:a)"), {"a": CANARY})
    engine.dispose()
    for error in (refused.value, doubled.value):
        assert CANARY in str(error)
        assert CANARY not in redaction.text(str(error))


# By value


@pytest.mark.requirement("S1-107", "S3-056")
def test_secrets_of_the_policy_are_known_by_value(build: Builder) -> None:
    """The key ring and the passwords of addresses, as they are and as an address spells them."""
    password, spelt = "p@q7/x9lk2mz4vb8nt1wq", "p%40q7%2Fx9lk2mz4vb8nt1wq"
    address = f"postgresql+psycopg://app:{spelt}@db.lab/app"
    text_ = '[mail]\nserver = "env:SMTP_URL"'
    policy = build.policy(text_, DATABASE_URL=address, SMTP_URL="smtps://me:mailpassword@mail.lab:465")
    values = set(logs.secrets_of(policy))
    assert {address, password, spelt, "mailpassword", ENVIRON["SECRET_KEY"]} <= values
    redaction.know("test", [*values, "short"])
    try:
        for value in (ENVIRON["SECRET_KEY"], password, spelt, "mailpassword", repr(password)):
            assert value.strip("'") not in redaction.text(f"odd: {value}!")
        assert redaction.text("a short text") == "a short text"
    finally:
        redaction.forget("test")
    assert redaction.text("odd: mailpassword!") == "odd: mailpassword!"
    redaction.forget("nobody")


def test_what_is_no_address_is_a_secret_all_the_same(build: Builder) -> None:
    """A password with a bracket in it makes an address that cannot be taken apart."""
    text = "smtps://me:a[b@mail.lab"  # no start takes it; what is logged of the refusal must not tell it
    policy = build.policy("")
    mail = policy.mail.model_copy(update={"server": SecretStr(text)})
    assert text in list(logs.secrets_of(replace(policy, mail=mail)))


def test_a_house_is_known_while_it_stands(build: Builder) -> None:
    """What a policy brought is forgotten with it; a policy without the control brings nothing."""
    key = ENVIRON["SECRET_KEY"]
    house = build.house()
    logs.install(house)
    assert key not in redaction.text(f"odd: {key}")
    logs.uninstall(house)
    assert key in redaction.text(f"odd: {key}")
    logs.install(build.house('[logs]\noff = true\nbecause = "the platform masks"'))
    assert key in redaction.text(f"odd: {key}")


class _Nested(BaseModel):
    inner: SecretStr
    names: dict[str, tuple[SecretStr, ...]]


def test_secrets_are_found_wherever_a_section_has_them() -> None:
    """Lists and tables of secrets in a control's settings are no hiding place."""
    nested = _Nested(inner=SecretStr("a"), names={"x": (SecretStr("b"), SecretStr("c"))})
    assert list(logs._secrets([nested])) == ["a", "b", "c"]


# Values


@pytest.mark.requirement("S1-106", "S1-107", "S3-036", "S3-038", "S3-039")
def test_values_are_gone_through() -> None:
    """Nested dictionaries, lists, pairs, bytes and numbers; what is not secret stays what it is."""
    given = {
        "user": "erin@people.test",
        "Password": CANARY,
        "pin": 1234,
        "form": {"new_password1": [CANARY], "list": [("cookie", CANARY), ["x-api-key", CANARY.encode()]]},
        "body": b"password=" + CANARY.encode() + b"&a=1",
        "phone": "0170 1234567",
        "tel": 1701234567,
        "card": 4111111111111111,
        "count": 7,
        "ratio": 0.5,
        "none": None,
        "token": None,
        "secret": True,
        "set": {"a"},
    }
    assert scrub(given) == {
        "user": "e***@people.test",
        "Password": "•••",
        "pin": "•••",
        "form": {"new_password1": "•••", "list": [("cookie", "•••"), ["x-api-key", "•••"]]},
        "body": "password=•••&a=1".encode(),
        "phone": "•••67",
        "tel": "•••67",
        "card": "•••1111",
        "count": 7,
        "ratio": 0.5,
        "none": None,
        "token": None,
        "secret": True,
        "set": ["a"],
    }
    assert scrub(CANARY, "password") == "•••"
    assert scrub({b"password": b"x", 7: "y"}) == {"password": "•••", 7: "y"}


@dataclass
class _Login:
    user: str
    password: str


class _Loud:
    def __str__(self) -> str:
        return "fine"

    def __repr__(self) -> str:
        return f"<password={CANARY}>"


class _Failing:
    def __repr__(self) -> str:
        raise RuntimeError(CANARY)

    __str__ = __repr__


@pytest.mark.requirement("S1-106", "C-14")
def test_objects_are_masked_by_what_they_print() -> None:
    """An object stays itself where nothing that it prints is secret."""
    plain = Path("/tmp/x")  # noqa: S108 - a path, and nothing is written there
    assert scrub(plain) is plain
    assert scrub(_Login("erin", CANARY)).endswith("_Login(user='erin', password='•••')")
    assert CANARY not in str(scrub(_Loud()))
    assert scrub(_Failing()) == "(_Failing is not shown: RuntimeError)"
    assert CANARY not in str(scrub(SecretStr(CANARY)))


def test_no_value_is_endless() -> None:
    """Cycles, depth, width and length all end somewhere."""
    cyclic: dict[str, Any] = {"a": 1}
    cyclic["self"] = cyclic
    assert scrub(cyclic) == {"a": 1, "self": "…"}
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert "…" in str(scrub(deep))
    assert len(scrub(list(range(1_000_000)))) == scrubbing.ITEMS + 1
    assert len(scrub({str(n): n for n in range(100_000)})) == scrubbing.ITEMS + 1
    assert len(scrub("x" * 10_000_000)) <= redaction.FIELD
    assert len(str(scrub([[["x" * 5000] * 300] * 300] * 300))) < 10 * scrubbing.ITEMS * redaction.FIELD
    assert len(str(scrub([[list(range(300))] * 300] * 300))) < 100_000


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 20_000,
        "a." * 10_000,
        "[" * 20_000,
        "password" * 3_000,
        "password:{" * 2_000,
        "token=[" + "(" * 20_000,
        'password="' + "\\" * 20_000,
        "a://" * 5_000,
        "a://b:" + "c" * 20_000,
        "+1 " * 7_000,
        "input_value=" * 2_000,
        "a@" * 10_000,
        "DE89 " + "AAAA " * 4_000,
        "4" * 20_000,
        "eyJ" * 7_000,
        "eyJaaaaaa." * 2_000,
        "$2b$" * 5_000,
        "--a " * 5_000,
        "-----BEGIN PRIVATE KEY-----" * 800,
        "\\\"'" * 7_000,
        "password: " + "a " * 10_000,
        "password: " + "a=" * 10_000,
    ],
    ids=lambda text: text[:14],
)
def test_no_text_takes_long(hostile: str) -> None:
    """A text that was made for it costs no more than a few hundredths of a second."""
    began = time.process_time()
    redaction.text(hostile, records.MESSAGE)
    assert time.process_time() - began < 1.0


SECRETS = st.text(string.ascii_letters + string.digits + "-_!%", min_size=9, max_size=20).map(
    lambda text: f"Qx{text}zQ"
)
NAMES = st.sampled_from(
    [
        "Password",
        "passWord",
        "pwd",
        "new_password1",
        "client-secret",
        "apiKey",
        "token",
        "Cookie",
        "sid",
        "csrf",
    ]
)
PLAIN = st.sampled_from(["user", "a", "items", "detail"])


def wrapped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.tuples(PLAIN, inner).map(lambda pair: {pair[0]: pair[1]})
        | inner.map(lambda value: [1, value, None])
        | inner.map(lambda value: ("x", value, "y"))
        | inner.map(lambda value: json.dumps(value, default=str))
        | inner.map(str)
    )


@st.composite
def hidden(draw: st.DrawFn) -> tuple[str, Any]:
    """A secret under one of its names, somewhere in a value."""
    secret, name = draw(SECRETS), draw(NAMES)
    leaf = st.sampled_from(
        [
            {name: secret},
            {name: [secret]},
            {name: {"inner": secret}},
            {"list": [[name, secret]]},
            f"{name}={secret}",
            f"{name}: {secret}",
            f"a=1&{name}={secret}&b=2",
            urlencode({name: secret}),
            json.dumps({"x": 1, name: secret}),
            repr({name: secret, "y": 2}),
            repr({name: secret.encode()}),
            f"?{name}={secret}#x",
        ]
    )
    return secret, draw(st.recursive(leaf, wrapped, max_leaves=4))


@pytest.mark.requirement("S1-106", "S1-107", "S1-134", "S3-036", "S3-038", "S3-056", "C-14")
@examples(hidden())
def test_no_secret_survives_any_nesting(found: tuple[str, Any]) -> None:
    """In dictionaries, lists, JSON in JSON and printed objects: a secret with its name is masked."""
    secret, value = found
    once = scrub(value)
    said = str(once) + repr(once)
    assert secret not in said
    assert quote_plus(secret) not in said


@examples(
    st.recursive(
        st.text(max_size=200) | st.binary(max_size=50) | st.integers() | st.floats() | st.none(), wrapped
    )
)
def test_masking_twice_is_masking_once(value: Any) -> None:
    """What was masked once is not masked into something else by the next who looks."""
    once = scrub(value)
    assert repr(scrub(once)) == repr(once)


@examples(st.text())
def test_a_line_is_one_line(value: str) -> None:
    """Nothing that any program takes for a line's end is left, and nothing is lost twice."""
    line = redaction.line(value)
    assert len(line.splitlines()) <= 1
    assert line.isprintable() or not value.isprintable()
    assert redaction.line(line) == line
    line.encode("utf-8")


# Records


@pytest.mark.requirement("S1-106", "S1-107", "S1-110", "S3-036", "S3-056", "C-14")
@every_style
def test_a_record_is_clean_for_every_handler(heard: Heard) -> None:
    """Message, arguments, `extra=`, structlog's events and errors, whatever formats them."""
    log = heard.log
    log.debug("password=%s", CANARY)
    log.info("%(user)s", {"user": "erin", "password": CANARY})
    log.info("form %s", {"password": CANARY})
    log.warning("extra", extra={"password": CANARY, "form": [{"pwd": CANARY}], "said": f"token={CANARY}"})
    log.warning({"event": "dictionary", "password": CANARY})
    log.error("odd %d", f"password={CANARY}")
    log.error(_Login("erin", CANARY))
    log.error(_Failing())
    log.info("stack", stack_info=True, extra={"password": CANARY})
    try:
        try:
            password = CANARY
            raise ValueError(f"password={password}\nsecond line")
        except ValueError as error:
            error.add_note(f"token={CANARY}")
            raise RuntimeError(f"secret={CANARY}") from error
    except RuntimeError:
        log.exception("failed")
    assert CANARY not in heard.said
    assert heard.said.count("•••") + heard.said.count("\\u2022" * 3) >= 8
    assert "RuntimeError" in heard.said
    assert "direct cause" in heard.said


@pytest.mark.requirement("S3-056", "C-14")
def test_errors_of_every_kind(heard: Heard) -> None:
    """Groups, errors in a syntax, errors that cannot be copied, that raise when they speak, that are their
    own cause: each is named, none tells its secret."""

    class Stubborn(Exception):
        def __new__(cls, *, needed: str) -> Stubborn:
            return super().__new__(cls, needed)

        def __init__(self, *, needed: str) -> None:
            super().__init__(f"password={needed}")

    class Speechless(Exception):
        def __str__(self) -> str:
            raise ValueError(CANARY)

    loop = RuntimeError(f"password={CANARY}")
    loop.__cause__ = loop
    chain: BaseException = ValueError(f"password={CANARY}")
    for _ in range(50):
        outer = ValueError(f"password={CANARY}")
        outer.__cause__ = chain
        chain = outer
    group: BaseException = ValueError(f"password={CANARY}")
    for _ in range(20):
        group = ExceptionGroup(f"password={CANARY}", [group])  # type: ignore[type-var,list-item]
    broken_syntax = SyntaxError("bad", ("x.py", 1, 1, f"password={CANARY}"))
    errors = [
        loop,
        chain,
        group,
        broken_syntax,
        Stubborn(needed=CANARY),
        Speechless(),
        KeyError(f"password={CANARY}"),
        OSError(2, f"password={CANARY}", "/x"),
        UnicodeDecodeError("utf-8", f"password={CANARY}".encode(), 0, 1, f"password={CANARY}"),
        BaseExceptionGroup(f"password={CANARY}", [KeyboardInterrupt(f"token={CANARY}")]),
    ]
    for error in errors:
        heard.log.error("failed", exc_info=error)
    assert CANARY not in heard.said
    for error, said in zip(errors, heard.json, strict=True):
        assert type(error).__name__ in said["exception"], said


def test_a_handler_gets_no_frames(heard: Heard) -> None:
    """What prints local variables (rich, an error reporter) has none to print; what asks for the kind of an
    error still finds it."""
    kept: list[logging.LogRecord] = []
    heard.handler.addFilter(lambda record: kept.append(record) or True)
    try:
        raise LookupError("x")
    except LookupError:
        heard.log.exception("failed")
    heard.log.error("none", exc_info=(None, None, None))
    kind, error, frames = kept[0].exc_info or (None, None, None)
    assert kind is LookupError
    assert isinstance(error, LookupError)
    assert (repr(error), str(error), frames) == ("LookupError('x')", "x", None)
    assert error.__traceback__ is None
    assert "test_a_handler_gets_no_frames" in (kept[0].exc_text or "")


def test_a_servers_own_format_finds_its_arguments(heard: Heard) -> None:
    """uvicorn asks a line of its access log for each of its arguments: they stay, masked."""
    kept: list[logging.LogRecord] = []
    heard.handler.addFilter(lambda record: kept.append(record) or True)
    heard.log.info('%s - "%s %s" %d', "198.51.100.7:5000", "GET", f"/reset?token={CANARY}", 200)
    heard.log.info("%s", "a\nb")
    heard.log.info("all fine", extra={"a": 1})
    heard.log.info("card %d", 4111111111111111)
    assert kept[0].args == ("198.51.100.7:5000", "GET", "/reset?token=•••", 200)
    assert kept[1].args == ("a\\nb",)
    assert kept[3].getMessage() == "card •••1111"
    assert CANARY not in heard.said


def test_what_cannot_be_made_safe_is_not_written(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in here costs a line, and tells no secret."""

    def failing(record: logging.LogRecord) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(records, "_clean_message", failing)
    heard.log.error("password=%s", CANARY, extra={"password": CANARY}, exc_info=ValueError(CANARY))
    assert CANARY not in heard.said
    assert "could not be made safe: RuntimeError" in heard.said


def test_a_traceback_that_is_text_already(heard: Heard) -> None:
    """A record that came from another process brings its traceback as text."""
    record = logging.makeLogRecord(
        {"name": heard.log.name, "msg": "x", "exc_text": f"a\nb: password={CANARY}"}
    )
    records.clean(record)
    assert record.exc_text == "a\nb: password=•••"


def test_attaching_twice_is_attaching_once(heard: Heard) -> None:
    """A process with several sites writes each line once."""
    records.attach()
    records.attach()
    heard.log.info("once")
    assert len(heard.lines) == 1


# Lines


@pytest.mark.requirement("S1-109")
@pytest.mark.parametrize(
    "between", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1b[2J", "\0"]
)
@every_style
def test_no_line_is_forged(heard: Heard, between: str) -> None:
    """A line break in a message, a field, a field's name or an error begins no line of its own."""
    forged = f"x{between}2026-01-01 INFO root signed in"
    heard.log.info("user %s", forged, extra={"agent": forged, forged: forged})
    heard.log.info({"event": forged, "agent": forged})
    heard.log.error("failed", exc_info=ValueError(forged))
    for line in heard.said.splitlines():
        assert not line.startswith("2026-01-01 INFO")
    assert between.strip("\r\n") == "" or between[0] not in heard.said
    if isinstance(heard.handler.formatter, structlog.stdlib.ProcessorFormatter):
        assert len([line for line in heard.lines if not line.startswith("    | ")]) == 3


@pytest.mark.requirement("S1-109", "C-26")
def test_a_line_of_json(heard: Heard) -> None:
    """Time in UTC, level, logger, event, request, what was given besides, and the traceback."""
    record = logging.makeLogRecord(
        {
            "name": "app",
            "levelname": "WARNING",
            "levelno": 30,
            "msg": "lot %s",
            "args": (7,),
            "created": 1_800_000_000.5,
        }
    )
    record.lot, record.when, record.ratio = 7, Path("x"), float("nan")
    record.tags, record.raw = {"a", ("b",)}, b"\xff"
    record.table = {7: {"deep": [1.5, None, True]}}
    records.clean(record)
    said = json.loads(output.formatter("json").format(record))
    assert list(said)[:5] == ["timestamp", "level", "logger", "event", "request_id"]
    assert said["timestamp"] == "2027-01-15T08:00:00.500Z"
    assert (said["level"], said["logger"], said["event"], said["request_id"]) == (
        "warning",
        "app",
        "lot 7",
        "",
    )
    assert (said["lot"], said["when"], said["ratio"], said["raw"]) == (7, "x", "nan", "\\xff")
    assert sorted(map(str, said["tags"])) == ["['b']", "a"]
    assert said["table"] == {"7": {"deep": [1.5, None, True]}}


@pytest.mark.requirement("S1-109")
@pytest.mark.parametrize("heard", ["text"], indirect=True)
def test_a_line_of_text(heard: Heard) -> None:
    """For people: aligned, with the request in brackets; a traceback stands behind bars."""
    heard.log.info("lot %s", 7, extra={"lot": "7 b", "by": "erin", "n": 1})
    heard.log.error("failed", exc_info=ValueError("x"))
    first, second, *below = heard.lines
    assert first.endswith(f' INFO     {heard.log.name} [-] lot 7 lot="7 b" by=erin n=1')
    assert second.endswith("[-] failed")
    assert below == ["    | ValueError: x"]


@pytest.mark.requirement("S1-105")
@every_style
def test_a_line_has_a_longest_length(heard: Heard) -> None:
    """Five megabytes in a name, a hundred thousand items and a traceback of a deep recursion."""
    heard.log.info("name %s", "a" * 5_000_000, extra={"agent": "b" * 1_000_000})
    heard.log.info("items", extra={"items": [{"n": "c" * 1000}] * 100_000, "more": [["d" * 4000] * 100] * 10})

    def deep(left: int) -> None:
        if left == 0:
            raise ValueError("e" * 100_000)
        other(left)

    def other(left: int) -> None:
        deep(left - 1)

    try:
        deep(400)
    except ValueError:
        heard.log.exception("deep")
    assert max(map(len, heard.lines)) <= output.LINE
    assert len(heard.said) < 5 * output.LINE


# How often


def of_bylaw(message: str, at: float, **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "bylaw.audit", "msg": message, "created": at, **more})


@pytest.mark.requirement("S1-105")
def test_what_repeats_is_counted() -> None:
    """Sixty in a minute are written, and then how many there were; another message has its own count."""
    records.again()
    written = [
        record
        for n in range(1000)
        if records.admit(record := of_bylaw("failed %s", 100 + n / 100, args=(n,)))
    ]
    assert len(written) == records.A_MINUTE
    assert written[0].msg == "failed %s"
    assert written[-1].msg == "failed %s (more like this are counted for the rest of the minute)"
    assert records.admit(of_bylaw("another", 105))
    later = of_bylaw("failed %s", 161, args=(1,))
    assert records.admit(later)
    assert later.getMessage() == "failed 1 (940 more like this since it was last written)"
    quiet = of_bylaw("failed %s", 300, args=(2,))
    assert records.admit(quiet)
    assert quiet.msg == "failed %s"


def test_errors_of_different_places_are_different_messages() -> None:
    """A flood of one error does not hide another that nobody has seen yet."""

    def raised(by: Any) -> Any:
        try:
            by()
        except Exception:
            return sys.exc_info()
        raise AssertionError

    records.again()
    same = [records.admit(of_bylaw("failed", 1, exc_info=raised(lambda: 1 // 0))) for _ in range(100)]
    assert same.count(True) == records.A_MINUTE
    assert records.admit(of_bylaw("failed", 1, exc_info=raised(lambda: {}["x"])))
    assert records.admit(of_bylaw("failed", 1, exc_info=(ValueError, ValueError(), None)))


def test_the_applications_own_lines_are_all_written() -> None:
    """What an application says a thousand times it may have a reason for."""
    records.again()
    assert all(records.admit(logging.makeLogRecord({"name": "app", "msg": "x"})) for _ in range(1000))


def test_counting_does_not_fill_memory() -> None:
    """Ten thousand different messages are not all remembered."""
    records.again()
    for number in range(10_000):
        records.admit(of_bylaw(f"message {number}", 1))
    assert len(records._seen) <= 1_000


# Requests


@pytest.mark.requirement("S1-109")
def test_a_line_bears_its_request(heard: Heard) -> None:
    """Also in a thread that was given the request's context; never the id of another request."""
    heard.log.info("before")
    asked = exchange("GET", request_id="canary-request")
    token = enter(asked)
    try:
        heard.log.info("during")
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(heard.log.info, "in a thread"))
        thread.start()
        thread.join()
        heard.log.info("own", extra={"request_id": "of\nits own"})
    finally:
        leave(token)
    heard.log.info("after")
    assert [line["request_id"] for line in heard.json] == [
        "",
        "canary-request",
        "canary-request",
        "of\\nits own",
        "",
    ]


@pytest.mark.requirement("S1-109")
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["abcdefgh"], True),
        (["A.b_c-d0" * 8], True),
        (["abcdefg"], False),
        (["a" * 65], False),
        ([""], False),
        (["abc defgh"], False),
        (["abcdefgh\n"], False),
        (["abcdefgh\r\nX-Evil: 1"], False),
        (["abcdefgh<b>"], False),
        (["abcdefghä"], False),
        (["٠١٢٣٤٥٦٧"], False),
        (["abcdefgh", "abcdefgh"], False),
        (["abcdefgh,abcdefgh"], False),
        ([], False),
    ],
    ids=str,
)
def test_a_clients_id_is_taken_where_it_is_one(build: Builder, given: list[str], taken: bool) -> None:
    """Eight to sixty-four plain letters, once, in the header that the policy names; nothing else."""
    step = CONTROL.steps["arrive"](build.house('[logs]\nrequest_id_header = "X-Request-Id"'))
    pairs = [(b"x-request-id", value.encode()) for value in given]
    asked = exchange("GET", "/", *pairs)  # type: ignore[arg-type]
    before = asked.request_id
    assert step(asked) is ALLOW
    assert asked.request_id == (given[0] if taken else before)


@pytest.mark.requirement("S1-109")
def test_no_id_is_taken_from_anybody_by_default(build: Builder) -> None:
    """A client must not choose under which name its request is found."""
    step = CONTROL.steps["arrive"](build.house())
    asked = exchange("GET", "/", ("X-Request-Id", "canary-request"))
    before = asked.request_id
    assert step(asked) is ALLOW
    assert asked.request_id == before


# Files and handlers


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, afterwards as it was; structlog too."""
    logger = logging.getLogger()
    level = logger.level
    yield logger
    for handler in [
        h for h in logger.handlers if isinstance(h, output.Stderr | output.File | logging.NullHandler)
    ]:
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)
    structlog.reset_defaults()


def start(build: Builder, text: str) -> list[str]:
    """What a process that serves is refused with by the control; it has no laboratory around it."""
    house = build_house(build.policy(text), Ports(clock=FakeClock()))
    return [conflict.why for conflict in CONTROL.start(house)]


@pytest.mark.requirement("S1-105")
def test_the_log_of_the_workshop(build: Builder, root: logging.Logger, tmp_path: Path) -> None:
    """logs/app.log, ten megabytes, five earlier files, as the published policy says."""
    file = tmp_path / "logs" / "app.log"
    assert start(build, f'[logs]\nfile = "{file}"\nmax_bytes = "10MB"\nbackups = 5') == []
    [handler] = [h for h in root.handlers if isinstance(h, output.File)]
    assert (handler.maxBytes, handler.backupCount) == (10 * 1024 * 1024, 5)
    assert root.level == logging.INFO
    logging.getLogger("app").info("hello", extra={"password": CANARY})
    logging.getLogger("app").debug("too quiet")
    [line] = file.read_text("utf-8").splitlines()
    assert json.loads(line) | {"event": "hello", "password": "•••"} == json.loads(line)
    assert file.stat().st_mode & 0o007 == 0


@pytest.mark.requirement("S1-105")
def test_the_file_rotates(tmp_path: Path) -> None:
    """Never larger than its size, never more files than named, and the newest lines are all there."""
    file = output.File(tmp_path / "app.log", max_bytes=10_000, backups=5)
    file.setFormatter(logging.Formatter("%(message)s"))
    for number in range(1_000):
        file.handle(logging.makeLogRecord({"msg": f"{number:04} {'ü' * 50}"}))
    file.close()
    found = sorted(tmp_path.glob("app.log*"))
    assert [each.name for each in found] == ["app.log", *(f"app.log.{n}" for n in range(1, 6))]
    assert all(each.stat().st_size <= 10_000 for each in found)
    lines = sorted(line[:4] for each in found for line in each.read_text("utf-8").splitlines())
    assert lines == [f"{number:04}" for number in range(1_000 - len(lines), 1_000)]


def _writer(folder: str, name: str) -> None:
    file = output.File(Path(folder) / "app.log", max_bytes=20_000, backups=50)
    file.setFormatter(logging.Formatter("%(message)s"))
    for number in range(1_000):
        file.handle(logging.makeLogRecord({"msg": f"{name} {number:04} {'x' * 80}"}))
    file.close()


@pytest.mark.requirement("S1-105")
def test_several_workers_lose_no_line(tmp_path: Path) -> None:
    """Three processes write and rotate one file at once: every line of each is there, once and whole."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_writer, args=(str(tmp_path), name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    lines = [line for each in tmp_path.glob("app.log*") for line in each.read_text("utf-8").splitlines()]
    assert sorted(line[:6] for line in lines) == [f"{name} {n:04}" for name in "abc" for n in range(1_000)]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """logrotate, or a colleague: what comes later is in the file that the policy names."""
    file = output.File(tmp_path / "app.log", max_bytes=10_000, backups=1)
    file.handle(logging.makeLogRecord({"msg": "first"}))
    (tmp_path / "app.log").rename(tmp_path / "moved")
    file.handle(logging.makeLogRecord({"msg": "second"}))
    (tmp_path / "app.log").unlink()
    file.handle(logging.makeLogRecord({"msg": "third"}))
    file.close()
    assert (tmp_path / "app.log").read_text("utf-8") == "third\n"


def test_a_full_disk_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written is lost, and the request is answered."""
    file = output.File(tmp_path / "gone" / "app.log", max_bytes=10_000, backups=1)
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    file.handle(logging.makeLogRecord({"msg": "lost"}))
    file.close()


def test_a_file_that_cannot_be_written_refuses_to_start(
    build: Builder, root: logging.Logger, tmp_path: Path
) -> None:
    """Nobody finds out after the incident that there is no log."""
    root.handlers.clear()  # pytest's own
    (tmp_path / "file").write_text("")
    [why] = start(build, f'[logs]\nfile = "{tmp_path}/file/app.log"')
    assert "cannot be written" in why
    (tmp_path / "folder.log").mkdir()
    [why] = start(build, f'[logs]\nfile = "{tmp_path}/folder.log"')
    assert "cannot be written" in why
    assert root.handlers == []


def test_handlers_of_the_application_stay(build: Builder, root: logging.Logger, tmp_path: Path) -> None:
    """Where somebody has seen to it already, no second stderr is added; starting again adds nothing."""
    own = logging.NullHandler()
    root.handlers[:] = [own]
    text_ = f'[logs]\nfile = "{tmp_path / "a.log"}"\nformat = "text"\nlevel = "WARNING"'
    assert start(build, text_) == []
    assert start(build, text_) == []
    assert root.handlers[0] is own
    assert [type(handler) for handler in root.handlers[1:]] == [output.File]
    assert root.level == logging.WARNING


def test_without_handlers_there_is_stderr(
    build: Builder, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container the log is what the process writes; logging and structlog come out alike."""
    root.handlers.clear()
    assert start(build, "") == []
    assert start(build, "") == []
    assert [type(handler) for handler in root.handlers] == [output.Stderr]
    logging.getLogger("app").info("from %s", "logging", extra={"password": CANARY})
    log = structlog.get_logger("app")
    log.info("from structlog", password=CANARY, lot=7)
    log.info("from %s", "structlog")
    try:
        raise ValueError(f"password={CANARY}")
    except ValueError as error:
        log.exception("failed")
        log.error("failed", exc_info=error)
        log.error("failed", exc_info=(type(error), error, error.__traceback__))
    log.error("nothing failed", exc_info=True)  # noqa: LOG014 - somebody's mistake
    log.debug("too quiet")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        "from logging",
        "from structlog",
        "from structlog",
        "failed",
        "failed",
        "failed",
        "nothing failed",
    ]
    assert {line["logger"] for line in lines} == {"app"}
    assert lines[0]["password"] == lines[1]["password"] == "•••"
    assert lines[1]["lot"] == 7
    for line in lines[3:6]:
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("ValueError: password=•••")


def test_a_structlog_that_the_application_has_set_up_stays(build: Builder, root: logging.Logger) -> None:
    """Whoever has a pipeline of their own keeps it; `scrub` fits into it."""
    structlog.configure(
        processors=[lambda logger, method, event: scrub(event), structlog.processors.JSONRenderer()]
    )
    before = structlog.get_config()["processors"]
    assert start(build, "") == []
    assert structlog.get_config()["processors"] is before


def test_a_laboratory_writes_no_log(laboratory: Laboratory) -> None:
    """An attack on a copy of the application leaves nothing in the log of the real one."""
    assert list(CONTROL.start(laboratory.site.house)) == []
    assert not any(isinstance(h, output.Stderr | output.File) for h in logging.getLogger().handlers)


# The policy


@pytest.mark.parametrize(
    "line",
    [
        'level = "LOUD"',
        'format = "xml"',
        'file = ""',
        'max_bytes = "9kB"',
        "backups = 0",
        'request_id_header = "X Request"',
        'request_id_header = "Cookie"',
        'request_id_header = "Authorization"',
        'request_id_header = "X-Session-Token"',
    ],
)
def test_what_is_no_policy(build: Builder, line: str) -> None:
    """A log that never rotates, and a secret for every line's id."""
    assert "logs." in build.refusal(f"[logs]\n{line}")


def test_the_statement(build: Builder) -> None:
    """SECURITY.md says where the log is, what is masked, and that clients' addresses are in it."""
    said = " ".join(CONTROL.statement(build.policy("")))
    assert "a line of JSON, from INFO upwards, written to stderr." in said
    assert "`X-Request-Id`) and is given here" in said
    assert "Clients' addresses are logged as they are" in said
    text_ = '[logs]\nfile = "logs/app.log"\nformat = "text"\nlevel = "DEBUG"\nrequest_id_header = "X-Trace"'
    said = " ".join(CONTROL.statement(build.policy(text_)))
    assert "a line of text, from DEBUG upwards" in said
    assert "`logs/app.log`, which begins anew at 10 MB and keeps 5 earlier files" in said
    assert "is the one in `X-Trace` where it is well-formed, else given here" in said


# Signing in


@pytest.mark.requirement("S3-070", "S1-110", "C-26", "C-28")
def test_signing_in_and_out_is_logged(laboratory: Laboratory, caplog: pytest.LogCaptureFixture) -> None:
    """The four fields of the published policy, with the outcome: user, action, address, time in UTC."""
    person = laboratory.person()
    hashed = SCHEMES["argon2id"]().make(person.password)
    with caplog.at_level(logging.DEBUG):
        laboratory.sign_in(person, "wrong password, canary 1")
        laboratory.sign_in(person)
        person.act("POST", laboratory.api("sign_out"), json={})
        logging.getLogger("app").info("stored %s", hashed)
    said = [record.__dict__ for record in caplog.records if record.name == "bylaw.audit"]
    assert [(f["action"], f["outcome"], f["user_id"], f["ip_address"]) for f in said] == [
        ("login", "failure", person.id, person.peer),
        ("login", "success", person.id, person.peer),
        ("logout", "success", person.id, person.peer),
    ]
    assert all(fields["timestamp"] == "2027-01-15T08:00:00+00:00" for fields in said)
    assert len({fields["request_id"] for fields in said}) == 3
    for secret in (person.password, hashed, "canary 1", person.email):
        assert secret not in caplog.text
