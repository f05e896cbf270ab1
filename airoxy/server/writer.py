"""The one thread of a worker that writes: log rows, last use, cooldowns, many in a commit.

Invariant: nothing that hands a row over waits for the database. A locked or full disk delays the
writing; above `LIMIT` waiting rows the newest are dropped, counted and reported. `close` writes
what is left. Rows are counted for the metrics as they come, also while the disk is full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apsw

from airoxy.server.unwritten import Slot, UnwrittenRequests
from airoxy.store import tokens
from airoxy.store.schema import transaction
from airoxy.store.usage import requests

log = logging.getLogger(__name__)

#: What it returns is a row to be counted, if it is one.
Operation = Callable[[apsw.Connection], Any]

#: Log rows that may wait for the disk (about 1 KiB each).
LIMIT = 100_000
#: Rows of one commit: it holds the write lock for some ten milliseconds at the most.
BATCH = 500
#: Seconds that a commit waits for more rows: fewer commits, and rows are still seen soon.
GATHER = 0.01
#: It waits so many times while at least `_SOME` rows are there and fewer than `_ENOUGH`: a commit
#: takes as much CPU as twenty rows.
_WAITS, _SOME, _ENOUGH = 4, 8, 192
#: Pause after a failed commit, doubled up to the second (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
#: How long `close` tries when the disk refuses (seconds).
LAST_TRIES = 5.0

#: Errors that pass by themselves or with the administrator's help: the rows wait until then.
_PASSING = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.NotADBError,
)


#: Takes rows to be counted for the metrics, how many were dropped, and the slots of the rows.
Count = Callable[[Sequence[requests.Row], int, Sequence[Slot | None]], object]

#: A row, an operation (with a row: what its transaction calls), who is told when it is committed,
#: and the slot in the memory of unwritten requests. A tuple without names, which is made for each
#: request in a tenth of the time.
_Task = tuple[requests.Row | None, Operation | None, Callable[[], Any] | None, Slot | None]


class Writer:
    """`db` is the writer's own connection from now on; it closes it."""

    def __init__(
        self,
        db: apsw.Connection,
        limit: int = LIMIT,
        *,
        count: Count | None = None,
        unwritten: UnwrittenRequests | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._unwritten = unwritten
        self._sleep = sleep
        #: Somebody may wait for what is to be written.
        self._in_hurry = False
        self._db = db
        self._limit = limit
        self._count_rows = count
        self._uncounted: deque[tuple[requests.Row, Slot | None]] = deque()
        self._dropped_counted = 0
        self._queue: deque[_Task] = deque()
        self._used: dict[int, int] = {}
        self._latest: dict[object, Operation] = {}
        self._at_once = BATCH
        self._work = threading.Event()
        self._stopping = False
        self._deadline = 0.0
        self.dropped = 0
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """What is not in the database yet."""
        return len(self._queue)

    def row(
        self,
        row: requests.Row,
        committed: Callable[[], Any] | None = None,
        slot: Slot | None = None,
        writing: Operation | None = None,
        *,
        counted: bool = False,
    ) -> None:
        """Write a row, whose `slot` is freed then; `committed` as for `do`. `counted`: the metrics
        have it already. `writing` is called by its transaction, before operations are."""
        if len(self._queue) >= self._limit:
            self.dropped += 1
            self._free([slot])
            return
        if not counted:
            self._uncounted.append((row, slot))
        self._queue.append((row, writing, committed, slot))
        self._wake()

    def used(self, token_id: int, now_ns: int) -> None:
        """Only the latest use of a token is written, with the next rows."""
        self._used[token_id] = now_ns

    def latest(self, name: object, operation: Operation) -> None:
        """Run the last operation of this name, with the next rows."""
        self._latest[name] = operation

    def do(
        self,
        operation: Operation,
        committed: Callable[[], Any] | None = None,
        slot: Slot | None = None,
    ) -> None:
        """Run `operation` inside one of the writer's next transactions, and call `committed` (in
        the writer's thread) when others can see what it did. With a `slot`, what it inserts last is
        the row of this slot."""
        self._queue.append((None, operation, committed, slot))
        self._in_hurry = True
        self._wake()

    def close(self) -> None:
        """Write what is left, as far as the disk lets us, and end the thread."""
        self._deadline = time.monotonic() + LAST_TRIES
        self._stopping = True
        self._work.set()
        self._thread.join()

    def _wake(self) -> None:
        if not self._work.is_set():  # asking is cheaper than telling
            self._work.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping or self._queue or self._used or self._latest:
            self._work.wait()
            self._work.clear()
            self._gather()
            # Rows that come from now on have to wait: none is committed that is not counted.
            self._in_hurry = False
            ready = len(self._queue)
            self._count()
            if self._commit(ready):
                pause = FIRST_PAUSE
            elif self._stopping and time.monotonic() > self._deadline:
                log.error("%d log rows are lost: %s", self.backlog, self.trouble)
                break
            else:
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            if self._stopping or self._queue or self._uncounted:
                self._work.set()
        self._count()
        self._db.close()

    def _gather(self) -> None:
        """Wait for more to come, longer where there are rows only and many of them come."""
        for _ in range(_WAITS):
            if self._stopping:
                return
            self._sleep(GATHER)
            if self._in_hurry or not _SOME <= len(self._queue) < _ENOUGH:
                return

    def _count(self) -> None:
        """Those that came since."""
        dropped = self.dropped - self._dropped_counted
        self._dropped_counted += dropped
        uncounted = [self._uncounted.popleft() for _ in range(len(self._uncounted))]
        self._count_these(uncounted, dropped)

    def _count_these(
        self, uncounted: Sequence[tuple[requests.Row, Slot | None]], dropped: int = 0
    ) -> None:
        if self._count_rows is None or not (uncounted or dropped):
            return
        rows, slots = [row for row, _ in uncounted], [slot for _, slot in uncounted]
        try:
            self._count_rows(rows, dropped, slots)
        except Exception:  # a wrong count is no reason not to write
            log.exception("Log rows could not be counted for the metrics.")

    def _commit(self, ready: int) -> bool:
        """One transaction, of the first of what is `ready`; False if the database refused for now
        and all of it must wait."""
        used, self._used = self._used, {}
        latest, self._latest = self._latest, {}
        try:
            self._write(ready, used, latest.values())
        except _PASSING as error:
            self._used, self._latest = used | self._used, latest | self._latest
            self._in_trouble(f"The database cannot be written: {error}")
            return False
        except Exception as error:
            # One of them is impossible: find it by going singly, and leave that one out.
            self._used = used | self._used
            if self._at_once == 1 and self._queue:
                *_, slot = self._queue.popleft()
                self._free([slot])
                log.error("Something could not be written and is left out: %r", error)
            self._at_once = 1 if self._at_once > 1 else BATCH
            return True
        self._out_of_trouble()
        return True

    def _write(self, ready: int, used: dict[int, int], latest: Iterable[Operation]) -> None:
        db = self._db
        # By index: others append meanwhile, and that ends an iteration over a deque.
        batch = [self._queue[i] for i in range(min(self._at_once, ready))]
        with transaction(db):
            self._append([(row, slot) for row, _, _, slot in batch if row])
            operated = [task for task in batch if task[1]]
            for row, writing, _, _ in operated:
                if row and writing:
                    writing(db)
            done = [
                (self._operate(operate, slot), slot)
                for row, operate, _, slot in operated
                if operate and not row
            ]
            if used:
                tokens.note_used(db, used)
            for operation in latest:
                operation(db)
        for _ in batch:
            self._queue.popleft()
        self._count_these([(row, slot) for row, slot in done if isinstance(row, requests.Row)])
        self._free([slot for _, _, _, slot in batch])
        for _, _, committed, _ in batch:
            if committed:
                committed()

    def _append(self, rows: list[tuple[requests.Row, Slot | None]]) -> None:
        if not rows:
            return
        requests.append(self._db, [row for row, _ in rows])
        if self._unwritten:
            first = self._db.last_insert_rowid() - len(rows) + 1
            self._unwritten.inserted([slot for _, slot in rows], first)

    def _operate(self, operate: Operation, slot: Slot | None) -> Any:
        done = operate(self._db)
        if self._unwritten and slot is not None:
            self._unwritten.inserted([slot], self._db.last_insert_rowid())
        return done

    def _free(self, slots: list[Slot | None]) -> None:
        if self._unwritten:
            self._unwritten.free(slots)

    def _in_trouble(self, trouble: str) -> None:
        if self.trouble is None:
            log.error("%s; requests go on, %d log rows wait.", trouble, self.backlog)
        self.trouble = trouble

    def _out_of_trouble(self) -> None:
        if self.trouble is not None:
            log.warning("The database can be written again, %d log rows wait.", self.backlog)
            if self.dropped:
                log.error("%d log rows were dropped since the start.", self.dropped)
        self.trouble = None
