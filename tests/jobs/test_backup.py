"""The nightly copy of the database."""

from __future__ import annotations

import datetime
import re
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.config import Backups
from airoxy.errors import StoreError
from airoxy.jobs.backup import back_up_nightly
from airoxy.store.schema import open_database
from airoxy.store.usage import daily
from tests.store.seed import append, row

DAY = datetime.date(2026, 11, 22)


@pytest.fixture
def wanted(tmp_path: Path) -> Backups:
    directory = tmp_path / "backups"
    directory.mkdir()
    return Backups(directory, 3)


def run(db: apsw.Connection, wanted: Backups, days: int = 0) -> str | None:
    return back_up_nightly(Path(db.filename), wanted, DAY + datetime.timedelta(days))


def names(wanted: Backups) -> list[str]:
    assert wanted.directory
    return sorted(path.name for path in wanted.directory.iterdir())


def test_nothing_is_done_where_no_directory_is_named(db: apsw.Connection) -> None:
    assert run(db, Backups(None, 7)) is None


def test_a_copy_is_named_after_its_day_and_has_everything(
    db: apsw.Connection, wanted: Backups
) -> None:
    append(db, row(), row())
    told = run(db, wanted)
    assert names(wanted) == ["airoxy-2026-11-22.db"]
    assert told
    assert re.search(r"airoxy-2026-11-22\.db: \d\.\d MB, checked\.$", told)
    with closing(open_database(wanted.directory / "airoxy-2026-11-22.db")) as copy:
        assert daily.totals(copy)["requests"] == 2


def test_so_many_are_kept_and_other_files_are_left_alone(
    db: apsw.Connection, wanted: Backups
) -> None:
    assert wanted.directory
    (wanted.directory / "airoxy-before-the-move.db").touch()
    for days in range(5):
        told = run(db, wanted, days)
    kept = [f"airoxy-2026-11-{day}.db" for day in (24, 25, 26)]
    assert names(wanted) == [*kept, "airoxy-before-the-move.db"]
    assert told
    assert told.endswith("checked, 1 older removed.")


def test_a_second_run_on_the_same_day_replaces_the_first_copy(
    db: apsw.Connection, wanted: Backups
) -> None:
    run(db, wanted)
    append(db, row())
    run(db, wanted)
    assert names(wanted) == ["airoxy-2026-11-22.db"]
    with closing(open_database(wanted.directory / "airoxy-2026-11-22.db")) as copy:
        assert daily.totals(copy)["requests"] == 1


def test_what_a_killed_run_has_left_is_no_obstacle(db: apsw.Connection, wanted: Backups) -> None:
    assert wanted.directory
    (wanted.directory / "airoxy-2026-11-22.db.unfinished").touch()
    run(db, wanted)
    assert names(wanted) == ["airoxy-2026-11-22.db"]


def test_without_the_directory_it_says_how_to_make_it_and_removes_nothing(
    db: apsw.Connection, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="sudo install -d -o airoxy"):
        run(db, Backups(tmp_path / "none", 7))


def test_a_damaged_database_makes_no_copy_and_removes_no_older_one(
    db: apsw.Connection, wanted: Backups
) -> None:
    for days in range(3):
        run(db, wanted, days)
    before = names(wanted)
    path = Path(db.filename)
    db.close()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        back_up_nightly(path, wanted, DAY + datetime.timedelta(3))
    assert names(wanted) == before
