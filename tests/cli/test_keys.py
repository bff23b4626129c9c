"""API keys at the command line: made for a service account, listed, rotated, revoked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bylaw.cli import main
from bylaw.controls.api_keys import text


def bylaw(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def keyed(project: Path) -> Path:
    """A project in which keys are taken, with a service account."""
    policy = Path("bylaw.toml")
    policy.write_text(policy.read_text("utf-8") + '\n[api_keys]\npaths = ["/api/*"]\n', "utf-8")
    bylaw("db", "upgrade")
    roles = json.loads(bylaw("role", "list", "--json").output)
    assert roles
    bylaw("user", "service", "nightly", "--contact", "ops@acme.eu", "--role", "admin")
    return policy


@pytest.mark.requirement("S3-084", "C-40")
def test_a_key_from_its_making_to_its_end(keyed: Path) -> None:
    """The key stands alone on the first line, for a pipe; no list shows it; rotated and revoked by its id."""
    made = bylaw(
        "key", "new", "service:nightly", "--name", "import", "--scope", "note:read", "--rate", "9/hour"
    )
    key = made.stdout.splitlines()[0]
    assert text.well_formed(key)
    key_id = key.split("_")[2]
    listed = bylaw("key", "list").output
    assert f"{key_id}  service:nightly  import  note:read  never used" in listed
    assert key not in listed
    row = json.loads(bylaw("key", "list", "service:nightly", "--json").output)
    assert (row["id"], row["rate"], row["used_at"]) == (key_id, "9/hour", None)
    assert bylaw("key", "list", "--never").output == "0 keys\n"
    successor = json.loads(bylaw("key", "rotate", key_id, "--overlap", "1h", "--json").output)
    assert (successor["replaces"], successor["scopes"]) == (key_id, ["note:read"])
    assert "successor already" in bylaw("key", "rotate", key_id, code=1).output
    assert "revoked" in bylaw("key", "revoke", key_id, "--reason", "found").output
    assert "There is no such API key." in bylaw("key", "revoke", key_id, code=1).output
    assert bylaw("key", "list").output.endswith("1 key\n")


@pytest.mark.requirement("S3-084")
def test_what_cannot_be_made_is_said_in_a_sentence(keyed: Path) -> None:
    """Nobody's account, a scope that is none, a life that is too long, a name that is taken or none."""
    new = ("key", "new", "service:nightly", "--name", "x")
    assert (
        "there is no account"
        in bylaw("key", "new", "service:no", "--name", "x", "--scope", "a:b", code=1).output
    )
    assert "noun:verb" in bylaw(*new, "--scope", "everything", code=1).output
    assert "lifetime" in bylaw(*new, "--scope", "a:b", "--lifetime", "400d", code=1).output
    assert "every key expires here" in bylaw(*new, "--scope", "a:b", "--lifetime", "never", code=1).output
    assert "no such API key" in bylaw("key", "rotate", "\0", code=1).output
    bylaw(*new, code=2)
    again = ("user", "service", "nightly", "--contact", "ops@acme.eu")
    assert "another service account's" in bylaw(*again, code=1).output
    assert "who answers for it" in bylaw("user", "service", "b", "--contact", "nobody", code=1).output
    assert "service" in bylaw("user", "show", "service:nightly").output


@pytest.mark.requirement("S3-084")
def test_every_command_knows_an_account_by_its_address_its_name_or_its_id(keyed: Path) -> None:
    """Who has an id from a listing, or the name of a service, is not told that there is no such account."""
    bylaw("user", "invite", "root@acme.eu", "--role", "admin")  # somebody stays who manages users
    shown = json.loads(bylaw("user", "show", "service:nightly", "--json").output)
    for name in ("service:nightly", shown["id"]):
        assert json.loads(bylaw("user", "show", name, "--json").output)["id"] == shown["id"]
        assert bylaw("role", "explain", name, "note:read").output.startswith("yes")
        assert bylaw("role", "grant", name, "user", "--because", "x").output
        assert bylaw("role", "revoke", name, "user", "--because", "x").output
        assert "0 keys" in bylaw("key", "list", name).output
    for nobody in ("\udcff", "a" * 36, "0" * 36, "service:\udcff", "ann\0@acme.eu"):
        for words in (("user", "show", nobody), ("role", "explain", nobody, "note:read")):
            assert bylaw(*words, code=1).stderr.startswith("bylaw: ")


@pytest.mark.requirement("S3-084")
def test_a_policy_without_keys_makes_none(project: Path) -> None:
    """Where no path takes keys there is nothing to make them for, and a person says so."""
    bylaw("db", "upgrade")
    bylaw("user", "service", "nightly", "--contact", "ops@acme.eu")
    refused = bylaw("key", "new", "service:nightly", "--name", "x", "--scope", "a:b", code=1).output
    assert "There are no API keys here." in refused
