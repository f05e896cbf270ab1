"""The threads that work with the database, each on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from airoxy.store.file.access import explain
from airoxy.store.schema import open_database, run

#: A page that takes long must not keep others waiting.
_THREADS = 4

T = TypeVar("T")


class DatabaseThreads:
    """`await threads.run(function)` is what `function(db)` returns or raises."""

    def __init__(self, path: Path, number: int = _THREADS) -> None:
        self._path = path
        self._own = threading.local()
        self._opened: list[apsw.Connection] = []
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="console")

    async def run(self, function: Callable[[apsw.Connection], T]) -> T:
        """Raises StoreError where the database cannot be used."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, function)

    def _run(self, function: Callable[[apsw.Connection], T]) -> T:
        db: apsw.Connection | None = getattr(self._own, "db", None)
        if db is None:
            db = self._own.db = open_database(self._path)
            self._opened.append(db)
            # What sorts the sums of years would take 60 MB a thread; the unit allows 192 in all.
            run(db, "PRAGMA temp_store = FILE")
        try:
            return function(db)
        except apsw.Error as error:
            raise explain(self._path, error) from error

    def close(self) -> None:
        """Wait for what is running, and close the connections."""
        self._pool.shutdown()
        for db in self._opened:
            with contextlib.suppress(apsw.Error):
                db.close()
