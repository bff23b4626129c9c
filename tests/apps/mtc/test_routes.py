"""What holds for every route of MTC, seen by walking them."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from bylaw.testing import Laboratory

UNSAFE = {"POST", "PUT", "PATCH"}


@pytest.mark.requirement("S1-087")
def test_every_route_that_takes_a_body_names_its_validator(mtc: Laboratory) -> None:
    """Every route that takes a body names its validator."""
    taking = [rule for rule in mtc.app.url_map.iter_rules() if UNSAFE & (rule.methods or set())]
    assert len(taking) > 40
    for rule in taking:
        validator = getattr(mtc.app.view_functions[rule.endpoint], "validator", None)
        assert isinstance(validator, type), rule
        assert issubclass(validator, BaseModel), rule
        assert validator.__module__.startswith("apps.mtc.validators."), rule


@pytest.mark.requirement("S1-087")
def test_every_validator_refuses_fields_it_does_not_know(mtc: Laboratory) -> None:
    """Every validator refuses fields it does not know."""
    for view in mtc.app.view_functions.values():
        validator = getattr(view, "validator", None)
        if isinstance(validator, type) and issubclass(validator, BaseModel):
            assert validator.model_config["extra"] == "forbid", validator


def test_reading_needs_a_read_permission_and_changing_another(mtc: Laboratory) -> None:
    """Reading needs a read permission and changing another."""
    for method, path, rule in mtc.bylaw.routes():
        if path.startswith("/static") or path == "/":
            continue
        verb = rule.permission.partition(":")[2]
        if path.startswith("/imports"):
            assert rule.permission == "import:create", path
        elif method == "GET":
            assert verb in ("read", "export"), path
        else:
            assert verb in ("create", "update", "delete", "execute", "cancel"), path
