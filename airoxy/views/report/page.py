"""The month's report as one page: everything in it, nothing fetched, to be read or printed.

Invariant: every text from outside is escaped, and the page may run no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, tzinfo
from html import escape
from itertools import starmap
from pathlib import Path
from typing import Any

from airoxy.calendar import first_of_next_month
from airoxy.core.billing.usage import PROMPT, USAGE
from airoxy.core.report import BEFORE, Report
from airoxy.views.formats import cents
from airoxy.views.report.chart import scale
from airoxy.views.report.lines import SAVED, lines_of, model_name
from airoxy.views.times import zoned_moment

_STYLE = "\n" + Path(__file__).with_suffix(".css").read_text("utf-8")

_HEADS = (
    ("Requests", "requests"),
    ("Failed", "failed"),
    *((each.label, each.name) for each in USAGE),
)

#: Requests that are told of where there are any.
_MARKS = ("estimated", "uncounted")

# The chart, in its own units.
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 960, 240, 84, 14, 26
_PLOT = _HEIGHT - _TOP - _BOTTOM


def page(report: Report, now: float, zone: tzinfo) -> str:
    """The whole document; `now` is when it was made."""
    made = zoned_moment(now, zone)
    title = f"{report.month:%B %Y}"
    whose = "group, client key" if report.has_groups else "client key"
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>airoxy: usage in {title}</title>
<style>{_STYLE}</style>
<h1>Usage in {title}</h1>
<p class="soft">{_period(report, made)}</p>
{_summary(report)}
<h2>{_chart_title(report)}</h2>
{_chart(report)}
<h2>By {whose} and model</h2>
{_table(f"{whose.capitalize()}, model", starmap(_line, lines_of(report)), report)}
<h2>By model</h2>
{_table("Model", (_line("", model_name(each), each) for each in report.models), report)}
<footer>
{_remarks(report)}<p>Costs are estimated in US dollars from the usage that Anthropic reported and a
price list; they are not an invoice. Days are those of {zone}. Made by airoxy, {made}.</p>
</footer>
</html>"""


def _period(report: Report, made: str) -> str:
    if report.complete:
        return f"The whole month, {_days_in(report.month)} days"
    return f"The month so far, as of {made}"


def _days_in(month: date) -> int:
    return (first_of_next_month(month) - month).days


def _summary(report: Report) -> str:
    totals = report.totals
    prompt = sum(totals[name] for name in PROMPT)
    cached = totals["cache_read_tokens"] / prompt if prompt else 0
    before = f"{escape(cents(totals[BEFORE]))} in {report.month_before:%B}"
    saved = f"{escape(cents(totals[SAVED]))} saved by the prompt cache"
    facts = (
        ("Estimated cost", _cost(totals), f"{before}<br>{saved}"),
        ("Requests", f"{totals['requests']:,}", _requests(report)),
        ("Tokens in", f"{prompt:,}", f"{cached:.0%} read from the prompt cache"),
        ("Tokens out", f"{totals['output_tokens']:,}", _plural(len(report.models), "model")),
    )
    cards = "".join(
        f"<div><dt>{name}</dt><dd>{amount}<small>{more}</small></dd></div>\n"
        for name, amount, more in facts
    )
    return f"<dl>\n{cards}</dl>"


def _requests(report: Report) -> str:
    keys = {key["api_key_id"] for key in report.keys if key["requests"]}
    more = [f"{report.totals['failed']:,} failed", _plural(len(keys), "client key")]
    more += [f"{report.totals[name]:,} {name}" for name in _MARKS if report.totals[name]]
    return "<br>".join(more)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


# The chart


def _measure(report: Report) -> str:
    return "cost_nanousd" if report.totals["cost_nanousd"] else "requests"


def _chart_title(report: Report) -> str:
    return "Estimated cost by day" if _measure(report) == "cost_nanousd" else "Requests by day"


def _chart(report: Report) -> str:
    """Bars for the days that have begun, on an axis of the whole month."""
    measure = _measure(report)
    step, top = scale(max((day[measure] for day in report.days), default=0))
    slot = (_WIDTH - _LEFT) / _days_in(report.month)
    drawn = "\n".join(
        (*_amounts(measure, step, top), *_numbers(report, slot), *_bars(report, top, slot))
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_chart_title(report)}">\n'
        f"{drawn}\n</svg>"
    )


def _amounts(measure: str, step: int, top: int) -> Iterator[str]:
    for amount in range(0, top + 1, step):
        y = _TOP + _PLOT * (1 - amount / top)
        label = f"${amount / 1e9:,.10g}" if measure == "cost_nanousd" else f"{amount:,}"
        yield (
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        )


def _numbers(report: Report, slot: float) -> Iterator[str]:
    for n in range(_days_in(report.month)):
        x = _LEFT + (n + 0.5) * slot
        # A phone has room for every fifth.
        odd = "" if n % 5 == 0 else ' class="odd"'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - 4}" text-anchor="middle"{odd}>{n + 1}</text>'


def _bars(report: Report, top: int, slot: float) -> Iterator[str]:
    measure = _measure(report)
    for n, day in enumerate(report.days):
        if day[measure]:
            tall = max(1.0, _PLOT * day[measure] / top)
            yield (
                f'<rect x="{_LEFT + (n + 0.15) * slot:.1f}" y="{_TOP + _PLOT - tall:.1f}"'
                f' width="{0.7 * slot:.1f}" height="{tall:.1f}" rx="2">'
                f"<title>{day['day']}: {_cost(day)}, {day['requests']:,} requests</title></rect>"
            )


# The tables


def _table(first: str, lines: Iterable[str], report: Report) -> str:
    heads = "".join(f'<th scope="col"{_more(name)}>{head}</th>' for head, name in _HEADS)
    heads += f'<th scope="col">Cost</th><th scope="col">{report.month_before:%B}</th>'
    body = "\n".join(lines)
    return f"""<div class="wide"><table>
<thead><tr><th scope="col">{first}</th>{heads}</tr></thead>
<tbody>
{body}
</tbody>
<tfoot>{_line("", "Total", report.totals)}</tfoot>
</table></div>"""


def _line(style: str, name: str, totals: dict[str, Any]) -> str:
    cells = "".join(f"<td{_more(field)}>{totals[field]:,}</td>" for _, field in _HEADS)
    cells += f"<td>{_cost(totals)}</td><td>{escape(cents(totals[BEFORE]))}</td>"
    opening = f'<tr class="{style}">' if style else "<tr>"
    return f'{opening}<th scope="row">{escape(name)}</th>{cells}</tr>'


def _more(field: str) -> str:
    """What there is no room for on a phone."""
    return "" if field == "requests" else ' class="more"'


def _cost(totals: dict[str, Any]) -> str:
    return escape(cents(totals["cost_nanousd"]))


def _remarks(report: Report) -> str:
    return "".join(f"<p>{escape(remark)}</p>\n" for remark in report.remarks)
