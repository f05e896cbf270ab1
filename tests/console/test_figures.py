"""The figures of the console's pages are those of the log and of the commands."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from airoxy.cli import main
from airoxy.store.limits import set_limits
from airoxy.views.formats import dollars
from tests.console.running import Browser, Console
from tests.console.test_pages import make_key, request, write


def test_the_overview_and_the_report_have_the_sums_of_the_log(
    console: Console, maria: Browser
) -> None:
    key_id = make_key(console, "dear")
    write(console, *[request(key_id, cost_nanousd=70_000_000_000)] * 2)
    overview = maria.get("/").text
    assert overview.index("dear") < overview.index("Last failures")
    assert 'class="chart"' in overview
    report = maria.get("/reports").text
    assert "$140.00" in report
    rows = list(csv.DictReader(io.StringIO(maria.get("/reports/csv").text)))
    (row,) = (row for row in rows if row["api_key_name"] == "dear")
    assert (row["requests"], row["cost_usd"]) == ("2", "140.000000000")
    page = maria.get("/reports/html")
    assert page.headers["content-disposition"].startswith("attachment")
    assert "$140.00" in page.text
    assert maria.get("/reports?month=2026-13").status == 400
    assert maria.get("/reports?month=2020-01").status == 200


def test_the_pages_have_the_numbers_of_the_commands(
    console: Console, maria: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    key_id = make_key(console, "counted")
    with console.opened() as db:
        set_limits(db, key_id, {"spend_per_day_nanousd": 9_000_000_000})
    write(
        console,
        *[request(key_id, cost_nanousd=1_234_567_890)] * 3,
        request(key_id, status_code=500),
    )

    def run(*words: str) -> str:
        assert main(["--config", str(console.config), *words]) == 0
        return capsys.readouterr().out

    total = json.loads(run("stats", "--today", "--json"))
    overview = maria.get("/").text
    assert dollars(total["cost_nanousd"]) in overview
    assert f">{total['failed']:,}</span> of" in overview
    shown = json.loads(run("api-key", "show", "counted", "--json"))
    row = re.search(r"<tr><td[^>]*><a[^>]*>counted</a>.*?\n", maria.get("/keys?q=counted").text)
    assert row
    assert row[0].count(dollars(shown["spent_today_nanousd"])) == 3
    told = run("api-key", "show", "counted")
    assert re.search(r"today +\$3\.71 +\$9\.00", told)
    assert "$3.71 of $9.00" in row[0]
    assert "$3.71" in maria.get(f"/keys/{key_id}").text
