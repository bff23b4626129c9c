"""What the attacks by way of a provider are made with: people whom it knows, and their way here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook
from bylaw.controls import signup

EVIL: Final = "https://evil.test"


@contextmanager
def opened(lab: Any) -> Iterator[Any]:
    """The laboratory's provider, where strangers may make an account."""
    with lab.under(signup.Settings, open=True, off=False), lab.issuer() as issuer:
        yield issuer


def somebody(**claims: Any) -> dict[str, Any]:
    """The claims of somebody whom nobody has seen yet."""
    subject = uuid.uuid4().hex
    return {"sub": subject, "email": f"{subject}@people.test", "email_verified": True, **claims}


def arrive(lab: Any, issuer: Any, client: Any, **claims: Any) -> Any:
    """Sign in with the provider, all the way; the answer to coming back."""
    return lab.come_back(client, issuer.consent(lab.go_to(client), **claims))


def _in(lab: Any, client: Any) -> bool:
    """Whether a session was opened, finished or not."""
    return lab.cookie in client.cookies


def demand_in(lab: Any, client: Any, reply: Any) -> None:
    if reply.status != 200 or not _in(lab, client):
        raise CouldNotLook(f"an honest sign-in does not succeed: {reply}")


def demand_nobody(lab: Any, client: Any, what: str, reply: Any, statuses: tuple[int, ...]) -> None:
    if reply.status not in statuses or _in(lab, client):
        raise Broken(f"{what}: {reply}, {'a' if _in(lab, client) else 'no'} session")
