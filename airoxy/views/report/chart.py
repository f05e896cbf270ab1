"""Bars by day, stacked by series, as SVG that takes its colours from the page's style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from airoxy.views.formats import cents

#: The chart in its own units, and how many colours the style has (classes s1 to s6).
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 960, 220, 56, 10, 22
_PLOT = _HEIGHT - _TOP - _BOTTOM
COLOURS = 6


@dataclass(frozen=True)
class Series:
    """Amounts in nano-dollars, one for each of the chart's days."""

    name: str
    amounts: Sequence[int]


def largest(rows: Mapping[str, Sequence[int]], most: int = COLOURS) -> list[Series]:
    """The series with the largest sums, the largest first; what is left is one, named "others"."""
    series = sorted((Series(*row) for row in rows.items()), key=lambda each: -sum(each.amounts))
    if len(series) <= most:
        return series
    rest = [sum(amounts) for amounts in zip(*(s.amounts for s in series[most - 1 :]), strict=True)]
    return [*series[: most - 1], Series("others", rest)]


def stacked(title: str, days: Sequence[str], series: Sequence[Series]) -> str:
    """The chart as SVG; `days` are dates in ISO form."""
    step, top = scale(max((sum(day) for day in _by_day(days, series)), default=0))
    slot = (_WIDTH - _LEFT) / max(1, len(days))
    drawn = "".join((*_lines(step, top), *_dates(days, slot), *_bars(days, series, top, slot)))
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{escape(title)}">{drawn}</svg>'
    )


def scale(most: int) -> tuple[int, int]:
    """The distance of the lines (1, 2 or 5 times a power of ten), and the highest of them."""
    step = 1
    while most > 5 * step:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return step, step * max(1, -(-most // step))


def _by_day(days: Sequence[str], series: Sequence[Series]) -> list[list[int]]:
    return [[each.amounts[n] for each in series] for n in range(len(days))]


def _lines(step: int, top: int) -> Iterator[str]:
    for amount in range(0, top + 1, step) if top > 1 else (0,):
        y = _TOP + _PLOT * (1 - amount / top)
        yield (
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">${amount / 1e9:,.10g}</text>'
        )


def _dates(days: Sequence[str], slot: float) -> Iterator[str]:
    for n in range(0, len(days), 5):
        x = _LEFT + (n + 0.5) * slot
        day = date.fromisoformat(days[n])
        yield f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{day.day} {day:%b}</text>'


def _bars(days: Sequence[str], series: Sequence[Series], top: int, slot: float) -> Iterator[str]:
    for n, amounts in enumerate(_by_day(days, series)):
        y = float(_TOP + _PLOT)
        for colour, (each, amount) in enumerate(zip(series, amounts, strict=True), 1):
            if not amount:
                continue
            tall = max(0.5, _PLOT * amount / top)
            y -= tall
            yield (
                f'<rect class="s{colour}" x="{_LEFT + (n + 0.12) * slot:.1f}" y="{y:.1f}"'
                f' width="{0.76 * slot:.1f}" height="{tall:.1f}"><title>{days[n]}:'
                f" {escape(each.name)} {escape(cents(amount))}</title></rect>"
            )
