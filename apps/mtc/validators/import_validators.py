"""What one row of an imported file must be: a part of a bill of materials, an item with its price, a lot.

The file itself (encoding, delimiter, size, rows) is bylaw's business; here is what MTC accepts in it, and
under which headings people write it.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from apps.mtc.validators.base import Currency, Input, Name, ShortText, WebAddress
from apps.mtc.validators.cells import (
    Amount,
    Code,
    Counted,
    Date,
    Long,
    Money,
    Named,
    Number,
    Priced,
    Whole,
    Words,
    amount_of,
    column,
    currency_of,
    found,
)
from apps.mtc.validators.items import Category, Unit

CENT = Decimal("0.01")
Listed = tuple[Words, Words]
"""A shop, and its number for a part."""


class Disagreement(StrEnum):
    """What counts where the quantity of a row is not the number of places that it names."""

    REFUSE = "refuse the row"
    QUANTITY = "the quantity counts"
    REFERENCES = "the places count"


class CostIs(StrEnum):
    """What an amount pays for, where its column does not say."""

    PIECE = "piece"
    ROW = "row"


class BomPart(Input):
    """A row of a bill of materials, as `services.bom.arranging` has read it.

    Numbers are plain (`1234.5`) and amounts name their currency where the file does (`4.20 EUR`): which sign
    is the decimal one is a question of the whole file. What could not be read arrives as it stands there, and
    is refused here with what is accepted instead.
    """

    section: Annotated[Words, found()] = ""
    item: Annotated[
        Named,
        column(
            "Part", "component", "item", "part", "article", "item name", "part name", "device", "bauteil",
            "artikel", "bezeichnung", "benennung", "teil", "objektkurztext", "désignation",
            "libellé", "pièce",
        ),
    ]  # fmt: skip
    variant: Annotated[
        Words,
        column(
            "Part number", "specification", "spec", "part number", "part no", "partnumber",
            "pn", "mpn", "type", "model", "size", "manufacturer part number", "manufacturer part no",
            "manufacturer part number 1", "manufacturer part", "p n", "mfr p n", "mfg p n",
            "mfr pn", "mfg pn", "mfr no", "mfg no", "manufacture part number",
            "mfr part no", "mfg part no", "mfr part number", "mfg part number",
            "designation", "typ", "artikelnummer", "artikel nr", "teilenummer", "teile nr",
            "herstellernummer", "hersteller nr", "hersteller teilenummer", "référence", "réf",
            "référence fabricant",
        ),
    ] = ""  # fmt: skip
    value: Annotated[Words, column("Value", "val", "material", "wert", "werkstoff")] = ""
    package: Annotated[
        Words, column("Package", "footprint", "case", "land pattern", "gehäuse", "gehaeuse", "bauform")
    ] = ""
    description: Annotated[
        Long,
        column(
            "Description", "notes", "note", "comment", "comments", "remarks", "details", "beschreibung",
            "bemerkung", "bemerkungen", "kommentar",
        ),
    ] = ""  # fmt: skip
    references: Annotated[
        Long,
        column(
            "Places on the board", "references", "reference", "refs", "ref", "reference s", "refdes",
            "designator", "designators", "reference designator", "reference designators", "parts",
            "referenz", "referenzen", "bauteilkennung", "kennung",
        ),
    ] = ""  # fmt: skip
    places: Annotated[int | None, found()] = None
    quantity: Annotated[
        Counted,
        column(
            "Quantity", "qty", "q ty", "count", "pcs", "pieces", "qnty", "quantity per pcb", "qty per unit",
            "qty per board", "order qty", "order quantity", "anzahl", "menge", "stück", "stueck", "stk",
            "stückzahl", "stueckzahl", "quantité", "quantite", "qté", "qte",
        ),
    ]  # fmt: skip
    unit: Annotated[
        str, Field(max_length=20), column("Unit", "uom", "unit of measure", "einheit", "me", "unité")
    ] = ""
    not_fitted: Annotated[
        ShortText,
        column("Not fitted", "dnp", "dni", "do not populate", "fitted", "exclude from bom", "bestückung"),
    ] = ""
    manufacturer: Annotated[
        Words,
        column("Manufacturer", "mfr", "mfg", "maker", "brand", "manufacturer 1", "hersteller", "fabricant"),
    ] = ""
    supplier: Annotated[
        Words,
        column(
            "Supplier",
            "vendor",
            "distributor",
            "seller",
            "shop",
            "supplier 1",
            "lieferant",
            "händler",
            "fournisseur",
        ),
    ] = ""
    supplier_part: Annotated[
        Words,
        column(
            "Supplier's part number", "supplier part no", "supplier part number", "supplier part",
            "vendor part no", "sku", "vendor part number", "order no", "order number", "order code",
            "supplier part number 1", "bestellnummer", "bestell nr",
        ),
    ] = ""  # fmt: skip
    listings: Annotated[
        tuple[Listed, ...],
        column(
            "Number at the shop of the heading", "mouser", "digikey", "digi key", "farnell", "newark",
            "element14", "rs", "rs components", "lcsc", "jlcpcb", "tme", "reichelt", "conrad", "arrow",
            "mcmaster",
            "mcmaster carr", several=True,
        ),
    ] = ()  # fmt: skip
    unit_price: Annotated[
        Amount,
        column(
            "Price of one", "price each", "unit price", "each", "unit cost", "price per unit",
            "supplier unit price 1", "einzelpreis", "stückpreis", "stueckpreis", "preis stück", "preis stk",
            "prix unitaire", "prix unitaire ht", "pu", "p u", "pu ht", "p u ht",
        ),
    ] = ""  # fmt: skip
    line_price: Annotated[
        Amount,
        column(
            "Price of the row", "line price", "line total", "total price", "extended price", "ext price",
            "subtotal", "total cost", "supplier subtotal 1", "gesamtpreis", "zeilenpreis", "ext",
            "order price", "prix total", "prix total ht", "total ht", "montant", "montant ht",
        ),
    ] = ""  # fmt: skip
    cost: Annotated[
        Amount,
        column(
            "Price, of one or of the row", "cost", "price", "amount", "total", "kosten", "preis", "betrag",
            "summe", "gesamt", "prix",
        ),
    ] = ""  # fmt: skip
    cost_is: Annotated[CostIs, found()] = CostIs.ROW
    currency: Annotated[Code, column("Currency", "price unit", "cur", "währung", "waehrung")] = ""
    url: Annotated[
        WebAddress,
        column("Web address", "source", "url", "link", "source url", "website", "web", "product link"),
    ] = ""

    beyond: Annotated[str, found("A cell after the last heading")] = ""

    @field_validator("beyond")
    @classmethod
    def _under_a_heading(cls, _: str) -> str:
        raise ValueError("must be empty: no heading stands above this cell")

    @field_validator("quantity")
    @classmethod
    def _as_many_as_places(cls, quantity: Decimal, info: ValidationInfo) -> Decimal:
        places = info.data.get("places")
        if places is not None and places != quantity:
            raise ValueError(f"must be {places}, for so many places are named (or say below which counts)")
        return quantity

    @field_validator("line_price")
    @classmethod
    def _multiplied(cls, line: str, info: ValidationInfo) -> str:
        """Price of one and of the row must agree, but for what rounding to cents has lost."""
        unit, quantity = info.data.get("unit_price"), info.data.get("quantity")
        if not (line and unit and quantity):
            return line
        one = amount_of(unit)
        expected = one * quantity
        lost = quantity / 2 * min(CENT, Decimal(1).scaleb(int(one.as_tuple().exponent)))
        if abs(expected - amount_of(line)) > CENT + lost:
            raise ValueError(f"must be {expected:f}, which is {quantity:f} times {one:f}")
        return line

    @field_validator("currency")
    @classmethod
    def _one_currency(cls, code: str, info: ValidationInfo) -> str:
        prices = (info.data.get(name) or "" for name in ("unit_price", "line_price", "cost"))
        if len({code, *(currency_of(price) for price in prices)} - {""}) > 1:
            raise ValueError("must be one currency for the whole row")
        return code

    @property
    def variant_name(self) -> str:
        """What tells it from others of its item: the part number, or value and package."""
        if self.variant:
            return self.variant
        described = ", ".join(text for text in (self.value, self.package) if text)
        return described[:200] if self.value else self.item

    @property
    def price(self) -> Priced | None:
        """What it costs; None where the file does not say."""
        if self.unit_price:
            return self._priced(self.unit_price, Decimal(1))
        if self.line_price:
            return self._priced(self.line_price, self.quantity)
        if self.cost:
            return self._priced(self.cost, Decimal(1) if self.cost_is is CostIs.PIECE else self.quantity)
        return None

    def _priced(self, text: str, per: Decimal) -> Priced:
        return Priced(amount_of(text), per, self.currency or currency_of(text))


class BomOptions(Input):
    """What the file does not say."""

    process_name: Annotated[Name, Field(title="Name of the process")]
    currency: Annotated[Currency, Field(title="Currency where the file names none")]
    valid_from: Annotated[Date, Field(title="Prices are valid from")]
    merge: Annotated[bool, Field(title="Rows with the same part become one")] = True
    disagreement: Annotated[
        Disagreement,
        Field(
            title="Where the quantity is not the number of places",
            description="Such as 5 beside R1, R2, R5-R8, which are six.",
        ),
    ] = Disagreement.REFUSE


class ItemRow(Input):
    """An item of the catalogue, a variant of it, and what a supplier asks for it."""

    item: Annotated[Named, column("Item", "name", "item name", "part", "component", "artikel", "bezeichnung")]
    unit: Annotated[Unit, column("Unit", "uom", "einheit")] = "pcs"
    category: Annotated[Category, column("Category", "group", "kind", "kategorie", "warengruppe")] = ""
    variant: Annotated[
        Words,
        column("Variant", "part number", "part no", "mpn", "specification", "type", "artikelnummer", "typ"),
    ] = ""
    manufacturer: Annotated[Words, column("Manufacturer", "maker", "brand", "mfr", "hersteller")] = ""
    description: Annotated[Long, column("Description", "notes", "beschreibung")] = ""
    supplier: Annotated[Words, column("Supplier", "vendor", "distributor", "lieferant")] = ""
    supplier_part: Annotated[
        Words,
        column("Supplier's part number", "supplier part number", "sku", "order number", "bestellnummer"),
    ] = ""
    url: Annotated[WebAddress, column("Web address", "url", "link", "source")] = ""
    currency: Annotated[Code, column("Currency", "cur", "währung")] = ""
    price: Annotated[
        Money, column("Price", "unit price", "amount", "price each", "cost", "preis", "einzelpreis")
    ] = ""
    per: Annotated[
        Number, column("Pieces for the price", "per", "pack size", "price per", "preiseinheit")
    ] = Decimal(1)
    min_quantity: Annotated[
        Number | None, column("From this quantity on", "min quantity", "moq", "minimum", "ab menge")
    ] = None
    valid_from: Annotated[Date | None, column("Valid from", "since", "date", "gültig ab")] = None

    @field_validator("price")
    @classmethod
    def _one_currency(cls, price: str, info: ValidationInfo) -> str:
        code = info.data.get("currency", "")
        if price and code and currency_of(price) not in ("", code):
            raise ValueError(f"must be in {code}, the currency of its row")
        return price

    @property
    def variant_name(self) -> str:
        return self.variant or self.item


class ItemOptions(Input):
    """What the file does not say."""

    currency: Annotated[Currency, Field(title="Currency where the file names none")]
    valid_from: Annotated[Date, Field(title="Prices are valid from, where the file does not say")]


class LotRow(Input):
    """A production lot, by the number that people know it by."""

    number: Annotated[
        Words,
        Field(min_length=1, max_length=40),
        column(
            "Lot number", "lot", "lot no", "number", "order", "order number", "los", "losnummer", "auftrag"
        ),
    ]
    process: Annotated[Named, column("Process", "product", "what", "prozess", "produkt")]
    quantity: Annotated[Whole, column("Quantity", "qty", "pieces", "menge", "anzahl", "stück")]
    due: Annotated[Date | None, column("Due", "due date", "deadline", "termin", "fällig")] = None
    note: Annotated[Long, column("Note", "notes", "comment", "remark", "bemerkung")] = ""


class ImportUpload(Input):
    """What the file is that comes with this form; the file itself is bylaw's to judge."""

    what: Literal["bills", "items", "lots"]
