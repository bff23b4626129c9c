"""Taking tables out of MTC, as somebody does it: by keyboard, without a script, on a phone."""

from __future__ import annotations

import io
from pathlib import Path

import openpyxl
import pytest

from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.visitor import PHONE


@pytest.mark.requirement("S1-111")
@pytest.mark.parametrize(("path", "name"), [("/items", "mtc-items"), ("/report", "mtc-lots")])
def test_somebody_downloads_a_table(mtc: Served, visit: Visit, path: str, name: str) -> None:
    """Both formats are one key away below the list that they hold, also without a script and on a phone."""
    manager = visit(mtc, mtc.person("manager"), viewport=PHONE)
    manager.go(path)
    wide = manager.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    for form in ("CSV", "XLSX"):
        link = manager.page.get_by_role("link", name=f"Download as {form}")
        link.focus()
        with manager.page.expect_download() as begun:
            manager.page.keyboard.press("Enter")
        file = begun.value
        assert file.suggested_filename.startswith(f"{name}-")
        assert file.suggested_filename.endswith(f".{form.lower()}")
        data = Path(str(file.path())).read_bytes()
        assert data.startswith(b"\xef\xbb\xbf" if form == "CSV" else b"PK")
    assert openpyxl.load_workbook(io.BytesIO(data)).active.max_row > 2
