"""Items, their variants and the variants' prices."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.bodies import Form, form_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import Item, Supplier, Variant
from apps.mtc.services import catalogue, exports, prices, records
from apps.mtc.validators.base import Nothing
from apps.mtc.validators.items import ItemDraft, VariantDraft
from apps.mtc.validators.queries import PageQuery, SearchQuery
from apps.mtc.validators.suppliers import PriceDraft
from apps.mtc.views.paging import listing
from bylaw.flask import Bylaw, permit

blueprint = Blueprint("items", __name__)


@blueprint.get("/items")
@permit("item:read")
def index() -> ResponseReturnValue:
    return _index(Form())


@blueprint.get("/items.csv", defaults={"form": "csv"})
@blueprint.get("/items.xlsx", defaults={"form": "xlsx"})
@permit("item:export")
def export(form: str) -> ResponseReturnValue:
    """The catalogue with its prices, of items with `q` in their name; on record, as data leaves in bulk."""
    query = read_query(SearchQuery)
    bylaw: Bylaw = current_app.extensions["bylaw"]
    rows = exports.items(get_session(), query.q)
    return bylaw.export("mtc-items", exports.ITEMS, rows, format=form, filter=query.q)


@blueprint.post("/items")
@permit("item:create")
@form_body(ItemDraft)
def create(form: Form[ItemDraft]) -> ResponseReturnValue:
    if form.submit(lambda draft: records.add(get_session(), Item(**draft.model_dump()))):
        return redirect(url_for(".index", q=form.values["name"], saved=1))
    return _index(form), 422


@blueprint.get("/items/<int:item_id>")
@permit("item:read")
def show(item_id: int) -> ResponseReturnValue:
    return _item(item_id, Form(), Form())


@blueprint.post("/items/<int:item_id>")
@permit("item:update")
@form_body(ItemDraft)
def update(form: Form[ItemDraft], item_id: int) -> ResponseReturnValue:
    item = records.find(get_session(), Item, item_id)
    if form.submit(lambda draft: records.alter(get_session(), item, draft.model_dump())):
        return redirect(url_for(".show", item_id=item_id, saved=1))
    return _item(item_id, form, Form()), 422


@blueprint.post("/items/<int:item_id>/delete")
@permit("item:delete")
@form_body(Nothing)
def delete(form: Form[Nothing], item_id: int) -> ResponseReturnValue:
    item = records.find(get_session(), Item, item_id)
    if form.submit(lambda _: catalogue.remove_item(get_session(), item)):
        return redirect(url_for(".index", saved="deleted"))
    return _item(item_id, Form(errors=form.errors), Form()), 409


@blueprint.post("/items/<int:item_id>/variants")
@permit("item:create")
@form_body(VariantDraft)
def create_variant(form: Form[VariantDraft], item_id: int) -> ResponseReturnValue:
    item = records.find(get_session(), Item, item_id)
    if form.submit(lambda draft: catalogue.add_variant(get_session(), item, draft)):
        return redirect(url_for(".show", item_id=item_id, saved=1))
    return _item(item_id, Form(), form), 422


@blueprint.get("/variants/<int:variant_id>")
@permit("item:read")
def show_variant(variant_id: int) -> ResponseReturnValue:
    return _variant(variant_id, Form(), Form())


@blueprint.post("/variants/<int:variant_id>")
@permit("item:update")
@form_body(VariantDraft)
def update_variant(form: Form[VariantDraft], variant_id: int) -> ResponseReturnValue:
    variant = records.find(get_session(), Variant, variant_id)
    if form.submit(lambda draft: records.alter(get_session(), variant, draft.model_dump())):
        return redirect(url_for(".show_variant", variant_id=variant_id, saved=1))
    return _variant(variant_id, form, Form()), 422


@blueprint.post("/variants/<int:variant_id>/delete")
@permit("item:delete")
@form_body(Nothing)
def delete_variant(form: Form[Nothing], variant_id: int) -> ResponseReturnValue:
    variant = records.find(get_session(), Variant, variant_id)
    item_id = variant.item_id
    if form.submit(lambda _: catalogue.remove_variant(get_session(), variant)):
        return redirect(url_for(".show", item_id=item_id, saved="deleted"))
    return _variant(variant_id, Form(errors=form.errors), Form()), 409


@blueprint.post("/prices")
@permit("entry:create")
@form_body(PriceDraft)
def create_price(form: Form[PriceDraft]) -> ResponseReturnValue:
    """Recording a price is basic data entry: whoever has the catalogue in hand may do it."""
    if form.submit(lambda draft: prices.add_price(get_session(), draft)):
        return redirect(url_for(".show_variant", variant_id=form.values["variant_id"], saved=1))
    named = str(form.values.get("variant_id", ""))
    if "variant_id" in form.errors or not named.isdigit():
        return render_template("error.html", title="Not recorded", errors=list(form.errors.items())), 422
    return _variant(int(named), Form(), form), 422


def _index(form: Form[ItemDraft]) -> str:
    query = PageQuery() if form.errors else read_query(PageQuery)
    found = select(Item).where(Item.name.icontains(query.q, autoescape=True)).order_by(Item.name)
    return render_template("items.html", listing=listing(query, found), form=form)


def _item(item_id: int, form: Form[ItemDraft], variant_form: Form[VariantDraft]) -> str:
    item = records.find(get_session(), Item, item_id)
    return render_template("item.html", item=item, form=form, variant_form=variant_form)


def _variant(variant_id: int, form: Form[VariantDraft], price_form: Form[PriceDraft]) -> str:
    session = get_session()
    return render_template(
        "variant.html",
        variant=records.find(session, Variant, variant_id),
        form=form,
        price_form=price_form,
        suppliers=session.scalars(select(Supplier).order_by(Supplier.name)).all(),
    )
