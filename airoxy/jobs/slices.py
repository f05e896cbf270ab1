"""Long work on the database in short transactions.

Invariant: the write lock is held for milliseconds, and then left to others for as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import apsw

from airoxy.store.schema import transaction

#: How long one slice may hold the write lock (seconds); how much it does follows from it. Short,
#: because on a busy machine a slice is interrupted, and takes ten times as long, lock in hand.
SLICE = 0.003
#: The first slice, the smallest and the largest: of rows, or of pages.
FIRST, LEAST, MOST = 200, 20, 10_000

Pause = Callable[[float], object]


def in_slices(db: apsw.Connection, work: Callable[[int], int], pause: Pause = time.sleep) -> int:
    """Call `work` with how much it may do until it does less; returns how much it did in all."""
    done, most = 0, FIRST
    while True:
        with transaction(db):
            began = time.monotonic()
            did = work(most)
        took = time.monotonic() - began
        done += did
        if did < most:
            return done
        most = max(LEAST, min(MOST, 2 * most, int(most * SLICE / took)))
        pause(took)
