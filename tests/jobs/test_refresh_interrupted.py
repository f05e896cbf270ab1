"""Refreshes whose process was killed, or lost its lease, before the new pair was stored."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from airoxy.config import OAuth
from airoxy.core.oauth import Answer, Refused
from airoxy.jobs.refresh import LEASE, refresh_token, refresh_tokens, report_interrupted
from airoxy.store import leases, tokens
from airoxy.store.schema import open_database
from tests.conftest import Clock
from tests.fake_anthropic import FakeAnthropic
from tests.fake_anthropic.api import CLIENT_ID, OAUTH_PATH
from tests.jobs.refreshing import (
    NEW,
    NEW_REFRESH,
    OAUTH,
    OLD,
    OLD_REFRESH,
    Endpoint,
    renewed,
    row,
    secrets,
)

# Refreshes a token, and says so when it has the new pair and is about to store it.
REFRESHING = """
import pathlib, sys, time
from airoxy.config import OAuth
from airoxy.jobs import refresh
from airoxy.store.schema import open_database
path, endpoint, client, token_id, secret = sys.argv[1:]
store = refresh._store
def told(*arguments):
    print("storing", flush=True)
    return store(*arguments)
refresh._store = told
db = open_database(pathlib.Path(path))
refresh.refresh_token(
    db, int(token_id), secret, OAuth(endpoint, client, "scope", None), time.time
)
"""


@contextlib.contextmanager
def _refreshing(
    database: Path, upstream: FakeAnthropic, token_id: int
) -> Iterator[subprocess.Popen[str]]:
    """A process that refreshes; killed at the end of the block, whatever it does."""
    endpoint = f"{upstream.url}{OAUTH_PATH}"
    arguments = (str(database), endpoint, CLIENT_ID, str(token_id), OLD)
    command = [sys.executable, "-c", REFRESHING, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            os.kill(process.pid, signal.SIGKILL)


def _killed_while_asking(database: Path, token_id: int) -> None:
    """Lets a process take the lease, and kills it while it waits for the endpoint."""
    with FakeAnthropic() as upstream:
        hold = upstream.script(path=OAUTH_PATH).hold()
        with _refreshing(database, upstream, token_id):
            hold.wait_arrived(timeout=60)  # an interpreter starts before


def test_a_refresh_that_was_killed_is_told_once(db, clock, token_id, tmp_path, caplog):
    _killed_while_asking(tmp_path / "airoxy.db", token_id)
    assert secrets(db) == (OLD, OLD_REFRESH)
    report_interrupted(db, clock)
    said = caplog.text
    assert "token 1 (pair) was interrupted" in said
    assert "sk-ant" not in said
    report_interrupted(db, clock)
    assert caplog.text == said
    assert row(db, clock)["refresh_interrupted_at"]


def test_while_the_access_token_is_good_only_a_person_has_a_refresh_token_sent_again(
    db, clock, token_id, tmp_path, caplog
):
    db.execute("UPDATE tokens SET expires_at = ?", (int(clock()) + 7200,))
    _killed_while_asking(tmp_path / "airoxy.db", token_id)
    endpoint = Endpoint()
    for _ in range(3):
        (outcome,) = refresh_tokens(db, OAUTH, clock, ask=endpoint)
        assert not outcome.renewed
        assert "may have spent its refresh token" in outcome.message
        clock.advance(600)
    assert endpoint.asked == []
    assert caplog.text.count("was interrupted") == 1
    assert row(db, clock)["is_active"]
    by_hand = refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(renewed(clock)))
    assert by_hand.renewed
    assert row(db, clock)["refresh_interrupted_at"] is None
    clock.advance(25_000)
    (outcome,) = refresh_tokens(db, OAUTH, clock, ask=Endpoint(renewed(clock)))
    assert outcome.renewed


def test_at_its_end_a_refresh_token_that_was_sent_is_tried_once_more_after_a_pause(
    db, clock, token_id, tmp_path
):
    _killed_while_asking(tmp_path / "airoxy.db", token_id)
    endpoint = Endpoint(Refused("HTTP 400 invalid_grant", final=True))
    for _ in range(2):
        outcome = refresh_token(db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=endpoint)
        assert outcome.message == "is tried again later"
        (outcome,) = refresh_tokens(db, OAUTH, clock, ask=endpoint)
        assert not outcome.renewed
    assert endpoint.asked == []
    clock.advance(60)
    refresh_token(db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=endpoint)
    assert endpoint.asked == [OLD_REFRESH]
    assert row(db, clock)["inactive_reason"] == "HTTP 400 invalid_grant"


def test_a_reset_has_it_tried_again(db, clock, token_id, tmp_path):
    _killed_while_asking(tmp_path / "airoxy.db", token_id)
    report_interrupted(db, clock)
    tokens.reset_token(db, token_id, clock())
    (outcome,) = refresh_tokens(db, OAUTH, clock, ask=Endpoint(renewed(clock)))
    assert outcome.renewed


def test_a_process_that_outlasts_its_lease_is_taken_for_interrupted(db, clock, token_id):
    assert leases.lease_refresh(db, token_id, clock(), LEASE, os.getppid())
    leases.note_asked(db, token_id, clock(), os.getppid())
    clock.advance(LEASE)
    endpoint = Endpoint()
    outcome = refresh_token(db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=endpoint)
    assert outcome.message == "is tried again later"
    assert row(db, clock)["refresh_interrupted_at"]


def test_whoever_has_lost_its_lease_to_a_clock_that_jumped_sends_nothing(db, clock, token_id):
    def overtaken(
        _: OAuth, refresh_token: str, clock: Clock, sending: Callable[[], None]
    ) -> Answer:
        clock.advance(3600)
        other = os.getppid()
        assert not leases.break_lease(db, token_id, os.getpid(), clock())
        assert leases.lease_refresh(db, token_id, clock(), LEASE, other)
        assert leases.note_asked(db, token_id, clock(), other)
        leases.store_refreshed(
            db, token_id, refresh_token, NEW, NEW_REFRESH, int(clock()) + 28800, clock()
        )
        sending()
        raise AssertionError("it was sent")

    outcome = refresh_token(db, token_id, OLD, OAUTH, clock, ask=overtaken)
    assert outcome.message == "renewed by another in the meantime"
    assert secrets(db) == (NEW, NEW_REFRESH)
    assert row(db, clock)["is_active"]


def test_a_lease_that_a_full_disk_does_not_take_back_keeps_nobody_waiting(db, clock, token_id):
    def full(_: OAuth, refresh_token: str, clock: Clock, sending: Callable[[], None]) -> Answer:
        db.execute("PRAGMA query_only = 1")
        sending()
        raise AssertionError("it was sent")

    with pytest.raises(apsw.ReadOnlyError):
        refresh_token(db, token_id, OLD, OAUTH, clock, ask=full)
    db.execute("PRAGMA query_only = 0")
    assert refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(renewed(clock))).renewed


def test_a_pair_that_a_killed_process_took_with_it_is_told_and_the_old_one_is_there(
    db, clock, token_id, tmp_path, caplog
):
    """Between the answer and the commit: the one moment in which a pair can be lost."""
    database = tmp_path / "airoxy.db"
    with FakeAnthropic() as upstream, contextlib.closing(open_database(database)) as locker:
        hold = upstream.script(path=OAUTH_PATH).hold()
        with _refreshing(database, upstream, token_id) as process:
            hold.wait_arrived(timeout=60)  # the lease is in the database by now
            locker.execute("BEGIN IMMEDIATE")
            hold.release()
            assert process.stdout.readline() == "storing\n"
        locker.execute("ROLLBACK")
        assert len(upstream.refreshes) == 1
    assert secrets(db) == (OLD, OLD_REFRESH)
    report_interrupted(db)
    assert "its refresh token is spent" in " ".join(caplog.text.split())
    spent = Refused("HTTP 400 invalid_grant", final=True)
    assert not refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(spent)).renewed
    assert row(db, clock)["inactive_reason"] == "HTTP 400 invalid_grant"


# Takes the lease, says so, and never comes to ask.
ABOUT_TO_ASK = """
import pathlib, sys, time
from airoxy.config import make_config
from airoxy.jobs.refresh import refresh_token
from airoxy.store.schema import open_database
def ask(*_):
    print("asking", flush=True)
    time.sleep(600)
path, token_id, secret = sys.argv[1:]
db = open_database(pathlib.Path(path))
refresh_token(db, int(token_id), secret, make_config().oauth, time.time, ask=ask)
"""


def test_of_one_that_was_killed_before_it_asked_another_uses_the_refresh_token_once(
    db, clock, token_id, tmp_path
):
    command = [sys.executable, "-c", ABOUT_TO_ASK, str(tmp_path / "airoxy.db"), str(token_id), OLD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "asking\n"
            assert leases.refreshing(db, token_id)[0].by == process.pid
        finally:
            process.kill()
    with FakeAnthropic() as upstream:
        oauth = OAuth(f"{upstream.url}{OAUTH_PATH}", CLIENT_ID, "scope", None)
        assert refresh_token(db, token_id, OLD, oauth, clock).renewed
        assert refresh_token(db, token_id, OLD, oauth, clock).renewed
        assert len(upstream.refreshes) == 1
    assert row(db, clock)["is_active"]


def test_the_lease_of_a_living_process_is_respected_until_it_ends(db, clock, token_id):
    assert leases.lease_refresh(db, token_id, clock(), LEASE, os.getppid())
    assert leases.lease_refresh(db, token_id, clock(), LEASE, os.getppid()) is None
    report_interrupted(db, clock)
    assert leases.lease_refresh(db, token_id, clock(), LEASE, os.getppid()) is None
    clock.advance(LEASE)
    assert leases.lease_refresh(db, token_id, clock(), LEASE, os.getppid())
