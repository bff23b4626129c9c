"""Tables that leave as they are shown and run nowhere; bars that fit their chart."""

from __future__ import annotations

import io
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.mtc.services import charts
from apps.mtc.services.exports import ITEMS, LOTS
from bylaw.spreadsheet import opened
from bylaw.testing import Laboratory


def table(mtc: Laboratory, path: str) -> list[tuple[str, ...]]:
    """What a manager downloads, as the import reads it."""
    reply = mtc.client("manager").page(path)
    assert reply.status == 200
    kind = "xlsx" if ".xlsx" in path else "csv"
    return [row.cells for row in opened(io.BytesIO(reply.body), kind).rows()]


def test_the_report_is_the_same_in_both_formats(mtc: Laboratory) -> None:
    """A row for each lot, oldest first; what CSV and XLSX hold is one table."""
    head, *rows = table(mtc, "/report.csv")
    assert head == LOTS
    assert len(rows) == 4
    plain = [tuple(cell.rstrip("0").rstrip(".") if "." in cell else cell for cell in row) for row in rows]
    assert table(mtc, "/report.xlsx")[1:] == plain
    assert len(table(mtc, "/report.csv?since=2199-01-01")) == 1


def test_costs_and_days_are_numbers_and_dates_in_a_workbook(mtc: Laboratory) -> None:
    """Somebody sorts and adds them up without converting anything."""
    reply = mtc.client("manager").page("/report.xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(reply.body)).active
    kinds = [cell.data_type for cell in sheet[2]]
    assert kinds == ["n", "s", "n", "d", "n", "s", "s", "n"]


@pytest.mark.requirement("S1-088", "S1-111")
def test_the_catalogue_leaves_with_its_prices_and_on_record(mtc: Laboratory) -> None:
    """A row for each price, or for what has none; a name that would run does not; whoever may only read the
    catalogue does not take all of it away."""
    manager = mtc.client("manager")
    manager.act("POST", "/items", form={"name": "=1+1", "category": "", "unit": "pcs"})
    reply = manager.page("/items.csv?q=%3D1")
    assert reply.text.splitlines()[1].startswith("'=1+1,")
    head, row = table(mtc, "/items.xlsx?q=%3D1")
    assert (head, row) == (ITEMS, ("=1+1", "", "pcs"))
    assert len(table(mtc, "/items.csv")) > 20
    exported = mtc.audit(action="export", entity_id="mtc-items")
    assert {each["changes"].get("filter", {}).get("new") for each in exported} == {"=1", None}
    assert mtc.client("user").page("/items.csv").status == 403
    assert manager.page("/items.csv?limit=5").status == 422
    assert manager.page("/items.exe").status == 404


costs = st.decimals(min_value=0, max_value=10**12, places=2, allow_nan=False)


@given(st.lists(costs, max_size=80))
def test_every_bar_stands_inside_its_chart(values: list[Decimal]) -> None:
    """Every bar stands inside its chart."""
    chart = charts.columns([(str(i), value, False) for i, value in enumerate(values)])
    assert len(chart.bars) == min(len(values), 60)
    for bar in chart.bars:
        assert chart.left <= bar.x
        assert bar.x + bar.width <= chart.right + 1
        assert bar.height >= 0
        assert chart.top - 1 <= bar.y <= chart.bottom


def test_lying_bars_are_as_long_as_their_share() -> None:
    """Lying bars are as long as their share."""
    chart = charts.rows([("a", Decimal(10)), ("b", Decimal(5)), ("c", Decimal(0))])
    assert [bar.width for bar in chart.bars] == [720, 360, 0]


@pytest.mark.parametrize(("value", "label"), [("3500", "4k"), ("0.3", "0.4"), ("5000000", "8M")])
def test_the_axis_ends_at_a_short_number(value: str, label: str) -> None:
    """The axis ends at a short number."""
    assert charts.columns([("a", Decimal(value), False)]).ticks[-1].label == label
