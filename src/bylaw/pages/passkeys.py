"""Passkeys: registered, used to sign in, removed."""

from __future__ import annotations

from bylaw.pages.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = ()
