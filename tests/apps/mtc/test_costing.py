"""What a process costs: the dearest and the cheapest way, and what nobody can say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.mtc.services.costing import (
    Choice,
    Need,
    Offer,
    Overhead,
    RateMissingError,
    Rates,
    best_case,
    current_offers,
    worst_case,
)

DAY = date(2026, 6, 1)
EUR = Rates("EUR", (("USD", date(2026, 1, 1), Decimal("0.9")),))
ONE = Decimal(1)


def offer(amount: str, currency: str = "EUR", supplier: str = "Acme", **more: object) -> Offer:
    return Offer(supplier, Decimal(amount), currency, date(2026, 1, 1), **more)  # type: ignore[arg-type]


def need(*choices: tuple[Offer, ...], quantity: str = "1") -> Need:
    options = tuple(Choice(i, f"variant {i}", offers) for i, offers in enumerate(choices, start=1))
    return Need(1, "R1", Decimal(quantity), options)


def test_worst_case_takes_the_dearest_variant_at_its_dearest_supplier() -> None:
    """Worst case takes the dearest variant at its dearest supplier."""
    cheap = (offer("1"), offer("2", supplier="Dear & Sons"))
    dear = (offer("5"), offer("7", supplier="Dear & Sons"))
    needs = [need(cheap, dear, quantity="3")]
    assert worst_case(needs, [], units=ONE, on=DAY, rates=EUR).total == Decimal(21)
    assert best_case(needs, [], units=ONE, on=DAY, rates=EUR).total == Decimal(3)


def test_prices_in_two_currencies_are_compared_by_what_they_are_worth() -> None:
    """Prices in two currencies are compared by what they are worth."""
    needs = [need((offer("10", "USD"), offer("9.50", supplier="Other")))]
    assert worst_case(needs, [], units=ONE, on=DAY, rates=EUR).total == Decimal("9.5")
    best = best_case(needs, [], units=ONE, on=DAY, rates=EUR)
    assert (best.total, best.lines[0].currency) == (Decimal(9), "USD")


def test_a_missing_rate_is_named_and_not_guessed() -> None:
    """A missing rate is named and not guessed."""
    estimate = worst_case([need((offer("10", "GBP"),))], [], units=ONE, on=DAY, rates=EUR)
    assert estimate.total == 0
    assert not estimate.complete
    assert "no rate from GBP to EUR on 2026-06-01" in estimate.problems[0]


def test_a_rate_counts_only_from_its_day_on() -> None:
    """A rate counts only from its day on."""
    with pytest.raises(RateMissingError):
        EUR.convert(ONE, "USD", date(2025, 12, 31))


def test_the_newest_rate_that_has_begun_is_used() -> None:
    """The newest rate that has begun is used."""
    rates = Rates(
        "EUR",
        (
            ("USD", date(2026, 1, 1), Decimal("0.9")),
            ("USD", date(2026, 5, 1), Decimal("0.8")),
            ("USD", date(2026, 7, 1), Decimal("0.7")),
        ),
    )
    assert rates.convert(Decimal(10), "USD", DAY) == Decimal(8)


def test_an_unpriced_alternative_leaves_the_worst_case_open() -> None:
    """An unpriced alternative leaves the worst case open."""
    needs = [need((offer("4"),), ())]
    worst = worst_case(needs, [], units=ONE, on=DAY, rates=EUR)
    assert worst.total == Decimal(4)
    assert worst.problems == ("R1: variant 1: variant 2 has no price on 2026-06-01",)
    assert best_case(needs, [], units=ONE, on=DAY, rates=EUR).complete


def test_a_need_without_any_price_is_listed() -> None:
    """A need without any price is listed."""
    estimate = best_case([need(())], [], units=ONE, on=DAY, rates=EUR)
    assert estimate.problems == ("R1: variant 1 has no price on 2026-06-01",)


def test_a_supplier_s_old_price_does_not_count_beside_the_new_one() -> None:
    """A supplier s old price does not count beside the new one."""
    old = Offer("Acme", Decimal(9), "EUR", date(2025, 1, 1))
    assert current_offers([old, offer("5")], quantity=ONE, on=DAY) == [offer("5")]


def test_a_price_of_tomorrow_does_not_count_today() -> None:
    """A price of tomorrow does not count today."""
    coming = Offer("Acme", Decimal(9), "EUR", date(2026, 6, 2))
    assert current_offers([coming], quantity=ONE, on=DAY) == []


def test_a_quantity_step_counts_once_it_is_reached() -> None:
    """A quantity step counts once it is reached."""
    steps = [offer("5"), offer("3", min_quantity=Decimal(100))]
    assert current_offers(steps, quantity=Decimal(99), on=DAY) == steps[:1]
    assert current_offers(steps, quantity=Decimal(100), on=DAY) == steps[1:]


def test_a_part_sold_only_by_the_hundred_cannot_be_priced_for_one() -> None:
    """A part sold only by the hundred cannot be priced for one."""
    needs = [need((offer("3", min_quantity=Decimal(100)),))]
    estimate = worst_case(needs, [], units=ONE, on=DAY, rates=EUR)
    assert "only sold from 100 pieces, and 1 are needed" in estimate.problems[0]


def test_a_pack_price_stays_exact() -> None:
    """A pack price stays exact."""
    needs = [need((offer("42.53", per=Decimal(12)),), quantity="12")]
    assert worst_case(needs, [], units=ONE, on=DAY, rates=EUR).total == Decimal("42.53")


def test_costs_per_lot_are_paid_once_and_costs_per_unit_each_time() -> None:
    """Costs per lot are paid once and costs per unit each time."""
    overheads = [
        Overhead("setting up", Decimal(100), "EUR", per_lot=True),
        Overhead("labour", Decimal(7), "EUR"),
    ]
    estimate = worst_case([], overheads, units=Decimal(10), on=DAY, rates=EUR)
    assert estimate.total == Decimal(170)
    assert estimate.per_unit == Decimal(17)


def test_labour_in_a_currency_without_a_rate_is_named() -> None:
    """Labour in a currency without a rate is named."""
    estimate = best_case([], [Overhead("labour", ONE, "CHF")], units=ONE, on=DAY, rates=EUR)
    assert estimate.problems == ("labour: no rate from CHF to EUR on 2026-06-01",)


def test_a_cost_beyond_all_reason_is_named_and_not_recorded() -> None:
    """A cost beyond all reason is named and not recorded."""
    big = Decimal(10) ** 9
    needs = [need((offer(f"{big:f}", per=Decimal("0.000001")),), quantity="1000000")]
    overheads = [Overhead("work", big, "EUR")]
    estimate = worst_case(needs, overheads, units=Decimal(10) ** 7, on=DAY, rates=EUR)
    assert estimate.total == 0
    assert [line.problem.endswith("more than can be recorded") for line in estimate.lines] == [True, True]


amounts = st.decimals(min_value=0, max_value=1000, places=6, allow_nan=False)
quantities = st.decimals(min_value="0.000001", max_value=10**6, places=6, allow_nan=False)


@given(
    prices=st.lists(st.lists(amounts, min_size=1, max_size=3), min_size=1, max_size=4),
    quantity=quantities,
    units=st.integers(min_value=1, max_value=10**6),
)
def test_the_worst_case_is_never_below_the_best(
    prices: list[list[Decimal]], quantity: Decimal, units: int
) -> None:
    """The worst case is never below the best."""
    choices = [tuple(offer(f"{amount:f}") for amount in group) for group in prices]
    needs = [need(*choices, quantity=f"{quantity:f}")]
    worst = worst_case(needs, [], units=Decimal(units), on=DAY, rates=EUR)
    best = best_case(needs, [], units=Decimal(units), on=DAY, rates=EUR)
    assert worst.total >= best.total >= 0
    assert worst.complete
