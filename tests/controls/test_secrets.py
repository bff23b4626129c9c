"""Secrets: what is one, where it comes from, how it is changed, and that nobody is ever shown it."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
import secrets as entropy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw import policy as policies
from bylaw.controls import CONTROLS, secrets
from bylaw.controls.secrets import CONTROL, PUBLISHED, weakness
from bylaw.errors import PolicyError
from bylaw.policy import Policy
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import ENVIRON, OWN, Builder

ROOT = Path(__file__).parents[2]
NOTES = flask_app.POLICY.read_text("utf-8")
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}
# The same in every process: it stands in the names of tests, which run in several.
GOOD = hashlib.sha256(b"a secret of these tests").hexdigest()
DATABASE = "postgresql+psycopg://app:{}@db.people.test:5432/app"
PLACEHOLDER = "a published placeholder"


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


# What a secret is


@pytest.mark.requirement("S1-062", "S1-068", "S1-070", "S1-126", "S2-013", "S2-055", "S2-079", "C-07", "C-19")
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("fallback-dev-key", PLACEHOLDER),
        ("FALLBACK-DEV-KEY", PLACEHOLDER),
        (" fallback-dev-key\n", PLACEHOLDER),
        ("'changeme'", PLACEHOLDER),
        ('"changeme"', PLACEHOLDER),
        ("0x3f8a2b...c7d9e1f4", PLACEHOLDER),
        ("GOCSPX-abc123...xyz789", PLACEHOLDER),
        ("123456789.apps.googleusercontent.com", PLACEHOLDER),
        ("postgresql://user:password@host:5432/dbname", PLACEHOLDER),
        ("your_secret_key_here", PLACEHOLDER),
        ("your_admin_token_here", PLACEHOLDER),
        ("ADMIN123", PLACEHOLDER),
        ("\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h", PLACEHOLDER),
        ("<paste the output of bylaw secrets new>", PLACEHOLDER),
        ("${SECRET_KEY}", PLACEHOLDER),
        ("{{ secret_key }}", PLACEHOLDER),
        ("<" + "paste here " * 9 + ">", PLACEHOLDER),
        ("django-insecure-" + GOOD, PLACEHOLDER),
        ("changeme" + GOOD, PLACEHOLDER),
        (GOOD[:30] + "..." + GOOD[:30], PLACEHOLDER),
        ("09D25E094FAA6CA2556C818166B7A9563B93F7099F6F0F4CAA6CF63B88E8D3E7", PLACEHOLDER),
        (GOOD[:42], "too short (42 characters)"),
        ("Zk3v9Q2m", "too short (8 characters)"),
        (GOOD[:32] + "\n" + GOOD[32:], "not one line of text"),
        ("\u200b" * 50, "not one line of text"),
        ("a" * 64, "one piece over and over"),
        ("a1" * 32, "one piece over and over"),
        (GOOD[:21] * 3, "one piece over and over"),
        ("0123456789" * 5 + "0", "one piece over and over"),
        ("".join(map(chr, range(40, 100))), "one piece over and over"),
        ("".join(map(chr, range(100, 40, -1))), "one piece over and over"),
        ("aab" + "ab" * 30, "too regular (about 62 bits)"),
        ("the keys of our house hang behind the door, on the left", "made of words"),
        ("qwertyuiopasdfghjklzxcvbnm1234567890QWERTYUIOPASDFGHJKLZXCVBNM1234", "made of words"),
    ],
)
def test_what_is_no_secret(value: str, why: str) -> None:
    """Missing, published, short, regular and spoken values are told from secrets."""
    assert weakness(value) == why


@pytest.mark.requirement("S1-062", "S1-126", "S2-034", "S2-035", "C-19")
@pytest.mark.parametrize(
    "make",
    [
        secrets.new,
        lambda: entropy.token_hex(32),
        lambda: "0x" + entropy.token_hex(32),
        lambda: entropy.token_urlsafe(32),
        lambda: base64.b64encode(os.urandom(32)).decode(),
        lambda: base64.b64encode(os.urandom(64)).decode(),
        lambda: base64.b32encode(os.urandom(40)).decode(),
        lambda: base64.b85encode(os.urandom(40)).decode(),
        lambda: entropy.token_hex(512),
        lambda: f" {entropy.token_hex(32)}\n",
    ],
    ids=["new", "hex", "0x", "urlsafe", "base64", "base64 of 64", "base32", "base85", "long", "blanks"],
)
def test_what_is_a_secret(make: Callable[[], str]) -> None:
    """256 random bits are taken however people write them, so that nobody has to try twice."""
    assert [weakness(value) for value in (make() for _ in range(300))] == [None] * 300


@pytest.mark.requirement("S2-034", "S2-035")
def test_a_new_secret_has_256_bits() -> None:
    """What `bylaw secrets new` prints is 64 hexadecimal characters, another each time."""
    made = {secrets.new() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in made)


@pytest.mark.requirement("S1-068", "S1-070", "S2-079", "C-07")
@pytest.mark.parametrize("value", sorted(PUBLISHED))
def test_every_published_value_is_known(build: Builder, value: str) -> None:
    """Nothing that stands in a tutorial or a source policy signs a cookie, in whatever case."""
    for spelt in (value, value.upper(), f' "{value}" '):
        assert weakness(spelt) == PLACEHOLDER
        refusal = build.refusal("", SECRET_KEY=spelt)
        assert "SECRET_KEY" in refusal
        assert "a published " in refusal


@examples(st.text(min_size=12, max_size=80))
def test_a_weakness_does_not_repeat_the_value(value: str) -> None:
    """Why a value is refused stands in a terminal and in a log: the value does not."""
    why = weakness(value)
    assert why is None or value not in why


def test_whoever_asks_for_more_gets_it() -> None:
    """A policy may ask for longer secrets than the standard."""
    assert weakness(GOOD, min_length=64) is None
    assert weakness(GOOD, min_length=65) == "too short (64 characters)"


# Where it comes from


@pytest.mark.requirement("S1-061", "S1-062", "S1-063", "S1-068", "S2-012", "S2-013", "C-07", "C-21")
@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("", {"SECRET_KEY": ""}, "SECRET_KEY  not set"),
        ("", {"SECRET_KEY": "   "}, "SECRET_KEY  not set"),
        ("", {"DATABASE_URL": ""}, "DATABASE_URL  not set"),
        ("", {"DATABASE_URL": "nothing of the kind"}, "not the URL of a database"),
        ("", {"DATABASE_URL": "postgresql://a:b@host:port/name"}, "not the URL of a database"),
        ("", {"DATABASE_URL": "mysql://app@localhost/app"}, "no driver for mysql databases"),
        ("", {"DATABASE_URL": "sqlite:///:memory:"}, "SQLite needs a file"),
        ("", {"SECRET_KEY": "Zk3v9Q2m"}, "too short (8 characters)"),
        (f'[secrets]\nkey = "{GOOD}"', {}, "written out, where everybody reads it"),
        (f'[secrets]\nprevious = ["{GOOD}"]', {}, "written out, where everybody reads it"),
        (f'[store]\ndatabase = "{DATABASE.format(GOOD)}"', {}, "written out"),
        ('[secrets]\nkey = "env:SECRET_KEY or fallback-dev-key"', {}, "which only [development] may"),
        ('[secrets]\nkey = "file:/nowhere/at/all"', {}, "not readable"),
        ('[secrets]\nprevious = ["env:OLD"]', {}, "OLD  not set"),
        ('[secrets]\nprevious = ["env:OLD"]', {"OLD": "changeme"}, PLACEHOLDER),
        ('[secrets]\nprevious = ["env:OLD"]', {"OLD": GOOD[:42]}, "too short (42 characters)"),
        ('[secrets]\nprevious = ["env:SECRET_KEY"]', {}, "holds the same secret twice"),
        ('[secrets]\nprevious = ["env:OLD", "env:OLD"]', {"OLD": GOOD}, "holds the same secret twice"),
        ("[secrets]\nmin_length = 42", {}, "43 or more"),
        ("[secrets]\nmin_length = 65", {}, "too short (64 characters)"),
        ("[secrets]\noff = true\nbecause = 'tests'", {}, "anybody could sign"),
        ("[secrets]\nfallback = 'x'", {}, "no such key"),
    ],
)
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, environ: dict[str, str], said: str) -> None:
    """Each of them refuses to start, names the key and repeats no value."""
    refusal = build.refusal(text, **environ)
    assert said in refusal
    assert GOOD not in refusal
    assert not [value for value in environ.values() if len(value) > 7 and value in refusal]


@pytest.mark.requirement("S1-063", "S1-127", "C-43")
@pytest.mark.parametrize(
    ("url", "refused"),
    [
        (DATABASE.format("Vq7mZ4kRw8tYp2Lc9XsD"), False),
        (DATABASE.format(GOOD), False),
        (DATABASE.format("%20Vq7mZ4kRw8tYp2Lc9Xs"), False),
        (DATABASE.format("Vq7mZ4kRw8tYp2Lc9Xs"), True),  # 19 characters
        (DATABASE.format("password"), True),
        (DATABASE.format(""), True),
        (DATABASE.format("a" * 40), True),
        (DATABASE.format("ab" * 20), True),
        (DATABASE.format("changeme" + "Vq7mZ4kRw8tYp2Lc9Xs"), True),
        ("postgresql+psycopg://app@db.people.test/app", True),
        ("postgresql+psycopg://app:short@localhost/app", False),
        ("postgresql+psycopg://app@127.0.0.1/app", False),
        ("postgresql+psycopg://app@/app", False),
        ("sqlite:///app.db", False),
        (DATABASE.format(ENVIRON["SECRET_KEY"]), True),
    ],
)
def test_a_database_elsewhere_has_a_password(build: Builder, url: str, refused: bool) -> None:
    """Whoever reaches the database over a network must not guess its password."""
    environ = {"DATABASE_URL": url}
    refusal = build.refusal("", **environ)
    assert ("store.database" in refusal) is refused, refusal
    assert url not in refusal
    if refused:
        assert build.refusal("", BYLAW_ENV="development", **environ) == "", "on one's own machine any will do"


@pytest.mark.requirement("S1-061", "S1-069", "S2-012")
def test_from_the_environment_a_file_or_dotenv(tmp_path: Path) -> None:
    """A secret comes from outside; a real variable wins over `.env`, which others may not read."""
    inside, outside, mounted = secrets.new(), secrets.new(), secrets.new()
    file, dotenv = tmp_path / "bylaw.toml", tmp_path / ".env"
    (tmp_path / "key").write_text(mounted + "\n")
    dotenv.write_text(f"SECRET_KEY={inside}\nDATABASE_URL=sqlite:///app.db\nBASE_URL={OWN}\n")
    dotenv.chmod(0o600)

    def key(text: str = "", **environ: str) -> str:
        file.write_text(text)
        return secrets.ring(policies.load(file, CONTROLS, environ))[0].decode()

    assert key() == inside
    assert key(SECRET_KEY=outside) == outside
    assert key(f'[secrets]\nkey = "file:{tmp_path / "key"}"') == mounted
    for mode in (0o604, 0o640):
        dotenv.chmod(mode)
        with pytest.raises(PolicyError, match="readable by others"):
            key()


@pytest.mark.requirement("S1-068", "C-07", "C-33")
def test_development_is_asked_for_and_signs_nothing_that_lasts(build: Builder) -> None:
    """FLASK_ENV decides nothing; development gets another key each time, and no published one."""
    for asked in ("development", "production", "testing"):
        assert "SECRET_KEY  not set" in build.refusal("", SECRET_KEY="", FLASK_ENV=asked)
    assert "FLASK_DEBUG" in build.refusal("", FLASK_ENV="production", FLASK_DEBUG="1")
    made = [build.policy("", SECRET_KEY="", BYLAW_ENV="development") for _ in range(2)]
    rings = [secrets.ring(policy) for policy in made]
    assert rings[0] != rings[1]
    assert all(weakness(ring[0].decode()) is None for ring in rings)
    assert PLACEHOLDER in build.refusal("", SECRET_KEY="fallback-dev-key", BYLAW_ENV="development")


@pytest.mark.requirement("S1-062", "C-19")
@pytest.mark.parametrize("name", ["SECRET_KEY", "FLASK_SECRET_KEY"])
def test_either_name_will_do(build: Builder, name: str) -> None:
    """The variable may be called what the application's operators call it already."""
    text = f'[secrets]\nkey = "env:{name}"'
    assert secrets.ring(build.policy(text, **{name: GOOD})) == [GOOD.encode()]
    assert f"{name}  not set" in build.refusal(text, **{name: ""})


@pytest.mark.requirement("S1-070", "S2-055")
def test_the_example_of_this_repository_does_not_start(build: Builder) -> None:
    """Whoever copies `.env.example` and forgets to fill it in is told so, by name."""
    values = {k: v or "" for k, v in dotenv_values(ROOT / ".env.example").items()}
    assert {"SECRET_KEY", "DATABASE_URL", "BASE_URL"} <= set(values)
    values.pop("BYLAW_ENV", None)
    refusal = build.refusal("", **values)
    assert "SECRET_KEY" in refusal
    assert weakness(values["SECRET_KEY"]) == PLACEHOLDER


@pytest.mark.requirement("S1-061", "S2-012")
def test_no_secret_stands_in_the_code() -> None:
    """Nothing in the package or its applications that would do as a secret is written there."""
    # What random keys look like: one run of the letters of hexadecimal or base64, with figures.
    random = re.compile("(?=.*[0-9])[A-Za-z0-9+/=_-]{43,}")
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for folder in ("src", "apps")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and random.fullmatch(node.value)
        and weakness(node.value) is None
    ]
    assert found == []


def test_the_ring_has_the_current_one_first(build: Builder) -> None:
    """The current secret makes, the previous ones check, blanks around them count for nothing."""
    old, older = secrets.new(), secrets.new()
    policy = build.policy(
        '[secrets]\nprevious = ["env:OLD", "env:NONE?", "env:OLDER"]',
        SECRET_KEY=f" {GOOD}\n",
        OLD=old,
        OLDER=older,
    )
    assert secrets.ring(policy) == [GOOD.encode(), old.encode(), older.encode()]


@pytest.mark.requirement("S1-061")
def test_a_policy_does_not_show_its_secrets(build: Builder) -> None:
    """Whoever prints a policy, a house or its keys, or dumps them, reads no secret."""
    house = build.house("", SECRET_KEY=GOOD)
    settings = house.of(secrets.Settings)
    shown = f"{house!r} {house.policy!r} {settings!r} {settings} {settings.model_dump()} {house.keys!r}"
    assert GOOD not in shown + settings.model_dump_json()
    statement = " ".join(CONTROL.statement(house.policy))
    assert "refuses to start" in statement
    assert "Previous secrets" not in statement


@pytest.mark.requirement("C-21")
def test_the_statement_counts_what_is_still_accepted(build: Builder) -> None:
    """SECURITY.md says how many previous secrets still open something."""
    policy: Policy = build.policy('[secrets]\nprevious = ["env:OLD"]', OLD=GOOD)
    statement = " ".join(CONTROL.statement(policy))
    assert "Previous secrets still accepted: 1." in statement
    assert GOOD not in statement


# A change of secrets, and attacks


Start = Callable[..., Laboratory]


@pytest.fixture(params=sorted(CREATE))
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts of the notes application on one database, with other secrets each."""
    file = tmp_path / "bylaw.toml"
    file.write_text(NOTES + '\n[secrets]\nprevious = ["env:OLD_KEY?"]\n')
    started: list[Laboratory] = []

    def made(**environ: str) -> Laboratory:
        target = Target("notes", lambda: CREATE[request.param](file))
        started.append(Laboratory(target, environ=environ, database=f"sqlite:///{tmp_path / 'a.db'}"))
        return started[-1]

    yield made
    for laboratory in started:
        laboratory.close()


@pytest.mark.requirement("C-21")
def test_a_change_of_secrets_ends_nobodys_work(start: Start) -> None:
    """Session and open form outlive the new secret; the form dies when the old one is taken out."""
    old, new = secrets.new(), secrets.new()
    before = start(SECRET_KEY=old)
    client = before.client("user")
    token = client.token()

    def try_in(laboratory: Laboratory) -> tuple[int, str]:
        client.transport = laboratory.transport
        reply = client.send(
            "POST",
            laboratory.api("change_password"),
            json={},
            headers=[*client.from_here, (client.token_header, token)],
        )
        return laboratory.whoami(client).status, reply.code

    assert try_in(before) == (200, "errors.invalid")
    assert try_in(start(SECRET_KEY=new, OLD_KEY=old)) == (200, "errors.invalid")
    status, code = try_in(start(SECRET_KEY=new))
    assert status == 200
    assert code.startswith("csrf.")


@pytest.mark.requirement("S1-062", "S1-068", "S2-013", "C-07")
@pytest.mark.parametrize("value", ["", "fallback-dev-key", "a" * 64, "your_secret_key_here"])
def test_an_application_does_not_start_on_it(start: Start, value: str) -> None:
    """The operator forgot the variable or left a sample: nothing is served, in either framework."""
    with pytest.raises(PolicyError) as error:
        start(SECRET_KEY=value)
    assert "SECRET_KEY" in str(error.value)
    assert not value or value not in str(error.value)


@pytest.mark.requirement("S1-061", "S2-012")
def test_a_failure_in_the_open_shows_no_secret(laboratory: Laboratory) -> None:
    """A developer raises an error with the whole policy in it: no secret in answer, log or table."""
    house = laboratory.site.house
    client = laboratory.client("admin")
    with laboratory.raising(RuntimeError(f"{house!r} {house.policy!r} {vars(type(house))}")):
        reply = client.get("/")
    hidden = [secret.decode() for secret in secrets.ring(house.policy)]
    hidden += [key.hex() for key in house.keys.derive("csrf")]
    text = f"{reply.text} {reply.headers} {laboratory.logs.text} {laboratory.dump()}"
    assert reply.status == 500
    assert not any(secret in text for secret in hidden)


@pytest.mark.requirement("S2-079")
@pytest.mark.parametrize("token", ["ADMIN123", "your_admin_token_here", "", "null"])
def test_a_token_of_the_documentation_opens_nothing(laboratory: Laboratory, token: str) -> None:
    """The token that was once hardcoded is no key to anything, in header, query or cookie."""
    for headers in (
        [("Authorization", f"Bearer {token}")],
        [("X-Admin-Token", token)],
        [("Cookie", f"{laboratory.cookie}={token}; admin_token={token}")],
    ):
        for path in (laboratory.api("me"), laboratory.api("users"), "/report"):
            reply = laboratory.visitor().get(f"{path}?token={token}", headers=headers)
            assert reply.status == 401
