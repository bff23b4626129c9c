"""CSV that a spreadsheet program only reads; bars that fit their chart."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.mtc.services import charts
from apps.mtc.services.exports import neutral, write_csv


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\rx", "-", "+x"])
def test_what_would_run_gets_an_apostrophe(cell: str) -> None:
    """What would run gets an apostrophe."""
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-5", "+5", "-5.25", "5", "-5,25", "a=b", "", "x@y"])
def test_plain_numbers_and_plain_text_stay_as_they_are(cell: str) -> None:
    """Plain numbers and plain text stay as they are."""
    assert neutral(cell) == cell


def test_nothing_is_an_empty_cell() -> None:
    """Nothing is an empty cell."""
    assert write_csv(["a"], [[None], [Decimal("1.5")]]) == "a\r\n\r\n1.5\r\n".replace(
        "\r\n\r\n", '\r\n""\r\n'
    )


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
