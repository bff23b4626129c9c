"""The JSON Schema that editors check bylaw.toml with says what the program says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import create_model

from bylaw import policy
from bylaw.controls import CONTROLS
from bylaw.quantities import Size
from bylaw.schema import is_size, policy_schema
from tests.policy import goldens

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = jsonschema_rs.validator_for(policy_schema())
POLICIES = sorted(
    path for folder in ("apps", "tests", "benchmarks") for path in (ROOT / folder).rglob("bylaw.toml")
)


def complaints(text: str) -> list[str]:
    """The keys that the schema complains of."""
    tables: dict[str, Any] = json.loads(json.dumps(tomllib.loads(text), default=str))
    return sorted(".".join(map(str, error.instance_path)) for error in SCHEMA.iter_errors(tables))


def test_it_is_a_schema() -> None:
    """It keeps to JSON Schema 2020-12 itself."""
    jsonschema_rs.meta.validate(policy_schema())


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.parent.name)
def test_every_policy_of_this_repository_fits(path: Path) -> None:
    """Nobody's editor underlines a policy that starts."""
    assert complaints(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[rate_limit]\n", [""]),
        ("[passwords]\nmin_lenght = 15\n", ["passwords"]),
        ("[passwords]\nmin_length = 7\n", ["passwords.min_length"]),
        ('[passwords]\nmin_length = "15"\n', ["passwords.min_length"]),
        ('[passwords]\nhash = "md5"\n', ["passwords.hash"]),
        ('[cookies]\nsame_site = "lax"\n', ["cookies.same_site"]),
        ('[sessions]\nidle = "1 fortnight"\n', ["sessions.idle"]),
        ("[store]\nrevocation_bound = 61\n", ["store.revocation_bound"]),
        ('[secrets]\nkey = "hunter2"\n', ["secrets.key"]),
        ('[pages]\nhome = "//evil.test"\n', ["pages.home"]),
        ('[[csrf.exempt]]\npath = "/hook"\n', ["csrf.exempt.0"] * 3),
        ('[roles]\nadmin = "*"\n', ["roles.admin"]),
        ("[development.passwords]\nmin_length = 1\n", ["development.passwords.min_length"]),
        ("[development.development]\n", ["development"]),
    ],
)
def test_a_mistake_is_underlined_while_it_is_written(text: str, wrong: list[str]) -> None:
    """What a start would refuse, the editor shows already."""
    assert complaints(text) == wrong


@pytest.mark.parametrize(
    "text",
    [
        '[app]\nname = "env:NAME"\nbase_url = "env:URL?"\n',
        '[secrets]\nprevious = ["env:OLD?", "file:/run/old"]\n',
        '[cookies]\nsame_site = "env:SAME_SITE"\n',
        '[sessions]\nidle = "30 minutes"\nabsolute = "7d"\n',
        '[development]\napp.base_url = "env:URL or http://127.0.0.1:5000"\nstore.database = "sqlite:///var/app.db"\n',
    ],
)
def test_references_and_durations_are_taken(text: str) -> None:
    """Where text may stand, so may the place that it comes from."""
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[[body.routes]]\npath = "/a"\nsize = "10MB"\n[body]\nsize = "2MB"\n', []),
        ('[body]\nsize = "2 hours"\n', ["body.size"]),
    ],
)
def test_a_size_is_no_duration(text: str, wrong: list[str]) -> None:
    """Megabytes are no minutes, also where a key may have no size at all."""
    assert complaints(text) == wrong


def test_a_size_that_may_be_left_out_is_a_size() -> None:
    """`Size | None`: what may be written is found inside the union."""
    for settings in (Size | None, Size):
        info = create_model("Table", size=(settings, None)).model_fields["size"]
        assert is_size(info), settings


def test_every_section_and_key_is_described() -> None:
    """An editor that completes a key says what it does."""
    for name, table in policy_schema()["properties"].items():
        assert table["description"], name
        for key, field in table["properties"].items():
            assert name == "development" or field["description"], f"{name}.{key}"


@pytest.mark.parametrize("folder", ["contradictions", "environment", "secrets"])
def test_what_starts_is_not_underlined(folder: str) -> None:
    """No golden that is kept is a mistake to the schema."""
    for golden in map(goldens.read, goldens.files(folder)):
        if golden.outcome == "kept":
            assert complaints(golden.text) == [], golden.path.name


def test_a_default_is_where_a_secret_comes_from() -> None:
    """No stars, which an editor would offer for completion."""
    text = json.dumps(policy_schema())
    assert "**" not in text
    assert policy_schema()["properties"]["secrets"]["properties"]["key"]["default"] == "env:SECRET_KEY"
    assert set(policy_schema()["properties"]) == {*policy.sections(CONTROLS), "development"}
