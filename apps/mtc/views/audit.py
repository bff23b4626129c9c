"""The audit log, to be read and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import JSON, DateTime, RowMapping, column, select, table

from apps.mtc.bodies import read_query
from apps.mtc.database import get_session
from apps.mtc.validators.queries import AuditQuery
from bylaw.flask import permit

blueprint = Blueprint("audit", __name__)

# bylaw's tables; only what this page shows.
_PEOPLE = table("users", column("id"), column("email"))
_LOG = table(
    "audit_log",
    column("id"),
    column("timestamp", DateTime(timezone=True)),
    column("user_id"),
    column("actor_role"),
    column("action"),
    column("outcome"),
    column("entity_type"),
    column("entity_id"),
    column("ip_address"),
    column("user_agent"),
    column("request_id"),
    column("changes", JSON),
)


@blueprint.get("/audit")
@permit("audit:read")
def index() -> ResponseReturnValue:
    query = read_query(AuditQuery)
    found = select(_LOG).order_by(_LOG.c.id.desc())
    for name in ("action", "entity_type", "entity_id"):
        if wanted := getattr(query, name):
            found = found.where(_LOG.c[name] == wanted)
    # One more than is shown tells whether there is a next page, without counting a large table.
    rows = get_session().execute(found.limit(query.limit + 1).offset(query.offset)).mappings().all()
    shown = rows[: query.limit]
    more = len(rows) > query.limit
    return render_template("audit.html", rows=shown, more=more, query=query, people=_people(shown))


def _people(rows: Sequence[RowMapping]) -> dict[str, str]:
    """The addresses of those who acted or were acted upon; whoever is erased keeps only the id."""
    ids = {row["user_id"] for row in rows} | {
        row["entity_id"] for row in rows if row["entity_type"] == "user"
    }
    found = get_session().execute(select(_PEOPLE).where(_PEOPLE.c.id.in_(ids - {None, ""})))
    return {row.id: row.email for row in found}
