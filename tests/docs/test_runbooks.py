"""What the runbooks have people type in an emergency does what they say."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from pathlib import Path

from airoxy.store.key_file import write_key_file
from airoxy.store.migrations import MIGRATIONS
from airoxy.store.schema import open_database
from tests.docs.guide import typed
from tests.program import ROOT
from tests.store.seed import add_key
from tests.store.test_released import KEY

RELEASED = ROOT / "tests/store/released/1.0.0.sql"


def test_after_a_downgrade_the_database_is_that_of_before(tmp_path: Path) -> None:
    path = tmp_path / "airoxy.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(RELEASED.read_text())
    write_key_file(tmp_path / "token.key", KEY)
    with contextlib.closing(open_database(path)) as db:  # the upgrade
        add_key(db, "later")
        page = typed("runbooks", "an-upgrade-went-wrong")
        lines = [line for line in page if line.split()[1] in ("mv", "rm", "cp")]
        assert len(lines) == 3
    for line in lines:
        command = line.removeprefix("sudo ").replace("/var/lib/airoxy", str(tmp_path))
        command = command.replace("before-N", f"before-{len(MIGRATIONS)}")
        subprocess.run(command, shell=True, check=True)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (5,)
        assert db.execute("SELECT name FROM api_keys").fetchall() == [("laptop",), ("ci",)]
