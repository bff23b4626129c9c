"""Every change is a further version: who, when, what; compared, restored, as of a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps import projects
from bylaw.verify.client import Client
from bylaw.verify.laboratory import Bench, Laboratory, Target


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench(Target("apps.projects", projects.create_app, projects.prepare_laboratory))
    yield made
    made.close()


@pytest.fixture
def register(bench: Bench) -> Iterator[Laboratory]:
    with bench.laboratory() as laboratory:
        yield laboratory


def made(client: Client, title: str = "Bridge", **more: Any) -> dict[str, Any]:
    reply = client.act("POST", "/projects", json={"title": title, **more})
    assert reply.status == 201, reply.text
    return reply.json()


def test_a_change_is_a_further_version(register: Laboratory) -> None:
    """Nothing is overwritten: the first version stands as it was, with its author."""
    ann = register.client("editor")
    project = made(ann, summary="first")
    path = f"/projects/{project['id']}"
    reply = ann.act("PUT", path, json={"title": "Bridge", "summary": "second", "based_on": 1})
    assert (reply.status, reply.json()["version"], reply.json()["summary"]) == (200, 2, "second")
    listed = ann.get(f"{path}/versions").json()
    assert [(v["number"], v["change"], v["author_id"]) for v in listed] == [
        (2, "updated", ann.id),
        (1, "created", ann.id),
    ]
    found = ann.get(f"{path}/differences?older=1&newer=2").json()["fields"]
    assert found == {"summary": ["--- summary 1", "+++ summary 2", "@@ -1 +1 @@", "-first", "+second"]}


def test_nobody_overwrites_what_he_has_not_seen(register: Laboratory) -> None:
    """Ten changes of version 1 at once: one is version 2, the others are told so."""
    ann = register.client("editor")
    path = f"/projects/{made(ann)['id']}"

    def one(number: int) -> int:
        return ann.act("PUT", path, json={"title": f"By {number}", "based_on": 1}).status

    assert sorted(register.burst(one, 10)) == [200] + [409] * 9
    assert ann.get(path).json()["version"] == 2


def test_a_deleted_project_can_be_looked_back_at_and_restored(register: Laboratory) -> None:
    """Deleting is a version too."""
    ann = register.client("editor")
    path = f"/projects/{made(ann)['id']}"
    assert ann.act("DELETE", f"{path}?based_on=1").status == 204
    assert ann.get(path).status == 404
    assert path.rpartition("/")[2] not in ann.get("/projects").text
    reply = ann.act("POST", f"{path}/restore", json={"version": 1, "based_on": 2})
    assert (reply.status, reply.json()["version"], reply.json()["title"]) == (200, 3, "Bridge")


def test_an_editor_writes_his_own_alone(register: Laboratory) -> None:
    """S3: an editor changes what is his; a viewer changes nothing; an administrator everything."""
    ann, bob, eve = register.client("editor"), register.client("editor"), register.client("viewer")
    path = f"/projects/{made(ann)['id']}"
    change = {"title": "Mine now", "based_on": 1}
    assert bob.act("PUT", path, json=change).status == 403
    assert eve.act("PUT", path, json=change).status == 403
    assert eve.act("POST", "/projects", json={"title": "x"}).status == 403
    assert eve.get(path).status == 200
    assert register.client("admin").act("PUT", path, json=change).status == 200
