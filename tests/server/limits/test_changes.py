"""Limits while they are changed, and over reloads, restarts and kills."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import apsw
import pytest

from airoxy.core.limits.holders import EVERYBODY
from tests.program import Airoxy
from tests.server.limits.asking import (
    BURST,
    COST,
    ask,
    burst,
    count,
    dollars,
    is_left_of_a_minute,
    limited,
    refused,
    set_,
    waiting,
)
from tests.server.limits.test_groups import set_group


def test_what_a_command_sets_holds_from_the_next_request_on(airoxy):
    key = limited(airoxy)
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    airoxy.wait_logs(3)
    airoxy.cli("api-key", "set", "1", "--requests-per-minute", "4")
    assert [ask(airoxy, key).status for _ in range(3)] == [200, 429, 429]
    set_(airoxy, "--requests-per-minute", "none", "--spend-per-month", dollars(COST))
    refused(ask(airoxy, key), "billing_error")
    set_(airoxy, "--spend-per-month", "none")
    assert ask(airoxy, key).status == 200


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ("--requests-per-minute", "none", "--requests-per-minute"),
        ("--requests-per-minute", None, "--tokens-per-minute"),
        ("--spend-per-day", "none", "--tokens-per-minute"),
    ],
)
def test_what_came_while_a_limit_was_away_counts_when_it_is_back(airoxy, before, between, after):
    """The usage log has it. Tokens are not counted where there is no limit on them."""
    key = limited(airoxy, before, "9")
    assert ask(airoxy, key).status == 200
    if between:
        set_(airoxy, before, between)
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    airoxy.wait_logs(4)
    set_(airoxy, after, "4" if after == "--requests-per-minute" else str(4 * (25 + 12)))
    refused(ask(airoxy, key), "rate_limit_error")


def test_what_came_while_a_group_had_no_limit_counts_when_it_has_one_again(airoxy):
    key = limited(airoxy)
    set_group(airoxy, EVERYBODY, "--requests-per-minute", "9")
    assert ask(airoxy, key).status == 200
    set_group(airoxy, EVERYBODY, "--requests-per-minute", "none")
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    airoxy.wait_logs(4)
    set_group(airoxy, EVERYBODY, "--requests-per-minute", "4")
    refused(ask(airoxy, key), "rate_limit_error")


def test_a_key_without_limits_is_not_held_up_by_another(airoxy):
    key = limited(airoxy, "--requests-per-minute", "1")
    other = airoxy.key()
    ask(airoxy, key)
    refused(ask(airoxy, key), "rate_limit_error")
    assert count(burst(airoxy, other), 200) == BURST


def test_a_restart_forgets_neither_the_money_nor_the_minute(airoxy):
    key = limited(airoxy, "--requests-per-minute", "3", "--spend-per-day", dollars(5 * COST))
    begun = time.time()
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    airoxy.stop()
    airoxy.start()
    _, wait = refused(ask(airoxy, key), "rate_limit_error")
    assert is_left_of_a_minute(wait, begun)
    set_(airoxy, "--requests-per-minute", "none")
    assert [ask(airoxy, key).status for _ in range(3)] == [200, 200, 429]


def test_a_reload_keeps_what_old_workers_hold(airoxy, held):
    key = limited(airoxy, "--concurrent", "2", "--spend-per-day", "1")
    with waiting(airoxy, key, 2, held) as futures:
        os.kill(airoxy.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 60
        while "Reloaded." not in airoxy.errors:
            assert time.monotonic() < deadline, airoxy.errors
            time.sleep(0.05)
        refused(ask(airoxy, key), "rate_limit_error")
    assert count([each.result() for each in futures], 200) == 2
    assert count([ask(airoxy, key) for _ in range(2)], 200) == 2


def workers(airoxy: Airoxy) -> list[int]:
    pid = airoxy.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_worker_leaves_nothing_behind(airoxy, held):
    key = limited(
        airoxy, "--concurrent", "2", "--spend-per-day", "0.01", "--tokens-per-minute", "1000"
    )

    def lost() -> None:
        with contextlib.suppress(OSError):
            ask(airoxy, key, max_tokens=3000)

    threads = [threading.Thread(target=lost) for _ in range(1)]
    for thread in threads:
        thread.start()
    held.wait_arrived(1)
    refused(ask(airoxy, key), "billing_error")
    for pid in workers(airoxy):
        os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    held.open()
    assert ask(airoxy, key).status == 200


def test_a_database_that_cannot_be_written_does_not_lift_a_limit(airoxy):
    key = limited(airoxy, "--spend-per-day", dollars(3 * COST))
    blocker = apsw.Connection(str(airoxy.database))
    blocker.setbusytimeout(10_000)
    try:
        blocker.cursor().execute("BEGIN IMMEDIATE")
        assert [ask(airoxy, key).status for _ in range(4)] == [200, 200, 200, 429]
        blocker.cursor().execute("ROLLBACK")
    finally:
        blocker.close()
    airoxy.wait_logs(4)
    refused(ask(airoxy, key), "billing_error")
