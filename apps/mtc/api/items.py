"""Items and their variants."""

from __future__ import annotations

from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.api import answers, serial
from apps.mtc.bodies import json_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import Item, Variant
from apps.mtc.services import catalogue, records
from apps.mtc.validators.items import ItemDraft, VariantDraft
from apps.mtc.validators.queries import PageQuery
from bylaw.flask import permit

blueprint = Blueprint("api_items", __name__)


@blueprint.get("/items")
@permit("item:read")
def list_items() -> ResponseReturnValue:
    query = read_query(PageQuery)
    found = select(Item).where(Item.name.icontains(query.q, autoescape=True)).order_by(Item.name)
    return answers.listing(query, found, serial.item)


@blueprint.post("/items")
@permit("item:create")
@json_body(ItemDraft)
def create_item(draft: ItemDraft) -> ResponseReturnValue:
    item = records.add(get_session(), Item(**draft.model_dump()))
    return answers.created(serial.item(item), url_for(".show_item", item_id=item.id))


@blueprint.get("/items/<int:item_id>")
@permit("item:read")
def show_item(item_id: int) -> ResponseReturnValue:
    return jsonify(serial.item(records.find(get_session(), Item, item_id)))


@blueprint.put("/items/<int:item_id>")
@permit("item:update")
@json_body(ItemDraft)
def update_item(draft: ItemDraft, item_id: int) -> ResponseReturnValue:
    item = records.find(get_session(), Item, item_id)
    return answers.saved(serial.item(records.alter(get_session(), item, draft.model_dump())))


@blueprint.delete("/items/<int:item_id>")
@permit("item:delete")
def delete_item(item_id: int) -> ResponseReturnValue:
    catalogue.remove_item(get_session(), records.find(get_session(), Item, item_id))
    return answers.gone()


@blueprint.get("/variants")
@permit("item:read")
def list_variants() -> ResponseReturnValue:
    query = read_query(PageQuery)
    named = Variant.name.icontains(query.q, autoescape=True)
    return answers.listing(query, select(Variant).where(named).order_by(Variant.id), serial.variant)


@blueprint.get("/items/<int:item_id>/variants")
@permit("item:read")
def list_variants_of_item(item_id: int) -> ResponseReturnValue:
    query = read_query(PageQuery)
    records.find(get_session(), Item, item_id)
    found = select(Variant).where(
        Variant.item_id == item_id, Variant.name.icontains(query.q, autoescape=True)
    )
    return answers.listing(query, found.order_by(Variant.name), serial.variant)


@blueprint.post("/items/<int:item_id>/variants")
@permit("item:create")
@json_body(VariantDraft)
def create_variant(draft: VariantDraft, item_id: int) -> ResponseReturnValue:
    item = records.find(get_session(), Item, item_id)
    variant = catalogue.add_variant(get_session(), item, draft)
    return answers.created(serial.variant(variant), url_for(".show_variant", variant_id=variant.id))


@blueprint.get("/variants/<int:variant_id>")
@permit("item:read")
def show_variant(variant_id: int) -> ResponseReturnValue:
    return jsonify(serial.variant(records.find(get_session(), Variant, variant_id)))


@blueprint.put("/variants/<int:variant_id>")
@permit("item:update")
@json_body(VariantDraft)
def update_variant(draft: VariantDraft, variant_id: int) -> ResponseReturnValue:
    variant = records.find(get_session(), Variant, variant_id)
    return answers.saved(serial.variant(records.alter(get_session(), variant, draft.model_dump())))


@blueprint.delete("/variants/<int:variant_id>")
@permit("item:delete")
def delete_variant(variant_id: int) -> ResponseReturnValue:
    catalogue.remove_variant(get_session(), records.find(get_session(), Variant, variant_id))
    return answers.gone()
