"""Faults of the database itself: damaged, gone, old, not ours."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from airoxy.cli.doctor.finding import FAIL, FIXED
from airoxy.store.migrations import MIGRATIONS
from airoxy.store.schema import open_database
from tests.cli.doctor.ward import Ward


def damage(path: Path) -> None:
    """The header stays, the tables are nonsense."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


def nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def delete(path: Path) -> None:
    path.unlink()


Harm = Callable[[Path], None]


@pytest.mark.parametrize("harm", [damage, nonsense, empty, delete])
def test_a_sound_backup_takes_the_place_of_a_damaged_database(ward: Ward, harm: Harm) -> None:
    backup = ward.database.with_name("airoxy.db.before-2")
    shutil.copy(ward.database, backup)
    backup.chmod(0o600)
    harm(ward.database)
    bad = ward.database.read_bytes() if ward.database.exists() else None
    found = ward.complaints()
    assert found["database"].state == FAIL
    assert "airoxy.db.before-2 of 20" in found["database"].remedy
    assert ward.complaints(fix=True)["database"].state == FIXED
    assert ward.complaints() == {}
    assert len(ward.sql("SELECT * FROM tokens")) == 1
    assert ward.database.stat().st_mode & 0o777 == 0o600
    kept = list(ward.database.parent.glob("airoxy.db.damaged-*"))
    assert [path.read_bytes() for path in kept] == ([bad] if bad is not None else [])
    assert backup.exists()


def test_the_log_of_a_damaged_database_is_kept_with_it(ward: Ward) -> None:
    shutil.copy(ward.database, ward.database.with_name("airoxy.db.before-2"))
    nonsense(ward.database)
    ward.database.with_name("airoxy.db-wal").write_bytes(b"old log")
    ward.complaints(fix=True)
    assert not ward.database.with_name("airoxy.db-wal").exists()
    (kept,) = ward.database.parent.glob("airoxy.db.damaged-*-wal")
    assert kept.read_bytes() == b"old log"


@pytest.mark.parametrize("harm", [damage, nonsense, empty])
def test_without_a_sound_backup_a_damaged_database_stays_where_it_is(
    ward: Ward, harm: Harm
) -> None:
    harm(ward.database)
    nonsense(ward.database.with_name("airoxy.db.before-2"))
    ward.database.with_name("airoxy.db.before-2").chmod(0o600)
    before = ward.listing()
    found = ward.complaints(fix=True)["database"]
    assert found.state == FAIL
    assert "before-2 is no help: it is damaged, too" in found.remedy
    assert "nothing here replaces it" in found.remedy
    assert ward.listing() == before


def test_an_empty_backup_takes_no_place(ward: Ward) -> None:
    with closing(open_database(ward.database.with_name("airoxy.db.before-2"))):
        pass
    nonsense(ward.database)
    found = ward.complaints(fix=True)["database"]
    assert (found.state, "it has neither keys nor tokens" in found.remedy) == (FAIL, True)
    assert ward.database.read_bytes().startswith(b"nonsense")


def test_a_database_that_was_deleted_under_a_running_airoxy_is_told(ward: Ward) -> None:
    with ward.database.open():
        ward.database.unlink()
        found = ward.complaints(fix=True)["database"]
    assert (found.state, f"(process {os.getpid()}) has it open" in found.text) == (FAIL, True)
    assert not ward.database.exists()


def test_a_database_that_somebody_has_open_is_not_replaced(ward: Ward) -> None:
    shutil.copy(ward.database, ward.database.with_name("airoxy.db.before-2"))
    nonsense(ward.database)
    with ward.database.open():
        found = ward.complaints(fix=True)["database"]
    assert (found.state, f"process {os.getpid()}) has it open" in found.remedy) == (FAIL, True)


def test_a_database_that_was_never_made_is_in_order(ward: Ward) -> None:
    ward.database.unlink()
    assert set(ward.complaints(fix=True)) == {"keys", "tokens"}
    assert not ward.database.exists()


def test_a_pending_migration_is_done(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (*MIGRATIONS, "CREATE TABLE later (id INTEGER)")
    monkeypatch.setattr("airoxy.store.migrations.MIGRATIONS", steps)
    found = ward.complaints()
    assert (
        f"is of version {len(MIGRATIONS)}, this airoxy needs {len(steps)}"
        in found["migrations"].text
    )
    assert ward.complaints(fix=True)["migrations"].state == FIXED
    assert ward.complaints() == {}
    assert ward.database.with_name(f"airoxy.db.before-{len(steps)}").exists()


def test_a_newer_database_is_left_alone(ward: Ward) -> None:
    ward.sql("PRAGMA user_version = 99")
    before = ward.listing()
    found = ward.complaints(fix=True)["migrations"]
    assert (found.state, found.remedy) == (FAIL, "Upgrade airoxy.")
    assert ward.listing() == before


def test_another_programs_database_is_left_alone(ward: Ward) -> None:
    ward.database.unlink()
    with closing(sqlite3.connect(ward.database)) as db:
        db.executescript("PRAGMA application_id = 7; CREATE TABLE theirs (id)")
    ward.database.chmod(0o600)
    found = ward.complaints(fix=True)["migrations"]
    assert (found.state, "another program's" in found.text) == (FAIL, True)
    assert ward.complaints()["migrations"].state == FAIL
