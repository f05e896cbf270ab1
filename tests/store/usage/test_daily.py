"""The account in sums."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

from airoxy.core.billing.usage import COUNTED
from airoxy.store import keys, tokens
from airoxy.store.schema import run, transaction
from airoxy.store.usage import requests
from airoxy.store.usage.daily import COUNTS, TOTALS, by_day_key_and_model
from airoxy.store.usage.requests import totals, totals_by
from tests.store.seed import TODAY, add_key, add_token, append, days_ago, row


def test_the_totals_are_those_of_the_specification(db: apsw.Connection) -> None:
    moved = {"moved": True, "move_cost_nanousd": 7}
    append(db, row(is_estimate=True), row(status_code=500, uncounted=True, **moved))
    assert totals(db) == {
        "requests": 2,
        "successful": 1,
        "failed": 1,
        "input_tokens": 20,
        "output_tokens": 40,
        "cache_write_5m_tokens": 60,
        "cache_write_1h_tokens": 80,
        "cache_read_tokens": 100,
        "web_search_requests": 2,
        "cost_nanousd": 2_000_000,
        "estimated": 1,
        "uncounted": 1,
        "moved": 1,
        "move_cost_nanousd": 7,
    }


def test_nothing_is_zero(db: apsw.Connection) -> None:
    assert totals(db) == dict.fromkeys(TOTALS, 0)
    assert totals_by(db, "day") == []


@pytest.mark.parametrize(
    ("how", "failed"),
    [
        ({}, 0),
        ({"status_code": 399}, 0),
        ({"status_code": 400}, 1),
        ({"status_code": 529}, 1),
        ({"ending": "client_left"}, 0),
        ({"ending": "upstream_failed"}, 1),
        ({"status_code": 502, "ending": "upstream_failed"}, 1),
    ],
)
def test_a_status_from_400_and_a_broken_answer_are_failures(
    db: apsw.Connection, how: dict[str, Any], failed: int
) -> None:
    append(db, row(**how))
    told = totals(db)
    assert (told["requests"], told["successful"], told["failed"]) == (1, 1 - failed, failed)


def test_groups_have_their_own_fields_first(db: apsw.Connection) -> None:
    append(db, row(api_key_id=add_key(db, "alice"), token_id=add_token(db, "console")))
    rest = totals(db)
    assert list(totals_by(db, "day")[0]) == ["day", *TOTALS]
    assert totals_by(db, "day") == [{"day": "2026-11-22"} | rest]
    assert totals_by(db, "model") == [{"model": "claude-opus-5-5"} | rest]
    assert totals_by(db, "token") == [{"token_id": 1, "token_name": "console"} | rest]
    assert totals_by(db, "key") == [{"api_key_id": 1, "api_key_name": "alice"} | rest]


def test_what_had_no_token_and_no_model_is_counted_as_that(db: apsw.Connection) -> None:
    append(db, row(token_id=None, model=None))
    assert totals_by(db, "token")[0]["token_id"] is None
    assert totals_by(db, "model")[0]["model"] is None


def test_what_no_key_is_known_for_has_none(db: apsw.Connection) -> None:
    append(db, row(api_key_id=0))
    assert totals_by(db, "key")[0]["api_key_id"] is None
    assert by_day_key_and_model(db, TODAY, days_ago(-1))[0]["api_key_id"] is None


def test_the_removed_keep_their_names(db: apsw.Connection) -> None:
    append(db, row(api_key_id=add_key(db, "alice"), token_id=add_token(db, "console")))
    keys.remove_key(db, 1, 0)
    tokens.remove_token(db, 1, 0)
    assert totals_by(db, "key")[0]["api_key_name"] == "alice"
    assert totals_by(db, "token")[0]["token_name"] == "console"


def test_days_follow_each_other_and_the_rest_is_by_cost(db: apsw.Connection) -> None:
    append(
        db,
        row(TODAY, model="cheap", cost_nanousd=1),
        row(days_ago(2), model="dear", cost_nanousd=9),
        row(days_ago(1), model="fair", cost_nanousd=5),
    )
    days = ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert [group["day"] for group in totals_by(db, "day")] == days
    assert [group["model"] for group in totals_by(db, "model")] == ["dear", "fair", "cheap"]


def test_every_total_is_what_adding_up_would_give(db: apsw.Connection) -> None:
    chance = random.Random(5)
    rows = [
        row(
            days_ago(chance.randrange(5)),
            f"{chance.randrange(24):02}:59:59.999",
            api_key_id=chance.randrange(1, 4),
            token_id=chance.choice([None, 1, 2]),
            model=chance.choice([None, "a", "b"]),
            status_code=chance.choice([200, 429]),
            is_estimate=chance.choice([False, True]),
            uncounted=chance.choice([False, True]),
            moved=chance.choice([False, True]),
            move_cost_nanousd=chance.randrange(10**6),
            **{name: chance.randrange(10**6) for name in COUNTS},
        )
        for _ in range(2000)
    ]
    for start in range(0, len(rows), 77):
        append(db, *rows[start : start + 77])

    def added(chosen: list[requests.Row]) -> dict[str, int]:
        failed = sum(r.status_code >= 400 for r in chosen)
        sums = {name: sum(getattr(r.usage, name) for r in chosen) for name in COUNTED}
        return {
            "requests": len(chosen),
            "successful": len(chosen) - failed,
            "failed": failed,
            **sums,
            "cost_nanousd": sum(r.cost_nanousd for r in chosen),
            "estimated": sum(r.is_estimate for r in chosen),
            "uncounted": sum(r.uncounted for r in chosen),
            "moved": sum(r.moved for r in chosen),
            "move_cost_nanousd": sum(r.move_cost_nanousd for r in chosen),
        }

    def day(r: requests.Row) -> int:
        return r.requested_at_ms // 86_400_000 - TODAY.toordinal() + 719163

    assert totals(db) == added(rows)
    since, until = days_ago(3), days_ago(1)
    window = [r for r in rows if -3 <= day(r) < -1]
    assert totals(db, since=since, until=until) == added(window)
    assert totals(db, since=since, token_id=2, key_id=3) == added(
        [r for r in rows if day(r) >= -3 and r.token_id == 2 and r.api_key_id == 3]
    )
    for group in totals_by(db, "token", since=since, until=until):
        chosen = [r for r in window if r.token_id == group["token_id"]]
        assert {name: group[name] for name in TOTALS} == added(chosen)
    for group in totals_by(db, "model", key_id=1):
        chosen = [r for r in rows if r.model == group["model"] and r.api_key_id == 1]
        assert {name: group[name] for name in TOTALS} == added(chosen)


def test_deleting_rows_takes_nothing_from_the_totals(db: apsw.Connection) -> None:
    append(db, *[row(days_ago(n)) for n in range(10)])
    before = totals_by(db, "day")
    requests.delete_slice(db, days_ago(3), 4)
    requests.delete_slice(db, days_ago(3), 100)
    assert len(requests.newest(db, limit=100)) == 4
    assert totals_by(db, "day") == before


def test_a_late_row_of_a_day_that_is_tidied_already_is_counted(db: apsw.Connection) -> None:
    append(db, row(days_ago(9)))
    requests.delete_slice(db, TODAY, 100)
    append(db, row(days_ago(9)))
    assert totals(db)["requests"] == 2
    requests.delete_slice(db, TODAY, 100)
    assert totals(db)["requests"] == 2


def test_rows_and_sums_are_written_together_or_not_at_all(db: apsw.Connection) -> None:
    def write_and_fail() -> None:
        with transaction(db):
            requests.append(db, [row(), row()])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert totals(db)["requests"] == 0
    assert run(db, "SELECT count(*) FROM requests") == [(0,)]


def test_sums_are_exact_far_beyond_what_a_float_holds(db: apsw.Connection) -> None:
    append(db, row(cost_nanousd=2**60), row(cost_nanousd=1))
    assert totals(db)["cost_nanousd"] == 2**60 + 1


# Names that clients make up


def test_a_made_up_model_makes_no_row_of_the_sums(db: apsw.Connection) -> None:
    nothing = dict.fromkeys(COUNTED, 0) | {"cost_nanousd": 0, "status_code": 404}
    append(db, *[row(model=f"made-up-{n}", **nothing) for n in range(50)])
    assert [group["model"] for group in totals_by(db, "model")] == ["other"]
    assert requests.newest(db, limit=1)[0]["model"] == "made-up-49"
    assert totals(db)["requests"] == 50


def test_a_model_that_was_charged_for_has_its_name_from_then_on(db: apsw.Connection) -> None:
    nothing = dict.fromkeys(COUNTED, 0) | {"cost_nanousd": 0, "status_code": 429}
    append(db, row(model="claude-new", **nothing))
    append(db, row(model="claude-new"))
    append(db, row(model="claude-new", **nothing), row(days_ago(-1), model="claude-new", **nothing))
    named = {group["model"]: group["requests"] for group in totals_by(db, "model")}
    assert named == {"claude-new": 3, "other": 1}
