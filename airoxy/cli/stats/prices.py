"""`airoxy prices`: the price table in force, what it lacks, and old costs by new prices."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from airoxy.cli.command import Command, Context, add_json
from airoxy.cli.formats import cut, dollars
from airoxy.core.billing.usage import TOKEN_PRICES
from airoxy.errors import InvalidInput
from airoxy.store.usage import costs

if TYPE_CHECKING:
    from airoxy.core.billing.pricing import Price, PriceTable, Rates
    from airoxy.jobs.recost import Recosted

#: The prices of cache writes last, since readers compare the others.
_PRICES = tuple(sorted(TOKEN_PRICES, key=lambda name: name.startswith("write")))
_HEADS = tuple(name.replace("put", "").replace("write_", "wr ").upper() for name in _PRICES)
#: So that the table is within 80 columns.
_MODEL_WIDTH = 19

_DESCRIPTION = (
    "Show the prices in force, in US dollars per million tokens (IN and OUT, READ and WR for the"
    " prompt cache), and the models in the usage log that have none. With --recost, compute the"
    " costs of the requests since a day again by these prices, as far back as there are detailed"
    " rows (log_retention_days); the totals of `airoxy stats` follow. The service takes changed"
    " prices over with `airoxy reload`."
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--recost", action="store_true", help="compute costs again, by the prices in force"
    )
    parser.add_argument(
        "--since",
        type=_date,
        metavar="DATE",
        help="with --recost: from this day on, in UTC (2026-11-22)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --recost: only say what would change"
    )
    add_json(parser)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("a day looks like 2026-11-22") from None


def _run(context: Context, args: Namespace) -> None:
    if not args.recost and (args.since or args.dry_run):
        raise InvalidInput("--since and --dry-run go with --recost.")
    if args.recost and not args.since:
        raise InvalidInput("--recost needs a day to begin with: --since 2026-11-22")
    return _recost(context, args) if args.recost else _show(context, args)


# The table


def _show(context: Context, args: Namespace) -> None:
    from airoxy.core.billing.pricing import PriceTable

    table = context.config.pricing
    own = PriceTable.parse(list(context.config.price_rows))
    imported = costs.imported_days(context.database)
    counted = costs.counted_models(context.database)
    unpriced = _unpriced(table, (use for use in counted if use.day not in imported))
    if args.json:
        prices = [_document(context, price, own) for price in _sorted(table)]
        searches = _searches(context, table, own)
        return context.json({"prices": prices, "web_search": searches, "unpriced": unpriced})
    lines = [line for price in _sorted(table) for line in _lines(context, price, own)]
    context.table(lines, ("MODEL", "FROM", *_HEADS, "US", "SOURCE"), right=_HEADS)
    search = _figure(table.search_price(context.today()))
    context.say("\nDollars per million tokens; US inference times the factor, a batch half.")
    context.say(f"1,000 web searches cost ${search}.")
    if imported:
        context.say(
            f"The sums from {imported[0]} to {imported[-1]} were taken over from the PHP"
            " installation; their cost is what it computed."
        )
    return _show_unpriced(context, unpriced)


def _show_unpriced(context: Context, unpriced: list[dict[str, Any]]) -> None:
    if not unpriced:
        return context.say("Every model in the usage log has a price.")
    context.say("\nNo price for these, so their cost is a guess (add them under `pricing:`):\n")
    return context.table(
        (
            (cut(row["model"], 40), f"{row['requests']:,}", dollars(row["cost_nanousd"]))
            + (row["first_day"], row["last_day"])
            for row in unpriced
        ),
        ("MODEL", "REQUESTS", "COUNTED AS", "FIRST", "LAST"),
        right=("REQUESTS", "COUNTED AS"),
    )


def _unpriced(table: PriceTable, counted: Iterable[costs.ModelUse]) -> list[dict[str, Any]]:
    """Models with the days on which they had no price, the dearest first."""
    found: dict[str, dict[str, Any]] = {}
    for use in counted:
        if table.knows(use.model, use.day):
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


def _sorted(table: PriceTable) -> list[Price]:
    """The rows of a name together, the newest first; the names in the order of the file."""
    names = list(dict.fromkeys(price.model for price in table.prices.values()))
    age = sorted(table.prices.values(), key=lambda price: price.since or date.min, reverse=True)
    return sorted(age, key=lambda price: names.index(price.model))


def _lines(context: Context, price: Price, own: PriceTable) -> Iterator[tuple[str, ...]]:
    """The row, and one for each of its other prices."""
    from airoxy.core.billing.pricing import at_speed

    source = _source(context, (price.model, price.since) in own.prices)
    name = cut(price.model.removeprefix("claude-"), _MODEL_WIDTH)
    us = f"{float(price.us_geo):g}" if price.us_geo != 1 else ""
    yield name, str(price.since or ""), *_figures(price.rates), us, source
    for over, rates in reversed(price.tiers):
        yield f"  over {over:,}", "", *_figures(rates), "", ""
    if price.fast:
        yield "  fast", "", *_figures(at_speed(price.rates, *price.fast)), "", ""


def _source(context: Context, own: bool) -> str:
    path = context.config.source
    return path.name if own and path else "shipped"


def _figures(rates: Rates) -> list[str]:
    return [_figure(rates[name]) for name in _PRICES]


def _figure(number: Fraction) -> str:
    """Two decimals, and more where there are more."""
    text = f"{float(number):.9f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def _searches(context: Context, table: PriceTable, own: PriceTable) -> list[dict[str, Any]]:
    return [
        {
            "from": since and since.isoformat(),
            "source": _source(context, since in own.searches),
            "per_1000": _number(price),
        }
        for since, price in table.searches.items()
    ]


def _document(context: Context, price: Price, own: PriceTable) -> dict[str, Any]:
    """A row with the names that the file has for everything."""
    document: dict[str, Any] = {
        "model": price.model,
        "from": price.since and price.since.isoformat(),
        "source": _source(context, (price.model, price.since) in own.prices),
        **_numbers(price.rates),
        "us_geo": _number(price.us_geo),
    }
    if price.tiers:
        document["tiers"] = [{"over": over, **_numbers(rates)} for over, rates in price.tiers]
    if price.fast:
        document["fast"] = {"input": _number(price.fast[0]), "output": _number(price.fast[1])}
    return document


def _numbers(rates: Rates) -> dict[str, float]:
    return {name: _number(rates[name]) for name in _PRICES}


def _number(number: Fraction) -> float:
    return int(number) if number.denominator == 1 else float(number)


# Computing again


def _recost(context: Context, args: Namespace) -> None:
    from airoxy.jobs.recost import recost

    db = context.database
    done = recost(db, context.config.pricing, args.since, dry_run=args.dry_run)
    oldest = costs.oldest_day(db)
    if args.json:
        return context.json(
            {
                "since": args.since.isoformat(),
                "dry_run": args.dry_run,
                "rows": done.rows,
                "changed": done.changed,
                "before_nanousd": done.before,
                "after_nanousd": done.after,
                "unknown": done.unknown,
            }
        )
    _tell_recosted(context, done, "would change" if args.dry_run else "changed")
    if oldest and args.since < oldest:
        context.say(f"Requests have rows of their own from {oldest} on.")
    return None


def _tell_recosted(context: Context, done: Recosted, changed: str) -> None:
    if done.changed:
        context.say(
            f"{done.changed:,} of {done.rows:,} requests {changed}: from {dollars(done.before)}"
            f" to {dollars(done.after)}."
        )
    else:
        context.say(f"Of {done.rows:,} requests none {changed}.")
    if done.unknown:
        context.say(
            f"Left as they are: {done.unknown:,}, because what their cost was computed from was"
            " not kept then."
        )


COMMANDS = (
    Command("prices", "Show the prices, and apply them again", _run, _add_arguments, _DESCRIPTION),
)
