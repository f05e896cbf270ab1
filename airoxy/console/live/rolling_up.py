"""A thread that rolls up the sums of days that are over, as long as the console runs.

The nightly job does it, too; here it is where that has not run yet, as after an upgrade.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from pathlib import Path

import apsw

from airoxy.errors import StoreError
from airoxy.jobs.roll_up import roll_up
from airoxy.store.schema import open_database
from airoxy.store.usage import days

log = logging.getLogger(__name__)

#: How long after the last time it looks again (seconds).
_EVERY = 300.0


class _ClosedError(Exception):
    """The console ends meanwhile."""


class RollingUp:
    """From the start on, until it is closed."""

    def __init__(self, path: Path, every: float = _EVERY) -> None:
        self._path, self._every = path, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rolling up", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What has been rolled up by then is."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with closing(open_database(self._path, create=False)) as db:
                    roll_up(db, days.today(db, time.time()), self._pause)
            except _ClosedError:
                return
            except (StoreError, apsw.Error) as error:  # pages are slower, and right
                log.info("Sums are not rolled up: %s", error)
            self._over.wait(self._every)

    def _pause(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise _ClosedError
