"""What facilitators and participants do. Each verb asks itself whether whoever calls it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from apps.planner.models import Category, Contribution, Group, Planning, State, Support
from apps.planner.validators import (
    ContributionDraft,
    GroupDraft,
    HideDraft,
    Place,
    PlanDraft,
    PlanningDraft,
    WordsDraft,
)
from bylaw.identity import FORBIDDEN, Identity
from bylaw.reasons import Refused

FIRST_CATEGORIES = ("Vision", "Problem", "Objective", "Action")
"""What a new planning asks for, until its facilitator says otherwise."""


class NotThereError(LookupError):
    """There is no such planning or contribution, or not for whoever asks."""


class ClosedError(ValueError):
    """The planning does not take this at the moment: it is not open yet, or closed. Says so in a sentence."""


class OtherTitleError(ClosedError):
    """What was typed to delete a planning is not its title."""


class Recorder(Protocol):
    """`Bylaw.record`: the audit row of a change, in its transaction."""

    def __call__(self, connection: Any, *, action: str, **facts: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Plannings:
    """Planning sessions for one request: the database session, whoever asks, and how it is recorded."""

    db: Session
    who: Identity
    record: Recorder
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    appoint: Callable[[Planning], None] = lambda _: None
    """Makes whoever asks the host of a planning that he has just made."""

    # Plannings

    def open_to_me(self) -> Sequence[Planning]:
        """The plannings that whoever asks facilitates or takes part in, the newest first."""
        everything = self.db.scalars(select(Planning).order_by(Planning.id.desc())).all()
        return [planning for planning in everything if self._may("planning:read", planning)]

    def get(self, planning_id: int) -> Planning:
        """One of them. Raises NotThereError, also for somebody else's: nobody learns of it."""
        planning = self.db.get(Planning, planning_id)
        if planning is None or not self._may("planning:read", planning):
            raise NotThereError(f"planning {planning_id}")
        return planning

    def create(self, draft: PlanningDraft) -> Planning:
        self.who.demand("planning:create")
        planning = Planning(
            title=draft.title,
            prompt=draft.prompt,
            placing=draft.placing,
            plan_image=draft.plan_image,
            state=State.PREPARED,
            facilitator_id=self.who.id,
            created_at=self.clock(),
            categories=[Category(name=name, position=at) for at, name in enumerate(draft.categories)],
        )
        self.db.add(planning)
        self.db.flush()  # its number is its name, where a role is given for it
        self.appoint(planning)
        self.done("planning_created", planning, title=draft.title)
        return planning

    def set_state(self, planning_id: int, state: State) -> Planning:
        """Open it to participants, or close it. A closed one can be opened again."""
        planning = self.run(planning_id)
        if planning.state is not state:
            before, planning.state = planning.state, state
            planning.closed_at = self.clock() if state is State.CLOSED else None
            self.done("planning_state", planning, state={"old": before, "new": state})
        return planning

    def set_plan(self, planning_id: int, draft: PlanDraft) -> None:
        """Choose the plan to place contributions on, and whether participants may."""
        planning = self.run(planning_id)
        planning.plan_image, planning.placing = draft.plan_image, draft.placing
        self.done("planning_plan", planning, plan=draft.plan_image, placing=draft.placing)

    def reword(self, planning_id: int, draft: WordsDraft) -> None:
        """Put title and prompt better."""
        planning = self.run(planning_id)
        changes: dict[str, Any] = {
            name: {"old": getattr(planning, name), "new": getattr(draft, name)}
            for name in ("title", "prompt")
            if getattr(planning, name) != getattr(draft, name)
        }
        planning.title, planning.prompt = draft.title, draft.prompt
        if changes:
            self.done("planning_reworded", planning, **changes)

    def delete(self, planning_id: int, title: str) -> None:
        """Delete a closed planning and all that was contributed to it, once its title was typed again.

        Raises ClosedError while it is not closed, or for another title.
        """
        planning = self.deletable(planning_id, title)
        # Contributions point to categories, which go with the planning: they have to go first.
        self.db.execute(delete(Contribution).where(Contribution.planning_id == planning.id))
        self.db.expire(planning)
        self.db.delete(planning)
        self.done("planning_deleted", planning)

    def deletable(self, planning_id: int, title: str) -> Planning:
        """One that `delete` would take. Raises NotThereError, Refused, ClosedError."""
        planning = self.run(planning_id)
        if planning.state is not State.CLOSED:
            raise ClosedError("Close the planning before you delete it.")
        if title != planning.title:
            raise OtherTitleError("That is not the planning's title. Nothing was deleted.")
        return planning

    # Contributions

    def contributions(self, planning: Planning) -> Sequence[Contribution]:
        """What was contributed, the newest first; what is hidden only its facilitator and author see."""
        found = self.db.scalars(
            select(Contribution)
            .where(Contribution.planning_id == planning.id)
            .order_by(Contribution.id.desc())
        ).all()
        if self._may("planning:run", planning):
            return found
        return [each for each in found if not each.hidden or each.author_id == self.who.id]

    def contribute(self, planning_id: int, draft: ContributionDraft) -> Contribution:
        planning = self._open(planning_id, "contribution:create")
        category = next((c for c in planning.categories if c.id == draft.category), None)
        if category is None:
            raise NotThereError("category")
        same = {"planning_id": planning.id, "author_id": self.who.id, "text": draft.text}
        said = select(Contribution).filter_by(**same, category_id=category.id)
        made = self.db.scalars(said.limit(1)).first()
        if made is not None:
            return made  # pressed twice, or loaded again: SQLite lets one write after the other
        made = Contribution(**same, category=category, created_at=self.clock())
        self.db.add(made)
        self.done("contribution_created", planning, made)
        return made

    def withdraw(self, contribution_id: int) -> None:
        """Take back one's own contribution while the planning is open."""
        made = self.contribution(contribution_id)
        if made.author_id != self.who.id:
            raise Refused(FORBIDDEN)  # whoever facilitates hides it, and says why
        planning = self._open(made.planning_id, "contribution:delete", owner=made.author_id)
        self.db.delete(made)
        self.done("contribution_withdrawn", planning, made)

    def support(self, contribution_id: int, wanted: bool) -> int:
        """Support a contribution of somebody else, or take it back; how many support it now."""
        made = self.contribution(contribution_id)
        self._open(made.planning_id, "contribution:support")
        mine = self.db.get(Support, (made.id, self.who.id))
        if wanted and mine is None:
            if made.author_id == self.who.id:
                raise ClosedError("Your own contribution is supported by others.")
            self.db.add(Support(contribution_id=made.id, supporter_id=self.who.id, at=self.clock()))
        elif not wanted and mine is not None:
            self.db.delete(mine)
        try:
            self.db.commit()
        except (IntegrityError, StaleDataError):  # pressed twice at once: it is done
            self.db.rollback()
        self.db.refresh(made)
        return len(made.support)

    def place(self, contribution_id: int, place: Place) -> None:
        """Put one's own contribution on the plan, where the facilitator allows it."""
        made = self.contribution(contribution_id)
        planning = self._open(made.planning_id, "contribution:place", owner=made.author_id)
        if not planning.placing and not self._may("planning:run", planning):
            raise ClosedError("The facilitator has not opened the plan.")
        if not planning.plan_image:
            raise ClosedError("This planning has no plan.")
        made.x, made.y = place.x, place.y
        self.done("contribution_placed", planning, made)

    # Moderating

    def hide(self, contribution_id: int, draft: HideDraft) -> None:
        """Hide it from everybody but its author, who is told why."""
        self._moderate(contribution_id, "contribution_hidden", hidden=True, because=draft.reason)

    def show(self, contribution_id: int) -> None:
        """Show it again."""
        self._moderate(contribution_id, "contribution_shown", hidden=False)

    def _moderate(self, contribution_id: int, action: str, *, hidden: bool, because: str = "") -> None:
        made = self.contribution(contribution_id)
        planning = self.run(made.planning_id)
        made.hidden, made.hidden_because = hidden, because
        self.done(action, planning, made, **({"reason": because} if because else {}))

    def group(self, planning_id: int, draft: GroupDraft) -> Group:
        """Put contributions together under a name."""
        planning = self.run(planning_id)
        wanted = set(draft.contributions)
        found = [each for each in self.contributions(planning) if each.id in wanted]
        if len(found) != len(wanted):
            raise NotThereError("contributions of this planning")
        group = next((g for g in planning.groups if g.name == draft.name), None) or Group(
            planning_id=planning.id, name=draft.name
        )
        self.db.add(group)
        for each in found:
            each.group = group
        self.done("contributions_grouped", planning, name=draft.name, contributions=sorted(wanted))
        return group

    # Looking over all of it

    def overview(self, planning: Planning) -> dict[str, Any]:
        """How much there is of what: for the charts that a room watches."""
        found = [each for each in self.contributions(planning) if not each.hidden]
        by_category = Counter(each.category.name for each in found)
        return {
            "state": planning.state,
            "contributions": len(found),
            "participants": len({each.author_id for each in found}),
            "support": sum(len(each.support) for each in found),
            "by_category": {c.name: by_category[c.name] for c in planning.categories},
            "support_by_category": {
                c.name: sum(len(each.support) for each in found if each.category_id == c.id)
                for c in planning.categories
            },
            "over_time": [each.created_at for each in reversed(found)],
            "most_supported": [
                {"id": each.id, "text": each.text, "support": len(each.support)}
                for each in sorted(found, key=lambda c: (-len(c.support), c.id))[:5]
                if each.support
            ],
        }

    def export(self, planning_id: int) -> Iterator[tuple[object, ...]]:
        """The contributions below EXPORTED, for a spreadsheet. Raises NotThereError, Refused at once."""
        return map(_exported, self.contributions(self.run(planning_id)))

    # What all of them share

    def _may(self, permission: str, planning: Planning, *, owner: str | None = None) -> bool:
        return self.who.may(permission, owner=owner or planning.facilitator_id, within=planning.scope)

    def run(self, planning_id: int) -> Planning:
        """A planning that whoever asks facilitates. Raises NotThereError, Refused."""
        planning = self.get(planning_id)
        self.who.demand("planning:run", owner=planning.facilitator_id, within=planning.scope)
        return planning

    def _open(self, planning_id: int, permission: str, *, owner: str | None = None) -> Planning:
        """A planning that is open for what whoever asks wants. Raises NotThereError, Refused, ClosedError."""
        planning = self.get(planning_id)
        if not self._may("planning:run", planning):
            self.who.demand(permission, owner=owner, within=planning.scope)
        # Not closed by somebody else until what is written here is: FOR SHARE on PostgreSQL; SQLite lets only
        # one transaction write at a time, and this one was begun to write.
        self.db.refresh(planning, ["state"], with_for_update={"read": True})
        if planning.state is not State.OPEN:
            raise ClosedError(_NOT_OPEN[planning.state])
        return planning

    def contribution(self, contribution_id: int) -> Contribution:
        """One that whoever asks may see. Raises NotThereError."""
        made = self.db.get(Contribution, contribution_id)
        if made is None or (made.hidden and made.author_id != self.who.id and not self._runs(made)):
            raise NotThereError(f"contribution {contribution_id}")
        self.get(made.planning_id)
        return made

    def _runs(self, made: Contribution) -> bool:
        planning = self.db.get(Planning, made.planning_id)
        return planning is not None and self._may("planning:run", planning)

    def done(self, action: str, planning: Planning, of: Contribution | None = None, **changes: Any) -> None:
        """Write it, and the record of it, in one transaction."""
        self.db.flush()
        entity = ("contribution", of.id) if of is not None else ("planning", planning.id)
        self.record(self.db, action=action, entity_type=entity[0], entity_id=str(entity[1]), changes=changes)
        self.db.commit()


EXPORTED: Final = ("id", "category", "group", "text", "support", "hidden", "x", "y", "created")
_NOT_OPEN: Final = {
    State.PREPARED: "The planning has not been opened yet.",
    State.CLOSED: "The planning is closed: it takes nothing any more.",
}


def _exported(made: Contribution) -> tuple[object, ...]:
    return (
        made.id,
        made.category.name,
        made.group.name if made.group else None,
        made.text,
        len(made.support),
        "yes" if made.hidden else "no",
        made.x,
        made.y,
        made.created_at,
    )
