"""bylaw token: what an operator types to make, list, rotate and revoke access tokens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bylaw.cli import main
from bylaw.controls import tokens

TOKEN = re.compile(r"bylaw_pat_[0-9a-z]{58}")


@pytest.fixture
def folder(project: Path) -> Path:
    """A folder with a policy by which people sign in with tokens, and its database."""
    policy = project / "bylaw.toml"
    policy.write_text(policy.read_text("utf-8") + "\n[tokens]\nsign_in = true\n", "utf-8")
    assert bylaw("db", "upgrade").exit_code == 0
    return project


def bylaw(*words: str) -> Result:
    result = CliRunner().invoke(main, words, prog_name="bylaw")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def made(*words: str) -> dict[str, str]:
    result = bylaw("token", "new", *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, str] = json.loads(result.stdout)
    return found


@pytest.mark.requirement("S2-045", "S2-034", "S2-035")
def test_a_value_for_the_first_administrator(project: Path) -> None:
    """It needs no database, and a start takes it."""
    values = {bylaw("token", "new", "--first").stdout.strip() for _ in range(3)}
    assert len(values) == 3
    assert [value for value in values if tokens.weakness(value)] == []


@pytest.mark.requirement("S2-045", "S2-046", "S2-049")
def test_one_token_from_its_beginning_to_its_end(folder: Path) -> None:
    """Made, listed without being shown, rotated in one without a restart, revoked."""
    bylaw("user", "invite", "ann@acme.eu", "--role", "user")
    result = bylaw("token", "new", "ann@acme.eu", "--name", "phone", "--lifetime", "30d")
    assert TOKEN.fullmatch(result.stdout.strip())
    assert "shown this once" in result.stderr
    listed = bylaw("token", "list").stdout
    assert "ann@acme.eu  phone  good  until " in listed
    assert "never used" in listed
    assert TOKEN.search(listed) is None
    identity = listed.split()[0]
    rotated = bylaw("token", "rotate", identity)
    assert TOKEN.fullmatch(rotated.stdout.strip())
    assert rotated.stdout != result.stdout
    again = bylaw("token", "rotate", identity)
    assert (again.exit_code, again.stderr) == (1, "bylaw: There is no such token.\n")
    identity = bylaw("token", "list", "ann@acme.eu").stdout.split()[0]
    assert bylaw("token", "revoke", identity, "--reason", "lost").exit_code == 0
    assert bylaw("token", "list").stdout == "0 tokens\n"


def test_somebody_without_an_address(folder: Path) -> None:
    """An account is made together with its token; later it is named by its id."""
    given = made("--for", "Participant 1", "--role", "user", "--lifetime", "7d")
    [line] = bylaw("token", "list", "--json").stdout.splitlines()
    row = json.loads(line)
    assert (row["owner"], row["id"]) == ("Participant 1 (no mail address)", given["id"])
    assert TOKEN.fullmatch(given["token"])
    assert made(row["user_id"], "--name", "second")["name"] == "second"


@pytest.mark.requirement("S2-068", "C-06")
def test_what_never_expires_is_counted(folder: Path) -> None:
    """Not where the policy does not say so; where it does, the list names each and how many there are."""
    bylaw("user", "invite", "ann@acme.eu")
    refused = bylaw("token", "new", "ann@acme.eu", "--lifetime", "never")
    assert (refused.exit_code, "at most 90 days" in refused.stderr) == (1, True)
    policy = folder / "bylaw.toml"
    more = 'never = true\nbecause = "cards that hang on a wall"\n'
    policy.write_text(policy.read_text("utf-8") + more, "utf-8")
    assert made("ann@acme.eu", "--lifetime", "never")["expires_at"] == "never"
    assert made("ann@acme.eu")["expires_at"] != "never"
    assert bylaw("token", "list", "--never").stdout.splitlines()[-1] == "1 token"
    said = bylaw("check").stdout
    assert "tokens" in said
    assert "cards that hang on a wall" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the owner"),
        (("ann@acme.eu", "--first"), "name the owner"),
        (("--for", "Ann"), "belong together"),
        (("ann@acme.eu", "--role", "user"), "belong together"),
        (("--for", "Ann", "--role", "user", "--lifetime", "never"), "its token expires"),
        (("ann@acme.eu", "--lifetime", "soon"), "a duration"),
    ],
)
def test_a_call_that_is_wrong(folder: Path, words: tuple[str, ...], said: str) -> None:
    """Two, and what was meant."""
    result = bylaw("token", "new", *words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("new", "nobody@acme.eu"),
        ("new", "no address"),
        ("new", "--for", "Ann", "--role", "nobody"),
        ("new", "--for", "Ann", "--role", "user", "--lifetime", "91d"),
        ("revoke", "nothing"),
        ("revoke", "x" * 50),
        ("rotate", "nothing"),
        ("list", "nobody@acme.eu"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, words: tuple[str, ...]) -> None:
    """One, and a sentence."""
    result = bylaw("token", *words)
    assert result.exit_code == 1
    assert result.stderr.startswith("bylaw: ")
    assert "Traceback" not in result.output


def test_where_nobody_signs_in_with_a_token_none_is_made(project: Path) -> None:
    """A token that opens nothing would lie around."""
    assert bylaw("db", "upgrade").exit_code == 0
    bylaw("user", "invite", "ann@acme.eu")
    result = bylaw("token", "new", "ann@acme.eu")
    assert (result.exit_code, result.stderr) == (1, "bylaw: Nobody signs in with a token here.\n")
