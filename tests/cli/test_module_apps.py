"""Applications that are made when their module is imported: each laboratory gets one of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bylaw.verify.laboratory import Bench
from bylaw.verify.target import Target

_APP = """
from flask import Flask
from bylaw.flask import Bylaw, public
from {helper} import seen

app = Flask(__name__)
bylaw = Bylaw(app)


@app.get("/")
@public("counts its visitors")
def home():
    seen.append(1)
    return str(len(seen))
"""


@pytest.fixture
def counting(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An application of two modules, with its state in the second."""
    name = f"counting_{project.name}"
    (project / f"{name}.py").write_text(_APP.format(helper=f"{name}_state"))
    (project / f"{name}_state.py").write_text("seen = []\n")
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    for each in (name, f"{name}_state"):
        monkeypatch.setitem(sys.modules, each, None)
        monkeypatch.delitem(sys.modules, each)
    return name


def test_each_laboratory_begins_anew(counting: str) -> None:
    """Neither the application nor the modules that came with it remember the laboratory before."""
    bench = Bench(Target.afresh(counting))
    databases = set()
    for _ in range(2):
        with bench.laboratory() as laboratory:
            assert [laboratory.visitor().get("/").text for _ in range(2)] == ["1", "2"]
            databases.add(str(laboratory.site.house.store.engine.url))
    bench.close()
    assert len(databases) == 2


def test_an_application_is_made_for_the_laboratory_not_for_this_machine(
    counting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any variable set it is verified all the same, and this machine's database is not opened."""
    for name in ("BASE_URL", "DATABASE_URL", "SECRET_KEY"):
        monkeypatch.delenv(name)
    bench = Bench(Target.afresh(counting))
    with bench.laboratory() as laboratory:
        assert laboratory.policy.production
        assert laboratory.policy.app.base_url == "https://app.lab"
    bench.close()
    assert not Path("notes.db").exists()


def test_another_bench_of_the_same_application_begins_anew(counting: str) -> None:
    """A test suite that makes two benches gets two applications."""
    texts = []
    for _ in range(2):
        bench = Bench(Target.afresh(f"{counting}:app"))
        with bench.laboratory() as laboratory:
            texts.append(laboratory.visitor().get("/").text)
        bench.close()
    assert texts == ["1", "1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no_such_module_at_all", "no module no_such_module_at_all"),
        ("needy", "needy needs the module no_such_module_at_all, which is not there"),
        ("empty", "empty has none of create_app, make_app, app"),
        ("empty:create", "empty has none of create"),
    ],
)
def test_what_cannot_be_started_is_named(
    project: Path, text: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is not there, one that it needs, or one without an application."""
    Path("needy.py").write_text("import no_such_module_at_all\n")
    Path("empty.py").touch()
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    with pytest.raises(LookupError, match=why):
        Target.afresh(text)
    for name in ("needy", "empty"):
        sys.modules.pop(name, None)
