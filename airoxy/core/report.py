"""A month's usage report: the same sums by group, client key and model, by model, and by day.

Invariant: every total is the sum of the lines below it, in whole numbers; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, TypeVar

from airoxy.calendar import first_of_next_month

Sums = dict[str, Any]
_Row = TypeVar("_Row", bound=Mapping[str, Any])

#: The field beside a month's sums with the cost of the month before.
BEFORE = "cost_month_before_nanousd"


@dataclass(frozen=True)
class Report:
    """`keys` each have their `models`, and one that was in several groups is there for each;
    the last of `groups` is what was in none. All are the dearest first. `days` are those of the
    month that have begun. `complete` says that the month is over."""

    month: date
    complete: bool
    totals: Sums
    groups: list[Sums]
    keys: list[Sums]
    models: list[Sums]
    days: list[Sums]

    @property
    def month_before(self) -> date:
        """The first day of the month before."""
        return (self.month - timedelta(1)).replace(day=1)

    @property
    def has_groups(self) -> bool:
        """Whether any of it was in a group."""
        return any(group["group_id"] is not None for group in self.groups)

    def keys_of(self, group_id: int | None) -> list[Sums]:
        """Those of one of the groups."""
        return [key for key in self.keys if key["group_id"] == group_id]

    @property
    def unpriced(self) -> list[str | None]:
        """The models whose cost is a guess."""
        return [group["model"] for group in self.models if not group["priced"]]

    @property
    def remarks(self) -> list[str]:
        """Notes on the figures, a sentence each."""
        return remarks(bool(self.unpriced), self.totals)


def remarks(has_unpriced: bool, totals: Mapping[str, Any]) -> list[str]:
    """Notes on such figures, a sentence each."""
    found = []
    if has_unpriced:
        found.append("* There is no price for this model, so its cost is a guess.")
    if estimated := totals.get("estimated"):
        found.append(
            f"{_requests(estimated)} ended before the counts came; the output is estimated."
        )
    if uncounted := totals.get("uncounted"):
        found.append(f"{_requests(uncounted)} cost money that cannot be counted here.")
    return found


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"


def build(
    rows: Sequence[Mapping[str, Any]],
    by_day: Sequence[Mapping[str, Any]],
    month: date,
    today: date,
    counts: Sequence[str],
    has_price: Callable[[str, date], bool],
    before: Iterable[Mapping[str, Any]] = (),
) -> Report:
    """The report on `month` (its first day) of rows by key, group and model with these `counts`,
    and of the same `by_day` and model; `before` are rows by key, group and model of the month
    before."""
    end = first_of_next_month(month)
    nothing = dict.fromkeys(counts, 0)
    rows = [
        *({**row, BEFORE: 0} for row in rows),
        *({**row, **nothing, BEFORE: row["cost_nanousd"]} for row in before),
    ]
    counts = (*counts, BEFORE)
    priced = _priced(by_day, has_price)

    def model(group: Sequence[Mapping[str, Any]]) -> Sums:
        name = group[0]["model"]
        return {"model": name, "priced": priced.get(name, True), **sums(group, counts)}

    def key(group: Sequence[Mapping[str, Any]]) -> Sums:
        models = _dearest([model(part) for part in divided(group, "model")])
        named = {name: group[0][name] for name in ("api_key_id", "api_key_name")}
        return {**named, **_group(group), **sums(models, counts), "models": models}

    def in_group(group: Sequence[Mapping[str, Any]]) -> Sums:
        return {**_group(group), **sums(group, counts)}

    keys = _dearest([key(group) for group in divided(rows, "api_key_id", "group_id")])
    groups = _dearest([in_group(group) for group in divided(keys, "group_id")])
    parts = [part for each in keys for part in each["models"]]
    on_day = {group[0]["day"]: group for group in divided(by_day, "day")}
    last = min(end, max(today + timedelta(1), month))
    days = [(month + timedelta(n)).isoformat() for n in range((last - month).days)]
    return Report(
        month=month,
        complete=today >= end,
        totals=sums(groups, counts),
        groups=sorted(groups, key=lambda group: group["group_id"] is None),
        keys=keys,
        models=_dearest([model(group) for group in divided(parts, "model")]),
        days=[{"day": day, **sums(on_day.get(day, ()), counts[:-1])} for day in days],
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


def divided(rows: Iterable[_Row], *fields: str) -> list[list[_Row]]:
    """The rows that have the same in these fields, together, in the order of the first of each."""
    found: dict[Any, list[_Row]] = {}
    values = itemgetter(*fields)
    for row in rows:
        found.setdefault(values(row), []).append(row)
    return list(found.values())


def sums(rows: Iterable[Mapping[str, Any]], counts: Sequence[str]) -> Sums:
    """Each of the counts, of which there are two or more, over all rows."""
    columns = zip(*map(itemgetter(*counts), rows), strict=True)
    return dict.fromkeys(counts, 0) | dict(zip(counts, map(sum, columns), strict=False))


def _group(rows: Sequence[Mapping[str, Any]]) -> Sums:
    return {name: rows[0][name] for name in ("group_id", "group_name")}


def _dearest(groups: list[Sums]) -> list[Sums]:
    return sorted(
        groups, key=lambda each: (-each["cost_nanousd"], -each["requests"], -each.get(BEFORE, 0))
    )
