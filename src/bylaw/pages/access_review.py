"""The access review: who has what, what administrators did since the last one, and that it was done."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from bylaw.controls import roles
from bylaw.identity import AccessRule
from bylaw.operations import access_review, administering, authority, exporting
from bylaw.pages import telling
from bylaw.pages.endpoints import Call, Done, Endpoint, File, Show
from bylaw.pages.forms import Field

_RULE = AccessRule("permission", roles.MANAGE_USERS)
_ACTIONS: Final = 50
"""Records of administrators' actions on a page; the command line has all of them."""


def _show(call: Call) -> Show:
    after = call.parameters(("after",))["after"]
    found = access_review.page(call.house, call.who, after=after, limit=administering.PAGE)
    reviewed = access_review.last(call.house, call.who)
    done = [telling.as_json(row) for row in islice(access_review.actions(call.house, call.who), _ACTIONS + 1)]
    here = call.urls["access_review"]
    rows = [row.as_json() for row in found.rows]
    return Show(
        "access_review.html",
        {
            "accounts": _by_account(rows),
            "after": after,
            "first": here,
            "more": f"{here}?after={quote(found.after)}" if found.after else "",
            "reviewed": None if reviewed is None else reviewed["timestamp"].timestamp(),
            "actions": done[:_ACTIONS],
            "further": len(done) > _ACTIONS,
            "notice": call.query("notice"),
        },
        data={
            "rows": rows,
            "after": found.after,
            "reviewed": None if reviewed is None else reviewed["timestamp"].isoformat(),
            "actions": done[:_ACTIONS],
        },
    )


def _by_account(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows that are about one account, together."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(row)
    return list(found.values())


def _done(call: Call) -> Done:
    access_review.done(call.house, call.who, note=call.values["note"])
    return Done(f"{call.urls['access_review']}?notice=done", {"done": True})


def _file(call: Call) -> File:
    call.parameters(())
    rows = (row.as_json().values() for row in access_review.file(call.house, call.who))
    with exporting.export(call.house, "access-review", access_review.COLUMNS, rows) as made:
        return File("access-review.csv", exporting.FORMATS["csv"], b"".join(made))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "access_review",
        "users/review",
        "api_users/review",
        _RULE,
        _show,
        _done,
        (Field("note", "Note", required=False, limit=authority.MAX_REASON),),
        "Access review",
    ),
    Endpoint("access_review_file", "users/review.csv", rule=_RULE, show=_file, title="Access review as CSV"),
)
