"""Whatever stands in a policy, the outcome is a policy or a list of problems, and no secret is in it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import logging
import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bylaw import policy
from bylaw.controls import CONTROLS
from bylaw.errors import PolicyError
from bylaw.policy import Policy
from bylaw.ports import Ports
from bylaw.site import build
from tests.policy.goldens import OTHER, SECRET

CANARIES = {
    "SECRET_KEY": SECRET,
    "OLD_KEY": OTHER,
    "DATABASE_URL": "postgresql+psycopg://app:Tr0ub4dor-and-three-more@db.acme.eu/app",
    "SMTP_URL": "smtps://mailer:c0rrect-h0rse-battery@mail.acme.eu:465",
    "ODD": "back\\slash \"quoted\" 'and' new\nline ünd more",
}
ENVIRON = {**CANARIES, "BASE_URL": "https://mtc.acme.eu"}
SECTIONS = policy.sections(CONTROLS)
GIVEN_AWAY = {
    "SECRET_KEY": (SECRET[:12], SECRET[-12:]),
    "OLD_KEY": (OTHER[:12], OTHER[-12:]),
    "DATABASE_URL": ("Tr0ub4dor", "three-more"),
    "SMTP_URL": ("c0rrect", "battery"),
    "ODD": ("back\\slash", "back\\\\slash", "ünd more", "\\xfcnd more"),
}
"""A piece of a value is enough to give it away."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of its own for all that hypothesis thinks of."""
    folder = tmp_path_factory.mktemp("policy")
    (folder / "secret.txt").write_text(CANARIES["OLD_KEY"])
    with contextlib.chdir(folder):
        yield folder


def outcome(data: bytes, environment: str) -> Policy | PolicyError:
    Path("bylaw.toml").write_bytes(data)
    try:
        return policy.load("bylaw.toml", CONTROLS, {**ENVIRON, "BYLAW_ENV": environment})
    except PolicyError as error:
        return error


def gives_away(text: str) -> list[str]:
    """Which canaries stand in `text`, whole or in part."""
    return [name for name, pieces in GIVEN_AWAY.items() if any(piece in text for piece in pieces)]


environments = st.sampled_from(["production", "development"])
references = st.sampled_from(
    [
        *(f"env:{name}" for name in ENVIRON),
        "env:OLD_KEY?",
        "env:NOWHERE",
        "env:NOWHERE?",
        "env:",
        "env:A or b",
        "file:secret.txt",
        "file:nowhere.txt",
        "file:",
        "file:\0",
    ]
)
words = st.one_of(
    references,
    references,
    st.text(max_size=12),
    st.sampled_from(["*", "note:read", "https://partner.acme.eu", "'self'", "None", "30m", "user", "/x"]),
)
scalars = st.one_of(words, st.booleans(), st.integers(), st.floats(), st.dates())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
known = {key for model in SECTIONS.values() for key in model.model_fields}
keys = st.sampled_from(sorted({"admin", "new", *known}))
tables = st.dictionaries(
    st.sampled_from([*SECTIONS, "development", "unknown"]),
    st.dictionaries(keys, values, max_size=4) | values,
    max_size=4,
)


def toml(value: Any) -> str:
    """`value` as TOML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(c if c in SAFE else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


SAFE = set(string.ascii_letters + string.digits + " :/*?._-'@+")


@settings(max_examples=300, deadline=None)
@given(text=st.text(), environment=environments)
@example(text="[app", environment="production")
@example(text="\ufeff[app]", environment="production")
@example(text="[secrets]\nkey = 'env:SECRET_KEY'\nx = [[[[[[[[[[0]]]]]]]]]]", environment="production")
def test_any_text_gives_a_policy_or_problems(place: Path, text: str, environment: str) -> None:
    """Nothing that an editor could leave behind ends in a traceback."""
    outcome(text.encode("utf-8", "surrogatepass"), environment)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(), environment=environments)
def test_any_bytes_give_a_policy_or_problems(place: Path, data: bytes, environment: str) -> None:
    """Nor does what no editor would leave behind."""
    outcome(data, environment)


@pytest.mark.requirement("S1-061", "S1-063", "S2-013")
@settings(max_examples=600, deadline=None)
@given(tables=tables, environment=environments)
@example(tables={"roles": {"admin": ["env:ODD"]}}, environment="production")
@example(tables={"passwords": {"composition": [["env:OLD_KEY"]]}}, environment="production")
@example(tables={"app": {"name": {"a": ["env:SMTP_URL"]}}}, environment="production")
@example(tables={"csrf": {"exempt": [{"path": "env:OLD_KEY", "owner": "env:ODD"}]}}, environment="production")
@example(tables={"signup": {"role": "file:secret.txt"}}, environment="development")
def test_no_secret_stands_in_a_problem(place: Path, tables: dict[str, Any], environment: str) -> None:
    """Secrets in every place where one could be put by mistake: no error shows one."""
    text = "".join(f"{toml(name)} = {toml(table)}\n" for name, table in tables.items())
    found = outcome(text.encode(), environment)
    if isinstance(found, PolicyError):
        assert gives_away(f"{found}{found!r}{found.args!r}{found.problems!r}") == []
        assert all(problem.what for problem in found.problems)


@pytest.mark.requirement("S1-061")
def test_a_policy_shows_no_secret_of_itself(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Printed, logged, copied, dumped or formatted into a template: stars stand where a secret is (A183)."""
    text = '[mail]\nserver = "env:SMTP_URL"\n[secrets]\nprevious = ["file:secret.txt"]\n'
    found = outcome(text.encode(), "production")
    assert isinstance(found, Policy)
    sections = [found.app, found.store, found.mail, found.pages, *found.controls.values()]
    logging.getLogger("bylaw.test").warning("policy %r %s", found, found.controls)
    shown = [
        repr(found),
        str(found),
        f"{found}",
        f"{found.store!r}",
        repr(copy.deepcopy(found)),
        str(dataclasses.asdict(found)),
        *map(repr, sections),
        *(s.model_dump_json() for s in sections),
        *(str(s.model_dump()) for s in sections),
        *(str(vars(s)) for s in sections),
        json.dumps(found.written, default=str),
        caplog.text,
    ]
    assert "**********" in shown[0]
    assert gives_away("\n".join(shown)) == []


@pytest.mark.requirement("S1-061")
def test_an_error_keeps_no_secret_in_what_led_to_it(place: Path) -> None:
    """A traceback that somebody logs shows causes and contexts too: there are none."""
    found = outcome(b'[roles]\nadmin = ["env:OLD_KEY", 3]\n[app]\nname = ["env:SECRET_KEY"]\n', "production")
    assert isinstance(found, PolicyError)
    assert (found.__cause__, found.__suppress_context__ or found.__context__) in {(None, None), (None, True)}


@pytest.mark.requirement("S1-061")
def test_nothing_of_it_is_put_into_the_environment(place: Path) -> None:
    """`.env` is read, not exported: a child process is not given the application's secrets."""
    before = dict(os.environ)
    Path(".env").write_text("ODD=of the file\nOTHER_SECRET=1\n")
    Path(".env").chmod(0o600)
    try:
        assert isinstance(outcome(b"", "production"), Policy)
        assert dict(os.environ) == before
    finally:
        Path(".env").unlink()


@pytest.mark.requirement("S1-061")
def test_what_is_built_of_a_policy_shows_no_secret(place: Path) -> None:
    """House, ports, keys, engine and mailer end up in tracebacks and logs: none of them shows one (A183)."""
    Path("bylaw.toml").write_text('[mail]\nserver = "env:SMTP_URL"\n')
    house = build(policy.load("bylaw.toml", CONTROLS, ENVIRON), Ports(environ=ENVIRON))
    try:
        parts = [house, house.ports, house.keys, house.mailer, house.scheme, house.hashes, house.store]
        parts += [house.store.engine, house.store.engine.url]
        assert gives_away("\n".join(f"{part!r} {part}" for part in parts)) == []
    finally:
        house.store.close()
