from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from airoxy.store.schema import open_database, run
from tests.databases import make_database, open_new
from tests.program import Airoxy


def contents(db: apsw.Connection) -> dict[str, Any]:
    """The settings and the shape of a database, and every row that a new one has, but for when
    the group of all keys was made."""
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    settings = ("application_id", "user_version", "auto_vacuum", "journal_mode", "page_size")
    assert run(db, "UPDATE groups SET created_at = 0 RETURNING name") == [("all",)]
    return {
        "schema": run(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"),
        "rows": {name: run(db, f"SELECT * FROM {name}") for (name,) in run(db, tables)},
        **{name: run(db, f"PRAGMA {name}") for name in settings},
    }


def test_a_copy_is_what_is_made_from_nothing(tmp_path: Path) -> None:
    made, copied = tmp_path / "made.db", tmp_path / "copied.db"
    with closing(open_database(made)) as db, closing(open_new(copied)) as copy:
        assert contents(copy) == contents(db)
    assert copied.stat().st_mode == made.stat().st_mode


def test_a_database_that_is_there_stays(tmp_path: Path) -> None:
    with closing(open_new(tmp_path / "airoxy.db")) as db:
        run(db, "CREATE TABLE mine (id)")
        make_database(tmp_path / "airoxy.db")
        with closing(open_new(tmp_path / "airoxy.db")) as again:
            assert run(again, "SELECT count(*) FROM mine") == [(0,)]


def test_the_first_start_of_two_workers_makes_a_database(
    tmp_path: Path, install: Callable[..., Airoxy]
) -> None:
    airoxy = install(workers=2, database=str(tmp_path / "own" / "airoxy.db"))
    airoxy.database.parent.mkdir()
    assert not airoxy.database.exists()
    airoxy.start()
    with (
        closing(open_database(airoxy.database)) as db,
        closing(open_new(tmp_path / "copy")) as copy,
    ):
        assert contents(db) == contents(copy)
