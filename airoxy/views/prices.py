"""The price table as a document, and the models in the usage log that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from fractions import Fraction
from functools import cache
from typing import Any

import apsw

from airoxy.config import Config
from airoxy.core.billing.pricing import Price, PriceTable, Rates
from airoxy.core.billing.usage import TOKEN_PRICES
from airoxy.store.usage import costs

#: The prices of cache writes last, since readers compare the others.
PRICES = tuple(sorted(TOKEN_PRICES, key=lambda name: name.startswith("write")))


#: How the days are read on which something was counted for these models.
ReadModels = Callable[[apsw.Connection, Sequence[str]], Iterable[costs.ModelUse]]


def document(
    config: Config, db: apsw.Connection, read: ReadModels = costs.counted_models
) -> dict[str, Any]:
    """All of it as JSON has it."""
    table, own = config.pricing, PriceTable.parse(list(config.price_rows))
    return {
        "prices": [_document(config, price, own) for price in sorted_prices(table)],
        "web_search": _searches(config, table, own),
        "unpriced": unpriced_models(table, db, read)[1],
    }


def unpriced_models(
    table: PriceTable, db: apsw.Connection, read: ReadModels = costs.counted_models
) -> tuple[list[date], list[dict[str, Any]]]:
    """The days whose costs another program computed, and the models without a price on the others,
    the dearest first."""
    imported = costs.imported_days(db)
    # The sums are read, all of them, only for those that have not always had a price.
    doubtful = [name for name in costs.charged_models(db) if not table.knows(name, date.min)]
    counted, theirs = read(db, doubtful), frozenset(imported)
    return imported, _unpriced(table, (use for use in counted if use.day not in theirs))


def _unpriced(table: PriceTable, counted: Iterable[costs.ModelUse]) -> list[dict[str, Any]]:
    """Models with the days on which they had no price, the dearest first."""
    found: dict[str, dict[str, Any]] = {}
    known = cache(table.knows)
    for use in counted:
        # Once a model has a price it always has one.
        if known(use.model, date.max) and known(use.model, use.day):
            continue
        day = use.day.isoformat()
        row = found.setdefault(
            use.model,
            {"model": use.model, "requests": 0, "cost_nanousd": 0, "first_day": day},
        )
        row["requests"] += use.requests
        row["cost_nanousd"] += use.cost_nanousd
        row["last_day"] = day
    return sorted(found.values(), key=lambda row: -row["cost_nanousd"])


def sorted_prices(table: PriceTable) -> list[Price]:
    """The rows of a name together, the newest first; the names in the order of the file."""
    names = list(dict.fromkeys(price.model for price in table.prices.values()))
    age = sorted(table.prices.values(), key=lambda price: price.since or date.min, reverse=True)
    return sorted(age, key=lambda price: names.index(price.model))


def source(config: Config, own: bool) -> str:
    """Where a price is from: the file of the configuration, or what airoxy came with."""
    path = config.source
    return path.name if own and path else "shipped"


def _searches(config: Config, table: PriceTable, own: PriceTable) -> list[dict[str, Any]]:
    return [
        {
            "from": since and since.isoformat(),
            "source": source(config, since in own.searches),
            "per_1000": _number(price),
        }
        for since, price in table.searches.items()
    ]


def _document(config: Config, price: Price, own: PriceTable) -> dict[str, Any]:
    """A row with the names that the file has for everything."""
    document: dict[str, Any] = {
        "model": price.model,
        "from": price.since and price.since.isoformat(),
        "source": source(config, (price.model, price.since) in own.prices),
        **_numbers(price.rates),
        "us_geo": _number(price.us_geo),
    }
    if price.tiers:
        document["tiers"] = [{"over": over, **_numbers(rates)} for over, rates in price.tiers]
    if price.fast:
        document["fast"] = {"input": _number(price.fast[0]), "output": _number(price.fast[1])}
    return document


def _numbers(rates: Rates) -> dict[str, float]:
    return {name: _number(rates[name]) for name in PRICES}


def _number(number: Fraction) -> float:
    return int(number) if number.denominator == 1 else float(number)
