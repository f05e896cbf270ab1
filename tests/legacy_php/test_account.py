"""The older installation's requests and statistics, of which each day counts once."""

from __future__ import annotations

import apsw

from airoxy.store.schema import run
from airoxy.store.usage import requests
from tests.legacy_php.old_airoxy import OldAiroxy
from tests.legacy_php.totals import Import, of, totals


def test_requests_come_with_everything_that_was_logged(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request("2026-11-22 10:00:00.250")
    old.request(
        "2026-11-22T11:00:00Z", api_key_id=9, access_token_id=None, model=None, is_stream=0,
        endpoint="v1/models", status_code=429, error_message="used sk-ant-api-old-one",
        estimated_cost_usd=None, duration_ms=None,
    )  # fmt: skip
    take()
    failed, good = requests.newest(db, limit=10)
    assert good == {
        "id": 1, "requested_at": "2026-11-22T10:00:00.250Z", "api_key_id": 1,
        "api_key_name": "alice", "token_id": 1, "token_name": "console",
        "endpoint": "/v1/messages", "model": "claude-opus-5-5", "is_stream": True,
        "input_tokens": 10, "output_tokens": 20, "cache_write_5m_tokens": 30,
        "cache_write_1h_tokens": 0, "cache_read_tokens": 40, "web_search_requests": 0,
        "cost_nanousd": 1_234_000, "status_code": 200, "error_message": None,
        "ending": "complete", "attempts": 1, "ttfb_ms": None, "duration_ms": 4000,
        "request_id": None,
    }  # fmt: skip
    assert (failed["api_key_name"], failed["token_id"], failed["model"]) == (None, None, None)
    assert (failed["endpoint"], failed["is_stream"]) == ("/v1/models", False)
    assert (failed["error_message"], failed["cost_nanousd"]) == ("used sk-ant-…", 0)
    assert totals(db)[:3] == (2, 1, 1)


def test_a_request_that_never_got_an_answer_has_failed(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request(status_code=None)
    take()
    assert requests.newest(db, limit=1)[0]["ending"] == "upstream_failed"
    assert totals(db)[:3] == (1, 0, 1)


def test_a_day_that_is_gone_from_the_log_comes_from_the_statistics(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 7, failed_requests=2).total("2026-10-01", 7)
    take()
    assert totals(db) == of(7, failed=2)
    (day,) = requests.totals_by(db, "day")
    (token,) = requests.totals_by(db, "token")
    (model,) = requests.totals_by(db, "model")
    assert day["day"] == "2026-10-01"
    assert (token["token_name"], model["model"]) == ("console", "claude-opus-5-5")


def test_a_day_that_is_in_both_is_counted_once(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request().request().day(requests=2).total(requests=2)
    take()
    assert totals(db) == of(2)


def test_what_was_purged_of_a_day_is_added_to_its_requests(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request().day(requests=5).total(requests=5)
    take()
    assert totals(db) == of(5)
    assert len(requests.newest(db, limit=10)) == 1


def test_requests_after_the_last_statistics_count(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    for _ in range(4):
        old.request()
    old.key().token().day(requests=1).total(requests=1)
    take()
    assert totals(db) == of(4)


def test_a_day_that_has_only_a_total_keeps_it(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().total("2026-10-01", 9, failed_requests=1)
    take()
    assert totals(db) == of(9, failed=1)


def test_what_the_total_has_beyond_its_parts_counts_too(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6).total("2026-10-01", 10)
    take()
    assert totals(db) == of(10)
    assert [(row["model"], row["requests"]) for row in requests.totals_by(db, "model")] == [
        ("claude-opus-5-5", 6),
        (None, 4),
    ]


def test_a_total_that_is_older_than_its_parts_takes_nothing_away(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6).total("2026-10-01", 2)
    take()
    assert totals(db) == of(6)


def test_rows_that_are_there_twice_count_once(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().total("2026-10-01", 4).total("2026-10-01", 5)
    old.day("2026-10-01", 4, model=None).day("2026-10-01", 5, model=None)
    take()
    assert totals(db) == of(5)


def test_rounding_there_makes_no_sums_here(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    for _ in range(3):
        old.request(estimated_cost_usd=0.0000000014)
    old.key().token().day(requests=3, total_estimated_cost_usd=0.0000000042)
    take()
    assert len(run(db, "SELECT * FROM daily")) == 1
    assert totals(db)[-1] == 3
