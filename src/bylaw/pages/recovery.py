"""A forgotten password, and an account that others have locked."""

from __future__ import annotations

from bylaw.pages.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = ()
