"""The views of `airoxy top` and the keys that change them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.cli.command import Context
from airoxy.cli.top.controls import KEYS, OVERVIEW, REQUESTS, TOKENS, VIEWS, Controls
from airoxy.cli.top.lists import frame
from airoxy.cli.top.top import Watch
from airoxy.cli.top.view import BAD, WARN, Picture
from airoxy.store import keys, schema
from airoxy.views import formats
from tests.cli.terminal import Screen, Typed
from tests.cli.top.test_top import picture
from tests.conftest import NOON, Clock
from tests.store.seed import add_key, add_token, append, replace, row


def typed(*names: str) -> Controls:
    controls = Controls()
    for name in names:
        assert controls.press(name)
    return controls


def shown(given: Picture, controls: Controls, width: int = 79, height: int = 24) -> list[str]:
    return [line.text for line in frame(given, controls, width, height, Screen())]


def request(number: int, **changes: Any) -> dict[str, Any]:
    plain = {
        "id": number, "requested_at": f"2026-11-22T11:{number // 60:02}:{number % 60:02}.000Z",
        "api_key_name": "alice", "token_name": "console", "model": "claude-opus-5-5",
        "input_tokens": 10, "cache_read_tokens": 0, "cache_write_5m_tokens": 0,
        "cache_write_1h_tokens": 0, "output_tokens": 5, "cost_nanousd": number * 10**9,
        "uncounted": False, "is_estimate": False, "status_code": 200, "ending": "complete",
        "error_message": None, "ttfb_ms": 300, "duration_ms": 4000, "request_id": "req_1",
    }  # fmt: skip
    return plain | changes


MANY = picture(requests=[request(n) for n in range(300, 0, -1)])


def first_column(lines: list[str]) -> list[str]:
    start = next(n for n, line in enumerate(lines) if "TIME" in line)
    return [line.split()[0] for line in lines[start + 1 : -2] if line]


def test_requests_are_listed_with_how_long_they_took() -> None:
    lines = shown(MANY, typed("2"))
    heads = ["TIME↓", "KEY", "TOKEN", "MODEL", "COST", "STATUS", "FIRST", "TOOK"]
    assert lines[4].split() == heads
    assert lines[5].split() == [
        *("11:05:00", "alice", "console", "opus-5-5", "$300.00", "200", "300ms", "4.0s")
    ]
    assert lines[-2] == "1-17 of 300, sorted by time"
    assert lines[-1].endswith("? help  q quit")


def test_a_wide_terminal_shows_more_and_cuts_no_number() -> None:
    lines = shown(MANY, typed("2"), 199)
    assert lines[5].split() == [
        *("11:05:00", "alice", "console", "opus-5-5", "10", "5", "$300.00"),
        *("200", "300ms", "4.0s", "-", "req_1"),
    ]


def test_keys_scroll_and_stop_at_the_ends() -> None:
    controls = typed("2")
    first = lambda: first_column(shown(MANY, controls))[0]  # noqa: E731
    assert first() == "11:05:00"
    for names, wanted in (
        (("KEY_DOWN", "j"), "11:04:58"),
        (("KEY_UP",), "11:04:59"),
        (("KEY_NPAGE",), "11:04:43"),
        (("KEY_END",), "11:00:17"),
        (("KEY_DOWN",), "11:00:17"),
        (("g", "k"), "11:05:00"),
    ):
        for name in names:
            controls.press(name)
        assert first() == wanted


def test_a_list_is_sorted_by_any_column_both_ways() -> None:
    rows = [request(1, api_key_name="Bob", duration_ms=5), request(2, duration_ms=70)]
    given = picture(requests=rows)
    assert "TIME↑" in shown(given, typed("2", "r"))[4]
    assert first_column(shown(given, typed("2", "r")))[:2] == ["11:00:01", "11:00:02"]
    assert first_column(shown(given, typed("2", "s")))[:2] == ["11:00:02", "11:00:01"]
    assert first_column(shown(given, typed("2", "s", "r")))[:2] == ["11:00:01", "11:00:02"]
    assert shown(given, typed("2", "s", "S"))[4].startswith("   TIME↓")


def test_a_filter_is_typed_kept_and_taken_away() -> None:
    given = picture(requests=[request(1, model="claude-haiku-4-5"), request(2)])
    controls = typed("2", "/", *"HAIX", "KEY_BACKSPACE")
    assert shown(given, controls)[-1].startswith("/HAI_")
    assert first_column(shown(given, controls))[0] == "11:00:01"
    assert controls.press("\n")
    assert "filter: HAI" in shown(given, controls, 120)[-1]
    assert "1-1 of 1" in shown(given, controls)[-2]
    assert controls.press("\x1b")
    assert "1-2 of 2" in shown(given, controls)[-2]


def test_views_are_chosen_by_number_and_in_turn() -> None:
    assert [typed(*"\t" * n).view for n in range(5)] == [*VIEWS, OVERVIEW]
    assert [typed(str(n)).view for n in (1, 2, 3, 4)] == [OVERVIEW, REQUESTS, KEYS, TOKENS]
    assert typed("KEY_BTAB").view == TOKENS


def test_help_opens_and_any_key_closes_it() -> None:
    assert "Keys of airoxy top" in shown(picture(), typed("?"))[0]
    assert not typed("?", "x").is_helping
    assert not Controls().press("q")
    assert not typed("?").press("q")


def test_a_filter_takes_q_for_a_letter() -> None:
    assert typed("2", "/", "q").word == "q"


@pytest.mark.parametrize("view", ["1", "2", "3", "4", "?"])
@pytest.mark.parametrize("size", [(1, 1), (20, 5), (79, 24), (79, 8), (199, 60)])
def test_every_view_fits_every_terminal(view: str, size: tuple[int, int]) -> None:
    width, height = size
    wide = {"api_key_name": "日本" * 20, "error_message": "é" * 300}
    tokens = [token_row("東京" * 30)] * 70
    given = picture(requests=[request(n, **wide) for n in range(100)], tokens=tokens)
    lines = shown(given, typed(view), width, height)
    assert len(lines) <= height
    assert max(map(formats.columns, lines)) <= width
    if height >= 8:
        assert len(lines) == height


def token_row(name: str, **changes: Any) -> dict[str, Any]:
    windows = [
        {"window": "5h", "used": 0.93, "resets_at": NOON + 3600},
        {"window": "7d", "used": 0.2, "resets_at": NOON + 86_400 * 3},
        {"window": "7d_opus", "used": 0.5, "resets_at": NOON + 86_400},
    ]
    return {"name": name, "state": "ready", "requests": 3, "quota": windows} | changes


def test_tokens_are_shown_with_their_windows_and_cooldowns() -> None:
    rows = [token_row("max"), token_row("one", state="cooling 59m 10s (x)", quota=[])]
    given = picture(tokens=rows)
    lines = shown(given, typed("4"))
    assert lines[5].split() == ["max", "ready", "3", "93%", "1h", "20%", "3d"]
    assert lines[6].split()[:4] == ["one", "cooling", "59m", "10s"]
    assert "7d_opus 50%" in shown(given, typed("4"), 199)[5]


def test_what_goes_wrong_has_a_colour() -> None:
    rows = [request(3), request(2, status_code=429), request(1, ending="upstream_failed")]
    drawn = frame(picture(requests=rows), typed("2"), 79, 24, Screen())
    assert [line.style for line in drawn[5:8]] == ["", WARN, BAD]


def test_the_watch_keeps_the_newest_requests_and_follows_a_database_that_was_replaced(
    db: apsw.Connection, clock: Clock
) -> None:
    path = Path(db.filename)
    add_key(db, "alice")
    add_token(db, "console")
    append(db, row(), row())
    config = Typed(path, clock).config
    context = Context(config, out=Screen(), clock=clock)
    watch = Watch(context)
    assert [each["id"] for each in watch.picture(None).requests] == [2, 1]
    append(db, row())
    assert [each["id"] for each in watch.picture(None).requests] == [3, 2, 1]
    other = schema.open_database(path.with_name("other.db"))
    keys.add_key(other, "new", "ak-test-new", 0)
    append(other, row(endpoint="/v1/other"))
    other.close()
    replace(path, path.with_name("other.db"))
    assert [each["endpoint"] for each in watch.picture(None).requests] == ["/v1/other"]
    context.database.close()
