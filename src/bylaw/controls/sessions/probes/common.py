"""What the attacks on sessions look at again and again: who somebody is, here and in another process."""

from __future__ import annotations

import sys
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook
from bylaw.controls import roles

MANY: Final = 16
"""Requests that are under way at the same moment."""


def go_on(lab: Any, key: str, **how: Any) -> Any:
    """Have a session go on as after a further proof."""
    return sys.modules["bylaw.operations.signing_in"].go_on(lab.site.house, key, **how)


def asking_with(lab: Any, secret: str) -> Any:
    """What somebody elsewhere gets who has this cookie alone."""
    client = lab.visitor(peer="203.0.113.9")
    return client.get(lab.api("me"), headers=[("Cookie", f"{lab.cookie}={secret}")], keep=False)


def as_somebody(lab: Any, secret: str) -> bool:
    reply = asking_with(lab, secret)
    if reply.status not in (200, 401):
        raise Broken(f"asked who this is: {reply}")
    return bool(reply.status == 200)


def demand_done(reply: Any, what: str) -> None:
    if reply.status not in (200, 204, 303):
        raise CouldNotLook(f"{what} was answered with {reply}")


def administer(lab: Any, person: Any, change: dict[str, Any]) -> None:
    """Have an administrator change somebody's standing."""
    grants = lab.policy.of(roles.Settings).grants
    if not any(set(held) & {"*", "user:*", roles.MANAGE_USERS} for held in grants.values()):
        raise CouldNotLook("no role may manage users")
    role = next(r for r, held in grants.items() if set(held) & {"*", "user:*", roles.MANAGE_USERS})
    administrator = lab.client(role)
    path = lab.api("user").replace("{id}", person.id)
    change = {"reason": "a probe of sessions", **change}
    demand_done(administrator.act("POST", path, json=change), f"{change['action']} by an administrator")
