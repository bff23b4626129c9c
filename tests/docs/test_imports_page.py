"""The applications of docs/imports.md: as they stand there, they import a table in both frameworks."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from bylaw.testing import Bench, Target
from tests.docs import pages

PAGE = pages.ROOT / "docs" / "imports.md"
POLICY = """
[app]
name = "Works"
[roles]
clerk = ["lot:import"]
[uploads]
kinds = ["csv", "xlsx"]
"""
TABLE = "Charge;Made on;Stück\nL-0001;2026-11-20;4\nL-0002;2026-11-21;many\nL-0003;2026-11-21;6\n"
BODY = (
    '--b\r\nContent-Disposition: form-data; name="file"; filename="lots.csv"\r\n'
    "Content-Type: text/csv\r\n\r\n"
    f"{TABLE}\r\n--b--\r\n"
)


@pytest.mark.requirement("S1-088", "S1-089")
@pytest.mark.parametrize("module", ["with_flask", "with_fastapi"])
def test_the_page_s_application_imports(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headings are found by the words of the model, the bad row is told, the good ones come in."""
    for block in pages.blocks(PAGE):
        if block.name.endswith(".py"):
            (tmp_path / block.name).write_text(block.text, "utf-8")
    (tmp_path / "bylaw.toml").write_text(POLICY, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    names = [path.stem for path in tmp_path.glob("*.py")]
    try:
        bench = Bench(Target.afresh(module))
        with bench.laboratory() as laboratory:
            clerk = laboratory.client("clerk")
            headers = [("Content-Type", "multipart/form-data; boundary=b")]
            sent = clerk.act("POST", "/lots/import", body=BODY.encode(), headers=headers)
            assert sent.status == 303, sent.text
            number = sent.header("location").rpartition("/")[2]
            twin = f"{laboratory.api('imports')}/{number}"
            assert clerk.get(twin).json()["columns"] == ["number", "made", "pieces"]
            checked = clerk.act("POST", twin, json={"action": "check"}).json()
            assert (checked["good"], checked["errors"]) == (2, 1)
            options = {"action": "choose", "option": ["site"], "value": ["Linz"]}
            assert clerk.act("POST", twin, json=options).status == 200
            done = clerk.act("POST", twin, json={"action": "start", "mode": "good"}).json()
            assert (done["state"], done["created"]) == ("done", 2)
            lots = importlib.import_module("lots").lots
            with laboratory.site.house.store.reading() as connection:
                rows = connection.execute(lots.select().order_by(lots.c.number)).all()
            assert [(row.number, row.pieces, row.site) for row in rows] == [
                ("L-0001", 4, "Linz"),
                ("L-0003", 6, "Linz"),
            ]
        bench.close()
    finally:
        for name in names:
            sys.modules.pop(name, None)
