"""The JSON API under /api/upf."""

from __future__ import annotations

from flask import Flask

from apps.mtc.api import items, lots, processes, suppliers


def init_app(app: Flask) -> None:
    for module in (items, suppliers, processes, lots):
        app.register_blueprint(module.blueprint, url_prefix="/api/upf")
