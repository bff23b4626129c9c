"""What making something costs, from offers and rates alone: no database, no clock.

Costs are exact decimals in one base currency. What cannot be priced is listed, never guessed: an
estimate that says "complete" has a price for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

# Enough digits for the largest quantity times the largest price; the default 28 could round.
_DIGITS = 60
_PLACES = Decimal("0.000001")
# Beyond this a typing mistake is certain, and the columns for costs would be too short.
LARGEST = Decimal(10) ** 15


class RateMissingError(LookupError):
    """There is no exchange rate for a currency on a day."""

    def __init__(self, currency: str, base: str, day: date) -> None:
        super().__init__(f"no rate from {currency} to {base} on {day.isoformat()}")


@dataclass(frozen=True)
class Rates:
    """From a day on, one unit of a currency is worth so much of the base currency."""

    base: str
    known: tuple[tuple[str, date, Decimal], ...] = ()

    def convert(self, amount: Decimal, currency: str, on: date) -> Decimal:
        """`amount` in the base currency. Raises `RateMissingError`."""
        if currency == self.base:
            return amount
        fitting = [(since, rate) for name, since, rate in self.known if name == currency]
        past = [(since, rate) for since, rate in fitting if since <= on]
        if not past:
            raise RateMissingError(currency, self.base, on)
        return amount * max(past)[1]


@dataclass(frozen=True)
class Offer:
    """`amount` of `currency` buys `per` pieces at `supplier`, from `min_quantity` upwards."""

    supplier: str
    amount: Decimal
    currency: str
    valid_from: date
    per: Decimal = Decimal(1)
    min_quantity: Decimal = Decimal(0)


@dataclass(frozen=True)
class Choice:
    """One of the variants that a need allows, with everything ever offered for it."""

    variant_id: int
    label: str
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True)
class Need:
    """So much of one of these variants for each unit made."""

    usage_id: int
    label: str
    quantity: Decimal
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Overhead:
    """Labour, tooling and the like; `per_lot` is paid once however many units are made."""

    label: str
    amount: Decimal
    currency: str
    per_lot: bool = False


@dataclass(frozen=True)
class Line:
    """One line of an estimate; `cost` is in the base currency.

    With a `problem`, the cost is unknown (None) or only of those variants that have a price.
    """

    label: str
    quantity: Decimal
    cost: Decimal | None
    variant_id: int | None = None
    supplier: str = ""
    amount: Decimal | None = None
    currency: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Estimate:
    currency: str
    units: Decimal
    lines: tuple[Line, ...] = ()

    @property
    def total(self) -> Decimal:
        """The sum of what has a cost; see `complete`."""
        with localcontext(prec=_DIGITS):
            return sum((line.cost for line in self.lines if line.cost is not None), Decimal(0))

    @property
    def per_unit(self) -> Decimal:
        with localcontext(prec=_DIGITS):
            return _rounded(self.total / self.units)

    @property
    def problems(self) -> tuple[str, ...]:
        """What has no cost and why, one sentence each."""
        return tuple(f"{line.label}: {line.problem}" for line in self.lines if line.problem)

    @property
    def complete(self) -> bool:
        return not self.problems


Pick = Callable[[Iterable[tuple[Decimal, int]]], tuple[Decimal, int]]


def worst_case(
    needs: Sequence[Need], overheads: Sequence[Overhead], *, units: Decimal, on: date, rates: Rates
) -> Estimate:
    """The dearest allowed variant at its dearest current offer, for each need.

    A variant without a usable price makes its need incomplete even if others have one: the
    unpriced one could be the dearest.
    """
    return _estimate(needs, overheads, units, on, rates, max, demand_all=True)


def best_case(
    needs: Sequence[Need], overheads: Sequence[Overhead], *, units: Decimal, on: date, rates: Rates
) -> Estimate:
    """The cheapest variant at its cheapest current offer, for each need."""
    return _estimate(needs, overheads, units, on, rates, min, demand_all=False)


def current_offers(offers: Iterable[Offer], *, quantity: Decimal, on: date) -> list[Offer]:
    """What each supplier asks on this day for this quantity.

    Of one supplier only the highest quantity step that the quantity reaches counts, and of that
    step the newest prices that have begun.
    """
    begun = [o for o in offers if o.valid_from <= on and o.min_quantity <= quantity]
    steps: dict[str, tuple[Decimal, date]] = {}
    for offer in begun:
        step = (offer.min_quantity, offer.valid_from)
        steps[offer.supplier] = max(step, steps.get(offer.supplier, step))
    return [o for o in begun if (o.min_quantity, o.valid_from) == steps[o.supplier]]


def _estimate(
    needs: Sequence[Need],
    overheads: Sequence[Overhead],
    units: Decimal,
    on: date,
    rates: Rates,
    pick: Pick,
    *,
    demand_all: bool,
) -> Estimate:
    with localcontext(prec=_DIGITS):
        material = [_need_line(need, units, on, rates, pick, demand_all) for need in needs]
        other = [_overhead_line(overhead, units, on, rates) for overhead in overheads]
    return Estimate(rates.base, units, (*material, *other))


def _need_line(need: Need, units: Decimal, on: date, rates: Rates, pick: Pick, demand_all: bool) -> Line:
    quantity = need.quantity * units
    lines = [_choice_line(need, choice, quantity, on, rates, pick) for choice in need.choices]
    priced = [(line.cost, index) for index, line in enumerate(lines) if line.cost is not None]
    problems = [line.problem for line in lines if line.problem]
    if not priced:
        reason = "; ".join(problems) or "no variant is allowed"
        return Line(need.label, quantity, None, problem=reason)
    chosen = lines[pick(priced)[1]]
    if demand_all and problems:
        return replace(chosen, problem="; ".join(problems))
    return chosen


def _choice_line(need: Need, choice: Choice, quantity: Decimal, on: date, rates: Rates, pick: Pick) -> Line:
    label = f"{need.label}: {choice.label}" if need.label else choice.label
    offers = current_offers(choice.offers, quantity=quantity, on=on)
    costs: list[tuple[Decimal, int]] = []
    for index, offer in enumerate(offers):
        try:
            cost = rates.convert(offer.amount * quantity / offer.per, offer.currency, on)
        except RateMissingError as error:
            # One offer that cannot be compared leaves the whole comparison open.
            problem = f"{choice.label} has a price in {offer.currency}, but {error}"
            return Line(label, quantity, None, choice.variant_id, problem=problem)
        costs.append((_rounded(cost), index))
    if not costs:
        problem = f"{choice.label} {_why_unpriced(choice.offers, quantity, on)}"
        return Line(label, quantity, None, choice.variant_id, problem=problem)
    cost, index = pick(costs)
    offer = offers[index]
    amount = _rounded(offer.amount * quantity / offer.per)
    if max(amount, cost) > LARGEST:
        problem = f"{choice.label} would cost more than can be recorded"
        return Line(label, quantity, None, choice.variant_id, problem=problem)
    return Line(label, quantity, cost, choice.variant_id, offer.supplier, amount, offer.currency)


def _why_unpriced(offers: Sequence[Offer], quantity: Decimal, on: date) -> str:
    begun = [offer for offer in offers if offer.valid_from <= on]
    if not begun:
        return f"has no price on {on.isoformat()}"
    smallest = min(offer.min_quantity for offer in begun)
    return f"is only sold from {smallest:f} pieces, and {quantity:f} are needed"


def _overhead_line(overhead: Overhead, units: Decimal, on: date, rates: Rates) -> Line:
    quantity = Decimal(1) if overhead.per_lot else units
    amount = _rounded(overhead.amount * quantity)
    line = Line(overhead.label, quantity, None, amount=amount, currency=overhead.currency)
    try:
        cost = _rounded(rates.convert(amount, overhead.currency, on))
    except RateMissingError as error:
        return replace(line, problem=str(error))
    if max(amount, cost) > LARGEST:
        return replace(line, amount=None, problem="would cost more than can be recorded")
    return replace(line, cost=cost)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_PLACES, rounding=ROUND_HALF_EVEN)
