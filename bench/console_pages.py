"""What `bench.console` looks at, and its figures as a page: bench/RESULTS-console.md."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlencode

from airoxy.console.app import all_routes

#: The console's budgets (milliseconds).
PAGE, FILTERED = 100, 300
#: One never ends, two log in, and for the doctor no page waits.
_LEFT_OUT = ("/login", "/link/{secret}", "/api/live", "/api/doctor", "/api/fleet")
#: Where a path names something of the database that `tests.console.seed` fills.
_NAMED = {"{number}": "3", "{id}": "3", "{name}": "maria"}
#: The same for rows of the log, whose first ones may be gone.
_ROW = "500000"
_FILTERS: Sequence[Mapping[str, str]] = (
    {"status": "failed"}, {"status": "429"}, {"status": "404"}, {"model": "claude-opus-*"},
    {"model": "no-such-model"}, {"q": "req_seeded_400000"}, {"q": "req_no_such_request"},
    {"q": "opus"}, {"q": "no such thing"}, {"key": "1"}, {"key": "1000"}, {"token": "7"},
    {"group": "research"}, {"key": "900", "status": "failed"}, {"key": "1", "status": "404"},
    {"key": "1", "model": "no-such-model"}, {"token": "7", "status": "5xx", "since": "7d"},
    {"group": "data", "status": "failed", "model": "claude-haiku-*"},
    {"group": "data", "status": "404"}, {"until": "29d"}, {"until": "29d", "status": "404"},
)  # fmt: skip
_STATS: Sequence[Mapping[str, str]] = (
    *({"by": by} for by in ("day", "model", "token", "key", "group")),
    {"by": "hour", "since": "2d"}, {"by": "hour", "since": "30d"}, {"by": "day", "key": "1"},
    {"cache": "true"}, {"cache": "true", "since": "30d"}, {"since": "30d"},
)  # fmt: skip


class Page(NamedTuple):
    path: str
    is_filtered: bool = False

    @property
    def budget(self) -> int:
        return FILTERED if self.is_filtered else PAGE


@dataclass
class Figures:
    """Of one page: milliseconds of its first view and of each further one, milliseconds of CPU of
    all of these together, and its bytes."""

    first: float | None = None
    times: list[float] = field(default_factory=list)
    cpu: float = 0.0
    size: int = 0


def pages(month_before: str) -> list[Page]:
    """Every route that can be looked at, and the log and the sums with filters."""
    found = []
    for route in all_routes():
        if "GET" in route.handlers and route.path not in _LEFT_OUT:
            path = route.path
            for name, value in _NAMED.items():
                path = path.replace(name, _ROW if "/log" in path else value)
            found.append(Page(path))
    found.append(Page("/audit?before=0"))
    found += [Page(f"/reports{form}?month={month_before}") for form in ("", "/html", "/csv")]
    found += [Page(f"/log?{urlencode(each)}", is_filtered=True) for each in _FILTERS]
    found += [Page(f"/api/logs?{urlencode(each)}", is_filtered=True) for each in _FILTERS]
    return found + [Page(f"/api/stats?{urlencode(each)}") for each in _STATS]


_HOW = """# What was measured last of the console

{machine}.
{versions}. {date}; {rows:,} rows of the usage log in 30 days, {keys:,} keys,
{tokens} tokens, sums of {days:,} days.

How to read it: milliseconds, as a browser on the same machine has them that keeps its connection.
Pages were asked for in turn, {rounds} times, each time with an empty page of Falcon's beside it;
"first" is the first view of a console that has just been started and knows nothing yet. CPU is that
of the whole process for one view: it holds on a busy machine, too. What is over its budget at the
median ({page} ms, and {filtered} ms for the log with filters) is **bold**.

| | first | p50 | p99 | CPU | kB |
|---|--:|--:|--:|--:|--:|
"""
_CLIENTS = """

## Clients meanwhile

{count} clients with a request each {pause} ms, in milliseconds: alone, and beside somebody who
goes from page to page without a pause; medians of {turns} turns of {seconds:g} s each. The proxy
has a core; load generator and upstream have the other. The console takes what is left of both,
with the weight of its unit.

| | requests/s | p50 | p99 |
|---|--:|--:|--:|
"""


def text(
    figures: Mapping[Page, Figures],
    empty: Figures,
    memory: Iterable[tuple[str, float]],
    clients: Mapping[str, Sequence[Mapping[str, float]]],
    where: str,
    options: argparse.Namespace,
    **words: float,
) -> str:
    used = [f"{name} {version(name)}" for name in ("falcon", "uvicorn", "jinja2", "apsw")]
    known = {**vars(options), **words}
    head = _HOW.format(
        machine=where, versions=", ".join(used), date=time.strftime("%Y-%m-%d", time.gmtime()),
        page=PAGE, filtered=FILTERED, **known,
    )  # fmt: skip
    lines = [_line("an empty page of Falcon's", empty, PAGE)]
    lines += [_line(f"`{page.path}`", each, page.budget) for page, each in figures.items()]
    seen = [
        f"| {name} | {median(_rate(each) for each in told):.0f} |"
        f" {median(each['whole_p50'] for each in told) / 1000:.2f} |"
        f" {median(each['whole_p99'] for each in told) / 1000:.2f} |"
        for name, told in clients.items()
    ]
    sizes = ", ".join(f"{mib:.0f} MiB {when}" for when, mib in memory)
    parts = head, "\n".join(lines), _CLIENTS.format(**known), "\n".join(seen)
    return "".join(parts) + f"\n\nThe console's memory: {sizes}.\n"


def _line(name: str, figures: Figures, budget: int) -> str:
    p50, p99 = median(figures.times), quantiles(figures.times, n=100, method="inclusive")[98]
    marked = f"**{p50:.1f}**" if p50 > budget else f"{p50:.1f}"
    first = "–" if figures.first is None else f"{figures.first:.0f}"
    return (
        f"| {name} | {first} | {marked} | {p99:.1f} |"
        f" {figures.cpu / len(figures.times):.1f} | {figures.size / 1000:.0f} |"
    )


def _rate(told: Mapping[str, float]) -> float:
    return told["requests"] / told["seconds"]
