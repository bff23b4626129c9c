"""What would have been mailed, in development."""

from __future__ import annotations

from bylaw.pages.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = ()
