"""`airoxy stats`, and the figures that people are shown."""

from __future__ import annotations

import io
from pathlib import Path

import apsw
import pytest

from airoxy.cli import formats
from airoxy.errors import NotFound
from airoxy.store.usage.daily import TOTALS
from tests.cli.terminal import Screen, Typed
from tests.conftest import Clock
from tests.store.account import add_key, add_token, append, days_ago, row


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("COLUMNS", "120")
    add_key(db, "alice")
    add_key(db, "bob")
    add_token(db, "console")
    return Typed(Path(db.filename), clock)


def test_the_totals_are_a_block_that_can_be_read(db: apsw.Connection, typed: Typed) -> None:
    append(db, *[row(cost_nanousd=1_234_567_000_000)] * 2, row(status_code=500, cost_nanousd=0))
    assert typed("stats").splitlines() == [
        "Requests                        3",
        "  successful                    2",
        "  failed                        1",
        "Input tokens                   30",
        "Output tokens                  60",
        "Cache written (5 min)          90",
        "Cache written (1 hour)        120",
        "Cache read                    150",
        "Web searches                    3",
        "Estimated cost          $2,469.13",
    ]


def test_json_has_whole_nanodollars(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(cost_nanousd=123_456_789_012_345_678))
    totals = typed.json("stats")
    assert list(totals) == list(TOTALS)
    assert totals["cost_nanousd"] == 123_456_789_012_345_678


def test_without_requests_there_are_zeros(typed: Typed) -> None:
    assert typed.json("stats") == dict.fromkeys(TOTALS, 0)
    assert typed.json("stats", "--by", "day") == []
    assert typed("stats", "--by", "day") == "No requests.\n"


def test_filters_choose_and_add_up(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(days_ago(-1)),
        row(),
        row(api_key_id=2, token_id=None),
        row(days_ago(21)),
        row(days_ago(22)),
    )

    def requests(*words: str) -> int:
        return int(typed.json("stats", *words)["requests"])

    assert requests() == 5
    assert requests("--today") == 2
    assert requests("--month") == 4
    assert requests("--key", "2") == 1
    assert requests("--token", "1", "--month") == 3
    assert requests("--token", "1", "--key", "2") == 0


def test_ids_that_never_were_are_errors(typed: Typed) -> None:
    with pytest.raises(NotFound):
        typed("stats", "--token", "9")
    with pytest.raises(NotFound):
        typed("stats", "--key", "9")


@pytest.mark.parametrize(
    ("by", "field"),
    [("day", "day"), ("model", "model"), ("token", "token_id"), ("key", "api_key_id")],
)
def test_groups_are_an_array_with_the_groups_own_field_first(
    db: apsw.Connection, typed: Typed, by: str, field: str
) -> None:
    append(db, row())
    (group,) = typed.json("stats", "--by", by)
    assert next(iter(group)) == field
    assert [name for name in group if name in TOTALS] == list(TOTALS)


def test_days_are_bars_with_the_empty_ones_between(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(days_ago(3), cost_nanousd=10**9),
        row(days_ago(1), cost_nanousd=1),
        row(cost_nanousd=4 * 10**9),
    )
    head, *lines = typed("stats", "--by", "day").splitlines()
    assert head.split() == ["DAY", "REQUESTS", "FAILED", "IN", "OUT", "WRITE", "READ", "COST"]
    assert [line.split()[0] for line in lines] == [
        "2026-11-19",
        "2026-11-20",
        "2026-11-21",
        "2026-11-22",
        "total",
    ]
    assert [line.count("█") for line in lines] == [10, 0, 0, 40, 0]
    assert lines[2].endswith(" <$.0001  ▏")
    assert max(map(len, lines)) <= 120


def test_bars_show_requests_where_nothing_cost_anything(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(days_ago(1), cost_nanousd=0), *[row(cost_nanousd=0)] * 2)
    assert [line.count("█") for line in typed("stats", "--by", "day").splitlines()] == [
        0,
        20,
        40,
        0,
    ]


def test_names_go_with_their_ids(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(), row(api_key_id=2, token_id=None, model=None))
    append(db, row(api_key_id=0))
    assert "alice (1)" in typed("stats", "--by", "key")
    assert "\n-  " in typed("stats", "--by", "key")
    assert "console (1)" in typed("stats", "--by", "token")
    assert "\nclaude-opus-5-5 " in typed("stats", "--by", "model")


def test_colour_is_for_terminals_and_who_wants_it(db: apsw.Connection, typed: Typed) -> None:
    append(db, row())
    words = ("stats", "--by", "day")
    assert "\x1b" not in typed(*words)
    assert "\x1b[36m█" in typed(*words, screen=Screen(terminal=True), TERM="xterm")
    assert "\x1b" not in typed(*words, screen=Screen(terminal=True), NO_COLOR="1")
    assert "\x1b" not in typed(*words, screen=Screen(terminal=True), TERM="dumb")


# Figures


@pytest.mark.parametrize(
    ("nanousd", "shown"),
    [
        (0, "$0"),
        (1, "<$.0001"),
        (50_000, "$0.0001"),
        (12_345_678, "$0.0123"),
        (999_999_999, "$1.0000"),
        (10**9, "$1.00"),
        (1_234_567_890_000, "$1,234.57"),
    ],
)
def test_money_has_the_digits_that_matter(nanousd: int, shown: str) -> None:
    assert formats.dollars(nanousd) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10.0k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_999, "1.00M"),
        (12_345_678, "12.3M"),
        (5_000_000_000, "5.00G"),
    ],
)
def test_counts_are_at_most_five_characters(count: int, shown: str) -> None:
    assert formats.short(count) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1000, "1.0s"),
        (59_949, "59.9s"),
        (59_950, "1m00s"),
        (245_000, "4m05s"),
        (3_720_000, "1h02m"),
    ],
)
def test_lengths_of_time_have_two_units_at_most(milliseconds: int, shown: str) -> None:
    assert formats.duration(milliseconds) == shown


def test_where_blocks_cannot_be_written_bars_are_of_plain_letters() -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert formats.bar(0.5, 10, plain) == "#####"
    assert formats.bar(0.001, 10, plain) == "#"
    assert formats.bar(0, 10, plain) == ""
