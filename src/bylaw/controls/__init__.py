"""The registry: every control, by name. A control that is not here does not exist."""

from __future__ import annotations

from typing import Final

from bylaw.control import Control
from bylaw.controls import (
    audit,
    cookies,
    csrf,
    errors,
    headers,
    passwords,
    roles,
    secrets,
    sessions,
    signup,
)

CONTROLS: Final[tuple[Control, ...]] = (
    audit.CONTROL,
    cookies.CONTROL,
    csrf.CONTROL,
    errors.CONTROL,
    headers.CONTROL,
    passwords.CONTROL,
    roles.CONTROL,
    secrets.CONTROL,
    sessions.CONTROL,
    signup.CONTROL,
)
