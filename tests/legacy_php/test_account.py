"""The older installation's requests and statistics, of which each day counts once."""

from __future__ import annotations

import apsw

from airoxy.store.usage import requests
from tests.legacy_php.old_airoxy import OldAiroxy
from tests.legacy_php.totals import Import, of, totals


def test_requests_count_for_their_key_token_and_model(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request("2026-11-22 10:00:00.250")
    old.request(
        "2026-11-22T11:00:00Z", api_key_id=9, access_token_id=None, model=None, status_code=429,
        estimated_cost_usd=None,
    )  # fmt: skip
    take()
    assert requests.newest(db, limit=10) == []
    assert totals(db)[:3] == (2, 1, 1)
    assert totals(db)[-1] == 1_234_000
    (key,) = (row for row in requests.totals_by(db, "key") if row["api_key_name"] == "alice")
    (token,) = (row for row in requests.totals_by(db, "token") if row["token_name"] == "console")
    models = {row["model"]: row["requests"] for row in requests.totals_by(db, "model")}
    assert (key["requests"], token["requests"]) == (1, 1)
    assert models == {"claude-opus-5-5": 1, None: 1}


def test_a_request_that_never_got_an_answer_has_failed(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request(status_code=None)
    take()
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


def test_of_a_day_whose_log_was_purged_in_part_the_statistics_count(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request().day(requests=5).total(requests=5)
    take()
    assert totals(db) == of(5)


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


def test_sums_are_added_to_those_of_airoxy_itself(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request()
    take()
    OldAiroxy.request(old, "2026-11-23 01:00:00")
    take("--force")
    assert totals(db) == of(2)
