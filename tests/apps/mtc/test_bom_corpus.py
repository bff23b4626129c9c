"""Bills of materials in the shapes of the programs that write them, each with the parts it must give."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import Font

from apps.mtc.services.bom.bills import Bill, NoHeadingsError, read_bill
from apps.mtc.validators.import_validators import BomOptions, BomPart, Disagreement

BOMS = Path(__file__).parents[1] / "boms"
OPTIONS = BomOptions(process_name="P", currency="EUR", valid_from=date(2026, 1, 1))

# section, item, variant, quantity, places, amount, pieces for it, currency
Expected = tuple[str, str, str, str, str, str, str, str]
UNPRICED = ("", "", "")

CORPUS: dict[str, list[Expected]] = {
    "kicad": [
        ("Parts", "100nF", "100nF, C_0603_1608Metric", "4", "C1-C4", *UNPRICED),
        ("Parts", "10uF", "10uF, C_0805_2012Metric", "2", "C5,C6", *UNPRICED),
        ("Parts", "10k", "10k, R_0603_1608Metric", "6", "R1,R2,R5-R8", *UNPRICED),
        ("Parts", "10k", "10k, R_0805_2012Metric", "1", "R3", *UNPRICED),
        ("Parts", "RP2040", "RP2040, QFN-56-1EP_7x7mm_P0.4mm", "1", "U1", *UNPRICED),
    ],
    "altium": [
        ("Parts", "CAP CER 4.7UF 16V X5R 0603", "GRM188R61C475KAAJD", "3", "C1, C2, C3", "0.15", "1", "USD"),
        ("Parts", "RES 1K OHM 1% 1/10W 0603", "RC0603FR-071KL", "4", "R1, R2, R3, R4", "0.0123", "1", "USD"),
        ("Parts", "Amplifier, Class-D", "TPA3116D2DADR", "1", "U1", "5.12", "1", "USD"),
    ],
    "eagle": [
        ("Parts", "PINHD-1X4", "PINHD-1X4", "2", "JP1, JP2", *UNPRICED),
        ("Parts", "C-EUC0603", "100n, C0603", "3", "C1, C2, C3", *UNPRICED),
        ("Parts", "R-EU_R0603", "10k, R0603", "4", "R1, R2, R3, R4", *UNPRICED),
        ("Parts", "78XXS", "LM7805, TO220H", "1", "IC1", *UNPRICED),
    ],
    "fusion": [
        ("Parts", "Base plate", "FR-001", "1", "", *UNPRICED),
        ("Parts", "Bracket", "FR-002", "4", "", *UNPRICED),
        ("Parts", "Socket head screw", "ISO 4762 M4x12", "16", "", *UNPRICED),
        ("Parts", "Belt", "FR-003", "2.5", "", *UNPRICED),
    ],
    "orcad": [
        ("Parts", "100n/0R", "100n/0R", "5", "R1-R4, C2", *UNPRICED),
        ("Parts", "10uF", "10uF", "12", "C10,C11,C12,C13,C14,C15, C16,C17,C18,C19,C20,C21", *UNPRICED),
        ("Parts", "CON4", "CON4", "1", "J1", *UNPRICED),
        ("Parts", "IRLZ44N", "IRLZ44N", "2", "Q1,Q2", *UNPRICED),
    ],
    "german": [
        ("Mechanik", "Gewindestange M8, 1 m", "GS-M8-1000", "4", "", "3.45", "1", "EUR"),
        ("Mechanik", "Aluprofil 40×40", "0.0.026.33", "2.5", "", "38.00", "1", "EUR"),
        ("Elektronik", 'Steuerung "Größe 2"', "6ES7212-1AE40", "1", "", "1234.50", "1", "EUR"),
        ("Elektronik", "Reihenklemme", "1SNA115486", "12", "", "0.925", "1", "EUR"),
        ("Elektronik", "Kabelbaum", "Kabelbaum", "1", "", "12", "1", "EUR"),
    ],
    "currencies": [
        ("Parts", "Nozzle", "N-1", "2", "", "12.50", "1", "USD"),
        ("Parts", "Housing", "H-7", "1", "", "1050.00", "1", "EUR"),
        ("Parts", "Plug", "BZH01", "3", "", "4.20", "1", "GBP"),
        ("Parts", "Spacer", "S-10", "4", "", "0.80", "1", "CHF"),
        ("Parts", "Washer", "W-4", "10", "", "0.05", "1", ""),
    ],
    "jlcpcb": [
        ("Parts", "100nF", "100nF, C_0603", "6", "C1,C2,C3-C6", "0.0029", "1", ""),
        ("Parts", "10k", "10k, R_0603", "5", "R1-R4, R9", "0.0008", "1", ""),
        ("Parts", "ESP32-S3-WROOM-1", "ESP32-S3-WROOM-1, ESP32", "1", "U1", *UNPRICED),
        ("Parts", "Fiducial", "Fiducial, Fiducial", "2", "FID1,FID2", *UNPRICED),
    ],
    "mouser": [
        ("Parts", "Audio Amplifiers 50W", "TPA3116D2DADR", "1", "", "5.12", "1", "USD"),
        ("Parts", "MLCC 4.7uF", "GRM188R61C475KAAJD", "10", "", "0.15", "1", "USD"),
    ],
    "digikey": [
        ("Parts", "CAP CER 4.7UF", "GRM188R61C475KAAJD", "10", "", "0.15000", "1", ""),
        ("Parts", "IC AMP", "TPA3116D2DADR", "1", "", "5.12000", "1", ""),
    ],
    "lcsc": [
        ("Parts", "50V 100nF", "CC0603KRX7R9BB104", "100", "", "0.0022", "1", "USD"),
    ],
    "french": [
        ("Parts", "Moteur pas à pas", "M1", "2", "", "1234.50", "1", "EUR"),
        ("Parts", "Rivet", "00123", "1000", "", "0.01", "1", "EUR"),
    ],
    "unlabelled": [
        ("Parts", "Linear rail 300 mm", "HGR15-300", "2", "", "1050.00", "1", "USD"),
        ("Parts", "Carriage", "HGH15CA", "4", "", "14.90", "1", "USD"),
        ("Parts", "Cable, 3 m", "C-3M", "1", "", *UNPRICED),
    ],
    "disagreeing": [
        ("Parts", "Capacitor 100n", "CC0603-100N", "2", "C1,C2", "0.02", "1", ""),
        ("Parts", "Standoff", "M3x10", "3", "Top side", "0.10", "1", ""),
    ],
}  # fmt: skip

LEFT = {
    "kicad": {6: "not fitted: “DNP”"},
    "orcad": {7: "a drawn line", 8: "no cell is filled", 11: "more places of row 10"},
    "german": {
        2: "no cell is filled",
        3: "a single text: the parts below it become the subprocess “Mechanik”",
        6: "a total: 108.80, and the rows above add up to it",
        7: "a single text: the parts below it become the subprocess “Elektronik”",
        10: "repeats the headings",
        12: "a total: 1257.60, and the rows above add up to it",
        13: "“Versandkosten” is no part: add it to the costs of the process",
        14: "a total: 1376.30, and the rows above add up to it",
    },
    "unlabelled": {
        8: "a total: 2159.60, and the rows above add up to it",
        9: "a total, not imported: 7 pieces",
        10: "a total: 2159.60, and the rows above add up to it",
        11: "a single text with no parts below it",
    },
    "digikey": {4: "a total: 6.62, and the rows above add up to it"},
    "french": {
        2: "words that go on with the headings: no part and no number",
        5: "a total: 2479.00, and the rows above add up to it",
    },
    "currencies": {7: "“Shipping” is no part: add it to the costs of the process"},
}

SAID = {
    "currencies": [
        "“$” is read as US dollars",
        "several currencies: CHF, EUR, GBP, USD",
        "EUR is used for them",
    ],
    "german": [],
    "kicad": ["no prices in this file"],
}


def read(name: str, **options: object) -> Bill:
    with (BOMS / f"{name}.csv").open("rb") as stream:
        return read_bill(stream, "csv", OPTIONS.model_copy(update=options))


def as_expected(part: BomPart) -> Expected:
    price = part.price
    paid = (f"{price.amount}", f"{price.per:f}", price.currency) if price else UNPRICED
    return (part.section, part.item, part.variant_name, f"{part.quantity:f}", part.references, *paid)


@pytest.mark.requirement("S1-088", "S1-089")
@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_gives_exactly_its_parts(name: str) -> None:
    """Whatever program has written it, a bill gives its parts, and no row goes unaccounted for."""
    bill = read(name)
    assert [as_expected(part) for part in bill.parts] == CORPUS[name]
    assert {left.row: left.why for left in bill.left} == LEFT.get(name, {})
    for said in SAID.get(name, []):
        assert any(said in remark for remark in bill.remarks), bill.remarks


def test_shops_are_known_by_the_headings_of_their_numbers() -> None:
    """ "Digi-Key Part Number" is a column of Digi-Key's, and not a shop of that name."""
    assert read("jlcpcb").parts[0].listings == (("JLCPCB", "C14663"), ("Digi-Key", "1276-1000-1-ND"))


@pytest.mark.requirement("S1-088")
def test_a_quantity_that_is_not_the_number_of_places_is_refused_unless_somebody_says_what_counts() -> None:
    """R1, R2 and R5 to R8 are six: a five beside them is a mistake in one of the two, and nobody guesses."""
    problems = read("disagreeing").problems
    assert [(problem.row, problem.column) for problem in problems] == [(2, "quantity"), (4, "line_price")]
    assert "6, for so many places are named" in problems[0].accepted
    believed = read("disagreeing", disagreement=Disagreement.QUANTITY).parts[0]
    counted = read("disagreeing", disagreement=Disagreement.REFERENCES).parts[0]
    assert (believed.item, believed.quantity, counted.quantity) == ("Resistor 10k", 5, 6)


def workbook() -> io.BytesIO:
    """A workshop's own: a cover sheet, a merged title, a format for money, a formula as the total."""
    book = openpyxl.Workbook()
    cover = book.active
    assert cover is not None
    cover.title = "Cover"
    cover["A1"] = "Printed on Friday"
    sheet = book.create_sheet("Stückliste")
    sheet.merge_cells("A1:F1")
    sheet["A1"] = "Pump unit, revision C"
    sheet["A1"].font = Font(bold=True)
    sheet.append([])
    sheet.append(["Pos", "Menge", "Artikel", "Typ", "Einzelpreis", "Gesamtpreis"])
    for row in (
        [1, 2, "Pumpe", "P-40", 119.5, 239],
        [2, 0.75, "Schlauch 8 mm", "PU-8", 4.2, 3.15],
        [3, 12, "Schraube", "M4x12", 0.085, 1.02],
    ):
        sheet.append(row)
    sheet.append([None, None, None, "Summe", None, "=SUM(F4:F6)"])
    for line in sheet["E4:F7"]:
        for cell in line:
            cell.number_format = '#,##0.00 "€"'
    hidden = book.create_sheet("Kalkulation")
    hidden.sheet_state = "hidden"
    stream = io.BytesIO()
    book.save(stream)
    stream.seek(0)
    return stream


@pytest.mark.requirement("S1-088")
def test_a_workbook_is_read_from_the_sheet_that_somebody_names_without_running_its_formula() -> None:
    """Merged titles are no headings, money is what it is worth, and a total that is a formula stays one."""
    bill = read_bill(workbook(), "xlsx", OPTIONS, sheet="Stückliste")
    found = [
        (part.item, part.variant_name, part.quantity, part.price and part.price.amount) for part in bill.parts
    ]
    assert found == [
        ("Pumpe", "P-40", 2, Decimal("119.5")),
        ("Schlauch 8 mm", "PU-8", Decimal("0.75"), Decimal("4.2")),
        ("Schraube", "M4x12", 12, Decimal("0.085")),
    ]
    assert bill.problems == ()
    assert [left.row for left in bill.left] == [7]
    assert "a total" in bill.left[0].why


def test_a_sheet_without_headings_says_which_are_understood() -> None:
    """Whoever uploads the cover sheet learns what is looked for."""
    with pytest.raises(NoHeadingsError, match="Quantity, Component, Part number"):
        read_bill(workbook(), "xlsx", OPTIONS, sheet="Cover")
