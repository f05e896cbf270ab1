"""What is taken over comes once, however often it is done, and whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest

from airoxy.cli import main
from airoxy.store import keys, leases, tokens
from airoxy.store.schema import run
from tests.conftest import NOON
from tests.legacy_php.old_airoxy import OldAiroxy
from tests.legacy_php.totals import Import, furnish, of, state, totals

EXPIRY = 1795370400  # 2026-11-22 18:00 UTC


def test_a_second_time_changes_nothing(db: apsw.Connection, old: OldAiroxy, take: Import) -> None:
    furnish(old)
    take()
    before = state(db)
    printed = take()
    assert state(db) == before
    assert [line.split()[-2:] for line in printed.splitlines()[2:4]] == [["0", "1"], ["0", "2"]]


def test_an_installation_is_known_again_where_it_was_moved_to(
    db: apsw.Connection, old: OldAiroxy, take: Import, tmp_path: Path
) -> None:
    furnish(old)
    take()
    before = state(db)
    old.directory.rename(tmp_path / "backup")
    take(tmp_path / "backup")
    assert state(db) == before


def test_another_installation_is_added(
    db: apsw.Connection, old: OldAiroxy, take: Import, tmp_path: Path
) -> None:
    furnish(old)
    other = OldAiroxy(tmp_path / "other")
    other.key("carol", "ak-" + "New" * 13 + "1").token("more", "sk-ant-api-old-two").request()
    other.day("2026-10-01", 1)
    take()
    before = totals(db)
    take(other.directory)
    assert totals(db)[0] == before[0] + 2
    assert len(keys.list_keys(db)) == 2


def test_what_came_since_the_last_time_is_added(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request("2026-11-21 10:00:00").day("2026-11-21", 3)
    take()
    assert totals(db) == of(3)
    # A day goes by there: the log of the first is purged, the second is in log and statistics.
    old.sql("DELETE FROM request_logs")
    old.request().request().day(requests=1)
    old.sql("UPDATE daily_stats SET total_requests = 4 WHERE date = '2026-11-21'")
    take()
    assert totals(db)[0] == 4 + 2


def test_a_token_that_was_deleted_there_doubles_no_day(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6)
    take()
    old.sql("DELETE FROM access_tokens")
    old.sql("UPDATE daily_stats SET access_token_id = NULL")
    take()
    assert totals(db) == of(6)


def test_what_was_removed_here_stays_removed(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    take()
    keys.remove_key(db, 1, NOON)
    tokens.remove_token(db, 1, NOON)
    take()
    assert keys.list_keys(db) == []
    assert [row["id"] for row in tokens.list_tokens(db, NOON)] == [2]


def test_the_pair_that_expires_later_wins(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.oauth()
    take()
    old.sql(
        "UPDATE access_tokens SET token = 'sk-ant-oat-newer', refresh_token = 'sk-ant-ort-newer',"
        " token_expires_at = '2026-11-22 20:00:00'"
    )
    assert "Token login: the newer pair has been taken over." in take()
    pair = "SELECT unseal(token), unseal(refresh_token), expires_at FROM tokens"
    assert run(db, pair) == [("sk-ant-oat-newer", "sk-ant-ort-newer", EXPIRY + 7200)]
    leases.store_refreshed(
        db, 1, "sk-ant-ort-newer", "sk-ant-oat-ours", "sk-ant-ort-ours", EXPIRY + 9999, NOON
    )
    take()
    assert run(db, pair) == [("sk-ant-oat-ours", "sk-ant-ort-ours", EXPIRY + 9999)]


def test_a_dry_run_tells_and_changes_nothing(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    before = state(db)
    dry = take("--dry-run")
    assert state(db) == before
    assert "This was a dry run: nothing has been changed." in dry
    figures = dry.splitlines()[:6]
    assert take().splitlines()[:6] == figures


def test_a_dry_run_makes_no_database(old: OldAiroxy, tmp_path: Path) -> None:
    furnish(old)
    config = tmp_path / "airoxy.yaml"
    config.write_text(json.dumps({"database": str(tmp_path / "none" / "airoxy.db")}))
    (tmp_path / "none").mkdir()
    argv = ["--config", str(config), "import-php", str(old.directory), "--dry-run"]
    assert main(argv) == 0
    assert list((tmp_path / "none").iterdir()) == []


def test_what_goes_wrong_in_the_middle_leaves_nothing(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    run(
        db,
        "CREATE TRIGGER full BEFORE INSERT ON daily WHEN NEW.api_key_id = 0"
        " BEGIN SELECT RAISE(ABORT, 'as if the disk were full'); END",
    )
    before = state(db)
    with pytest.raises(apsw.ConstraintError):
        take()
    assert state(db) == before
