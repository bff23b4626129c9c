"""Suppliers, deleting their prices, and exchange rates."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.bodies import Form, form_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import ExchangeRate, Price, Supplier
from apps.mtc.services import catalogue, prices, records
from apps.mtc.validators.base import Nothing
from apps.mtc.validators.queries import PageQuery
from apps.mtc.validators.suppliers import RateDraft, SupplierDraft
from apps.mtc.views.paging import listing
from bylaw.flask import permit

blueprint = Blueprint("suppliers", __name__)


@blueprint.get("/suppliers")
@permit("supplier:read")
def index() -> ResponseReturnValue:
    return _index(Form())


@blueprint.post("/suppliers")
@permit("supplier:create")
@form_body(SupplierDraft)
def create(form: Form[SupplierDraft]) -> ResponseReturnValue:
    if form.submit(lambda draft: records.add(get_session(), Supplier(**draft.model_dump()))):
        return redirect(url_for(".index", q=form.values["name"], saved=1))
    return _index(form), 422


@blueprint.get("/suppliers/<int:supplier_id>")
@permit("supplier:read")
def show(supplier_id: int) -> ResponseReturnValue:
    return _supplier(supplier_id, Form())


@blueprint.post("/suppliers/<int:supplier_id>")
@permit("supplier:update")
@form_body(SupplierDraft)
def update(form: Form[SupplierDraft], supplier_id: int) -> ResponseReturnValue:
    supplier = records.find(get_session(), Supplier, supplier_id)
    if form.submit(lambda draft: records.alter(get_session(), supplier, draft.model_dump())):
        return redirect(url_for(".show", supplier_id=supplier_id, saved=1))
    return _supplier(supplier_id, form), 422


@blueprint.post("/suppliers/<int:supplier_id>/delete")
@permit("supplier:delete")
@form_body(Nothing)
def delete(form: Form[Nothing], supplier_id: int) -> ResponseReturnValue:
    supplier = records.find(get_session(), Supplier, supplier_id)
    if form.submit(lambda _: catalogue.remove_supplier(get_session(), supplier)):
        return redirect(url_for(".index", saved="deleted"))
    return _supplier(supplier_id, Form(errors=form.errors)), 409


@blueprint.post("/prices/<int:price_id>/delete")
@permit("supplier:delete")
@form_body(Nothing)
def delete_price(_: Form[Nothing], price_id: int) -> ResponseReturnValue:
    price = records.find(get_session(), Price, price_id)
    variant_id = price.variant_id
    records.remove(get_session(), price)
    get_session().commit()
    return redirect(url_for("items.show_variant", variant_id=variant_id, saved="deleted"))


@blueprint.get("/rates")
@permit("supplier:read")
def rates() -> ResponseReturnValue:
    return _rates(Form())


@blueprint.post("/rates")
@permit("supplier:update")
@form_body(RateDraft)
def create_rate(form: Form[RateDraft]) -> ResponseReturnValue:
    base = current_app.config["BASE_CURRENCY"]
    if form.submit(lambda draft: prices.add_rate(get_session(), draft, base)):
        return redirect(url_for(".rates", saved=1))
    return _rates(form), 422


@blueprint.post("/rates/<int:rate_id>/delete")
@permit("supplier:delete")
@form_body(Nothing)
def delete_rate(_: Form[Nothing], rate_id: int) -> ResponseReturnValue:
    records.remove(get_session(), records.find(get_session(), ExchangeRate, rate_id))
    get_session().commit()
    return redirect(url_for(".rates", saved="deleted"))


def _index(form: Form[SupplierDraft]) -> str:
    query = PageQuery() if form.errors else read_query(PageQuery)
    named = Supplier.name.icontains(query.q, autoescape=True)
    found = select(Supplier).where(named).order_by(Supplier.name)
    return render_template("suppliers.html", listing=listing(query, found), form=form)


def _supplier(supplier_id: int, form: Form[SupplierDraft]) -> str:
    session = get_session()
    supplier = records.find(session, Supplier, supplier_id)
    found = select(Price).where(Price.supplier_id == supplier_id).order_by(Price.valid_from.desc())
    latest = session.scalars(found.limit(200)).all()
    return render_template("supplier.html", supplier=supplier, prices=latest, form=form)


def _rates(form: Form[RateDraft]) -> str:
    query = PageQuery() if form.errors else read_query(PageQuery)
    found = select(ExchangeRate).order_by(ExchangeRate.currency, ExchangeRate.valid_from.desc())
    return render_template("rates.html", listing=listing(query, found), form=form)
