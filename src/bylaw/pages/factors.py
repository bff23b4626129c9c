"""Second factors: shown at sign-in, asked for again, set up and removed."""

from __future__ import annotations

from bylaw.pages.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = ()
