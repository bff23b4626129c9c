"""One's own account at a glance."""

from __future__ import annotations

from bylaw.pages.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = ()
