"""The world of a laboratory: production, with an environment of its own.

Variables that policies name without a stand-in have their value here, in this one place, so that a policy is
attacked and printed alike on every machine: `bylaw verify` needs nothing set, and no real secret gets in.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bylaw.controls import rate_limits, secrets

BASE_URL = "https://app.lab"
BUILDING = threading.Lock()
"""Held by whoever makes an application: the process's environment is one for all."""


def defaults(database: str) -> dict[str, str]:
    """The environment of a laboratory: production, with secrets made for it."""
    return {
        "BYLAW_ENV": "production",
        **{name: secrets.new() for name in ("SECRET_KEY", "FLASK_SECRET_KEY", "JWT_SECRET_KEY")},
        "ADMIN_TOKEN": secrets.new(),  # of the first administrator, where the policy has one made by it
        "DATABASE_URL": database,
        "BASE_URL": BASE_URL,
        "BACKEND_CORS_ORIGINS": "https://frontend.lab",
        "EMBEDDING_SITE": "https://embedding.lab",
        "REDIS_URL": "redis://laboratory.invalid",  # named by policies; a laboratory counts where it is told
        "CLAMD_URL": "",  # a laboratory has a scanner where an attack brings one
        **dict.fromkeys(rate_limits.VARIABLES, ""),  # they speak of a server that serves no laboratory
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with `variables`; what is empty is absent."""
    before = dict(os.environ)
    os.environ.update({k: v for k, v in variables.items() if v})
    for name in [k for k, v in variables.items() if not v]:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
