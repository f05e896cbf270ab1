"""`airoxy prices`: the price table in force, what it lacks, and old costs by new prices."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import JSON, argument, flag
from airoxy.errors import InvalidInput
from airoxy.store.usage import costs
from airoxy.views.formats import cut, dollars
from airoxy.views.prices import PRICES, document, sorted_prices, source, unpriced_models

if TYPE_CHECKING:
    from airoxy.core.billing.pricing import Price, PriceTable, Rates
    from airoxy.jobs.recost import Recosted

_HEADS = tuple(name.replace("put", "").replace("write_", "wr ").upper() for name in PRICES)
#: So that the table is within 80 columns.
_MODEL_WIDTH = 19

_DESCRIPTION = (
    "Show the prices in force, in US dollars per million tokens (IN and OUT, READ and WR for the"
    " prompt cache), and the models in the usage log that have none. With --recost, compute the"
    " costs of the requests since a day again by these prices, as far back as there are detailed"
    " rows (log_retention_days); the totals of `airoxy stats` follow. The service takes changed"
    " prices over with `airoxy reload`."
)


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
    if args.json:
        return context.json(document(context.config, context.database))
    imported, unpriced = unpriced_models(table, context.database)
    own = PriceTable.parse(list(context.config.price_rows))
    lines = [line for price in sorted_prices(table) for line in _lines(context, price, own)]
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


def _lines(context: Context, price: Price, own: PriceTable) -> Iterator[tuple[str, ...]]:
    """The row, and one for each of its other prices."""
    from airoxy.core.billing.pricing import at_speed

    origin = source(context.config, (price.model, price.since) in own.prices)
    name = cut(price.model.removeprefix("claude-"), _MODEL_WIDTH)
    us = f"{float(price.us_geo):g}" if price.us_geo != 1 else ""
    yield name, str(price.since or ""), *_figures(price.rates), us, origin
    for over, rates in reversed(price.tiers):
        yield f"  over {over:,}", "", *_figures(rates), "", ""
    if price.fast:
        yield "  fast", "", *_figures(at_speed(price.rates, *price.fast)), "", ""


def _figures(rates: Rates) -> list[str]:
    return [_figure(rates[name]) for name in PRICES]


def _figure(number: Fraction) -> str:
    """Two decimals, and more where there are more."""
    text = f"{float(number):.9f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


# Computing again


def _recost(context: Context, args: Namespace) -> None:
    from airoxy.jobs.recost import recost

    db = context.database
    done = recost(db, context.config.pricing, args.since, dry_run=args.dry_run)
    oldest = costs.oldest_day(db)
    if args.json:
        return context.json(done.document(args.since, dry_run=args.dry_run))
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


_ARGUMENTS = (
    flag("--recost", "compute costs again, by the prices in force"),
    argument("--since", "DATE", "with --recost: from this day on, in UTC (2026-11-22)", type=_date),
    flag("--dry-run", "with --recost: only say what would change"),
    JSON,
)
COMMANDS = (
    Command("prices", "Show the prices, and apply them again", _run, _ARGUMENTS, _DESCRIPTION),
)
