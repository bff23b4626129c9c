"""Asking another server for the application: an avatar, a webhook, whatever address somebody has given."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from bylaw.controls import audit, outbound
from bylaw.house import House
from bylaw.outbound import Forbidden, Target
from bylaw.outbound.client import Unresolved
from bylaw.outbound.targets import Unreadable
from bylaw.ports import Received
from bylaw.reasons import Refused

log = logging.getLogger("bylaw.outbound")

FIELD: Final = "url"
"""The field of a form that a refusal speaks of."""


def fetch(
    house: House,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    limit: int | None = None,
    redirects: int = 0,
) -> Received:
    """The answer of the server at `url`, whatever its status. It waits: off the event loop, please.

    `limit` is how many bytes of a body are taken, where it is less than `[outbound] size`; `redirects` is how
    many are followed. Raises Refused (`outbound.forbidden` where it may not be asked, `outbound.unanswered`
    where nothing came that could be read), ValueError where method, a header field or `redirects` is none.
    OWASP, Server-Side Request Forgery Prevention.
    """
    settings = house.policy.of(outbound.Settings)
    more: dict[str, Any] = {"redirects": redirects} if redirects else {}
    try:
        outbound.rules(settings).target(url)
        return outbound.network(house)(
            method,
            url,
            headers=headers,
            body=body,
            limit=settings.size if limit is None else min(limit, settings.size),
            **more,
        )
    except (Forbidden, Unresolved) as error:
        raise _forbidden(house, url, error) from None
    except OSError as error:
        log.warning("%s did not answer: %s", _whom(url), error)
        raise Refused(outbound.UNANSWERED) from None


def _forbidden(house: House, url: str, error: Forbidden | Unresolved) -> Refused:
    """The same to whoever gave it, whether a name leads inside or nowhere; the truth for the log alone."""
    why = error.why if isinstance(error, Forbidden) else f"its name leads nowhere ({error})"
    log.warning("%s may not be asked: %s", _whom(url), why)
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action="outbound_refused",
            outcome="failure",
            entity_type="address",
            entity_id=_whom(url),
            changes={"reason": {"new": why}},
        )
    return Refused(outbound.FORBIDDEN, fields={FIELD: "an address that anybody can reach"})


def _whom(url: str) -> str:
    """Scheme, host and port: a path or a query may hold a secret."""
    try:
        return Target.read(url).origin
    except Unreadable:
        return "what is no address"
