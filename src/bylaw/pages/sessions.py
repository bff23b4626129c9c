"""Where somebody is signed in, and the devices that are known: seen and ended by their owner."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import RowMapping

from bylaw.controls import lockout
from bylaw.identity import SIGNED_IN
from bylaw.operations import devices, signing_in, token_families
from bylaw.pages.account import gone, sign_out
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.store.sessions import SessionRow

PAGE: Final = 25
"""Sessions on one page: a program that signs in a thousand times a day must not make a page of megabytes."""
OTHERS: Final = "others"
EVERYWHERE: Final = "everywhere"
ALL: Final = "all"


def _show_sessions(call: Call) -> Show:
    rows = signing_in.own_sessions(call.house, call.who)
    # This one first, however busy the others are.
    rows.sort(key=lambda row: row.id != call.who.session)
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(1, _number(call.query("page"))), pages)
    listed = [_session(row, call.who.session) for row in rows[(page - 1) * PAGE : page * PAGE]]
    counted = {"count": len(rows), "page": page, "pages": pages}
    programs = [_program(row) for row in token_families.own(call.house, call.who)]
    shown = {"sessions": listed, "programs": programs, **counted}
    return Show("sessions.html", {**shown, "notice": call.query("notice")}, data=shown)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _session(row: SessionRow, mine: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "current": row.id == mine,
        "device": devices.described(row.agent),
        "method": row.method,
        "method_in_words": devices.in_words(row.method),
        "address": row.address,
        "agent": row.agent,
        "created_at": row.created_at,
        "seen_at": row.seen_at,
        "expires_at": row.expires_at,
        "owes": row.owes.split(),
        "acting": row.acting or "",
    }


def _program(row: RowMapping) -> dict[str, Any]:
    """A program that holds a refresh token (see jwt)."""
    return {
        "id": row["id"],
        "device": devices.described(row["agent"]),
        "method": row["method"],
        "method_in_words": devices.in_words(row["method"]),
        "address": row["address"],
        "agent": row["agent"],
        "created_at": row["created_at"],
        "seen_at": row["seen_at"],
        "expires_at": row["expires_at"],
    }


def _end_session(call: Call) -> Done:
    which = call.values["session"]
    if which == EVERYWHERE:
        signing_in.sign_out_everywhere(call.house, call.who)
        return gone(call, "signed-out-everywhere", "Signed out everywhere.")
    if which == OTHERS:
        signing_in.end_other_sessions(call.house, call.who, call.exchange.session.digest)
    elif which == call.who.session:
        return sign_out(call)
    elif not signing_in.end_session(call.house, call.who, which):
        token_families.end(call.house, call.who, which)
    return Done(f"{call.urls['sessions']}?notice=ended", {"message": "Ended."})


def _show_devices(call: Call) -> Show:
    here = lockout.recognised(call.house, call.exchange, call.who.email)
    listed = [_device(row, here) for row in devices.own(call.house, call.who)]
    return Show("devices.html", {"devices": listed, "notice": call.query("notice")}, data={"devices": listed})


def _device(row: RowMapping, here: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "current": row["digest"] == here,
        "device": devices.described(row["agent"]),
        "agent": row["agent"],
        "address": row["address"],
        "created_at": row["created_at"],
        "seen_at": row["seen_at"],
    }


def _forget_device(call: Call) -> Done:
    which = call.values["device"]
    if which == ALL:
        devices.forget_all(call.house, call.who)
    else:
        devices.forget(call.house, call.who, which)
    return Done(f"{call.urls['devices']}?notice=forgotten", {"message": "Forgotten."})


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "sessions",
        "sessions",
        "api_sessions",
        SIGNED_IN,
        _show_sessions,
        _end_session,
        (Field("session"),),
        "Where you are signed in",
    ),
    Endpoint(
        "devices",
        "devices",
        "api_devices",
        SIGNED_IN,
        _show_devices,
        _forget_device,
        (Field("device"),),
        "Devices that are known",
    ),
)
