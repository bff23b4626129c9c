"""Secrets: starts that must not happen, forged signatures, what settings say of themselves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from bylaw.controls import secrets
from bylaw.errors import PolicyError
from bylaw.keys import KeyRing
from bylaw.store import users
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry

ROOT = Path(__file__).parents[2]
GOOD = "b7c1f0e95d6a43f28e0c9b1a7d4f6e3c2a5b8d9e0f1c4a7b6d3e2f5a8c9b0d1e"
WEAK = [
    "",
    " ",
    "\n",
    '""',
    "fallback-dev-key",
    "Fallback-Dev-Key",
    "dev",
    "changeme",
    "secret",
    "your_secret_key_here",
    "CHANGEME" * 8,
    "changeme" + "0" * 60,
    "<secret>",
    "${SECRET_KEY}",
    "env:SECRET_KEY",
    "None",
    "null",
    "undefined",
    "12345678",
    "a" * 64,
    "ab" * 32,
    "0123456789abcdef" * 4,
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "0" * 64,
    GOOD[:42],
    "7f0c8e4e-1c8b-4b4e-9a55-3b1d8d7f3f11",
    "A" * 43,
    base64.b64encode(bytes(64)).decode(),
    "supersecretsupersecretsupersecretsupersecretsupersecret",
    "2026-11-21" * 7,
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
]


@pytest.mark.requirement("S1-062", "S1-063", "S1-068", "S2-013", "C-07", "C-19")
@pytest.mark.parametrize("key", WEAK)
def test_a178_a_known_short_or_missing_key_does_not_start(laboratory: Laboratory, key: str) -> None:
    """Somebody deploys with the key of a tutorial: nothing starts, and the key is not repeated."""
    error = laboratory.refuses_to_start(SECRET_KEY=key)
    assert isinstance(error, PolicyError)
    assert "SECRET_KEY" in str(error)
    assert "bylaw secrets new" in str(error)
    if len(key.strip()) > 7 and key not in ("env:SECRET_KEY", "your_secret_key_here"):
        assert key not in str(error)
        assert key not in "".join(traceback.format_exception(error))


@pytest.mark.requirement("S1-062", "S1-068", "S2-013", "C-07")
@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_a178_the_process_ends_and_leaves_nothing(framework: str, tmp_path: Path) -> None:
    """A real process, in production, with the fallback key of the first source policy: it ends with a
    message that names the variable, and has made no database."""
    database = tmp_path / "data" / "app.db"
    environ = {
        **os.environ,
        "BYLAW_ENV": "production",
        "BASE_URL": "https://app.lab",
        "DATABASE_URL": f"sqlite:///{database}",
        "SECRET_KEY": "fallback-dev-key",
    }
    program = f"from tests.applications import {framework}_app as it; it.create_app()"
    result = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "SECRET_KEY" in result.stderr
    assert "bylaw secrets new" in result.stderr
    assert "fallback-dev-key" not in result.stderr + result.stdout
    assert not database.exists()


@pytest.mark.requirement("S1-062", "C-19")
def test_a178_a_thousand_good_keys_start(flask_laboratory: Laboratory) -> None:
    """No random secret is taken for a weak one."""
    for _ in range(1000):
        assert secrets.weakness(secrets.new()) is None
    for good in (GOOD, base64.urlsafe_b64encode(bytes.fromhex(GOOD)).decode()):
        assert flask_laboratory.refuses_to_start(SECRET_KEY=good) is None


@pytest.mark.requirement("S2-013", "C-33")
@pytest.mark.parametrize("name", ["prod", "Development ", "dev", "test", "staging", "0"])
def test_a178_a_typing_mistake_in_the_environment_is_not_development(
    flask_laboratory: Laboratory, name: str
) -> None:
    """`BYLAW_ENV=prod`: not silently development, where a missing key would be made up."""
    error = flask_laboratory.refuses_to_start(BYLAW_ENV=name, SECRET_KEY="")
    assert error is not None or name.strip().lower() == "development"


@pytest.mark.requirement("C-30", "C-33")
@pytest.mark.parametrize("name", ["FLASK_DEBUG", "TESTING", "BYLAW_TESTING"])
def test_a181_a_way_in_for_tests_does_not_start_in_production(laboratory: Laboratory, name: str) -> None:
    """A variable that switches protection off is set in production: nothing starts."""
    error = laboratory.refuses_to_start(**{name: "1"})
    assert error is not None
    assert name in str(error)


@pytest.mark.requirement("S1-062", "C-07")
def test_a178_a_session_signed_with_a_known_key_is_nobodys(laboratory: Laboratory) -> None:
    """Flask's own cookie, Starlette's, a JWT: signed as their documentation shows, with its keys."""
    for key in ("fallback-dev-key", "dev", "changeme", "secret", "", "None", "super secret key"):
        payload = {"_user_id": "1", "user_id": 1, "role": "admin", "_fresh": True}
        app = Flask("x")
        app.secret_key = key or "x"
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert serializer is not None
        data = base64.b64encode(json.dumps(payload).encode()).decode()
        mac = hmac.new(key.encode(), data.encode(), hashlib.sha1).digest()
        forged = [
            str(serializer.dumps(payload)),
            f"{data}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}",
        ]
        for value in forged:
            for name in (laboratory.cookie, "__Host-flask", "session"):
                reply = laboratory.visitor().get(
                    laboratory.api("me"), headers=[("Cookie", f"{name}={value}")]
                )
                assert reply.status == 401
            visitor = laboratory.visitor()
            reply = visitor.get(laboratory.api("me"), headers=[("Authorization", f"Bearer {value}")])
            assert reply.status == 401


@pytest.mark.requirement("C-21", "C-19")
@pytest.mark.parametrize("previous", ["", " ", "dev", "a" * 64, "x"])
def test_a180_a_weak_previous_key_does_not_start(flask_laboratory: Laboratory, previous: str) -> None:
    """An empty entry among the keys of before would fit whatever was signed with nothing."""
    text = (ROOT / "tests/applications/bylaw.toml").read_text()
    text += '\n[secrets]\nprevious = ["env:SECRET_KEY_BEFORE"]\n'
    error = flask_laboratory.refuses_to_start(policy=text, SECRET_KEY_BEFORE=previous)
    assert error is not None


@pytest.mark.requirement("C-19")
@pytest.mark.parametrize("purpose", ["csrf", "flask.session", "x"])
def test_a180_no_purpose_has_an_empty_key_or_another_ones(purpose: str) -> None:
    """Each purpose has a key of its own, of 256 bits, and a seal of one is none of another."""
    ring = KeyRing([GOOD.encode()])
    (key,) = ring.derive(purpose)
    assert len(key) == 32
    assert key not in (b"", bytes(32), GOOD.encode())
    for other in ("csrf", "flask.session", "x"):
        assert ring.sealed(other, "message", ring.seal(purpose, "message")) is (other == purpose)
    for forged in ("", " ", "None", "null", "=", "A" * 22):
        assert not ring.sealed(purpose, "message", forged)


@pytest.mark.requirement("S2-012", "C-07")
def test_a181_nothing_that_stands_in_our_documents_opens_anything(
    laboratory: Laboratory,
) -> None:
    """Every address and password in the repository's own pages, tried on a fresh installation."""
    with laboratory.site.house.store.reading() as connection:
        assert users.count(connection) == 0
    written = "\n".join(
        file.read_text(encoding="utf-8", errors="replace")
        for place in ("README.md", "CONTRIBUTING.md", ".env.example", "SECURITY.md")
        for file in [ROOT / place]
        if file.is_file()
    ) + "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "docs").rglob("*.md"))
    addresses = set(re.findall(r"[\w.+-]+@[\w-]+\.[\w.]+", written)) | {"admin@app.lab"}
    visitor = laboratory.visitor()
    hurry(laboratory)
    for address in sorted(addresses)[:20]:
        visitor.email = address
        reply = laboratory.sign_in(visitor, "admin")
        assert reply.status in (401, 422)


@pytest.mark.requirement("S2-013", "C-07")
def test_a178_no_value_of_our_own_examples_is_a_key(flask_laboratory: Laboratory) -> None:
    """What stands as an example in a file of the repository is refused as a key."""
    example = (ROOT / ".env.example").read_text()
    values = set(re.findall(r"^\w*(?:SECRET|KEY|PASSWORD)\w*=(\S*)", example, re.MULTILINE))
    for value in values:
        assert flask_laboratory.refuses_to_start(SECRET_KEY=value) is not None, value


@pytest.mark.requirement("S1-061", "S1-063", "S2-012")
def test_a183_no_setting_says_what_it_holds(laboratory: Laboratory) -> None:
    """An exception holds the policy, the house, the keys: whatever is printed of them, no secret is."""
    house = laboratory.site.house
    key = laboratory.environ["SECRET_KEY"]
    shown = []
    for thing in (
        laboratory.policy,
        house,
        house.keys,
        house.policy.store,
        house.store.engine,
        laboratory.site,
        house.policy.of(secrets.Settings),
        house.mailer,
    ):
        shown += [repr(thing), str(thing), f"{thing}", f"{thing!r}"]
    settings = house.policy.of(secrets.Settings)
    shown += [settings.model_dump_json(), repr(settings.model_dump()), repr(vars(settings))]
    with laboratory.raising(RuntimeError(repr(house), laboratory.policy, settings)):
        reply = laboratory.administrator().get("/x")
    shown += [reply.text, laboratory.logs.text]
    derived = [k.hex() for k in house.keys.derive("csrf")]
    for text in shown:
        for secret in (key, base64.b64encode(key.encode()).decode(), *derived):
            assert secret not in text


@pytest.mark.requirement("S1-063")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://app:C4nary-Passw0rd@127.0.0.1:1/x",
        "nonsense://C4nary-Passw0rd",
        "postgresql+psycopg://app:C4nary%2DPassw0rd@127.0.0.1:1/x",
        "C4nary-Passw0rd",
        "sqlite://",
    ],
)
def test_a183_a_database_that_does_not_answer_says_nothing_of_its_password(
    flask_laboratory: Laboratory, url: str
) -> None:
    """The address of the database is wrong: the message names the setting, never the password."""
    try:
        flask_laboratory.refuses_to_start(DATABASE_URL=url)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        assert "C4nary-Passw0rd" not in text
        assert "C4nary%2DPassw0rd" not in text
