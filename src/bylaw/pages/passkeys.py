"""Passkeys: set up, renamed, removed; used to sign in, as the second factor, and to show again who one is.

A question is fetched by the page's script (`passkeys.js`), which puts the answer into a form: what follows
is an ordinary form of an ordinary page. Programs send the same as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from bylaw.controls import errors, passkeys
from bylaw.identity import OWING, AccessRule
from bylaw.operations import passkeys as operations
from bylaw.pages import account, arriving, factors
from bylaw.pages.endpoints import Call, Done, Endpoint, File, Handler, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused

_CREDENTIAL = Field("credential", "Passkey", secret=True)
_NEXT = Field("next", required=False, limit=2000)


# One's own


def _show(call: Call) -> Show:
    house = call.house
    rows = operations.own(house, call.who)
    listed = [_passkey(row) for row in rows]
    return Show(
        "passkeys.html",
        {
            "passkeys": listed,
            "notice": call.query("notice"),
            "next": arriving.back(call),
            "may_change": operations.may_change(house, call.who),
            "full": len(listed) >= passkeys.MOST,
            "accepted": _accepted(call, rows),
            "rp_id": passkeys.rp_id(house.policy),
            "here": "passkeys",
        },
        data={"passkeys": listed},
    )


def _passkey(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "created_at": row["created_at"],
        "used_at": row["used_at"],
        "backup_eligible": row["backup_eligible"],
        "backed_up": row["backed_up"],
    }


def _accepted(call: Call, rows: list[Any]) -> str:
    """What a password manager is told to keep (WebAuthn Level 3 section 5.1.10.4)."""
    handle = rows[0]["user_handle"] if rows else passkeys.handle(call.house, call.who.id)
    return json.dumps(
        {
            "rpId": passkeys.rp_id(call.house.policy),
            "userId": handle,
            "allAcceptedCredentialIds": [row["credential_id"] for row in rows],
        }
    )


def _change(call: Call) -> Done:
    which = call.values["passkey"]
    match call.values["action"]:
        case "rename":
            operations.rename(call.house, call.who, which, call.values["name"])
            done, message = "renamed", "Renamed."
        case "remove":
            operations.remove(call.house, call.who, which, digest=call.exchange.session.digest)
            done, message = "removed", "Removed."
        case _:
            raise Refused(errors.INVALID, fields={"action": "rename or remove"})
    return Done(f"{call.urls['passkeys']}?notice={done}", {"message": message})


def _offer(call: Call) -> Show:
    return Show(data=operations.offer(call.house, call.exchange, call.who))


def _add(call: Call) -> Show | Done:
    added = operations.register(
        call.house,
        call.exchange,
        call.who,
        digest=call.exchange.session.digest,
        credential=call.values["credential"],
        agent=arriving.agent(call),
    )
    to = arriving.back(call) if call.owes else f"{call.urls['passkeys']}?notice=added"
    return factors.added(call, added.opened, added.codes, to=to)


# Signing in


def _offer_sign_in(call: Call) -> Show:
    return Show(data=operations.offer_sign_in(call.house, call.exchange))


def _sign_in(call: Call) -> Done:
    opened = operations.sign_in(
        call.house,
        call.exchange,
        credential=call.values["credential"],
        address=call.exchange.client,
        agent=arriving.agent(call),
    )
    return arriving.arrived(call, opened, to=arriving.back(call))


# As the second factor, and to show again that it is oneself


def _offer_proof(call: Call) -> Show:
    return Show(data=operations.offer_proof(call.house, call.exchange, call.who))


def _prove(call: Call) -> Done:
    opened = operations.prove(
        call.house,
        call.exchange,
        call.who,
        digest=call.exchange.session.digest,
        credential=call.values["credential"],
    )
    return arriving.went_on(call, opened, to=arriving.back(call))


def _page(table: tuple[Endpoint, ...], name: str) -> Handler:
    """What shows the page `name`: there a passkey is one of several ways to go on."""
    return next(e.show for e in table if e.name == name and e.show is not None)


def _show_sign_in(call: Call) -> Show | Done | File:
    return _page(account.ENDPOINTS, "sign_in")(call)


def _show_proof(call: Call) -> Show | Done | File:
    return _page(factors.ENDPOINTS, "second_factor" if call.owes else "step_up")(call)


_PUBLIC = AccessRule("public", because="whoever signs in is nobody yet; it names no account")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "passkeys",
        "passkeys",
        "api_passkeys",
        OWING,
        _show,
        _change,
        (
            Field("action"),
            Field("passkey"),
            Field("name", "Name", required=False, limit=passkeys.LONGEST_NAME),
        ),
        "Passkeys",
        finishes=("enrol",),
        needs=passkeys.on,
    ),
    Endpoint(
        "passkey_add_options",
        api="api_passkey_add_options",
        rule=OWING,
        do=_offer,
        title="The question for a new passkey",
        finishes=("enrol",),
        needs=passkeys.on,
    ),
    Endpoint(
        "passkey_add",
        "passkey_add",
        "api_passkey_add",
        OWING,
        _show,
        _add,
        (_CREDENTIAL, _NEXT),
        "Set up a passkey",
        finishes=("enrol",),
        needs=passkeys.on,
    ),
    Endpoint(
        "passkey_sign_in_options",
        api="api_passkey_login_options",
        rule=_PUBLIC,
        do=_offer_sign_in,
        title="The question to a passkey that signs in",
        needs=passkeys.on,
    ),
    Endpoint(
        "passkey_sign_in",
        "passkey_login",
        "api_passkey_login",
        _PUBLIC,
        _show_sign_in,
        _sign_in,
        (_CREDENTIAL, _NEXT),
        "Sign in with a passkey",
        needs=passkeys.on,
    ),
    Endpoint(
        "passkey_proof_options",
        api="api_passkey_proof_options",
        rule=OWING,
        do=_offer_proof,
        title="The question to one's own passkeys",
        finishes=("second",),
        needs=passkeys.on,
    ),
    Endpoint(
        "passkey_proof",
        "passkey_proof",
        "api_passkey_proof",
        OWING,
        _show_proof,
        _prove,
        (_CREDENTIAL, _NEXT),
        "Show a passkey",
        finishes=("second",),
        needs=passkeys.on,
    ),
)
