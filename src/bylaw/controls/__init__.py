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
    email,
    errors,
    exemptions,
    federated,
    headers,
    hosts,
    https,
    ip_allowlist,
    lockout,
    logs,
    mfa,
    monitoring,
    passkeys,
    passwords,
    proxies,
    rate_limits,
    reset,
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
    email.CONTROL,
    errors.CONTROL,
    exemptions.CONTROL,
    federated.CONTROL,
    headers.CONTROL,
    hosts.CONTROL,
    https.CONTROL,
    ip_allowlist.CONTROL,
    lockout.CONTROL,
    logs.CONTROL,
    mfa.CONTROL,
    monitoring.CONTROL,
    passkeys.CONTROL,
    passwords.CONTROL,
    proxies.CONTROL,
    rate_limits.CONTROL,
    reset.CONTROL,
    roles.CONTROL,
    secrets.CONTROL,
    sessions.CONTROL,
    signup.CONTROL,
)
