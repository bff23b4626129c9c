"""The overview's charts, drawn on the server: SVG without a script, and nothing from elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from xml.etree.ElementTree import Element

import pygal
from pygal.style import Style

from apps.planner.plans import COLOURS

# pygal looks for maps that nobody installed at every import of the process, by a protocol that Python has
# given up (PEP 451): each import that finds nothing else warns.
sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)]

_FONT: Final = "system-ui, sans-serif"
_WIDTH: Final = 480
"""Units, of which a phone shows about as many pixels less a third, and a projector half as many again."""
_POINTS: Final = 24
_LONGEST_LABEL: Final = 18


def _style(colours: Sequence[str], opacity: str = "1") -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="#33413f",
        foreground_strong="#1b2624",
        foreground_subtle="#7b8886",
        guide_stroke_color="#cfd6d3",
        major_guide_stroke_color="#cfd6d3",
        opacity=opacity,
        opacity_hover=opacity,
        transition="0s",
        colors=tuple(colours),
        font_family=_FONT,
        label_font_family=_FONT,
        label_font_size=17,
        major_label_font_family=_FONT,
        major_label_font_size=17,
        no_data_font_family=_FONT,
        no_data_font_size=22,
    )


def _bare(root: Element) -> Element:
    """Without the script and the tooltips that pygal adds for it: as an image the chart runs nothing."""
    for parent in list(root.iter()):
        for child in list(parent):
            kind = str(child.tag).rpartition("}")[2]
            if kind == "script" or "tooltip-overlay" in child.attrib.get("class", ""):
                parent.remove(child)
            child.attrib.pop("onload", None)
    return root


def _rendered(chart: Any) -> str:
    chart.add_xml_filter(_bare)
    text: str = chart.render(is_unicode=True)
    return text


def _options(**more: Any) -> dict[str, Any]:
    return {
        "js": [],
        "no_prefix": True,
        "disable_xml_declaration": True,
        "explicit_size": True,
        "show_legend": False,
        "margin": 12,
        "margin_right": 30,
        "no_data_text": "Nothing yet",
        "value_formatter": lambda value: f"{value:.0f}" if value is not None else "",
        **more,
    }


def bars(values: Mapping[str, int]) -> str:
    """A lying bar for each category, the first on top, in the colour that it has on the plan."""
    colours = [COLOURS[at % len(COLOURS)] for at in range(len(values))] or [COLOURS[0]]
    chart = pygal.HorizontalBar(
        **_options(
            width=_WIDTH,
            height=40 + 40 * max(len(values), 1),
            style=_style(colours),
            show_x_guides=False,
            show_y_guides=False,
            show_x_labels=False,
            spacing=10,
            rounded_bars=3,
            range=(0, max([*values.values(), 1]) * 1.08),
        )
    )
    # The number stands beside the name: no bar is too short for it.
    chart.x_labels = [f"{_short(name)}  {value}" for name, value in reversed(list(values.items()))]
    # pygal draws the first at the bottom; each bar has its own colour, not its series'.
    count = len(values)
    chart.add(
        "",
        [
            {"value": value, "color": colours[count - 1 - at]}
            for at, value in enumerate(reversed(list(values.values())))
        ],
    )
    return _rendered(chart)


def growth(moments: Sequence[datetime], now: datetime) -> str:
    """How many contributions there were, from the first one until now."""
    chart = pygal.Line(
        **_options(
            width=_WIDTH,
            height=220,
            style=_style([COLOURS[0]], opacity=".2"),
            fill=True,
            show_dots=False,
            stroke_style={"width": 4},
            include_x_axis=True,
            show_minor_x_labels=False,
            truncate_label=-1,
            show_y_labels=bool(moments),
        )
    )
    if moments:
        chart.y_labels = _ticks(len(moments))
        begin = moments[0] - timedelta(minutes=1)
        end = max(now, moments[-1])
        steps = [begin + (end - begin) * at / _POINTS for at in range(_POINTS + 1)]
        # Blank between: a label that equals one of the three would be shown beside it.
        shown = {at: _moment(steps[at], end - begin) for at in (0, _POINTS // 2, _POINTS)}
        chart.x_labels = [shown.get(at, "") for at in range(_POINTS + 1)]
        chart.x_labels_major = list(shown.values())
        chart.add("", [sum(moment <= step for moment in moments) for step in steps])
    return _rendered(chart)


def _ticks(most: int) -> list[int]:
    """Whole numbers at even steps, five at most, from 0 up to `most` or the first one beyond it."""
    step = max(-(-most // 4), 1)
    return list(range(0, most + step, step))


def _moment(at: datetime, span: timedelta) -> str:
    return f"{at:%H:%M}" if span < timedelta(days=1) else f"{at:%d %b, %H:%M}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
