"""What the planner takes: every form's fields, and nothing else."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
MOST_CATEGORIES = 12


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlanningDraft(Form):
    title: Line
    prompt: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] = ""
    categories: Annotated[list[Name], Field(min_length=1, max_length=MOST_CATEGORIES)]
    placing: bool = False

    @field_validator("categories", mode="before")
    @classmethod
    def _lines(cls, value: object) -> object:
        """One category a line, as a text area gives them."""
        return [line for line in value.splitlines() if line.strip()] if isinstance(value, str) else value

    @field_validator("categories")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len({name.casefold() for name in value}) != len(value):
            raise ValueError("each category once")
        return value


class ContributionDraft(Form):
    category: int
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Place(Form):
    """Where on the plan: both, or neither to take it off."""

    x: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _both(self) -> Place:
        if (self.x is None) != (self.y is None):
            raise ValueError("both coordinates, or neither")
        return self


class GroupDraft(Form):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    contributions: Annotated[list[int], Field(min_length=1, max_length=200)]


class Cards(Form):
    """How many participants get a token, and for how long."""

    count: Annotated[int, Field(ge=1, le=100)]
    days: Annotated[int, Field(ge=1, le=90)] = 30
