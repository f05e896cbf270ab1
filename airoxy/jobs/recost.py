"""Computes the costs of detailed rows again, by the price table that is in force now.

Invariant: a cost is computed from what the answer said, never from the old cost; a row of which
that is no longer known keeps its cost and is reported. Each slice is a transaction of its own, so
the job may be killed at any moment and run again, and other writers do not wait for it.
"""

from __future__ import annotations

import datetime
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import apsw

from airoxy.core.billing.cost_inputs import UNKNOWN, parts_of
from airoxy.core.billing.pricing import PriceTable, cost_nanousd
from airoxy.core.billing.usage import counts_of
from airoxy.jobs.slices import Pause, in_slices
from airoxy.store.usage import costs, requests

#: Rows read at once; that needs no lock.
_AT_ONCE = 10_000


@dataclass
class Recosted:
    """What the job did: of `rows` so many `changed`, which cost `before` and `after` together
    (nano-dollars); of `unknown` ones nobody knows what they were computed from."""

    rows: int = 0
    changed: int = 0
    before: int = 0
    after: int = 0
    unknown: int = 0

    def document(self, since: datetime.date, *, dry_run: bool) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "since": since.isoformat(),
            "dry_run": dry_run,
            "rows": self.rows,
            "changed": self.changed,
            "before_nanousd": self.before,
            "after_nanousd": self.after,
            "unknown": self.unknown,
        }

    def add(self, changes: list[costs.Change]) -> None:
        self.changed += len(changes)
        self.before += sum(change.before for change in changes)
        self.after += sum(change.after for change in changes)


def recost(
    db: apsw.Connection,
    prices: PriceTable,
    since: datetime.date,
    *,
    dry_run: bool = False,
    pause: Pause = time.sleep,
) -> Recosted:
    """The rows of the days from `since` on that are there now; a dry run only tells."""
    done = Recosted()
    first, last = costs.first_id(db, since), requests.last_id(db)
    while rows := costs.costed(db, since, first, last, _AT_ONCE):
        first = rows[-1].id + 1
        done.rows += len(rows)
        changes: deque[costs.Change] = deque()
        for row in rows:
            cost = _cost(row, prices)
            if cost is None:
                done.unknown += 1
            elif cost != row.cost_nanousd:
                changes.append(costs.Change(row.id, row.cost_nanousd, cost))
        if dry_run:
            done.add(list(changes))
        elif changes:
            _write(db, changes, done, pause)
    return done


def _write(db: apsw.Connection, changes: deque[costs.Change], done: Recosted, pause: Pause) -> None:
    def work(most: int) -> int:
        some = [changes.popleft() for _ in range(min(most, len(changes)))]
        done.add(costs.change_costs(db, some))
        return len(some)

    in_slices(db, work, pause)


def _cost(row: costs.Costed, prices: PriceTable) -> int | None:
    """What the row costs by this table, if that can be said."""
    if row.cost_inputs is None:
        parts = [row.usage]
    elif row.cost_inputs == UNKNOWN:
        return None if row.cost_nanousd or any(counts_of(row.usage)) else 0
    else:
        try:
            parts = parts_of(row.cost_inputs)
        except ValueError:
            return None
    return cost_nanousd(parts, prices, row.day)
