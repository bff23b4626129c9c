"""The registry: every control, by name. A control that is not here does not exist."""

from __future__ import annotations

from typing import Final

from bylaw.control import Control
from bylaw.controls import (
    audit,
    body,
    cookies,
    cors,
    csrf,
    errors,
    exemptions,
    headers,
    hosts,
    https,
    ip_allowlist,
    lockout,
    logs,
    monitoring,
    passwords,
    proxies,
    rate_limits,
    roles,
    secrets,
    sessions,
    signup,
)

CONTROLS: Final[tuple[Control, ...]] = (
    audit.CONTROL,
    body.CONTROL,
    cookies.CONTROL,
    cors.CONTROL,
    csrf.CONTROL,
    errors.CONTROL,
    exemptions.CONTROL,
    headers.CONTROL,
    hosts.CONTROL,
    https.CONTROL,
    ip_allowlist.CONTROL,
    lockout.CONTROL,
    logs.CONTROL,
    monitoring.CONTROL,
    passwords.CONTROL,
    proxies.CONTROL,
    rate_limits.CONTROL,
    roles.CONTROL,
    secrets.CONTROL,
    sessions.CONTROL,
    signup.CONTROL,
)
