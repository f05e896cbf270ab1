"""Rolling up in slices, killed and run again."""

from __future__ import annotations

import apsw
import pytest

from airoxy.jobs.roll_up import roll_up
from airoxy.store.schema import run
from airoxy.store.usage.daily import totals
from tests.store.seed import TODAY, append, days_ago, row


def _no_pause(_: float) -> None:
    pass


def test_each_sum_of_a_day_that_is_over_is_rolled_up_once(db: apsw.Connection) -> None:
    append(db, *(row(days_ago(n % 40), api_key_id=n) for n in range(900)))
    before = totals(db)
    today = sum(n % 40 == 0 for n in range(900))
    assert roll_up(db, TODAY, _no_pause) == 900 - today
    assert roll_up(db, TODAY, _no_pause) == 0
    assert run(db, "SELECT sum(requests) FROM usage_by_model") == [(900 - today,)]
    assert totals(db) == before


def test_killed_in_between_it_goes_on_where_it_was(db: apsw.Connection) -> None:
    append(db, *(row(days_ago(1 + n % 3), api_key_id=n) for n in range(900)))
    before = totals(db)

    def kill(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roll_up(db, TODAY, kill)
    assert 0 < run(db, "SELECT sum(requests) FROM usage_by_model")[0][0] < 900
    assert totals(db) == before
    roll_up(db, TODAY, _no_pause)
    assert run(db, "SELECT sum(requests) FROM usage_by_model") == [(900,)]
    assert totals(db) == before


def test_with_nothing_to_roll_up_nothing_is_written(db: apsw.Connection) -> None:
    append(db, row(days_ago(0)))
    before = run(db, "SELECT total_changes()")
    assert roll_up(db, TODAY, _no_pause) == 0
    assert run(db, "SELECT total_changes()") == before
