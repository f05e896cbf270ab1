"""Refreshing OAuth tokens, with the database as referee and an endpoint that is asked or not."""

from __future__ import annotations

import resource
import sys
import threading

from airoxy.config import OAuth
from airoxy.core.oauth import Answer, Refused, Unavailable
from airoxy.jobs.refresh import (
    ask_anthropic,
    refresh_token,
    refresh_tokens,
    report_interrupted,
)
from airoxy.store import leases, tokens
from airoxy.store.schema import open_database
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
        go.wait(60)
        return renewed(clock)

    outcomes = []

    def work() -> None:
        own = open_database(tmp_path / "airoxy.db")
        outcomes.append(refresh_token(own, token_id, OLD, OAUTH, clock, ask=slow))
        own.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(60)
    go.set()
    for thread in threads:
        thread.join()
    assert asked == [OLD_REFRESH]
    assert [outcome.renewed for outcome in outcomes] == [True] * 8


def test_what_a_thread_has_just_leased_is_not_taken_for_left_over(
    db, clock, token_id, tmp_path, monkeypatch
):
    lease_refresh = leases.lease_refresh

    def lease_and_look(*asked):
        lease = lease_refresh(*asked)
        own = open_database(tmp_path / "airoxy.db")
        report_interrupted(own, clock)  # as another thread may, at this moment
        assert leases.refreshing(own, token_id)[0].until is not None
        own.close()
        return lease

    monkeypatch.setattr(leases, "lease_refresh", lease_and_look)
    assert refresh_token(db, token_id, OLD, OAUTH, clock, ask=Endpoint(renewed(clock))).renewed


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


def test_without_a_descriptor_nobody_can_be_asked_and_the_refresh_token_is_not_spent(clock):
    module = sys.modules.pop("airoxy.upstream.oauth", None)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    sent: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, usual[1]))
    try:
        answer = ask_anthropic(OAUTH, OLD_REFRESH, clock, lambda: sent.append(1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        if module:
            sys.modules["airoxy.upstream.oauth"] = module
    assert answer == Unavailable("the OAuth endpoint cannot be asked: Too many open files")
    assert not sent
