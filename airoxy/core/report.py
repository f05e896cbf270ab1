"""A month's usage report: the same sums by client key and model, by model, and by day.

Invariant: every total is the sum of the lines below it, in whole numbers; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from airoxy.calendar import first_of_next_month

Sums = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """`keys` each have their `models`; both are the dearest first. `days` are those of the month
    that have begun. `complete` says that the month is over."""

    month: date
    complete: bool
    totals: Sums
    keys: list[Sums]
    models: list[Sums]
    days: list[Sums]

    @property
    def unpriced(self) -> list[str | None]:
        """The models whose cost is a guess."""
        return [group["model"] for group in self.models if not group["priced"]]

    @property
    def remarks(self) -> list[str]:
        """What is to be known of the figures, a sentence each."""
        found = []
        if self.unpriced:
            found.append("* There is no price for this model, so its cost is a guess.")
        if estimated := self.totals.get("estimated"):
            found.append(
                f"{_requests(estimated)} ended before the counts came; the output is estimated."
            )
        if uncounted := self.totals.get("uncounted"):
            found.append(f"{_requests(uncounted)} cost money that cannot be counted here.")
        return found


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"


def build(
    rows: Sequence[Mapping[str, Any]],
    month: date,
    today: date,
    counts: Sequence[str],
    has_price: Callable[[str, date], bool],
) -> Report:
    """The report on `month` (its first day) of rows by day, key and model with these `counts`."""
    end = first_of_next_month(month)
    priced = _priced(rows, has_price)

    def model(group: Sequence[Mapping[str, Any]]) -> Sums:
        name = group[0]["model"]
        return {"model": name, "priced": priced[name], **_sums(group, counts)}

    def key(group: Sequence[Mapping[str, Any]]) -> Sums:
        return {
            "api_key_id": group[0]["api_key_id"],
            "api_key_name": group[0]["api_key_name"],
            **_sums(group, counts),
            "models": _dearest([model(part) for part in _groups(group, "model")]),
        }

    by_day = {group[0]["day"]: group for group in _groups(rows, "day")}
    last = min(end, max(today + timedelta(1), month))
    days = [(month + timedelta(n)).isoformat() for n in range((last - month).days)]
    return Report(
        month=month,
        complete=today >= end,
        totals=_sums(rows, counts),
        keys=_dearest([key(group) for group in _groups(rows, "api_key_id")]),
        models=_dearest([model(group) for group in _groups(rows, "model")]),
        days=[{"day": day, **_sums(by_day.get(day, ()), counts)} for day in days],
    )


def _priced(
    rows: Iterable[Mapping[str, Any]], has_price: Callable[[str, date], bool]
) -> dict[str | None, bool]:
    """Of each model whether it had a price on every day on which it cost something."""
    priced: dict[str | None, bool] = {}
    for row in rows:
        name, known = row["model"], True
        if row["cost_nanousd"]:
            known = name is not None and has_price(name, date.fromisoformat(row["day"]))
        priced[name] = priced.get(name, True) and known
    return priced


def _groups(rows: Iterable[Mapping[str, Any]], field: str) -> Iterable[Sequence[Mapping[str, Any]]]:
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[field], []).append(row)
    return found.values()


def _sums(rows: Iterable[Mapping[str, Any]], counts: Sequence[str]) -> Sums:
    rows = list(rows)
    return {name: sum(row[name] for row in rows) for name in counts}


def _dearest(groups: list[Sums]) -> list[Sums]:
    return sorted(groups, key=lambda group: (-group["cost_nanousd"], -group["requests"]))
