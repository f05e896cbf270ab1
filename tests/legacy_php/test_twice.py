"""What is taken over comes once, however often it is done, and whole or not at all."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import apsw
import pytest

from airoxy.cli import main
from airoxy.errors import Conflict
from airoxy.store import keys
from airoxy.store.schema import run
from airoxy.views.json_documents import document_of
from tests.cli.printed import unlike
from tests.legacy_php.old_airoxy import OldAiroxy
from tests.legacy_php.totals import Import, furnish, of, state, totals


def test_a_second_time_is_refused(
    db: apsw.Connection, old: OldAiroxy, take: Import, tmp_path: Path
) -> None:
    furnish(old)
    take()
    before = state(db)
    for words in ((), ("--dry-run",)):
        with pytest.raises(Conflict, match="taken over already. With --force"):
            take(*words)
    old.directory.rename(tmp_path / "backup")
    with pytest.raises(Conflict):
        take(tmp_path / "backup")
    assert state(db) == before


def test_by_force_nothing_comes_twice(db: apsw.Connection, old: OldAiroxy, take: Import) -> None:
    furnish(old)
    take()
    before = state(db)
    assert "client keys: 0, tokens: 0, days: 0" in take("--force")
    assert state(db) == before


def test_by_force_what_is_new_there_is_added(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request("2026-11-20 10:00:00").day("2026-11-20", 3)
    take()
    assert totals(db) == of(3)
    # The last day that came goes on there, and another one begins.
    old.key("bob", "ak-" + "Old" * 13 + "2").request("2026-11-20 23:00:00")
    old.request("2026-11-21 10:00:00").request("2026-11-21 11:00:00")
    assert "client keys: 1, tokens: 0, days: 1" in take("--force")
    assert totals(db) == of(3 + 2)
    assert [row["name"] for row in keys.list_keys(db)] == ["alice", "bob"]


def test_days_that_an_earlier_version_took_over_do_not_come_again(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6).day("2026-10-02", 1)
    day = (datetime.date(2026, 10, 1) - datetime.date(1970, 1, 1)).days
    ref = json.dumps([day, 1, "claude-opus-5-5"])
    run(db, "INSERT INTO imports VALUES ('some digest', 'day', ?, '[6, 0]')", (ref,))
    take("--force")
    assert totals(db) == of(1)


def test_a_dry_run_tells_and_changes_nothing(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    before = state(db)
    dry = take("--dry-run")
    assert state(db) == before
    assert "This was a dry run: nothing has been changed." in dry
    shown = json.loads(take("--dry-run", "--json"))
    assert unlike(document_of("import-php"), shown) == set()
    assert state(db) == before
    assert take().splitlines()[:2] == dry.splitlines()[:2]


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
