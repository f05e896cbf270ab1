"""Refreshing OAuth tokens, with the database as referee and an endpoint that is asked or not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from airoxy.config import OAuth, make_config
from airoxy.core.oauth import Answer, Refreshed, Refused, Unavailable
from airoxy.jobs.refresh import LEASE, refresh_token, refresh_tokens, report_interrupted
from airoxy.store import leases, tokens
from airoxy.store.schema import open_database
from tests.conftest import Clock
from tests.fake_anthropic import FakeAnthropic
from tests.fake_anthropic.api import CLIENT_ID, OAUTH_PATH

OLD, OLD_REFRESH = "sk-ant-oat-test-old", "sk-ant-ort-test-old"
NEW, NEW_REFRESH = "sk-ant-oat-test-new", "sk-ant-ort-test-new"
OAUTH = make_config().oauth


class Endpoint:
    """Answers what it is told to, in turn, and remembers with what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(
        self, _: OAuth, refresh_token: str, clock: Clock, sending: Callable[[], None]
    ) -> Answer:
        sending()
        self.asked.append(refresh_token)
        return self.answers.pop(0)


def renewed(clock: Clock) -> Refreshed:
    return Refreshed(NEW, NEW_REFRESH, int(clock()) + 28800)


@pytest.fixture
def token_id(db: apsw.Connection, clock: Clock) -> int:
    return tokens.add_token(
        db, name="pair", type="oauth", token=OLD, refresh_token=OLD_REFRESH,
        expires_at=int(clock()) - 1, now=clock(),
    )  # fmt: skip


def row(db: apsw.Connection, clock: Clock) -> dict:
    return tokens.list_tokens(db, clock())[0]


def secrets(db: apsw.Connection) -> tuple[str, str]:
    pair = "SELECT unseal(token), unseal(refresh_token) FROM tokens"
    return next(iter(db.cursor().execute(pair)))


def test_the_new_pair_takes_the_place_of_the_old(db, clock, token_id):
    endpoint = Endpoint(renewed(clock))
    outcome = refresh_token(db, token_id, OLD, OAUTH, clock, ask=endpoint)
    assert outcome.renewed
    assert endpoint.asked == [OLD_REFRESH]
    assert secrets(db) == (NEW, NEW_REFRESH)
    assert row(db, clock)["expires_at"] == clock() + 28800


def test_who_comes_too_late_finds_it_done_and_asks_nobody(db, clock, token_id):
    refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(renewed(clock)))
    late = Endpoint()
    assert refresh_token(db, token_id, OLD, OAUTH, clock, ask=late).renewed
    assert late.asked == []


def test_of_many_at_once_one_asks_and_all_have_it(db, clock, token_id, tmp_path):
    entered, go = threading.Event(), threading.Event()
    asked: list[str] = []

    def slow(_: OAuth, refresh: str, *__: object) -> Answer:
        asked.append(refresh)
        entered.set()
        go.wait(10)
        return renewed(clock)

    outcomes = []

    def work() -> None:
        own = open_database(tmp_path / "airoxy.db")
        outcomes.append(refresh_token(own, token_id, OLD, OAUTH, clock, ask=slow))
        own.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go.set()
    for thread in threads:
        thread.join()
    assert asked == [OLD_REFRESH]
    assert [outcome.renewed for outcome in outcomes] == [True] * 8


def test_three_refusals_in_a_row_deactivate_and_a_success_resets_the_count(db, clock, token_id):
    no = Refused("the OAuth endpoint answered HTTP 403", final=False)
    endpoint = Endpoint(no, no, renewed(clock), no, no, no)
    for secret, failures, active in (
        (OLD, 1, True),
        (OLD, 2, True),
        (OLD, 0, True),
        (NEW, 1, True),
        (NEW, 2, True),
        (NEW, 3, False),
    ):
        refresh_token(db, token_id, secret, OAUTH, clock, ask=endpoint)
        assert row(db, clock)["refresh_failures"] == failures
        assert row(db, clock)["is_active"] == active
    assert row(db, clock)["inactive_reason"] == no.reason


def test_a_spent_refresh_token_deactivates_at_once_with_the_reason(db, clock, token_id):
    no = Refused("the OAuth endpoint answered HTTP 400 invalid_grant", final=True)
    outcome = refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(no))
    assert not outcome.renewed
    assert "add it again" in outcome.message
    assert not row(db, clock)["is_active"]
    assert row(db, clock)["inactive_reason"] == no.reason


def test_trouble_of_the_endpoint_is_no_failure_and_is_tried_again_after_growing_pauses(
    db, clock, token_id
):
    pauses = []
    for _ in range(4):
        endpoint = Endpoint(Unavailable("the OAuth endpoint answered HTTP 500"))
        refresh_token(db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=endpoint)
        assert len(endpoint.asked) == 1
        retry_at = row(db, clock)["retry_refresh_at"]
        pauses.append(retry_at - clock())
        early = Endpoint()
        assert not refresh_token(
            db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=early
        ).renewed
        clock.now = retry_at
    assert pauses == [60, 120, 240, 480]
    assert row(db, clock)["refresh_failures"] == 0
    assert row(db, clock)["is_active"]
    refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(renewed(clock)))
    assert row(db, clock)["retry_refresh_at"] is None


def test_a_refusal_is_followed_by_a_pause_that_requests_keep(db, clock, token_id):
    pauses = []
    for _ in range(2):
        no = Refused("the OAuth endpoint answered HTTP 400 invalid_request", final=False)
        refresh_token(db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=Endpoint(no))
        assert not refresh_token(
            db, token_id, OLD, OAUTH, clock, keep_pause=True, ask=Endpoint()
        ).renewed
        pauses.append(row(db, clock)["retry_refresh_at"] - clock())
        clock.now = row(db, clock)["retry_refresh_at"]
    assert pauses == [60, 120]
    assert row(db, clock)["is_active"]


def test_a_retry_after_longer_than_the_pause_is_kept(db, clock, token_id):
    endpoint = Endpoint(Unavailable("HTTP 429", retry_after=900))
    refresh_token(db, token_id, OLD, OAUTH, clock, ask=endpoint)
    assert row(db, clock)["retry_refresh_at"] == clock() + 900


def test_a_command_does_not_wait_for_the_pause(db, clock, token_id):
    refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(Unavailable("HTTP 500")))
    assert refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(renewed(clock))).renewed


def test_one_tokens_failure_does_not_keep_the_others(db, clock, token_id):
    other = tokens.add_token(
        db, name="other", type="oauth", token="sk-ant-oat-test-other",
        refresh_token="sk-ant-ort-test-other", expires_at=int(clock()), now=clock(),
    )  # fmt: skip
    endpoint = Endpoint(Refused("no", final=True), renewed(clock))
    outcomes = list(refresh_tokens(db, OAUTH, clock, ask=endpoint))
    assert [(o.token_id, o.renewed) for o in outcomes] == [(token_id, False), (other, True)]


def test_api_keys_and_inactive_tokens_are_left_alone(db, clock, token_id):
    tokens.add_token(
        db, name="key", type="api_key", token="sk-ant-api-test-one",
        refresh_token=None, expires_at=None, now=clock(),
    )  # fmt: skip
    tokens.toggle_token(db, token_id, clock())
    assert list(refresh_tokens(db, OAUTH, clock, ask=Endpoint())) == []


def test_a_token_removed_meanwhile_keeps_nothing(db, clock, token_id):
    def remove(*_: object) -> Answer:
        tokens.remove_token(db, token_id, clock())
        return renewed(clock)

    outcome = refresh_token(db, token_id, OLD, OAUTH, clock, ask=remove)
    assert not outcome.renewed
    assert secrets(db) == (None, None)


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


def test_a_pair_is_held_on_to_while_the_database_is_locked(db, clock, token_id, tmp_path):
    locker = open_database(tmp_path / "airoxy.db")
    db.setbusytimeout(10)
    unlock = threading.Timer(0.3, lambda: locker.cursor().execute("COMMIT"))

    def answer(*_: object) -> Answer:
        locker.cursor().execute("BEGIN IMMEDIATE")
        unlock.start()
        return renewed(clock)

    assert refresh_token(db, token_id, OLD, OAUTH, clock, ask=answer).renewed
    unlock.join()
    assert secrets(db) == (NEW, NEW_REFRESH)
    locker.close()
