"""Processes, their subprocesses, what these use and what else they cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from apps.mtc.models import CostBasis, CostKind
from apps.mtc.validators.base import Currency, Id, Input, LongText, Money, Name, Quantity


def _distinct(ids: list[int]) -> list[int]:
    if len(set(ids)) != len(ids):
        raise ValueError("must not name the same variant twice")
    return ids


class ProcessDraft(Input):
    name: Name
    description: LongText = ""


class SubprocessDraft(Input):
    """A step of the process that the address names; a new one is put last."""

    name: Name
    description: LongText = ""


class SubprocessMove(Input):
    direction: Literal["up", "down"]


class UsageDraft(Input):
    """For each unit made, `quantity` of one of these variants (chosen when a lot is planned)."""

    label: LongText = ""
    quantity: Quantity
    variant_ids: Annotated[list[Id], Field(min_length=1, max_length=20), AfterValidator(_distinct)]


class CostDraft(Input):
    name: Name
    cost_kind: CostKind = CostKind.LABOUR
    amount: Money
    currency: Currency
    basis: CostBasis = CostBasis.UNIT
