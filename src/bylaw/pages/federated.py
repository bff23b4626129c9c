"""Signing in with an account of another provider."""

from __future__ import annotations

from bylaw.pages.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = ()
