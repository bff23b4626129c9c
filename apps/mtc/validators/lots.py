"""Production lots."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from apps.mtc.validators.base import Count, Day, Id, Input, printable, printable_lines

_PAIR = "^[1-9][0-9]{0,8}:[1-9][0-9]{0,8}$"


LotNumber = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(printable)]
"""What people call a lot, where they number theirs."""


class LotPlan(Input):
    number: LotNumber | None = None
    process_id: Id
    quantity: Count
    due: Day | None = None


class LotChange(Input):
    """Without a number the lot keeps the one that it has."""

    number: LotNumber | None = None
    quantity: Count
    due: Day | None = None

    def values(self) -> dict[str, Any]:
        return self.model_dump(exclude=set() if self.number else {"number"})


class LotChoices(Input):
    """Usage id to variant id. Usages that are not named keep what was chosen."""

    choices: Annotated[dict[Id, Id], Field(max_length=1000)]


class LotChoicesForm(Input):
    """The same as a page sends it: each list box sends "usage:variant", or nothing."""

    choices: Annotated[list[Annotated[str, Field(pattern=_PAIR)]], Field(max_length=1000)]

    def pairs(self) -> dict[int, int]:
        return {int(usage): int(variant) for usage, variant in (c.split(":") for c in self.choices)}


class LotExecution(Input):
    """Nothing to say: what is consumed follows from the plan."""


class LotCancellation(Input):
    reason: Annotated[str, Field(min_length=3, max_length=500), AfterValidator(printable)]


class LotNoteDraft(Input):
    text: Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(printable_lines)]
