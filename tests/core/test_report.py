"""A month's account, shaped."""

from __future__ import annotations

from datetime import date
from typing import Any

from airoxy.core.report import BEFORE, Report, build

NOVEMBER = date(2026, 11, 1)
COUNTS = ("requests", "cost_nanousd")


def used(day: int, key: int, model: str | None, requests: int, cost: int) -> dict[str, Any]:
    named: dict[str, Any] = {
        "day": f"2026-11-{day:02}",
        "api_key_id": key,
        "api_key_name": f"key-{key}",
    }
    named |= {"group_id": None, "group_name": None}
    return named | {"model": model, "requests": requests, "cost_nanousd": cost}


def report(*rows: dict[str, Any], today: date = date(2026, 11, 22)) -> Report:
    return build(
        rows, rows, NOVEMBER, today, COUNTS, lambda model, day: model != "new" or day.day > 5
    )


def test_keys_have_their_models_and_the_dearest_come_first() -> None:
    told = report(
        used(1, 1, "a", 1, 10),
        used(2, 1, "b", 2, 20),
        used(2, 2, "a", 3, 50),
        used(3, 1, "a", 4, 5),
    )
    assert told.totals == {"requests": 10, "cost_nanousd": 85, BEFORE: 0}
    assert [(key["api_key_id"], key["cost_nanousd"]) for key in told.keys] == [(2, 50), (1, 35)]
    assert [(m["model"], m["requests"]) for m in told.keys[1]["models"]] == [("b", 2), ("a", 5)]
    assert [(m["model"], m["cost_nanousd"]) for m in told.models] == [("a", 65), ("b", 20)]


def test_every_total_is_the_sum_of_what_is_below_it() -> None:
    told = report(*[used(n % 22 + 1, n % 5, "abc"[n % 3], n, n * n) for n in range(500)])
    for name in COUNTS:
        for groups in (told.keys, told.models, told.days):
            assert sum(group[name] for group in groups) == told.totals[name]
        for key in told.keys:
            assert sum(model[name] for model in key["models"]) == key[name]


def test_days_are_those_that_have_begun() -> None:
    assert [day["day"] for day in report().days][-1] == "2026-11-22"
    assert len(report(today=date(2027, 3, 1)).days) == 30
    assert report(today=date(2026, 10, 1)).days == []
    assert report(used(3, 1, "a", 1, 7)).days[2] == {
        "day": "2026-11-03", "requests": 1, "cost_nanousd": 7
    }  # fmt: skip


def test_a_month_is_complete_when_it_is_over() -> None:
    assert not report(today=date(2026, 11, 30)).complete
    assert report(today=date(2026, 12, 1)).complete


def test_a_model_that_cost_something_without_a_price_is_known() -> None:
    assert report(used(5, 1, "new", 1, 7), used(6, 1, "new", 1, 7)).unpriced == ["new"]
    assert report(used(5, 1, "new", 1, 0), used(6, 1, "new", 1, 7)).unpriced == []
    assert report(used(5, 1, None, 1, 7)).unpriced == [None]
    assert report(used(5, 1, None, 1, 0)).unpriced == []


def in_group(group: int | None, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"group_id": group, "group_name": group and f"group-{group}"}


def test_a_key_is_told_of_for_each_group_that_it_was_in() -> None:
    told = report(
        in_group(1, used(1, 1, "a", 1, 10)),
        in_group(2, used(2, 1, "a", 2, 20)),
        in_group(1, used(2, 2, "a", 1, 15)),
        used(3, 1, "a", 1, 99),
    )
    assert told.has_groups
    assert [(group["group_id"], group["cost_nanousd"]) for group in told.groups] == [
        (1, 25), (2, 20), (None, 99),
    ]  # fmt: skip
    assert [(k["api_key_id"], k["cost_nanousd"]) for k in told.keys_of(1)] == [(2, 15), (1, 10)]
    for name in COUNTS:
        for group in told.groups:
            keys = told.keys_of(group["group_id"])
            assert sum(key[name] for key in keys) == group[name]
    assert not report(used(1, 1, "a", 1, 10)).has_groups


def test_the_month_before_stands_beside_each_line() -> None:
    before = [in_group(1, used(1, 1, "a", 5, 50)), used(2, 3, "b", 7, 70)]
    now = [in_group(1, used(1, 1, "a", 1, 10)), used(2, 2, "a", 2, 20)]
    told = build(now, now, NOVEMBER, date(2026, 11, 22), COUNTS, lambda *_: True, before)
    assert told.month_before == date(2026, 10, 1)
    assert told.totals == {"requests": 3, "cost_nanousd": 30, BEFORE: 120}
    assert {k["api_key_id"]: (k["requests"], k[BEFORE]) for k in told.keys} == {
        1: (1, 50), 2: (2, 0), 3: (0, 70),
    }  # fmt: skip
    for lines in (told.groups, told.keys, told.models):
        assert sum(line[BEFORE] for line in lines) == 120
    assert sum(day["cost_nanousd"] for day in told.days) == 30
