"""The pages for people."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from flask import Flask, request

from apps.mtc.models.base import tidy
from apps.mtc.views import (
    attachments,
    audit,
    dashboard,
    imports,
    items,
    lots,
    processes,
    report,
    subprocesses,
    suppliers,
)


def init_app(app: Flask) -> None:
    modules = (
        dashboard,
        items,
        suppliers,
        processes,
        subprocesses,
        lots,
        report,
        imports,
        audit,
    )
    for module in modules:
        app.register_blueprint(module.blueprint)
    attachments.init_app(app, {"process": processes.with_refused, "lot": lots.with_refused})
    app.add_template_filter(money)
    app.add_template_filter(number)
    app.add_template_filter(day)
    app.add_template_filter(moment)
    app.add_template_filter(instant)
    app.add_template_filter(weight)
    app.context_processor(_common)


def money(value: Decimal | None, currency: str = "") -> str:
    """Two decimal places, more only where the amount has them (0.537 GBP)."""
    if value is None:
        return "—"
    cents = value.quantize(Decimal("0.01"))
    shown = f"{cents:,.2f}" if cents == value or abs(value) >= 1 else f"{value.normalize():f}"
    return f"{shown} {currency}".strip()


def number(value: Decimal | int) -> str:
    return f"{tidy(value):,f}" if isinstance(value, Decimal) else f"{value:,}"


def day(value: date | None) -> str:
    return f"{value.day} {value:%B %Y}" if value else "—"


def moment(value: datetime | None) -> str:
    return f"{value.day} {value:%B %Y, %H:%M} UTC" if value else "—"


def instant(value: float) -> str:
    """A moment as bylaw keeps it: seconds since 1970."""
    return moment(datetime.fromtimestamp(value, UTC))


def weight(value: int) -> str:
    """Bytes as people say them; a kB is 1,024 of them, as in the policy."""
    if value < 1024:
        return f"{value} bytes"
    return f"{value / 1024:.0f} kB" if value < 1024**2 else f"{value / 1024**2:.1f} MB"


def _common() -> dict[str, object]:
    return {"saved": _SAID.get(request.args.get("saved", ""), "")}


_SAID = {"1": "Saved.", "deleted": "Deleted.", "removed": "Removed."}
"""What a page says first, after what somebody has done; never what the address says."""
