"""The month's report as one page: everything in it, nothing fetched, to be read or printed.

Invariant: every text from outside is escaped, and the page may run no script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, tzinfo
from html import escape
from typing import Any

from airoxy.calendar import first_of_next_month
from airoxy.core.billing.usage import PROMPT, USAGE
from airoxy.core.report import BEFORE, Report
from airoxy.views.formats import cents
from airoxy.views.report.chart import scale
from airoxy.views.report.lines import SAVED, group_name, key_name, model_name
from airoxy.views.times import zoned_moment

_STYLE = """
:root { --paper: #fff; --ink: #1b1d21; --soft: #5d646e; --line: #e2e5ea; --band: #f5f6f8;
  --bar: #2f6fb5; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e6e8eb; --soft: #9aa2ad;
  --line: #2d3137; --band: #1e2125; --bar: #6ea8e6; } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --band: #f2f2f2;
  --bar: #2f6fb5; color-scheme: light; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.1rem; }
p { margin: .35rem 0; } .soft, footer { color: var(--soft); }
dl { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.75rem 0 0; }
dl div { flex: 1 1 9rem; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 8px; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: .1rem 0 0; font-size: 1.45rem; font-variant-numeric: tabular-nums; }
dd small { display: block; color: var(--soft); font-size: .8rem; }
.wide { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
svg line { stroke: var(--line); } svg rect { fill: var(--bar); }
table { width: 100%; border-collapse: collapse; font-size: .87rem; }
th, td { padding: .38rem .5rem; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; font-weight: normal; white-space: nowrap; }
th:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere;
  min-width: 13rem; }
thead th { color: var(--soft); font-size: .8rem; vertical-align: bottom; white-space: normal; }
.group th, .group td { border-top: 2px solid var(--soft); font-weight: 700; }
.group ~ .key th { padding-left: 1rem; } .group ~ .model th { padding-left: 2rem; }
.key th, .key td { background: var(--band); font-weight: 600; }
.model th { padding-left: 1.5rem; } tfoot th, tfoot td { font-weight: 600; border-bottom: 0; }
footer { margin-top: 2.5rem; font-size: .85rem; }
@media screen and (max-width: 40rem) { body { padding: 1.25rem 1rem; }
  h1 { font-size: 1.5rem; } svg text { font-size: 24px; } .odd, .more { display: none; }
  dl { gap: .6rem; } dl div { flex-basis: 8.5rem; padding: .6rem .75rem; }
  dd { font-size: 1.15rem; } table { font-size: .82rem; }
  th, td { padding: .38rem .25rem; } th:first-child { min-width: 7.5rem; }
  .model th, .group ~ .key th { padding-left: .6rem; }
  .group ~ .model th { padding-left: 1.1rem; } }
@page { size: A4 landscape; margin: 14mm; }
@media print { body { padding: 0; max-width: none; font-size: 10.5pt; }
  table { font-size: 8.5pt; } tfoot { display: table-row-group; }
  tr, dl, svg { break-inside: avoid; } h2 { break-after: avoid; }
  .wide { overflow: visible; } dl div { padding: .4rem .7rem; } }
"""

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
{_table(f"{whose.capitalize()}, model", _key_lines(report), report)}
<h2>By model</h2>
{_table("Model", _model_lines(report.models), report)}
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


def _key_lines(report: Report) -> Iterator[str]:
    for group in report.groups:
        if report.has_groups:
            yield _line("group", group_name(group), group)
        for key in report.keys_of(group["group_id"]):
            yield _line("key", key_name(key), key)
            yield from _model_lines(key["models"], "model")


def _model_lines(models: Sequence[dict[str, Any]], style: str = "") -> Iterator[str]:
    for model in models:
        yield _line(style, model_name(model), model)


def _table(first: str, lines: Iterator[str], report: Report) -> str:
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
