"""`airoxy job tidy-log`."""

from __future__ import annotations

import time
from pathlib import Path

import apsw

from airoxy.calendar import DAY_SECONDS
from airoxy.store.fleet import membership
from airoxy.store.schema import run
from tests.cli.terminal import Typed
from tests.conftest import Clock
from tests.store.seed import append, days_ago, row


def test_the_log_is_tidied_and_the_totals_stay(db: apsw.Connection, clock: Clock) -> None:
    append(db, *[row(days_ago(n)) for n in range(10)])
    typed = Typed(Path(db.filename), clock)
    assert typed("job", "tidy-log").startswith("6 detailed rows from before 2026-11-19 deleted")
    assert typed("job", "tidy-log").startswith("Nothing to tidy")
    assert len(typed.json("logs")) == 4
    assert typed.json("stats")["requests"] == 10
    assert run(db, "SELECT sum(requests) FROM usage_by_model") == [(9,)]


def test_how_long_rows_are_kept_is_configured(db: apsw.Connection, clock: Clock) -> None:
    append(db, *[row(days_ago(n)) for n in range(10)])
    typed = Typed(Path(db.filename), clock)
    typed.config.write_text(f"database: {db.filename}\nlog_retention_days: 7\n")
    assert typed("job", "tidy-log").startswith("2 detailed rows")


def test_how_long_the_audit_trail_is_kept_is_configured(db: apsw.Connection, clock: Clock) -> None:
    typed = Typed(Path(db.filename), clock, audit_retention_days=30)
    typed("api-key", "add", "laptop")
    clock.now = time.time() + 29 * DAY_SECONDS  # entries have the time of the database
    typed("job", "tidy-log")
    assert len(typed.json("audit")) == 1
    clock.advance(2 * DAY_SECONDS)
    typed("job", "tidy-log")
    assert typed.json("audit") == []


def test_how_many_rows_wait_for_a_fleet_that_cannot_be_reached_is_configured(
    db: apsw.Connection, clock: Clock
) -> None:
    membership.enter(db, host="h", name="a", url="postgresql://h/f", nonce="n", now=clock())
    append(db, *[row(days_ago(9)) for _ in range(1200)])
    typed = Typed(Path(db.filename), clock, fleet={"keep_rows": 1000})
    assert typed("job", "tidy-log").startswith("200 detailed rows")


def test_the_nightly_job_copies_the_database_and_tidies_even_without_a_copy(install, tmp_path):
    directory = tmp_path / "backups"
    directory.mkdir()
    airoxy = install(backup={"directory": str(directory), "keep": 2})
    airoxy.key("laptop")
    told = airoxy.cli("job", "tidy-log")
    assert [path.suffix for path in directory.iterdir()] == [".db"]
    assert "MB, checked." in told
    assert "Nothing to tidy" in told
    airoxy.write_config(backup={"directory": str(tmp_path / "none")})
    done = airoxy.run("job", "tidy-log")
    assert done.returncode == 1
    assert "No backup: backup.directory: " in done.stderr
    assert "Nothing to tidy" in done.stdout
