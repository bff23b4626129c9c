"""Every change is a further version: who, when, what; compared, restored, as of a day. On both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from apps.projects.versions import PAGE
from bylaw.verify.laboratory import Laboratory
from tests.apps.projects.conftest import Program, program

NOTHING = "00000000-0000-4000-8000-000000000001"


def when(laboratory: Laboratory, seconds: float = 0.0) -> str:
    """The laboratory's time, some seconds away, as a query takes it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(laboratory.clock() + seconds, UTC).isoformat().replace("+00:00", "Z")


def changed(who: Program, path: str, based_on: int, title: str = "Bridge", **content: Any) -> int:
    reply = who.send("PUT", path, json={"title": title, "based_on": based_on, **content})
    return reply.status


@pytest.mark.requirement("S3-068")
def test_a_change_is_a_further_version(anywhere: Laboratory) -> None:
    """Nothing is overwritten: the first version stands as it was, with author, time and record."""
    ann, root = program(anywhere, "editor"), program(anywhere, "admin")
    path = f"/projects/{ann.made(summary='first')['id']}"
    anywhere.clock.advance(60)
    assert changed(root, path, 1, summary="second") == 200
    listed = ann.get(f"{path}/versions").json()
    assert [(v["number"], v["change"], v["author_id"]) for v in listed["items"]] == [
        (2, "updated", root.id),
        (1, "created", ann.id),
    ]
    assert listed["next"] is None
    assert ann.get(f"{path}/versions/1").json()["summary"] == "first"
    found = ann.get(f"{path}/differences?older=1&newer=2").json()["fields"]
    assert found == {"summary": ["--- summary 1", "+++ summary 2", "@@ -1 +1 @@", "-first", "+second"]}
    recorded = anywhere.audit(action="project_updated")
    assert [(row["user_id"], row["entity_id"]) for row in recorded] == [(root.id, path.rpartition("/")[2])]
    assert recorded[0]["changes"] == {"version": {"old": 1, "new": 2}, "fields": ["summary"]}


def test_as_it_was_at_a_moment(anywhere: Laboratory) -> None:
    """A thing and a list, before it was there, between two changes, and after it was deleted."""
    ann = program(anywhere, "editor")
    before = when(anywhere, -1)
    path = f"/projects/{ann.made('First')['id']}"
    inside = ann.send("POST", f"{path}/documents", json={"title": "Plan", "body": "1"}).json()["id"]
    anywhere.clock.advance(600)
    assert changed(ann, path, 1, "Second") == 200
    assert ann.send("DELETE", f"/documents/{inside}?based_on=1").status == 204
    assert ann.send("DELETE", f"{path}?based_on=2").status == 204
    between, after = when(anywhere, -1), when(anywhere, 1)

    def titles(query: str) -> list[str]:
        return [p["title"] for p in ann.get(f"/projects?{query}").json()["items"] if p["owner_id"] == ann.id]

    assert [ann.get(f"{path}?at={at}").status for at in (before, between, after)] == [404, 200, 404]
    assert ann.get(f"{path}?at={between}").json()["title"] == "First"
    assert (titles(f"at={before}"), titles(f"at={between}"), titles(f"at={after}")) == ([], ["First"], [])
    assert (titles(""), titles("deleted=true")) == ([], ["Second"])
    listed = ann.get(f"{path}/documents?at={between}").json()["items"]
    assert [d["body"] for d in listed] == ["1"]
    assert ann.get(f"{path}/documents").status == 404
    assert ann.get(f"/documents/{inside}?at={between.replace('Z', '%2B00:00')}").status == 200


def test_a_deleted_project_can_be_looked_back_at_and_restored(anywhere: Laboratory) -> None:
    """Deleting is a version too, and what was there comes back as a further one."""
    ann = program(anywhere, "editor")
    path = f"/projects/{ann.made()['id']}"
    assert ann.send("DELETE", f"{path}?based_on=1").status == 204
    assert ann.get(path).status == 404
    assert changed(ann, path, 2) == 404
    assert [v["change"] for v in ann.get(f"{path}/versions").json()["items"]] == ["deleted", "created"]
    reply = ann.send("POST", f"{path}/restore", json={"version": 1, "based_on": 2})
    assert (reply.status, reply.json()["version"], reply.json()["title"]) == (200, 3, "Bridge")
    assert ann.get(f"{path}/versions").json()["items"][0]["restored_from"] == 1
    assert ann.send("POST", f"{path}/restore", json={"version": 9, "based_on": 3}).status == 404


def test_nobody_deletes_the_documents_of_others_with_a_project(anywhere: Laboratory) -> None:
    """A project with documents stays, and a document does not come back into one that is gone."""
    ann = program(anywhere, "editor")
    path = f"/projects/{ann.made()['id']}"
    document = ann.send("POST", f"{path}/documents", json={"title": "Plan"}).json()["id"]
    assert ann.send("DELETE", f"{path}?based_on=1").code == "register.held"
    assert ann.send("DELETE", f"/documents/{document}?based_on=1").status == 204
    assert ann.send("DELETE", f"{path}?based_on=1").status == 204
    again = {"version": 1, "based_on": 2}
    assert ann.send("POST", f"/documents/{document}/restore", json=again).code == "register.held"
    assert ann.send("POST", f"{path}/restore", json=again).status == 200
    assert ann.send("POST", f"/documents/{document}/restore", json=again).status == 200
    assert ann.send("POST", f"/projects/{NOTHING}/documents", json={"title": "x"}).status == 404


@pytest.mark.requirement("S3-019", "S3-020", "S3-021", "S3-023")
def test_an_editor_writes_his_own_alone(shared: Laboratory) -> None:
    """An editor changes what is his; a viewer changes nothing; an administrator everything."""
    ann, bob = program(shared, "editor"), program(shared, "editor")
    eve, root = program(shared, "viewer"), program(shared, "admin")
    path = f"/projects/{ann.made()['id']}"
    document = ann.send("POST", f"{path}/documents", json={"title": "Plan"}).json()["id"]
    attempts: list[tuple[str, str, Any]] = [
        ("PUT", path, {"title": "Mine now", "based_on": 1}),
        ("POST", f"{path}/restore", {"version": 1, "based_on": 1}),
        ("POST", f"{path}/documents", {"title": "Mine in yours"}),
        ("PUT", f"/documents/{document}", {"title": "Mine now", "based_on": 1}),
        ("POST", f"/documents/{document}/restore", {"version": 1, "based_on": 1}),
        ("DELETE", f"/documents/{document}?based_on=1", None),
        ("DELETE", f"{path}?based_on=1", None),
    ]
    for method, where, body in attempts:
        assert [who.send(method, where, json=body).status for who in (bob, eve)] == [403, 403], where
    assert eve.send("POST", "/projects", json={"title": "x"}).status == 403
    assert [eve.get(where).status for where in (path, f"{path}/documents", "/projects")] == [200, 200, 200]
    assert [v["number"] for v in eve.get(f"{path}/versions").json()["items"]] == [1]
    done = [root.send(method, where, json=body).status for method, where, body in attempts[:5]]
    assert done == [200, 409, 201, 200, 409]  # the restores are based on what has changed meanwhile


def test_what_is_not_there_is_not_there_for_anybody(shared: Laboratory) -> None:
    """An unknown id is 404 to whoever may read and change such things, and 403 to whoever may not anyhow."""
    ann, eve = program(shared, "editor"), program(shared, "viewer")
    change = {"title": "x", "based_on": 1}
    for where in (f"/projects/{NOTHING}", f"/documents/{NOTHING}"):
        seen = [
            ann.get(f"{where}{tail}").status
            for tail in ("", "/versions", "/versions/1", "/versions?before=3")
        ]
        assert seen == [404, 404, 404, 404]
        assert ann.get(f"{where}/differences?older=1&newer=2").status == 404
        assert [who.send("PUT", where, json=change).status for who in (ann, eve)] == [404, 403]


def test_a_list_goes_on_where_it_stopped(shared: Laboratory) -> None:
    """A page and its next one hold everything once, and so do those of a long history."""
    root = program(shared, "admin")
    project = root.made("Many")
    path = f"/projects/{project['id']}"
    for number in range(PAGE + 1):
        assert root.send("POST", f"{path}/documents", json={"title": f"{number}"}).status == 201
        assert changed(root, path, number + 1, f"Many {number}") == 200
    first = root.get(f"{path}/documents").json()
    second = root.get(f"{path}/documents?after={first['next']}").json()
    titles = [each["title"] for page in (first, second) for each in page["items"]]
    assert (len(first["items"]), second["next"], sorted(titles, key=int)) == (
        PAGE,
        None,
        [str(number) for number in range(PAGE + 1)],
    )
    newest = root.get(f"{path}/versions").json()
    older = root.get(f"{path}/versions?before={newest['next']}").json()
    numbers = [each["number"] for page in (newest, older) for each in page["items"]]
    assert numbers == list(range(PAGE + 2, 0, -1))


def test_a_clock_that_was_set_back_does_not_turn_the_history_round(anywhere: Laboratory) -> None:
    """The newer version is never the earlier one, whatever the clock says."""
    ann = program(anywhere, "editor")
    path = f"/projects/{ann.made('First')['id']}"
    anywhere.clock.at -= 5
    assert changed(ann, path, 1, "Second") == 200
    newer, older = ann.get(f"{path}/versions").json()["items"]
    assert newer["at"] >= older["at"]
    assert ann.get(f"{path}?at={when(anywhere, 10)}").json()["title"] == "Second"


@pytest.mark.requirement("S3-024")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE project_versions SET status = 'whatever'",
        "UPDATE project_versions SET change = 'forged'",
        "UPDATE document_versions SET number = 0",
    ],
)
def test_the_database_itself_refuses_nonsense(anywhere: Laboratory, statement: str) -> None:
    """Whoever writes past the register is held to the same words and numbers."""
    engine = anywhere.site.house.store.engine
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text(statement))


def test_a_change_that_cannot_be_recorded_is_not_made(
    register: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version and audit row are one transaction: without the one there is no other."""
    from bylaw.controls import audit

    ann = program(register, "editor")
    path = f"/projects/{ann.made('First')['id']}"

    def broken(*args: Any, **facts: Any) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(audit, "record", broken)
    assert changed(ann, path, 1, "Second") == 500
    monkeypatch.undo()
    assert (ann.get(path).json()["title"], ann.get(path).json()["version"]) == ("First", 1)
