"""Where somebody is signed in."""

from __future__ import annotations

from typing import Any

from bylaw.identity import SIGNED_IN
from bylaw.operations import signing_in
from bylaw.pages.account import sign_out
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.store.sessions import SessionRow


def _show_sessions(call: Call) -> Show:
    rows = signing_in.own_sessions(call.house, call.who)
    listed = [_session(row, call.who.session) for row in rows]
    return Show(
        "sessions.html", {"sessions": listed, "notice": call.query("notice")}, data={"sessions": listed}
    )


def _session(row: SessionRow, mine: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "current": row.id == mine,
        "method": row.method,
        "address": row.address,
        "agent": row.agent,
        "created_at": row.created_at,
        "seen_at": row.seen_at,
        "expires_at": row.expires_at,
    }


def _end_session(call: Call) -> Done:
    which = call.values["session"]
    if which == "others":
        signing_in.end_other_sessions(call.house, call.who, call.exchange.session.digest)
    elif which == call.who.session:
        return sign_out(call)
    else:
        signing_in.end_session(call.house, call.who, which)
    return Done(f"{call.urls['sessions']}?notice=ended", {"message": "Ended."})


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
)
