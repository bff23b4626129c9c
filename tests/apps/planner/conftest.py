"""The planner behind bylaw, in production, with a planning of its own and people in it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from bylaw.store import assignments
from bylaw.testing import Bench, Client, Laboratory, Reply, Target

SQUARE = "/plannings/1"
"""The sample data's planning in full swing: open, with a plan on which participants may place."""


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """The planner's database with the sample data, copied for every laboratory."""
    bench = Bench(Target.named("apps.planner"))
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def lab(bench: Bench) -> Iterator[Laboratory]:
    with bench.laboratory() as laboratory:
        yield laboratory


def participant(lab: Laboratory, planning: int = 1) -> Client:
    """Somebody who takes part in one planning, signed in (without a card: the session is opened directly)."""
    client = lab.person(email=f"{uuid.uuid4().hex[:8]}@people.test")
    with lab.site.house.store.transaction() as connection:
        assignments.grant(connection, client.id, "participant", scope=f"planning:{planning}", by=None)
    lab.open_session(client, method="token")
    client.token_page = lab.url("account")
    return client


def facilitator(lab: Laboratory) -> Client:
    client = lab.client("facilitator")
    client.token_page = lab.url("account")
    return client


def administrator(lab: Laboratory) -> Client:
    client = lab.client("administrator")
    client.token_page = lab.url("account")
    return client


def planned(lead: Client, *, state: str = "open", **fields: Any) -> str:
    """A planning of a facilitator's own; its path."""
    form = {
        "title": f"Planning {uuid.uuid4().hex[:6]}",
        "categories": "Vision\nProblem",
        "plan_image": "street",
        "placing": "yes",
        **fields,
    }
    reply = lead.act("POST", "/plannings", form=form)
    assert reply.status == 302, reply.text
    path = re.search(r"/plannings/\d+", reply.header("Location"))
    assert path
    if state != "prepared":
        done(lead.act("POST", f"{path[0]}/state", form={"state": state}))
    return path[0]


def done(reply: Reply) -> Reply:
    assert reply.status == 302, (reply.status, reply.text[-800:])
    return reply


def categories(client: Client, path: str) -> list[str]:
    return re.findall(r'name="category" value="(\d+)"', client.page(path).text)


def contribute(client: Client, path: str, text: str, category: int = 0) -> int:
    """What somebody contributes; its number."""
    form = {"category": categories(client, path)[category], "text": text}
    reply = done(client.act("POST", f"{path}/contributions", form=form))
    return int(reply.header("Location").rpartition("#c")[2])


def number_of(path: str) -> int:
    return int(path.rpartition("/")[2])
