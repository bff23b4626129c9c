"""Cells that run where an export is opened: in a workbook, and from what the audit log keeps."""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest
from sqlalchemy import select

from bylaw.spreadsheet import cell, opened
from bylaw.store.tables import audit_log
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.people import PASSWORD
from tests.applications.stacks import hurry

EVIL = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "\uff1d1", "'=1"]
AGENTS = ["=HYPERLINK(A1)", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "+1", "x;=1+1"]


@pytest.mark.requirement("S1-088")
def test_a160_a_workbook_runs_nothing(laboratory: Laboratory) -> None:
    """The same texts, exported as XLSX: each is a text as it was written, beside a number."""
    editor = laboratory.client("editor")
    for text in EVIL:
        editor.act("POST", "/api/papers", json={"text": text})
    reply = editor.get("/api/papers/export?format=xlsx")
    assert reply.header("Content-Disposition").endswith('.xlsx"')
    sheet = openpyxl.load_workbook(io.BytesIO(reply.body)).active
    assert {(each.data_type, each.number_format) for each in sheet["B"]} == {("s", "@")}
    assert {each.data_type for each in sheet["A"][1:]} == {"n"}
    rows = list(opened(io.BytesIO(reply.body), "xlsx").rows())
    assert [row.cells[1] for row in rows[1:]] == EVIL


@pytest.mark.requirement("S1-088")
def test_a160_a_user_agent_that_the_audit_log_keeps(laboratory: Laboratory) -> None:
    """Somebody signs in with a formula for a browser; an administrator exports who signed in and opens it."""
    hurry(laboratory)
    person = laboratory.person("user")
    given = {"email": person.email, "password": PASSWORD}
    for agent in AGENTS:
        visitor = laboratory.visitor()
        sent = visitor.prepared("POST", laboratory.api("sign_in"), headers=visitor.from_here, json=given)
        sent.headers[:] = [
            ("User-Agent", agent) if each[0] == "User-Agent" else each for each in sent.headers
        ]
        assert [reply.status for reply in laboratory.tasks([sent])] == [200]
    site, columns = laboratory.site, ["action", "user_agent"]
    with site.house.store.reading() as connection:
        found = select(audit_log.c.action, audit_log.c.user_agent).order_by(audit_log.c.id)
        kept = [tuple(row) for row in connection.execute(found)]
    assert {row[1] for row in kept} >= set(AGENTS)
    with site.export("audit", columns, kept) as made:
        text = b"".join(made).decode("utf-8-sig")
    assert {cell(agent) for agent in AGENTS} <= {row[1] for row in csv.reader(io.StringIO(text, newline=""))}
    parted = text.replace("\r\n", ";").split(";")
    assert not [each for each in parted if each.startswith(("=", "+", "-", "@"))]
    with site.export("audit", columns, kept, format="xlsx") as made:
        sheet = openpyxl.load_workbook(io.BytesIO(b"".join(made))).active
    assert {each.data_type for each in sheet["B"] if each.value} == {"s"}
    assert {each.value for each in sheet["B"]} >= set(AGENTS)
