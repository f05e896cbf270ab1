"""What pages read, and how much of it they show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.calendar import day_number
from airoxy.config import load_config
from airoxy.console.api.records import read_report
from airoxy.console.pages.records import show_prices
from airoxy.console.pages.reports import MOST_KEYS, show_report
from airoxy.console.visit import Services, Visit
from airoxy.core.report import BEFORE
from tests.conftest import Clock
from tests.store.seed import TODAY, append, days_ago, row


@pytest.fixture
def visit(db: apsw.Connection, clock: Clock, tmp_path: Path) -> Visit:
    file = tmp_path / "airoxy.yaml"
    file.write_text(json.dumps({"database": db.filename}))
    services = Services(load_config(file, {}), clock, lambda: (None, {}), list)
    return Visit(db, services, None)


@contextmanager
def asked_of_sums(db: apsw.Connection) -> Iterator[list[int]]:
    """The first days of what is asked of the daily sums meanwhile."""
    found: list[int] = []

    def note(_: Any, statement: str, bindings: Any) -> bool:
        if first := re.search(r"FROM daily WHERE day >= (\?|\d+)", statement):
            found.append(bindings[0] if first[1] == "?" else int(first[1]))
        return True

    db.setexectrace(note)
    yield found
    db.setexectrace(None)


def test_prices_read_the_sums_of_days_that_are_over_once(visit: Visit, db: apsw.Connection) -> None:
    append(db, row(days_ago(40), model="new"), row(days_ago(3), model="new"))
    show_prices(visit)
    append(db, row(model="new"))
    with asked_of_sums(db) as asked:
        (found,) = show_prices(visit).values["prices"]["unpriced"]
    assert asked == [day_number(TODAY)]
    assert (found["requests"], found["last_day"]) == (3, TODAY.isoformat())


def test_a_report_has_lines_for_the_dearest_keys_and_all_others_in_one(
    visit: Visit, db: apsw.Connection
) -> None:
    append(
        db,
        *(row(days_ago(3), api_key_id=key, cost_nanousd=key) for key in range(1, MOST_KEYS + 4)),
        row(api_key_id=2, cost_nanousd=1000, model="new"),
    )
    found = show_report(visit).values
    names = [key["name"] for key in found["keys"]]
    assert names[:2] == ["key 2", f"key {MOST_KEYS + 3}"]
    assert next(model["name"] for model in found["keys"][0]["models"]) == "new *"
    assert len(names) == MOST_KEYS
    ((name, others),) = ((line["name"], line["cost_nanousd"]) for line in found["others"])
    assert (name, others) == ("3 other keys", 1 + 3 + 4)
    whole = read_report(visit)[0].totals
    assert found["totals"] == {name: whole[name] for name in found["totals"]}


def test_a_report_reads_the_sums_of_days_that_are_over_once(
    visit: Visit, db: apsw.Connection
) -> None:
    append(db, row(days_ago(3)), row(days_ago(40)))
    show_report(visit)
    append(db, row())
    with asked_of_sums(db) as asked:
        assert show_report(visit).values["totals"]["requests"] == 2
    assert asked == [day_number(TODAY)]
    month = replace(visit, query={"month": "2026-10"})
    assert show_report(month).values["totals"]["requests"] == 1
    with asked_of_sums(db) as asked:
        assert show_report(month).values["totals"]["requests"] == 1
    assert not asked


@pytest.mark.parametrize("month", ["2026-11", "2026-10", "2026-09"])
def test_the_page_of_a_report_and_its_files_keep_their_own_sums(
    visit: Visit, db: apsw.Connection, month: str
) -> None:
    append(db, row(days_ago(3)), row(days_ago(40)), row(days_ago(70)))
    asked = replace(visit, query={"month": month})
    for _ in range(2):
        assert show_report(asked).values["totals"]["requests"] == 1
        assert read_report(asked)[0].totals["requests"] == 1
        assert read_report(asked)[0].totals[BEFORE] == (0 if month == "2026-09" else 1_000_000)


def test_a_model_is_marked_that_had_no_price_on_some_day_of_the_month(
    visit: Visit, db: apsw.Connection
) -> None:
    own = {"input": 1, "output": 2, "write_5m": 3, "write_1h": 4, "read": 0.125}
    append(db, row(days_ago(2), model="early"), row(days_ago(1), model="late"))
    rows = [{"model": name, "from": "2026-11-21" if name == "late" else "2026-11-20", **own}
            for name in ("early", "late")]  # fmt: skip
    assert names_of_models(visit, rows) == {"early", "late"}
    rows[0]["from"] = "2026-11-21"
    assert names_of_models(visit, rows) == {"early *", "late"}


def names_of_models(visit: Visit, prices: list[dict[str, Any]]) -> set[str]:
    file = Path(str(visit.db.filename)).with_name("priced.yaml")
    file.write_text(json.dumps({"database": visit.db.filename, "pricing": prices}))
    services = replace(visit.services, config=load_config(file, {}))
    (key,) = show_report(replace(visit, services=services)).values["keys"]
    return {model["name"] for model in key["models"]}
