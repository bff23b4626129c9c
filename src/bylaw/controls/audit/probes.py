"""Attacks on the running application by way of its records."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import audit
from bylaw.store import audit as records
from bylaw.store import users


def _create(lab: Any, admin: Any, **how: Any) -> tuple[str, Any]:
    """Make an account over HTTP, as an administrator: its address, and the reply."""
    email = f"recorded-{lab.person().id[:8]}@people.test"
    return email, admin.act("POST", lab.api("users"), json={"email": email, "name": "", "role": []}, **how)


def _change(lab: Any, by: Any, who: Any, action: str, *granted: str) -> Any:
    change = {"action": action, "role": list(granted)}
    if action == "disable":
        change["reason"] = "an attack"
    return by.act("POST", lab.api("user").replace("{id}", who.id), json=change)


def _some_role(lab: Any) -> str:
    if not lab.roles:
        raise CouldNotLook("the policy has no roles to give")
    return str(lab.roles[0])


@contextmanager
def _full() -> Iterator[None]:
    """No record can be written while the block lasts: the disk is full."""
    real = records.add

    def failing(connection: Any, row: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    setattr(records, "add", failing)  # noqa: B010 - mypy knows that a function is no variable
    try:
        yield
    finally:
        setattr(records, "add", real)  # noqa: B010 - (the same)


@probe("high", "S1-111", "S1-112", "S1-113", "S3-069")
def a_change_leaves_one_whole_record(lab: Any) -> str:
    """What an administrator changes leaves one record each: who, what, when, from where, old and new."""
    admin, person, role = lab.administrator(), lab.client(), _some_role(lab)
    seen = []
    for what, change in {
        "privilege_permissions_changed": ("roles", role),
        "user_disabled": ("disable",),
        "user_enabled": ("enable",),
    }.items():
        reply = _change(lab, admin, person, *change)
        rows = lab.audit(action=what, entity_id=person.id)
        if reply.status != 200 or len(rows) != 1:
            raise Broken(f"{what}: {reply}, {len(rows)} records")
        row = rows[0]
        facts = (
            row["user_id"],
            row["entity_type"],
            row["outcome"],
            row["ip_address"],
            row["user_agent"],
            row["request_id"],
            isinstance(row["changes"], dict),
        )
        if facts != (
            admin.id,
            "user",
            "success",
            admin.peer,
            "laboratory",
            reply.header("x-request-id"),
            True,
        ):
            raise Broken(f"{what}: {facts}")
        at = row["timestamp"]
        if at.utcoffset() != timedelta(0) or at != datetime.fromtimestamp(lab.clock(), UTC):
            raise Broken(f"{what}: at {at!r}")
        seen.append(row)
    if seen[0]["changes"] != {"roles": {"old": [], "new": [role]}}:
        raise Broken(f"old and new roles: {seen[0]['changes']}")
    _, reply = _create(lab, admin)
    if len(lab.audit(action="user_created", entity_id=reply.json()["id"])) != 1:
        raise Broken("a new account left not exactly one record")
    return "user_created, roles, disabled and enabled: one record each, with all its fields, in UTC"


@probe("high", "S3-066", "S3-067")
def coming_and_going_is_recorded(lab: Any) -> str:
    """Signing in, failing to, signing out and being refused leave a record each, with its outcome."""
    person = lab.person()
    lab.sign_in(person, "not the password, but long")
    lab.sign_in(person)
    refused = person.get(lab.api("users"))
    person.token_page = lab.url("sessions")
    person.act("POST", lab.api("sign_out"), json={})
    failed = "authn_login_fail"
    wanted = {
        failed: "failure",
        "authn_login_success": "success",
        "authz_fail": "refused",
        "session_logout": "success",
    }
    found = {row["action"]: row["outcome"] for row in lab.audit(user_id=person.id)}
    if "email" not in lab.shown(person):  # a token that nobody has names nobody
        wanted[failed] = "refused"
        found |= {row["action"]: row["outcome"] for row in lab.audit(action=failed, limit=1)}
    if refused.status != 403 or {**found, **wanted} != found:
        raise Broken(f"wanted {wanted}, found {found}")
    return ", ".join(f"{action} ({outcome})" for action, outcome in wanted.items())


@probe("critical", "S1-112")
def no_change_without_its_record(lab: Any) -> str:
    """Where a change cannot be recorded, it does not take place."""
    admin, person, role = lab.administrator(), lab.client(), _some_role(lab)
    with _full():
        replies = [_change(lab, admin, person, "roles", role), _change(lab, admin, person, "disable")]
        email, made = _create(lab, admin)
        signed_in = lab.sign_in(lab.person())
    with lab.site.house.store.reading() as connection:
        user = users.by_id(connection, person.id)
        other = users.by_email(connection, email)
    if user is None or user.roles or user.disabled_at is not None or other is not None:
        raise Broken("a change was made without its record")
    if lab.whoami(person).status != 200 or signed_in.all("set-cookie"):
        raise Broken("a session was ended or opened without its record")
    for reply in (*replies, made, signed_in):
        if reply.status < 500 or "disk full" in reply.text:
            raise Broken(f"{reply}: {reply.text[:80]}")
    return "roles, disabling, a new account and a sign-in: undone where no record could be written"


@probe("critical", "S1-111", "S1-113")
def records_stay_as_they_are(lab: Any) -> str:
    """The database refuses to change, replace or delete a record."""
    store = lab.site.house.store
    with store.transaction() as connection:
        audit.record(lab.site.house, connection, action="laboratory")
    before = lab.audit(limit=1)[0]
    statements = {
        "UPDATE": "UPDATE audit_log SET outcome = 'success', user_id = NULL",
        "DELETE": "DELETE FROM audit_log",
    }
    if store.engine.dialect.name == "sqlite":
        statements["REPLACE"] = (
            "INSERT OR REPLACE INTO audit_log SELECT id, timestamp, NULL, '', 'x', 'x', '', '', '', "
            "'', '', '{}' FROM audit_log"
        )
    else:
        statements["TRUNCATE"] = "TRUNCATE audit_log"
    for verb, statement in statements.items():
        with suppress(SQLAlchemyError), store.transaction() as connection:
            connection.execute(text(statement))
            raise Broken(f"{verb} was let through")
    if lab.audit(limit=1)[0] != before:
        raise Broken("a record has changed")
    return f"{', '.join(statements)}: refused by the database"


@probe("high", "S1-114", "S1-010")
def secrets_are_masked(lab: Any) -> str:
    """Secrets in old and new values are masked, however their field is written, and others are kept."""
    canary = "canary-4417"
    names = (
        "password",
        "new_password",
        "passwordHash",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "token",
        "access_token",
        "client_secret",
        "Authorization",
        "Set-Cookie",
        "private-key",
        "totp",
        "recovery_codes",
        "passwd",
        "db.credentials",
    )
    changes: dict[str, Any] = {name: {"old": canary, "new": canary} for name in names}
    changes |= {
        "settings": {"old": {"smtp": [{"password": canary}]}, "new": None},
        "name": {"old": "Ann", "new": "Anne"},
    }
    with lab.site.house.store.transaction() as connection:
        audit.record(
            lab.site.house,
            connection,
            action="update",
            entity_type="laboratory",
            entity_id=canary[-4:],
            changes=changes,
        )
    row = lab.audit(entity_type="laboratory", entity_id=canary[-4:])[0]
    if canary in repr(row):
        shown = [name for name in names if canary in repr(row["changes"].get(name))]
        raise Broken(f"a secret is in the record: {', '.join(shown) or 'nested'}")
    if row["changes"]["name"] != {"old": "Ann", "new": "Anne"}:
        raise Broken(f"old and new values: {row['changes']['name']}")
    return f"{len(names)} spellings masked, nested ones too; other values kept, old and new"


@probe("medium", "S3-066")
def a_record_is_one_line(lab: Any) -> str:
    """What a request brings cannot break a record's line or fill the table."""
    client = lab.client()
    agent = "curl\x1b[2J\t\u202e forged \x85" + "A" * 5000
    raw = "".join(c if ord(c) < 256 else "?" for c in agent)
    client.get(lab.api("users"), headers=[("User-Agent", raw)])
    client.get(lab.api("user").replace("{id}", "%0A%1B[31m" + "B" * 3000))
    for row in lab.audit(user_id=client.id):
        for name in ("user_agent", "entity_id", "ip_address", "request_id"):
            if not row[name].isprintable() or len(row[name]) > 256:
                raise Broken(f"{name}: {row[name][:60]!r}, {len(row[name])} characters")
    return "control characters and 5,000 letters became one line of 256"


@probe("high", "S1-111")
def what_leaves_is_recorded(lab: Any) -> str:
    """A table that leaves is on record before its last piece does, whole or broken off."""
    rows = [(number, "x" * 50) for number in range(4_000)]
    for name, pieces in (("whole", 1_000), ("broken", 1)):
        made = lab.site.export(f"laboratory-{name}", ["n", "text"], iter(rows), filter="everything")
        for piece in range(pieces):
            if lab.audit(entity_id=f"laboratory-{name}"):
                raise Broken(f"{piece} pieces had left when the end was recorded")
            if not next(made, b"") or made.rows == len(rows):
                break
        made.close()
        found = [
            (row["outcome"], row["changes"]["rows"]["new"], row["changes"]["filter"]["new"])
            for row in lab.audit(entity_id=f"laboratory-{name}")
        ]
        if len(found) != 1 or found[0][2] != "everything":
            raise Broken(f"an export that was {name} left {found}")
    return "two exports, one broken off: a record each, with rows and filter"


@probe("high", "S1-088")
def what_leaves_runs_nothing(lab: Any) -> str:
    """No text in a table that leaves is a formula, in CSV or in a workbook; numbers stay numbers."""
    evil = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "a;=1+1", "'=1"]
    rows = [(each, -5) for each in evil]
    written = b"".join(lab.site.export("laboratory", ["text", "n"], rows)).decode("utf-8-sig")
    for row, each in zip(list(csv.reader(io.StringIO(written, newline="")))[1:], evil, strict=True):
        if row[0] == each or row[1] != "-5" or not row[0].startswith("'"):
            raise Broken(f"in CSV {each!r} and -5 are {row}")
    packed = b"".join(lab.site.export("laboratory", ["text", "n"], rows, format="xlsx"))
    with zipfile.ZipFile(io.BytesIO(packed)) as package:
        sheet = package.read("xl/worksheets/sheet1.xml")
    if b"<f" in sheet or sheet.count(b't="inlineStr"') != len(evil) + 2:
        raise Broken("in a workbook a text is a formula, or of another type")
    return f"{len(evil)} texts that a spreadsheet would run: guarded in CSV, texts in XLSX"


PROBES: Final = (
    a_change_leaves_one_whole_record,
    coming_and_going_is_recorded,
    no_change_without_its_record,
    records_stay_as_they_are,
    secrets_are_masked,
    a_record_is_one_line,
    what_leaves_is_recorded,
    what_leaves_runs_nothing,
)
