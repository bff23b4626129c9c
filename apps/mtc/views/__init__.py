"""The pages for people."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from flask import Flask, request

from apps.mtc.models.base import tidy
from apps.mtc.views import (
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
    app.add_template_filter(money)
    app.add_template_filter(number)
    app.add_template_filter(day)
    app.add_template_filter(moment)
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
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else "—"


def _common() -> dict[str, object]:
    return {"saved": request.args.get("saved") == "1"}
