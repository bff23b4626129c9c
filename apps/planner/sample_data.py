"""Sample data: a square that a neighbourhood plans anew, a closed planning and one in preparation.

Its people exist only here: nobody can sign in as one of them, and whoever administers sees all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from apps.planner.models import Contribution, Planning, State
from apps.planner.plannings import Plannings, Recorder
from apps.planner.plans import Square
from apps.planner.validators import ContributionDraft, GroupDraft, HideDraft, Place, PlanningDraft
from bylaw.identity import Identity, permissions_of

FACILITATOR = "sample-facilitator"
SQUARE = "What shall our square be like?"
_CONTRIBUTIONS = (
    ("Vision", "A square where children play and old people sit, without a car in sight.", "E4", 7),
    ("Problem", "Lorries cut through here from six in the morning.", "B2", 9),
    ("Problem", "The fountain has been dry for three summers.", "D4", 4),
    ("Objective", "Everybody who lives here gets across without a step.", "F6", 5),
    ("Action", "Close the northern side to cars on market days, for a start.", "F2", 8),
    ("Action", "Six benches in the shade, with backs and armrests.", "C3", 6),
    ("Problem", "It is dark between the stalls after eight.", "H4", 3),
    ("Vision", "A market that is worth the way, twice a week.", "H3", 2),
    ("Action", "Water and power for the stalls, so that nobody brings a generator.", "I5", 4),
    ("Objective", "Half of the ground lets rain through.", None, 1),
    ("Action", "Plant two more lime trees where the bins stand now.", "E6", 3),
)


@dataclass
class _Clock:
    """Goes on by a step each time it is asked."""

    at: datetime
    step: timedelta = timedelta(minutes=7)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at


def load(session: Session, record: Recorder, *, now: datetime | None = None) -> bool:
    """Load everything and commit; False if it is there already."""
    if session.scalar(select(Planning.id).where(Planning.title == SQUARE)) is not None:
        return False
    clock = _Clock((now or datetime.now(UTC)) - timedelta(hours=2))
    lead = Plannings(session, _somebody(FACILITATOR), record, clock)
    _square(lead, clock)
    _closed(lead)
    lead.create(
        PlanningDraft.model_validate(
            {
                "title": "The schoolyard, autumn",
                "prompt": "Class representatives begin on Thursday, in the library.",
                "categories": ["Wish", "Worry", "Offer"],
                "plan_image": "schoolyard",
                "placing": True,
            }
        )
    )
    return True


def _square(lead: Plannings, clock: _Clock) -> None:
    planning = lead.create(
        PlanningDraft.model_validate(
            {
                "title": SQUARE,
                "prompt": "The council rebuilds the square next year. Say what you would keep, what has to "
                "go and what you would do yourself. Put it on the map where it has a place.",
                "categories": ["Vision", "Problem", "Objective", "Action"],
                "plan_image": "square",
                "placing": True,
            }
        )
    )
    lead.set_state(planning.id, State.OPEN)
    made = [_contributed(lead, planning, number) for number in range(len(_CONTRIBUTIONS))]
    clock.step = timedelta(seconds=20)
    for number, (_, _, _, support) in enumerate(_CONTRIBUTIONS):
        for other in range(support):
            _as(lead, f"sample-supporter-{other}").support(made[number].id, True)
    advert = _as(lead, "sample-participant-x").contribute(
        planning.id,
        ContributionDraft(category=planning.categories[3].id, text="Cheap phones at my cousin's!"),
    )
    lead.hide(advert.id, HideDraft(reason="It is an advertisement."))
    lead.group(planning.id, GroupDraft(name="Traffic", contributions=[made[1].id, made[4].id]))
    lead.group(planning.id, GroupDraft(name="To stay a while", contributions=[made[0].id, made[5].id]))


def _contributed(lead: Plannings, planning: Planning, number: int) -> Contribution:
    category, text, square, _ = _CONTRIBUTIONS[number]
    author = _as(lead, f"sample-participant-{number % 7}")
    chosen = next(c for c in planning.categories if c.name == category)
    made = author.contribute(planning.id, ContributionDraft(category=chosen.id, text=text))
    if square is not None:
        x, y = Square.named(square).middle
        author.place(made.id, Place(x=x, y=y))
    return made


def _closed(lead: Plannings) -> None:
    planning = lead.create(
        PlanningDraft.model_validate(
            {"title": "Where shall the bicycles go?", "categories": ["Place", "Kind"]}
        )
    )
    lead.set_state(planning.id, State.OPEN)
    for number, text in enumerate(("Behind the bakery, under the roof.", "In front of the library.")):
        draft = ContributionDraft(category=planning.categories[0].id, text=text)
        _as(lead, f"sample-participant-{number}").contribute(planning.id, draft)
    lead.set_state(planning.id, State.CLOSED)


def _as(lead: Plannings, name: str) -> Plannings:
    return replace(lead, who=_somebody(name))


def _somebody(name: str) -> Identity:
    """Somebody of whom there is only the name."""
    return Identity(id=name, permissions=permissions_of(["sample"], {"sample": ["*"]}))


__all__ = ["FACILITATOR", "SQUARE", "load"]
