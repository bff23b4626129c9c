"""Many people at the same moment, in real threads on one SQLite file."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from sqlalchemy import func, select, text

from apps.planner.models import Contribution, Support
from bylaw.testing import Bench, Laboratory
from tests.apps.planner.conftest import (
    categories,
    contribute,
    done,
    facilitator,
    number_of,
    participant,
    planned,
)


@pytest.mark.requirement("S2-014", "S2-064")
def test_thirty_people_contribute_at_once(lab: Laboratory) -> None:
    """Thirty phones send their contribution in the same moment: WAL has them wait for each other, and none
    fails."""
    path = planned(facilitator(lab))
    people = [participant(lab, number_of(path)) for _ in range(30)]
    form = {"category": categories(people[0], path)[0]}
    tokens = [person.token() for person in people]

    def send(number: int) -> int:
        person = people[number]
        headers = [*person.from_here, (person.token_header, tokens[number])]
        return person.send(
            "POST", f"{path}/contributions", form={**form, "text": f"idea {number}"}, headers=headers
        ).status

    assert Counter(lab.burst(send, 30)) == {302: 30}
    page = people[0].page(path).text
    assert len(set(re.findall(r"idea \d+", page))) == 30
    with lab.bylaw.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_support_pressed_twice_at_once_counts_once(lab: Laboratory) -> None:
    """Two browsers of one person press in the same moment, ten times over: one support, and no 500."""
    path = planned(facilitator(lab))
    author, supporter = participant(lab, number_of(path)), participant(lab, number_of(path))
    made = contribute(author, path, "popular")
    headers = [*supporter.from_here, (supporter.token_header, supporter.token())]

    def press(number: int) -> int:
        wanted = "no" if number >= 10 else "yes"
        return supporter.send(
            "POST", f"/contributions/{made}/support", form={"support": wanted}, headers=headers
        ).status

    assert set(lab.burst(press, 10)) == {302}
    assert _count(lab, made) == 1
    assert set(lab.burst(lambda number: press(number + 10), 10)) == {302}
    assert _count(lab, made) == 0


def test_a_contribution_pressed_twice_at_once_is_made_once(lab: Laboratory) -> None:
    """A thumb that trembles, or a page that is loaded again: what somebody said already is not said twice."""
    path = planned(facilitator(lab))
    one = participant(lab, number_of(path))
    first, second = categories(one, path)[:2]
    headers = [*one.from_here, (one.token_header, one.token())]

    def press(category: str) -> str:
        form = {"category": category, "text": "A bench"}
        sent = one.send("POST", f"{path}/contributions", form=form, headers=headers)
        return done(sent).header("Location")

    assert len(set(lab.burst(lambda _: press(first), 4))) == 1
    assert press(second) != press(first)  # as another thing it is one


def _count(lab: Laboratory, made: int) -> int:
    with lab.bylaw.engine.connect() as connection:
        query = select(func.count()).select_from(Support).where(Support.contribution_id == made)
        return connection.execute(query).scalar_one()


def test_nothing_is_contributed_to_a_planning_that_has_closed_meanwhile(lab: Laboratory) -> None:
    """Contributions and the closing race: each is either there, or was refused with 409, and none is later
    than
    the closing."""
    lead = facilitator(lab)
    path = planned(lead)
    people = [participant(lab, number_of(path)) for _ in range(9)]
    form = {"category": categories(people[0], path)[0], "text": "just in time"}
    ready = [
        (person, [*person.from_here, (person.token_header, person.token())]) for person in [*people, lead]
    ]

    def act(number: int) -> int:
        person, headers = ready[number]
        if person is lead:
            return person.send("POST", f"{path}/state", form={"state": "closed"}, headers=headers).status
        return person.send("POST", f"{path}/contributions", form=form, headers=headers).status

    statuses = lab.burst(act, 10)
    assert statuses[-1] == 302
    assert set(statuses) <= {302, 409}
    with lab.bylaw.engine.connect() as connection:
        query = select(func.count()).where(Contribution.planning_id == number_of(path))
        assert connection.execute(query).scalar_one() == statuses[:-1].count(302)
    done(lead.act("POST", f"{path}/state", form={"state": "open"}))


def test_cards_asked_for_twice_at_once_are_made_once(bench: Bench) -> None:
    """The button pressed twice: one answer shows the cards, the other says that they were shown."""
    with bench.laboratory() as lab:
        lead = facilitator(lab)
        path = planned(lead)
        batch = re.search(r'name="batch" value="([^"]+)"', lead.page(f"{path}/participants").text)
        assert batch
        form = {"batch": batch[1], "count": 5, "days": 1}
        headers = [*lead.from_here, (lead.token_header, lead.token())]
        replies = lab.burst(lambda _: lead.send("POST", f"{path}/cards", form=form, headers=headers), 4)
        assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
        shown = [len(re.findall(r'class="ticket"', reply.text)) for reply in replies]
        assert sorted(shown) == [0, 0, 0, 5]
