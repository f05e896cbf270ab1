"""`airoxy job tidy-log`."""

from __future__ import annotations

from pathlib import Path

import apsw

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


def test_how_long_rows_are_kept_is_configured(db: apsw.Connection, clock: Clock) -> None:
    append(db, *[row(days_ago(n)) for n in range(10)])
    typed = Typed(Path(db.filename), clock)
    typed.config.write_text(f"database: {db.filename}\nlog_retention_days: 7\n")
    assert typed("job", "tidy-log").startswith("2 detailed rows")


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
