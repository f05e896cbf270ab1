"""The live view: numbers and rows as they happen, for whoever may look and no longer."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airoxy.console.live.feed import MOST_OF_ONE
from airoxy.console.live.look import MOST_ROWS
from airoxy.store.console import api_tokens, sessions, users
from airoxy.store.keys import add_key
from airoxy.store.schema import transaction
from airoxy.store.usage.requests import append
from tests.console.running import Console, log_row
from tests.console.test_serve import activated


class Watcher:
    """An EventSource: events as they come, each with name, document and id."""

    def __init__(self, console: Console, path: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=120)
        self._connection.request("GET", path, headers=headers)
        self.answer = self._connection.getresponse()

    def __iter__(self) -> Iterator[tuple[str, Any, int | None]]:
        found: dict[str, str] = {}
        for line in self.answer:
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name:
                found[name] = text
            elif "event" in found:
                number = int(found["id"]) if "id" in found else None
                yield found["event"], json.loads(found["data"]), number
                found = {}

    def next(self, name: str) -> Any:
        """The document of the next event of this name."""
        return next(document for event, document, _ in self if event == name)

    def rows(self) -> list[int]:
        return [row["id"] for row in self.next("rows")["rows"]]

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


@pytest.fixture
def watch(console: Console):
    with contextlib.ExitStack() as stack:

        def start(headers: dict[str, str], query: str = "", **more: str) -> Watcher:
            watcher = Watcher(console, f"/api/live{query}", headers | more)
            stack.callback(watcher.close)
            return watcher

        yield start


def log(console: Console, *rows: dict[str, Any]) -> list[int]:
    """Requests that have ended; their ids."""
    with console.opened() as db, transaction(db):
        append(db, [log_row(**row) for row in rows])
        ((last,),) = db.cursor().execute("SELECT max(id) FROM requests").fetchall()
    return list(range(last - len(rows) + 1, last + 1))


def test_requests_arrive_live_with_todays_sums(console, watch):
    watcher = watch(console.program("arriving", users.VIEWER))
    assert watcher.answer.headers["content-type"].startswith("text/event-stream")
    assert watcher.answer.headers["cache-control"] == "no-store"
    before = watcher.next("numbers")
    assert before["server"] in (None, "silent")
    ids = log(console, {"cost_nanousd": 3_210_000_000}, {"status_code": 500})
    seen: dict[str, Any] = {"numbers": before}
    for event, document, _ in watcher:  # the numbers come for the rate alone, too
        seen[event] = document
        if "rows" in seen and seen["numbers"]["requests_today"] != before["requests_today"]:
            break
    after = seen["numbers"]
    assert after["requests_today"] == before["requests_today"] + 2
    assert after["failed_today"] == before["failed_today"] + 1
    assert after["spent_today_nanousd"] - before["spent_today_nanousd"] == 3_210_000_005
    assert [row["id"] for row in seen["rows"]["rows"]] == ids
    assert seen["rows"]["left_out"] is False


def test_a_browser_that_comes_again_gets_what_it_has_missed(console, watch):
    headers = console.program("coming again")
    first, *others = log(console, {}, {"status_code": 429}, {})
    assert watch(headers, "?only=rows", **{"last-event-id": str(first)}).rows() == others
    assert watch(headers, f"?only=rows&after={first}&status=429").rows() == others[:1]


def test_filters_are_those_of_the_log(console, watch):
    with console.opened() as db:
        key = add_key(db, "watched key", "ak-" + "w" * 40, time.time())
    headers = console.program("filtering")
    watcher = watch(
        headers, "?only=rows&key=watched key&failed=true&model=claude-*".replace(" ", "%20")
    )
    wanted = {"api_key_id": key, "status_code": 529, "model": "claude-x"}
    ids = log(console, {}, wanted, wanted | {"status_code": 200}, wanted | {"model": "x"}, wanted)
    assert watcher.rows() == [ids[1], ids[4]]
    assert watch(headers, "?status=nothing").answer.status == 400
    assert watch(headers, "?only=nothing").answer.status == 400
    assert watch(headers, "?after=x").answer.status == 400


def test_of_very_many_rows_the_newest_are_told(console, watch):
    watcher = watch(console.program("flooded"), "?only=rows")
    watcher.answer.readline()  # it stands
    ids = log(console, *[{}] * (MOST_ROWS + 50))
    told = watcher.next("rows")
    assert [row["id"] for row in told["rows"]] == ids[50:]
    assert told["left_out"] is True


def end_session(console, name, browser):
    browser.post("/logout")


def end_user(console, name, browser):
    with console.opened() as db:
        users.remove_user(db, users.user_id(db, name), time.time())


def end_from_elsewhere(console, name, browser):
    with console.opened() as db:
        sessions.end_others(db, users.user_id(db, name), None)


def end_by_time(console, name, browser):
    with console.opened() as db:
        db.cursor().execute("UPDATE console_sessions SET expires_at = 1")


@pytest.mark.parametrize("end", [end_session, end_user, end_from_elsewhere, end_by_time])
def test_a_view_ends_with_the_session(console, watch, end):
    browser = console.browser(end.__name__)
    watcher = watch({"cookie": browser.cookie})
    watcher.next("numbers")
    end(console, end.__name__, browser)
    assert watcher.next("end") == {"reason": "logged_out"}
    assert watcher.answer.read() == b""


def test_a_view_ends_with_the_api_token(console, watch):
    watcher = watch(console.program("revoked"))
    watcher.next("numbers")
    with console.opened() as db:
        api_tokens.remove_api_token(db, "revoked", time.time())
    assert watcher.next("end") == {"reason": "logged_out"}


def test_a_session_has_some_views_and_another_one_ends_the_oldest(console, watch):
    headers = console.program("many views")
    watchers = [watch(headers, "?only=numbers") for _ in range(MOST_OF_ONE + 1)]
    for watcher in watchers[1:]:
        watcher.next("numbers")
    assert watchers[0].next("end") == {"reason": "replaced"}


def test_without_a_session_nothing_is_live(console, watch):
    assert watch({}).answer.status == 401


def test_head_answers_at_once(console):
    answer = console.ask("HEAD", "/api/live", headers=console.program("heading"))
    assert (answer.status, answer.body) == (200, b"")


def test_a_console_that_ends_ends_its_views_and_says_so(make_console):
    console = make_console().start()
    watcher = Watcher(console, "/api/live", console.program("closing"))
    watcher.next("numbers")
    console.stop()
    assert watcher.next("end") == {"reason": "closing"}
    watcher.close()


def test_the_numbers_are_those_that_are_described(console, watch):
    told = watch(console.program("described"), "?only=numbers").next("numbers")
    document = console.ask("GET", "/api/openapi.json", headers=console.program("reader")).json()
    described = document["paths"]["/api/live"]["get"]["responses"]["200"]["description"]
    assert not [name for name in told if f"{name} (" not in described]


def test_who_watches_keeps_the_console_running_and_who_has_left_does_not(make_console):
    console = make_console()
    headers = console.program("watching")
    process, console.port = activated(console, 2)
    watcher = Watcher(console, "/api/live?only=rows", headers)
    watcher.answer.readline()  # it stands
    for _ in range(3):  # each look is a second after the one before
        ids = log(console, {})
        assert watcher.rows() == ids
    assert process.poll() is None
    watcher.close()
    log(console, {})
    told, _ = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, b"")
