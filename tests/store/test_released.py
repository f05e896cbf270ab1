"""A database of every version that was released is brought to the present shape, with all of it.

`python3 -m tests.store.test_released` writes one of this version, when it is released.
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import sys
import tempfile
from pathlib import Path

import apsw
import pytest

from airoxy import __version__
from airoxy.store import tokens
from airoxy.store.key_file import write_key_file
from airoxy.store.names import all_names
from airoxy.store.schema import open_database
from airoxy.store.usage import daily, requests
from tests.store.seed import add_key, add_login, add_token, append, row

RELEASED = Path(__file__).parent / "released"
#: What the tokens in all of them are encrypted with.
KEY = bytes(32)
DAY = datetime.date(2026, 11, 22)


def seed(path: Path) -> None:
    """A new database at `path` with something of everything."""
    write_key_file(path.with_name("token.key"), KEY)
    with contextlib.closing(open_database(path)) as db:
        for name in ("laptop", "ci"):
            add_key(db, name)
        add_token(db, "work")
        add_login(db, "login")
        append(db, row(DAY), row(DAY, api_key_id=2, token_id=2, model="claude-haiku-5-5"))


def fingerprint(db: apsw.Connection) -> dict[str, object]:
    """What has to survive."""
    whole = daily.totals(db)
    return {
        "keys": sorted(all_names(db, "api_keys").items()),
        "tokens": sorted((token.name, token.secret) for token in tokens.usable_tokens(db)),
        "sums": (whole["requests"], whole["cost_nanousd"], whole["input_tokens"]),
        "rows": sorted(row["model"] for row in requests.newest(db, limit=10)),
    }


def dump(path: Path) -> str:
    """The SQL that makes the database at `path` again."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        kept = [
            f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        return "\n".join([*kept, *db.iterdump(), ""])


@pytest.mark.parametrize("version", sorted(path.stem for path in RELEASED.glob("*.sql")))
def test_a_released_database_is_migrated_with_all_of_it(version, tmp_path):
    path = tmp_path / "airoxy.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript((RELEASED / f"{version}.sql").read_text())
    write_key_file(path.with_name("token.key"), KEY)
    with contextlib.closing(open_database(path)) as db:
        assert fingerprint(db) == {
            "keys": [(1, "laptop"), (2, "ci")],
            "tokens": [
                ("login", "sk-ant-oat-test-login"),
                ("work", "sk-ant-api-test-work"),
            ],
            "sums": (2, 2_000_000, 20),
            "rows": ["claude-haiku-5-5", "claude-opus-5-5"],
        }
        append(db, row(DAY))
        assert daily.totals(db)["requests"] == 3


def test_what_is_written_at_a_release_can_be_read(tmp_path):
    (tmp_path / "new").mkdir()
    seed(tmp_path / "new/airoxy.db")
    path = tmp_path / "airoxy.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(dump(tmp_path / "new/airoxy.db"))
    write_key_file(path.with_name("token.key"), KEY)
    with contextlib.closing(open_database(path)) as db:
        assert [name for name, _ in fingerprint(db)["tokens"]] == ["login", "work"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory) / "airoxy.db"
        seed(database)
        RELEASED.mkdir(exist_ok=True)
        (RELEASED / f"{__version__}.sql").write_text(dump(database))
    sys.exit()
