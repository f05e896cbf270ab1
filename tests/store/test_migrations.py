"""Bringing an older database to the present shape."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from airoxy.errors import StoreError
from airoxy.store import migrations, schema
from airoxy.store.file import backup
from airoxy.store.schema import open_database, run
from airoxy.store.usage.first_tables import BLOCK
from tests.store.seed import add_key

FIRST = migrations.MIGRATIONS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the first version, with a key in it."""
    path = tmp_path / "airoxy.db"
    with contextlib.closing(open_database(path)) as db:
        add_key(db, "one")
    return path


def upgrade(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    """airoxy has learned further `steps`."""
    monkeypatch.setattr(migrations, "MIGRATIONS", FIRST + steps)


def backups(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("*.before-*"))


def version(db: apsw.Connection) -> int:
    return int(run(db, "PRAGMA user_version")[0][0])


def test_the_steps_that_are_missing_are_made_in_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(
        monkeypatch, "ALTER TABLE api_keys ADD COLUMN mood TEXT", "UPDATE api_keys SET mood = 'new'"
    )
    with contextlib.closing(open_database(path)) as db:
        assert run(db, "SELECT name, mood FROM api_keys") == [("one", "new")]
        assert version(db) == len(FIRST) + 2


def test_what_was_taken_over_before_it_had_a_migration_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = FIRST.index(migrations._IMPORTS)
    old = path.with_name("old.db")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", FIRST[:known])
        with contextlib.closing(open_database(old)) as db:
            run(db, migrations._IMPORTS.replace("IF NOT EXISTS ", ""))
            run(db, "INSERT INTO imports VALUES ('here', 'key', '1', '2')")
    with contextlib.closing(open_database(old)) as db:
        assert run(db, "SELECT * FROM imports") == [("here", "key", "1", "2")]


def test_a_backup_is_made_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch, "DELETE FROM api_keys")
    open_database(path).close()
    copy = path.with_name(f"airoxy.db.before-{len(FIRST) + 1}")
    assert backups(path) == [copy.name]
    assert copy.stat().st_mode & 0o777 == 0o600
    upgrade(monkeypatch)
    with contextlib.closing(open_database(copy)) as db:
        assert run(db, "SELECT name FROM api_keys") == [("one",)]


def test_a_new_database_needs_no_backup(path: Path) -> None:
    assert backups(path) == []


def test_the_last_two_backups_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in range(1, 12):
        upgrade(monkeypatch, *["SELECT 1"] * steps)
        open_database(path).close()
    last = len(FIRST) + 11
    assert set(backups(path)) == {f"airoxy.db.before-{last - 1}", f"airoxy.db.before-{last}"}
    assert backup.newest_backup(path) == path.with_name(f"airoxy.db.before-{last}")


def test_a_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch, "CREATE TABLE half (done); SELECT * FROM nowhere")
    with pytest.raises(StoreError, match="nowhere"):
        open_database(path)
    upgrade(monkeypatch)
    with contextlib.closing(open_database(path)) as db:
        assert version(db) == len(FIRST)
        assert run(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == [(0,)]


def test_without_room_for_the_backup_nothing_is_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, _target: Path) -> None:
        raise apsw.FullError("disk full")

    upgrade(monkeypatch, "DELETE FROM api_keys")
    monkeypatch.setattr(backup, "_copy", full)
    with pytest.raises(StoreError, match="is full"):
        open_database(path)
    assert backups(path) == []
    upgrade(monkeypatch)
    with contextlib.closing(open_database(path)) as db:
        assert run(db, "SELECT name FROM api_keys") == [("one",)]


@pytest.mark.parametrize("name", ["airoxy.db", "new.db"])
def test_who_finds_another_one_at_it_waits_longer_than_for_a_row(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Else the second of two workers would not start, and the service fail, where a new database
    takes five seconds to be made."""
    path = path.with_name(name)
    upgrade(monkeypatch, "SELECT 1")
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_MS", 1)
    with contextlib.closing(apsw.Connection(str(path))) as other, ThreadPoolExecutor(1) as pool:
        run(other, "PRAGMA journal_mode = WAL")
        run(other, "BEGIN IMMEDIATE")
        opened = pool.submit(lambda: open_database(path).close())
        try:
            with pytest.raises(TimeoutError):
                opened.result(0.3)
        finally:
            run(other, "ROLLBACK")
        opened.result(60)


def test_many_at_once_migrate_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch, "UPDATE api_keys SET name = name || '!'")
    barrier = threading.Barrier(4)
    failed = []

    def open_it() -> None:
        barrier.wait()
        try:
            open_database(path).close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with contextlib.closing(open_database(path)) as db:
        assert run(db, "SELECT name FROM api_keys") == [("one!",)]
    upgrade(monkeypatch)
    (copy,) = backups(path)
    with contextlib.closing(open_database(path.with_name(copy))) as db:
        assert run(db, "SELECT name FROM api_keys") == [("one",)]


def test_a_reader_does_not_migrate(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch, "DELETE FROM api_keys")
    with pytest.raises(StoreError, match="restart the service"):
        open_database(path, readonly=True)


def test_the_blocks_of_the_schema_are_those_that_the_ledger_reads() -> None:
    assert f"NEW.id / {BLOCK}" in FIRST[0]
    assert schema.APPLICATION_ID.to_bytes(4, "big") == b"airo"


def test_a_server_of_1_0_goes_on_writing_while_the_database_is_upgraded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's upgrade migrates while the old workers finish their streams."""
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", FIRST[:5])
        old = open_database(path.with_name("old.db"))
    columns = [name for (name,) in run(old, "SELECT name FROM pragma_table_info('requests')")][1:]
    values = [1795348800000, 1, None, "/v1/messages", "m", 0, *[1] * 7, 200, None, "complete"]
    values += [1, None, 5, "req_1", None]
    insert = f"INSERT INTO requests ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    run(old, insert, values)
    with contextlib.closing(open_database(path.with_name("old.db"))) as new:
        run(old, insert, values)
        assert run(new, "SELECT sum(requests), sum(input_tokens), sum(uncounted) FROM daily") == [
            (2, 2, 0)
        ]
        assert run(new, "SELECT count(*) FROM request_log WHERE NOT uncounted") == [(2,)]
    old.close()
