"""One's own account at a glance."""

from __future__ import annotations

from dataclasses import asdict

from bylaw.identity import SIGNED_IN
from bylaw.operations import overview
from bylaw.pages import federated
from bylaw.pages.endpoints import Call, Endpoint, Show


def _show(call: Call) -> Show:
    account = overview.account(call.house, call.who)
    return Show(
        "account.html",
        {"account": account, "federated": bool(federated.providers(call.house))},
        data=asdict(account),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("account", "account", "api_account", SIGNED_IN, _show, title="Your account"),
)
