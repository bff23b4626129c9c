"""MTC's own settings. All that concerns security is in bylaw.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any


def from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings by the environment. Raises RuntimeError with one sentence if one is unusable."""
    base = environment.get("MTC_BASE_CURRENCY", "EUR")
    if not re.fullmatch("[A-Z]{3}", base):
        raise RuntimeError("MTC_BASE_CURRENCY must be a currency code of three letters such as EUR.")
    return {
        "BASE_CURRENCY": base,
        "DEVELOPMENT": environment.get("BYLAW_ENV") == "development",
    }
