"""Suppliers, their prices, and exchange rates."""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.api import answers, serial
from apps.mtc.bodies import json_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import ExchangeRate, Price, Supplier
from apps.mtc.services import catalogue, prices, records
from apps.mtc.validators.queries import PageQuery, PriceQuery
from apps.mtc.validators.suppliers import PriceDraft, RateDraft, SupplierDraft
from bylaw.flask import permit

blueprint = Blueprint("api_suppliers", __name__)


@blueprint.get("/suppliers")
@permit("supplier:read")
def list_suppliers() -> ResponseReturnValue:
    query = read_query(PageQuery)
    named = Supplier.name.icontains(query.q, autoescape=True)
    found = select(Supplier).where(named).order_by(Supplier.name)
    return answers.listing(query, found, serial.supplier)


@blueprint.post("/suppliers")
@permit("supplier:create")
@json_body(SupplierDraft)
def create_supplier(draft: SupplierDraft) -> ResponseReturnValue:
    supplier = records.add(get_session(), Supplier(**draft.model_dump()))
    location = url_for(".show_supplier", supplier_id=supplier.id)
    return answers.created(serial.supplier(supplier), location)


@blueprint.get("/suppliers/<int:supplier_id>")
@permit("supplier:read")
def show_supplier(supplier_id: int) -> ResponseReturnValue:
    return jsonify(serial.supplier(records.find(get_session(), Supplier, supplier_id)))


@blueprint.put("/suppliers/<int:supplier_id>")
@permit("supplier:update")
@json_body(SupplierDraft)
def update_supplier(draft: SupplierDraft, supplier_id: int) -> ResponseReturnValue:
    supplier = records.find(get_session(), Supplier, supplier_id)
    records.alter(get_session(), supplier, draft.model_dump())
    return answers.saved(serial.supplier(supplier))


@blueprint.delete("/suppliers/<int:supplier_id>")
@permit("supplier:delete")
def delete_supplier(supplier_id: int) -> ResponseReturnValue:
    catalogue.remove_supplier(get_session(), records.find(get_session(), Supplier, supplier_id))
    return answers.gone()


@blueprint.get("/prices")
@permit("supplier:read")
def list_prices() -> ResponseReturnValue:
    query = read_query(PriceQuery)
    found = select(Price).order_by(Price.valid_from.desc(), Price.id.desc())
    if query.variant_id:
        found = found.where(Price.variant_id == query.variant_id)
    if query.supplier_id:
        found = found.where(Price.supplier_id == query.supplier_id)
    return answers.listing(query, found, serial.price)


@blueprint.post("/prices")
@permit("entry:create")
@json_body(PriceDraft)
def create_price(draft: PriceDraft) -> ResponseReturnValue:
    price = prices.add_price(get_session(), draft)
    return answers.created(serial.price(price), url_for(".show_price", price_id=price.id))


@blueprint.get("/prices/<int:price_id>")
@permit("supplier:read")
def show_price(price_id: int) -> ResponseReturnValue:
    return jsonify(serial.price(records.find(get_session(), Price, price_id)))


@blueprint.put("/prices/<int:price_id>")
@permit("supplier:update")
@json_body(PriceDraft)
def update_price(draft: PriceDraft, price_id: int) -> ResponseReturnValue:
    price = records.find(get_session(), Price, price_id)
    return answers.saved(serial.price(prices.alter_price(get_session(), price, draft)))


@blueprint.delete("/prices/<int:price_id>")
@permit("supplier:delete")
def delete_price(price_id: int) -> ResponseReturnValue:
    records.remove(get_session(), records.find(get_session(), Price, price_id))
    return answers.gone()


@blueprint.get("/rates")
@permit("supplier:read")
def list_rates() -> ResponseReturnValue:
    query = read_query(PageQuery)
    found = select(ExchangeRate).order_by(ExchangeRate.currency, ExchangeRate.valid_from.desc())
    return answers.listing(query, found, serial.rate)


@blueprint.post("/rates")
@permit("supplier:update")
@json_body(RateDraft)
def create_rate(draft: RateDraft) -> ResponseReturnValue:
    rate = prices.add_rate(get_session(), draft, current_app.config["BASE_CURRENCY"])
    return answers.created(serial.rate(rate), url_for(".show_rate", rate_id=rate.id))


@blueprint.get("/rates/<int:rate_id>")
@permit("supplier:read")
def show_rate(rate_id: int) -> ResponseReturnValue:
    return jsonify(serial.rate(records.find(get_session(), ExchangeRate, rate_id)))


@blueprint.delete("/rates/<int:rate_id>")
@permit("supplier:delete")
def delete_rate(rate_id: int) -> ResponseReturnValue:
    records.remove(get_session(), records.find(get_session(), ExchangeRate, rate_id))
    return answers.gone()
