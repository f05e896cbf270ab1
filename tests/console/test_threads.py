"""The connections of the console's threads."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from airoxy.console.threads import DatabaseThreads
from airoxy.store.schema import run

_FILE = 1


def test_what_is_sorted_for_a_page_takes_no_memory(tmp_path: Path) -> None:
    with closing(DatabaseThreads(tmp_path / "airoxy.db")) as threads:
        store = asyncio.run(threads.run(lambda db: run(db, "PRAGMA temp_store")))
    assert store == [(_FILE,)]
