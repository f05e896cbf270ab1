"""What usage costs: dated price rows, and exact sums in whole nano-dollars.

Invariant: a price is exactly the decimal number that was written, sums are exact, and rounding
(half up) happens once for a request. A model without a row has a price all the same, never none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter, mul
from typing import Any, NamedTuple

from airoxy.core.billing.usage import PROMPT_STEP, TOKEN_PRICES, USAGE, Usage

_PRICED = tuple(each for each in USAGE if each.price)
#: Of those, the prices of the prompt.
_PROMPT_PRICES = tuple(each.price for each in _PRICED if each.price and each.in_prompt)
_MODEL_ROW = ("model", "from", *TOKEN_PRICES, "tiers", "fast", "us_geo")
_SEARCH_ROW = ("web_search", "from")
_amounts = attrgetter(*(each.name for each in _PRICED))
#: What may follow the name of a row in a model's name: a date, a word, Claude Code's suffix.
_VERSION_END = re.compile(r"(?:-[0-9]{8}|-latest)?(?:\[1m\])?", re.ASCII)
#: No price is near it; it tells dollars per million from cents or dollars per token.
_MOST = 100_000
#: Finer than any price; keeps the exact arithmetic in small numbers.
_MOST_DECIMALS = 9


#: Dollars per million tokens, by the names of TOKEN_PRICES.
Rates = Mapping[str, Fraction]


def at_speed(rates: Rates, input_: Fraction, output: Fraction) -> Rates:
    """The rates of a faster service: cache prices keep their ratio to the input price."""
    factor = input_ / rates["input"]
    return {
        name: rate * factor if name in _PROMPT_PRICES else output for name, rate in rates.items()
    }


@dataclass(frozen=True, slots=True)
class Price:
    """A row: the price of the model from the day `since` on, in all spellings of its name; or of
    all models whose names begin with what stands before a `*`."""

    model: str
    since: date | None
    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()  # for prompts over so many tokens, largest first
    fast: tuple[Fraction, Fraction] | None = None  # input and output at speed "fast"
    us_geo: Fraction = Fraction(1)  # factor for inference in the US

    def holds_for(self, model: str, on: date) -> bool:
        if self.since is not None and on < self.since:
            return False
        if self.model.endswith("*"):
            return model.startswith(self.model[:-1])
        return model.startswith(self.model) and bool(_VERSION_END.fullmatch(model, len(self.model)))


#: A model without a row is most likely newer than the table, so the US factor holds, too.
UNKNOWN = Price(
    "",
    None,
    {
        "input": Fraction(5),
        "output": Fraction(25),
        "write_5m": Fraction("6.25"),
        "write_1h": Fraction(10),
        "read": Fraction("0.5"),
    },
    us_geo=Fraction("1.1"),
)
#: Dollars per 1,000 web searches where the table has no row for them.
_WEB_SEARCH = Fraction(10)


class PriceSpans(NamedTuple):
    """The days, in order, on which a price of some model begins to hold, and how the names of those
    models begin; how those begin whose price goes by the size of a prompt, with the sizes (tokens)
    at which one of them changes. No beginning is that of another one."""

    starts: tuple[date, ...]
    changed: tuple[str, ...]
    tiered: tuple[str, ...]
    sizes: tuple[int, ...]

    def divided(
        self, since: date | None, until: date | None
    ) -> list[tuple[date | None, date | None]]:
        """From when to before when one price of each model holds."""
        return list(zip((since, *self.starts), (*self.starts, until), strict=True))

    @property
    def special(self) -> tuple[str, ...]:
        """How the names of all those models begin."""
        return _beginnings((*self.changed, *self.tiered))


def _beginnings(names: Iterable[str]) -> tuple[str, ...]:
    """Those of which none begins with another one."""
    found: list[str] = []
    for name in sorted(names):
        if not (found and name.startswith(found[-1])):
            found.append(name)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class PriceTable:
    """Price rows by model name and first day, and the price of web searches by first day."""

    prices: Mapping[tuple[str, date | None], Price]
    searches: Mapping[date | None, Fraction]

    @classmethod
    def parse(cls, rows: Sequence[Mapping[str, Any]]) -> PriceTable:
        """Build the table from rows as in prices.yaml.

        Raises ValueError with a line for every mistake: "row 3 (MODEL): KEY: what is wrong".
        """
        prices: dict[tuple[str, date | None], Price] = {}
        searches: dict[date | None, Fraction] = {}
        mistakes = []
        for number, row in enumerate(rows, 1):
            try:
                _add_row(row, prices, searches)
            except ValueError as error:
                named = f" ({row['model']})" if isinstance(row, Mapping) and "model" in row else ""
                mistakes.append(" ".join(f"row {number}{named}: {error}".split()))
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return cls(prices, searches)

    def merged(self, other: PriceTable) -> PriceTable:
        """This table with the rows of `other`, which win where model and first day are the same."""
        return PriceTable({**self.prices, **other.prices}, {**self.searches, **other.searches})

    @property
    def models(self) -> frozenset[str]:
        """The models that have a row of their own, not one for all names that begin alike."""
        return frozenset(model for model, _ in self.prices if not model.endswith("*"))

    def price_for(self, model: str | None, on: date) -> Price | None:
        """The newest row in force of the longest name that is the model's."""
        return _price_for(self, model, on) if model else None

    def knows(self, model: str | None, on: date) -> bool:
        """Whether the model has a row; without one its cost is a guess."""
        return self.price_for(model, on) is not None

    def spans(self, since: date | None, until: date | None) -> PriceSpans:
        """Of the days from `since` to before `until`: within a span each model has one price."""
        starts: dict[date, list[str]] = {}
        tiered = []
        for price in self.prices.values():
            day, name = price.since, price.model.rstrip("*")
            if day and (not since or day > since) and (not until or day < until):
                starts.setdefault(day, []).append(name)
            if price.tiers:
                tiered.append(name)
        return PriceSpans(
            tuple(sorted(starts)),
            _beginnings(name for names in starts.values() for name in names),
            _beginnings(tiered),
            tuple(sorted({over for price in self.prices.values() for over, _ in price.tiers})),
        )

    def search_price(self, on: date) -> Fraction:
        """Dollars per 1,000 web searches."""
        days = [since for since in self.searches if (since or date.min) <= on]
        return self.searches[max(days, key=lambda d: d or date.min)] if days else _WEB_SEARCH


def cost_nanousd(parts: Iterable[Usage], table: PriceTable, on: date) -> int:
    """What all parts of one request cost together, on the day of the request."""
    sum_, unit = 0, 0
    for part in parts:
        if not part.billed:
            continue
        rates = _rates(table, part.model, on, part.batch, part.geo == "us", part.speed == "fast")
        rate = rates[0]
        if len(rates) > 1:
            prompt = part.prompt_tokens
            for rate in rates:
                if prompt > rate.over * part.requests:
                    break
        cost, each = sum(map(mul, _amounts(part), rate.each)), rate.unit
        if unit and unit != each:
            common = math.lcm(unit, each)
            sum_, cost, each = sum_ * (common // unit), cost * (common // each), common
        sum_, unit = sum_ + cost, each
    return (2 * sum_ + unit) // (2 * unit) if unit else 0


def move_nanousd(parts: Sequence[Usage], table: PriceTable, on: date) -> int:
    """What it costs that a prompt is written to a cache from which, in another account, it could
    have been read."""
    read = [
        replace(
            part,
            cache_write_5m_tokens=0,
            cache_write_1h_tokens=0,
            cache_read_tokens=part.cache_read_tokens
            + part.cache_write_5m_tokens
            + part.cache_write_1h_tokens,
        )
        for part in parts
    ]
    return max(0, cost_nanousd(parts, table, on) - cost_nanousd(read, table, on))


def most_nanousd(
    table: PriceTable, model: str | None, on: date, tokens: tuple[int, int], *, fast: bool
) -> int:
    """What a request can cost at the most that has so many input and output `tokens` or less:
    nothing comes from a cache, and everything goes into one."""
    input_, output = tokens
    rates = _rates(table, model, on, False, True, fast)
    rate = next(rate for rate in rates if input_ > rate.over)
    dearest = {True: 0, False: 0}
    for field, price in zip(_PRICED, rate.each, strict=True):
        if field.is_token:
            dearest[field.in_prompt] = max(dearest[field.in_prompt], price)
    return -(-(input_ * dearest[True] + output * dearest[False]) // rate.unit)


class _Rate(NamedTuple):
    """What one token, or one search, costs as a whole number of 1/`unit` nano-dollars."""

    over: int
    unit: int
    each: tuple[int, ...]  # in the order of _PRICED


# Both caches are bounded, because model names come from outside.
@lru_cache(maxsize=1024)
def _price_for(table: PriceTable, model: str, on: date) -> Price | None:
    rows = [price for price in table.prices.values() if price.holds_for(model, on)]
    return max(rows, key=lambda price: (len(price.model), price.since or date.min), default=None)


@lru_cache(maxsize=1024)
def _rates(
    table: PriceTable, model: str | None, on: date, batch: bool, us: bool, fast: bool
) -> tuple[_Rate, ...]:
    """The rates for one kind of request: a tier each, the largest prompts first."""
    price = table.price_for(model, on) or UNKNOWN
    factor = Fraction(1, 2) if batch else Fraction(1)
    per_token = factor * 1000 * (price.us_geo if us else 1)
    others = {"web_search": 1_000_000 * table.search_price(on)}
    tiers = []
    for over, rates in (*price.tiers, (-1, price.rates)):
        if fast and price.fast and not batch:
            rates = at_speed(rates, *price.fast)
        every = {**{name: rate * per_token for name, rate in rates.items()}, **others}
        exact = [every[field.price] for field in _PRICED if field.price]
        unit = math.lcm(*(number.denominator for number in exact))
        tiers.append(_Rate(over, unit, tuple(int(number * unit) for number in exact)))
    return tuple(tiers)


def _add_row(
    row: Mapping[str, Any],
    prices: dict[tuple[str, date | None], Price],
    searches: dict[date | None, Fraction],
) -> None:
    if not isinstance(row, Mapping):
        raise ValueError("must be a mapping such as {model: NAME, input: 5, …}")
    if "model" not in row and "web_search" in row:
        _allow(row, _SEARCH_ROW)
        _put(searches, _day(row), _number(row, "web_search"))
        return
    _allow(row, _MODEL_ROW)
    models = row.get("model")
    models = models if isinstance(models, list) else [models]
    if not models or not all(isinstance(model, str) and model for model in models):
        raise ValueError("model: must be a model's name or a list of names")
    price = _price(row)
    for model in models:
        _put(prices, (model, price.since), replace(price, model=model))


def _put(table: dict[Any, Any], key: object, value: object) -> None:
    if key in table:
        raise ValueError("from: another row has the same name and date")
    table[key] = value


def _price(row: Mapping[str, Any]) -> Price:
    rates, tiers, fast = _token_rates(row), _tiers(row.get("tiers", [])), None
    if "fast" in row:
        _allow(row["fast"], ("input", "output"), "fast: ")
        fast = (_number(row["fast"], "input", "fast: "), _number(row["fast"], "output", "fast: "))
        if not all(priced["input"] for priced in (rates, *(tier for _, tier in tiers))):
            raise ValueError("fast: needs input prices above 0, which cache prices follow")
    us_geo = _number(row, "us_geo") if "us_geo" in row else Fraction(1)
    return Price("", _day(row), rates, tiers, fast, us_geo)


def _tiers(rows: object) -> tuple[tuple[int, Rates], ...]:
    if not isinstance(rows, list):
        raise ValueError("tiers: must be a list of {over: TOKENS, input: …}")
    tiers = {}
    for row in rows:
        _allow(row, ("over", *TOKEN_PRICES), "tiers: ")
        over = row.get("over")
        if type(over) is not int or over <= 0 or over % PROMPT_STEP or over in tiers:
            raise ValueError(f"tiers: over: must be different multiples of {PROMPT_STEP} tokens")
        tiers[over] = _token_rates(row, "tiers: ")
    return tuple(sorted(tiers.items(), key=lambda tier: -tier[0]))


def _token_rates(row: Mapping[str, Any], where: str = "") -> Rates:
    return {name: _number(row, name, where) for name in TOKEN_PRICES}


def _allow(row: object, keys: Sequence[str], where: str = "") -> None:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}must be a mapping")
    if unknown := [str(key) for key in row if key not in keys]:
        raise ValueError(f"{where}{unknown[0]}: no such key; known are {', '.join(keys)}")


def _number(row: Mapping[str, Any], key: str, where: str = "") -> Fraction:
    """The number as it was written: 0.1 is a tenth."""
    if key not in row:
        raise ValueError(f"{where}{key}: is missing")
    value = row[key]
    try:
        number = Decimal("NaN" if isinstance(value, bool) else str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= _MOST:
        raise ValueError(f"{where}{key}: must be a number from 0 to {_MOST}, not {value!r}")
    if -int(number.as_tuple().exponent) > _MOST_DECIMALS:
        raise ValueError(f"{where}{key}: has more than {_MOST_DECIMALS} decimals")
    return Fraction(number)


def _day(row: Mapping[str, Any]) -> date | None:
    value = row.get("from")
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        day = ""
    if day is not None and (isinstance(day, datetime) or not isinstance(day, date)):
        raise ValueError(f"from: must be a day such as 2026-10-07, not {value!r}")
    return day
