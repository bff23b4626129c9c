"""What the planner takes: every form's fields, and nothing else."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from apps.planner.models import State
from apps.planner.plans import PLANS, Square

LARGEST_ID: Final = 2**31 - 1
MOST_CATEGORIES: Final = 12
MOST_CARDS: Final = 60
"""Cards in one batch: six pages. Their tokens are made while the facilitator waits."""
# Characters that reorder what a person reads: a text could show as another (CVE-2021-42574).
_REORDERING: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Text without what no one can see: PostgreSQL refuses NUL, and no UTF-8 holds half a surrogate."""
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"} or character in _REORDERING:
            raise ValueError("must not contain control characters")
    return text


def printable_lines(text: str) -> str:
    text = text.replace("\r\n", "\n")
    printable(text.replace("\n", " ").replace("\t", " "))
    return text


def _between(least: int, most: int) -> StringConstraints:
    """So many characters, without the blanks around them."""
    return StringConstraints(strip_whitespace=True, min_length=least, max_length=most)


_ONE_LINE: Final = AfterValidator(printable)
_LINES: Final = AfterValidator(printable_lines)
Title = Annotated[str, _between(1, 120), _ONE_LINE]
Prompt = Annotated[str, _between(0, 2000), _LINES]
CategoryName = Annotated[str, _between(1, 40), _ONE_LINE]
GroupName = Annotated[str, _between(1, 80), _ONE_LINE]
Said = Annotated[str, _between(1, 1000), _LINES]
Because = Annotated[str, _between(3, 200), _ONE_LINE]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Form):
    """A form that only asks for something to be done: the address says to what."""


class PlanningDraft(Form):
    title: Title
    prompt: Prompt = ""
    categories: Annotated[list[CategoryName], Field(min_length=1, max_length=MOST_CATEGORIES)]
    plan_image: str = ""
    placing: bool = False

    @field_validator("categories", mode="before")
    @classmethod
    def _by_line(cls, value: object) -> object:
        """One category a line, as a text area gives them."""
        return [line for line in value.splitlines() if line.strip()] if isinstance(value, str) else value

    @field_validator("categories")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len({name.casefold() for name in value}) != len(value):
            raise ValueError("each category once")
        return value

    @field_validator("plan_image")
    @classmethod
    def _known(cls, value: str) -> str:
        return _plan(value)

    @model_validator(mode="after")
    def _on_what(self) -> PlanningDraft:
        if self.placing and not self.plan_image:
            raise ValueError("choose a plan to place contributions on")
        return self


class PlanDraft(Form):
    """The plan of a planning, and whether participants may place on it."""

    plan_image: str = ""
    placing: bool = False

    @field_validator("plan_image")
    @classmethod
    def _known(cls, value: str) -> str:
        return _plan(value)

    @model_validator(mode="after")
    def _on_what(self) -> PlanDraft:
        if self.placing and not self.plan_image:
            raise ValueError("choose a plan to place contributions on")
        return self


def _plan(name: str) -> str:
    """One of the plans that come with the application: no form takes a file (S2-074)."""
    if name and name not in PLANS:
        raise ValueError("must be one of the plans in the list")
    return name


class StateChange(Form):
    state: Literal[State.OPEN, State.CLOSED]


class WordsDraft(Form):
    """Title and prompt, which may be put better later on."""

    title: Title
    prompt: Prompt = ""


class ContributionDraft(Form):
    category: Id
    text: Said


class SupportDraft(Form):
    support: bool
    """False takes it back."""


class HideDraft(Form):
    reason: Because


class Place(Form):
    """Where on the plan, from its upper left corner, 0 to 1: both, or neither to take it off."""

    x: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _both(self) -> Place:
        if (self.x is None) != (self.y is None):
            raise ValueError("both coordinates, or neither")
        return self


WIDTHS: Final = (280, 340, 600, 880)
"""Pixels that the plan is wide on screens of different widths; static/pages.css shows one of them."""


class Placing(Form):
    """A place as a page sends it: a press on the picture, a square by its name, or none at all."""

    x: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    square: Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, max_length=3)] = ""
    off: bool = False
    """Take it off the plan."""

    @model_validator(mode="before")
    @classmethod
    def _pressed(cls, data: dict[str, Any]) -> dict[str, Any]:
        """What `<input type=image name=at340>` sends: at340.x and at340.y, in pixels of that width."""
        for width in WIDTHS:
            if f"at{width}.x" in data or f"at{width}.y" in data:
                rest = {k: v for k, v in data.items() if k not in (f"at{width}.x", f"at{width}.y")}
                x, y = _pixels(data.get(f"at{width}.x")), _pixels(data.get(f"at{width}.y"))
                if x == y == 0:
                    # Pressed by key and not by pointer: browsers send the corner.
                    raise ValueError("press on the plan, or name a square of it")
                return {**rest, "square": "", "x": x / width, "y": y / (width * 2 / 3)}
        return data

    @model_validator(mode="after")
    def _one_way(self) -> Placing:
        if (self.x is None) != (self.y is None) or not (self.off or self.x is not None or self.square):
            raise ValueError("press on the plan, or name a square of it")
        if self.square:
            Square.named(self.square)
        return self

    def place(self) -> Place:
        if self.off:
            return Place()
        if self.square:
            x, y = Square.named(self.square).middle
            return Place(x=x, y=y)
        return Place(x=self.x, y=self.y)


def _pixels(value: object) -> float:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit() and len(value) <= 4):
        raise ValueError("press on the plan, or name a square of it")
    return int(value)


class GroupDraft(Form):
    name: GroupName
    contributions: Annotated[list[Id], Field(min_length=1, max_length=200)]


class CardsDraft(Form):
    """How many participants get a card, and for how many days."""

    batch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}$")]
    """Drawn when the form was shown (see models.Batch)."""
    count: Annotated[int, Field(ge=1, le=MOST_CARDS)]
    days: Annotated[int, Field(ge=1, le=90)] = 7


class Deletion(Form):
    title: Annotated[str, StringConstraints(strip_whitespace=True, max_length=120)]
    """Of the planning, typed once more."""


class ListQuery(Form):
    category: Id | None = None
    order: Literal["newest", "support"] = "newest"


class MarkerQuery(Form):
    mine: Id | None = None
    v: Annotated[str, StringConstraints(max_length=40)] = ""
    """Another address for another picture: nothing reads it."""
