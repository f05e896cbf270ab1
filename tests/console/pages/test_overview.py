"""What the overview says of the doctor's findings."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.calendar import next_day
from airoxy.config import load_config
from airoxy.console.pages.overview import show
from airoxy.console.templates import render
from airoxy.console.visit import Rendered, Services, Visit
from tests.conftest import NOON, Clock
from tests.store.seed import append, days_ago, row


def finding(state: str, number: int = 1) -> dict[str, Any]:
    return {"check": "disk", "state": state, "text": f"{state} <{number}>", "remedy": "Do this."}


class Doctor:
    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.times = 0

    def __call__(self) -> list[dict[str, Any]]:
        self.times += 1
        return self.found


@pytest.fixture
def doctor() -> Doctor:
    return Doctor()


@pytest.fixture
def visit(db: apsw.Connection, clock: Clock, tmp_path: Path, doctor: Doctor) -> Visit:
    file = tmp_path / "airoxy.yaml"
    file.write_text(json.dumps({"database": db.filename}))
    return Visit(db, Services(load_config(file, {}), clock, lambda: (None, {}), doctor), None)


def seen(visit: Visit) -> str:
    """The section, once the doctor is through, if he was called."""
    for _ in range(2):
        page = show(visit)
        for thread in threading.enumerate():
            if thread.name == "doctor":
                thread.join(30)
    assert isinstance(page, Rendered)
    known = {"visitor": None, "now": visit.now, "zone": visit.zone, "path": "/", "query": {}}
    text = render(page.template, {**known, **page.values})
    return text.partition('<section id="checkup">')[2].partition("</section>")[0]


def test_what_is_wrong_is_there_with_the_worst_first(visit: Visit, doctor: Doctor) -> None:
    doctor.found = [finding("ok"), finding("warn"), finding("fail")]
    text = seen(visit)
    assert text.index("fail &lt;1&gt;") < text.index("warn &lt;1&gt;")
    assert "ok &lt;1&gt;" not in text
    assert 'href="/health"' in text
    assert "data-again" not in text


def test_of_many_findings_it_says_how_many_more_there_are(visit: Visit, doctor: Doctor) -> None:
    doctor.found = [finding("warn", number) for number in range(9)]
    text = seen(visit)
    assert text.count("<tr><td>disk") == 6
    assert "And 3 more." in text


def test_nothing_wrong_is_said_too_and_not_looked_for_at_each_view(
    visit: Visit, doctor: Doctor, clock: Clock
) -> None:
    doctor.found = [finding("ok")]
    assert "Nothing is wrong." in seen(visit)
    clock.advance(200)
    seen(visit)
    assert doctor.times == 1
    clock.advance(200)
    seen(visit)
    assert doctor.times == 2


@pytest.mark.parametrize("looks", range(1, 9))
def test_about_midnight_all_figures_are_of_the_day_on_which_it_was_asked_for(
    visit: Visit, db: apsw.Connection, looks: int
) -> None:
    """The day ends while the page is made."""
    append(db, row(days_ago(1), cost_nanousd=1), row(cost_nanousd=10))
    midnight = next_day(NOON)
    moments = itertools.chain([midnight - 1] * looks, itertools.repeat(midnight + 1))
    services = dataclasses.replace(visit.services, clock=lambda: next(moments))
    page = show(Visit(db, services, None))
    assert isinstance(page, Rendered)
    spent = [page.values[period]["cost_nanousd"] for period in ("today", "month")]
    assert spent == [10, 11]
