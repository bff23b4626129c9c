"""Items and their variants."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from apps.mtc.validators.base import Input, LongText, Name, ShortText, printable

Unit = Annotated[str, Field(min_length=1, max_length=20), AfterValidator(printable)]
Category = Annotated[str, Field(max_length=100), AfterValidator(printable)]


class ItemDraft(Input):
    name: Name
    unit: Unit = "pcs"
    category: Category = ""


class VariantDraft(Input):
    """A variant of the item that the address names."""

    name: Name
    manufacturer: ShortText = ""
    description: LongText = ""
