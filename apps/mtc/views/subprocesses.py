"""One subprocess: what it uses and what else it costs."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.bodies import Form, form_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import Item, OtherCost, Subprocess, Usage, Variant
from apps.mtc.services import processes, records
from apps.mtc.validators.base import Nothing
from apps.mtc.validators.processes import CostDraft, SubprocessDraft, UsageDraft
from apps.mtc.validators.queries import PageQuery
from bylaw.flask import permit

blueprint = Blueprint("subprocesses", __name__)
# A longer list is no list; the page offers a search to narrow it.
_MOST_OFFERED = 200


@blueprint.get("/subprocesses/<int:subprocess_id>")
@permit("process:read")
def show(subprocess_id: int) -> ResponseReturnValue:
    return _subprocess(subprocess_id)


@blueprint.post("/subprocesses/<int:subprocess_id>")
@permit("process:update")
@form_body(SubprocessDraft)
def update(form: Form[SubprocessDraft], subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    if form.submit(lambda draft: records.alter(get_session(), part, draft.model_dump())):
        return redirect(url_for(".show", subprocess_id=subprocess_id, saved=1))
    return _subprocess(subprocess_id, form=form), 422


@blueprint.post("/subprocesses/<int:subprocess_id>/usages")
@permit("process:update")
@form_body(UsageDraft)
def add_usage(form: Form[UsageDraft], subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    if form.submit(lambda draft: processes.add_usage(get_session(), part, draft)):
        return redirect(url_for(".show", subprocess_id=subprocess_id, saved=1))
    return _subprocess(subprocess_id, usage_form=form), 422


@blueprint.get("/usages/<int:usage_id>")
@permit("process:read")
def show_usage(usage_id: int) -> ResponseReturnValue:
    return _usage(usage_id, Form())


@blueprint.post("/usages/<int:usage_id>")
@permit("process:update")
@form_body(UsageDraft)
def update_usage(form: Form[UsageDraft], usage_id: int) -> ResponseReturnValue:
    usage = records.find(get_session(), Usage, usage_id)
    subprocess_id = usage.subprocess_id
    if form.submit(lambda draft: processes.alter_usage(get_session(), usage, draft)):
        return redirect(url_for(".show", subprocess_id=subprocess_id, saved=1))
    return _usage(usage_id, form), 422


@blueprint.post("/usages/<int:usage_id>/delete")
@permit("process:update")
@form_body(Nothing)
def delete_usage(_: Form[Nothing], usage_id: int) -> ResponseReturnValue:
    usage = records.find(get_session(), Usage, usage_id)
    subprocess_id = usage.subprocess_id
    processes.remove_usage(get_session(), usage)
    get_session().commit()
    return redirect(url_for(".show", subprocess_id=subprocess_id, saved="deleted"))


@blueprint.post("/subprocesses/<int:subprocess_id>/costs")
@permit("process:update")
@form_body(CostDraft)
def add_cost(form: Form[CostDraft], subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    if form.submit(lambda draft: processes.add_cost(get_session(), part, draft)):
        return redirect(url_for(".show", subprocess_id=subprocess_id, saved=1))
    return _subprocess(subprocess_id, cost_form=form), 422


@blueprint.post("/costs/<int:cost_id>/delete")
@permit("process:update")
@form_body(Nothing)
def delete_cost(_: Form[Nothing], cost_id: int) -> ResponseReturnValue:
    cost = records.find(get_session(), OtherCost, cost_id)
    subprocess_id = cost.subprocess_id
    records.remove(get_session(), cost)
    get_session().commit()
    return redirect(url_for(".show", subprocess_id=subprocess_id, saved="deleted"))


def _subprocess(
    subprocess_id: int,
    *,
    form: Form[SubprocessDraft] | None = None,
    usage_form: Form[UsageDraft] | None = None,
    cost_form: Form[CostDraft] | None = None,
) -> str:
    query = read_query(PageQuery)
    return render_template(
        "subprocess.html",
        part=records.find(get_session(), Subprocess, subprocess_id),
        form=form or Form(),
        usage_form=usage_form or Form(),
        cost_form=cost_form or Form(),
        offered=_offered(query.q, []),
        query=query,
    )


def _usage(usage_id: int, form: Form[UsageDraft]) -> str:
    query = read_query(PageQuery)
    usage = records.find(get_session(), Usage, usage_id)
    offered = _offered(query.q, usage.variants)
    return render_template("usage.html", usage=usage, form=form, offered=offered, query=query)


def _offered(words: str, chosen: Sequence[Variant]) -> list[Variant]:
    """The variants to choose from: those already chosen, then those that match the search."""
    named = Variant.name.icontains(words, autoescape=True) | Item.name.icontains(words, autoescape=True)
    found = select(Variant).join(Item).where(named).order_by(Item.name, Variant.name)
    matching = get_session().scalars(found.limit(_MOST_OFFERED))
    return [*chosen, *(variant for variant in matching if variant not in chosen)]
