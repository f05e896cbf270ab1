"""`airoxy stats`, and the figures that people are shown."""

from __future__ import annotations

import io
from pathlib import Path
from zoneinfo import ZoneInfo

import apsw
import pytest

from airoxy.errors import InvalidInput, NotFound
from airoxy.store.usage import days
from airoxy.store.usage.daily import TOTALS
from airoxy.views import formats
from tests.cli.terminal import Screen, Typed
from tests.conftest import Clock
from tests.store.seed import add_key, add_token, append, days_ago, row


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
        (-2_500_000_000, "-$2.50"),
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


# Parts of the time, and the cache


def test_days_are_chosen_by_since_and_until(db: apsw.Connection, typed: Typed) -> None:
    append(db, *[row(days_ago(n)) for n in range(10)])
    requests = [
        typed.json("stats", *words.split())["requests"]
        for words in (
            "--since 2026-11-20",
            "--since 2026-11-20 --until 2026-11-22",
            "--until 2026-11-20",
            "--since 2d",
            "--month --until 2026-11-15",
            "--since 2026-11-01 --token console",
        )
    ]
    assert requests == [3, 2, 7, 3, 2, 10]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("--since 0001-01-01", 3),
        ("--since 999999w", 3),
        ("--until 0001-01-01", 0),
        ("--since 9999-12-31", 0),
        ("--until 9999-12-31", 3),
    ],
)
def test_days_before_and_after_all_time_choose_all_or_nothing(
    db: apsw.Connection, clock: Clock, zone: str, words: str, count: int
) -> None:
    append(db, *[row(days_ago(n)) for n in range(3)])
    typed = Typed(Path(db.filename), clock, timezone=zone)
    assert typed.json("stats", *words.split())["requests"] == count


@pytest.mark.parametrize(
    "words",
    ["--since 2h", "--since 10:30", "--report month --since 2d", "--by day --cache"],
)
def test_what_sums_cannot_say_is_an_error(typed: Typed, words: str) -> None:
    with pytest.raises(InvalidInput):
        typed("stats", *words.split())


@pytest.mark.parametrize("month", ["9999-12", "0000-01", "0001-01", "2026-13"])
def test_a_month_without_an_end_is_no_month(typed: Typed, month: str) -> None:
    with pytest.raises(SystemExit) as stop:
        typed("stats", "--month", month)
    assert stop.value.code == 2


def test_the_hours_of_detailed_days_add_up(db: apsw.Connection, typed: Typed) -> None:
    append(
        db,
        row(days_ago(1), "10:59:59.999", is_estimate=True),
        *[row(time="10:00:00")] * 2,
        row(time="11:30:00", status_code=500, api_key_id=2),
        row(time="11:59:59", ending="worker_killed"),
    )
    hours = typed.json("stats", "--by", "hour", "--today")
    assert [(each["hour"], each["requests"], each["failed"]) for each in hours] == [
        ("2026-11-22T10:00:00Z", 2, 0),
        ("2026-11-22T11:00:00Z", 2, 2),
    ]
    assert [name for name in hours[0] if name in TOTALS] == list(TOTALS)
    every = typed.json("stats", "--by", "hour")
    totals = typed.json("stats")
    assert {name: sum(hour[name] for hour in every) for name in TOTALS} == totals
    for words, requests in (("--since 1h", [2]), ("--key bob", [1])):
        found = typed.json("stats", "--by", "hour", *words.split())
        assert [each["requests"] for each in found] == requests
    assert "2026-11-22 11:00" in typed("stats", "--by", "hour")


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("Asia/Kathmandu", ["11-22 15:00", "11-22 16:00", "11-22 17:00"]),  # 5:45 ahead
        ("Europe/Berlin", ["11-22 11:00", "11-22 12:00"]),
        ("America/St_Johns", ["11-22 06:00", "11-22 07:00", "11-22 08:00"]),  # 3:30 behind
    ],
)
def test_hours_are_those_of_the_clocks(db, clock, typed, zone: str, hours: list[str]) -> None:
    typed = Typed(Path(db.filename), clock, timezone=zone)
    append(db, *[row(time=f"{10 + n // 4}:{n % 4 * 15:02}:00") for n in range(8)])
    shown = typed("stats", "--by", "hour", "--today")
    assert [line[5:16] for line in shown.splitlines()[1:-1]] == hours
    assert sum(each["requests"] for each in typed.json("stats", "--by", "hour")) == 8


def test_days_are_typed_in_the_time_zone(db: apsw.Connection, clock: Clock, typed: Typed) -> None:
    days.settle(db, ZoneInfo("Asia/Tokyo"), 0)
    append(db, row(days_ago(1), "14:59:59"), row(days_ago(1), "15:00:00"), row(time="15:00:00"))
    typed = Typed(Path(db.filename), clock, timezone="Asia/Tokyo")
    assert typed.json("stats", "--today")["requests"] == 1
    assert typed.json("stats", "--since", "2026-11-22", "--until", "2026-11-23")["requests"] == 1
    assert [each["day"] for each in typed.json("stats", "--by", "day")] == [
        "2026-11-21", "2026-11-22", "2026-11-23",
    ]  # fmt: skip
    assert [each["id"] for each in typed.json("logs", "--today")] == [2]
    assert [each["id"] for each in typed.json("logs", "--since", "00:00")] == [3, 2]
    assert "11-22 00:00:00" in typed("logs", "--date", "2026-11-22")
    assert "2026-11-22 21:00 JST" in typed("stats", "--report", "month")


def test_what_the_cache_did_is_told(db: apsw.Connection, typed: Typed) -> None:
    """Opus 5.5: 4 dollars for a million tokens in, 5 and 8 to write, 0.20 to read."""
    counts = {"cache_write_5m_tokens": 100, "cache_write_1h_tokens": 0, "cache_read_tokens": 899}
    append(db, row(input_tokens=1, output_tokens=7, **counts))
    totals = typed.json("stats", "--cache")
    assert totals["cache_read_share"] == 0.899
    assert totals["cache_saved_nanousd"] == 899 * 3_800 - 100 * 1_000
    assert typed("stats", "--cache").splitlines()[-2:] == [
        "Prompt from the cache     89.9%",
        "Saved by the cache      $0.0033",
    ]


def test_nothing_is_saved_where_nothing_was_asked(typed: Typed) -> None:
    totals = typed.json("stats", "--cache")
    assert (totals["cache_read_share"], totals["cache_saved_nanousd"]) == (0, 0)


def test_estimates_and_what_is_not_counted_are_told(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(is_estimate=True), row(uncounted=True), row(uncounted=True))
    assert [line.split() for line in typed("stats").splitlines()[3:5]] == [
        ["estimated", "1"],
        ["uncounted", "2"],
    ]


@pytest.mark.parametrize("width", [70, 80, 120, 200])
@pytest.mark.parametrize("by", ["key", "model", "day"])
def test_tables_fit_the_terminal(db: apsw.Connection, typed: Typed, by: str, width: int) -> None:
    key = add_key(db, "日本" * 16)
    append(db, row(api_key_id=key, model="claude-" + "x" * 60, cost_nanousd=10**13), row())
    screen = Screen(terminal=True)
    lines = typed("stats", "--by", by, screen=screen, COLUMNS=f"{width}", NO_COLOR="1").splitlines()
    assert max(map(formats.columns, lines)) <= width
    assert ("█" in lines[1]) is (width >= 120 or by == "day")
