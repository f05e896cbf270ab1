"""The console's thread that rolls up."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from airoxy.console.live.rolling_up import RollingUp
from airoxy.store.schema import open_database, run
from airoxy.store.usage.daily import totals
from tests.store.seed import append, days_ago, row


def _rolled_up_to(path: Path) -> int:
    with closing(open_database(path)) as db:
        return int(run(db, "SELECT day FROM rollup_horizon")[0][0])


def test_what_is_over_is_rolled_up_while_the_console_runs(tmp_path: Path) -> None:
    path = tmp_path / "airoxy.db"
    with closing(open_database(path)) as db:
        append(db, *(row(days_ago(n)) for n in range(100)))
        before = totals(db)
        with closing(RollingUp(path, every=0.01)):
            deadline = time.monotonic() + 60
            while not _rolled_up_to(path):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert run(db, "SELECT sum(requests) FROM usage_by_model") == [(100,)]
        assert totals(db) == before


def test_without_a_database_it_ends_like_any_other(tmp_path: Path) -> None:
    with closing(RollingUp(tmp_path / "none.db", every=0.01)):
        pass
    assert not list(tmp_path.iterdir())
