"""Where the older installation's data and settings are, and that nothing changes there."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.errors import InvalidInput, NotFound, StoreError
from airoxy.store import keys
from airoxy.store.schema import open_database
from tests.legacy_php.old_airoxy import OldAiroxy
from tests.legacy_php.totals import Import, furnish


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_nothing_is_changed_there(old: OldAiroxy, take: Import, mode: str) -> None:
    furnish(old)
    old.sql(f"PRAGMA journal_mode = {mode}")
    before = hashes(old.directory)
    take()
    assert hashes(old.directory) == before


def test_it_may_be_running(db: apsw.Connection, old: OldAiroxy, take: Import) -> None:
    furnish(old)
    with closing(sqlite3.connect(old.path)) as php:
        php.execute("PRAGMA journal_mode = wal")
        php.execute("INSERT INTO api_keys (name, key) VALUES ('late', 'ak-late-enough')")
        php.commit()
        take()
    assert [row["name"] for row in keys.list_keys(db)] == ["alice", "late"]


def test_its_env_says_where_its_database_is(take: Import, tmp_path: Path) -> None:
    elsewhere = OldAiroxy(tmp_path / "elsewhere").key().path
    moved = elsewhere.rename(tmp_path / "data.sqlite3")
    installation = OldAiroxy(tmp_path / "installation", {"DB_DATABASE": f'"{moved}"'})
    assert take(installation.directory).startswith(f"{moved}:\n")


def test_a_database_can_be_named_itself(old: OldAiroxy, take: Import) -> None:
    assert take(old.key().path).startswith(f"{old.path}:\n")


def test_another_kind_of_database_is_refused(take: Import, tmp_path: Path) -> None:
    other = OldAiroxy(tmp_path / "other", {"DB_CONNECTION": "mysql"})
    with pytest.raises(InvalidInput, match="in mysql; only SQLite"):
        take(other.directory)


def test_where_there_is_nothing_it_says_so(take: Import, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="name its directory or the file"):
        take(tmp_path / "nowhere")
    strange = tmp_path / "strange.db"
    open_database(strange).close()
    with pytest.raises(StoreError, match="is not the database of a PHP airoxy"):
        take(strange)


def test_settings_are_shown_as_lines_for_the_file(take: Import, tmp_path: Path) -> None:
    environ = {
        "AIROXY_HOST": "127.0.0.1",
        "AIROXY_PORT": '"3900"  # behind nginx',
        "AIROXY_TOKEN_REFRESH_INTERVAL": "2",
        "AIROXY_LOG_RETENTION_DAYS": "3",
    }
    installation = OldAiroxy(tmp_path / "configured", environ)
    printed = take(installation.directory)
    assert "    host: 127.0.0.1\n    port: 3900\n" in printed
    assert "    # AIROXY_TOKEN_REFRESH_INTERVAL=2 is out of range: give" in printed
    assert "log_retention_days" not in printed
    printed = take(installation.directory, "--force", settings={"host": "127.0.0.1", "port": 3900})
    assert "port:" not in printed
