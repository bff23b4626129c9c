"""What an application has of bylaw, whatever its framework: what Flask's and FastAPI's words share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from bylaw.operations.imports import Imports
from bylaw.operations.tokens import Tokens
from bylaw.policy import Policy
from bylaw.ports import Received
from bylaw.site import Site


class Offered:
    """`bylaw` in an application; `site` is the policy at work."""

    site: Site

    @property
    def policy(self) -> Policy:
        return self.site.policy

    @property
    def engine(self) -> Engine:
        """The engine of `[store] database`, for the application's own tables."""
        return self.site.house.store.engine

    @property
    def imports(self) -> Imports:
        """Imports of tables: `@bylaw.imports.importer("lots", …)`, `bylaw.imports.begin("lots", given)`."""
        return self.site.imports

    @property
    def tokens(self) -> Tokens:
        """Access tokens for people: `bylaw.tokens.issue_many(current_user, 30, "participant", …)`."""
        return self.site.tokens

    def fetch(self, url: str, **how: Any) -> Received:
        """Ask the server at an address that somebody else has named: an avatar, a webhook. It waits: in a
        coroutine, `await bylaw.off_loop(bylaw.fetch, url)`.

        Keywords as of `bylaw.operations.fetching.fetch`: method, headers, body, limit, redirects.
        """
        return self.site.fetch(url, **how)

    def record(self, connection: Any, *, action: str, **facts: Any) -> None:
        """Record a change in its own transaction: see `Site.record`."""
        self.site.record(connection, action=action, **facts)

    def url(self, name: str) -> str:
        """The path of one of bylaw's own pages: sign_in, sign_up, sign_out, sessions, users …"""
        return self.site.pages.urls[name]
