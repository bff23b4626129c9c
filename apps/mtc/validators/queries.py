"""Query strings of lists."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from apps.mtc.models import LotState
from apps.mtc.validators.base import Day, Id, Input, ShortText, no_bool, printable


class PageQuery(Input):
    limit: Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=200)] = 50
    offset: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=1_000_000)] = 0
    q: ShortText = ""


class SearchQuery(Input):
    q: ShortText = ""


class PriceQuery(PageQuery):
    variant_id: Id | None = None
    supplier_id: Id | None = None


class LotQuery(PageQuery):
    process_id: Id | None = None
    state: LotState | None = None


class ReportQuery(Input):
    since: Day | None = None
    until: Day | None = None
    process_id: Id | None = None


class AuditQuery(PageQuery):
    action: Annotated[str, Field(max_length=64), AfterValidator(printable)] = ""
    entity_type: Annotated[str, Field(max_length=64), AfterValidator(printable)] = ""
    entity_id: Annotated[str, Field(max_length=64), AfterValidator(printable)] = ""
