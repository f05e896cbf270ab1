"""The metrics' counters, in memory that all workers share: requests, usage, cost and times by
client key, upstream token, model, status and ending.

Invariant: a number only grows, over reloads and whatever happens to a worker, and each request is
counted once. Every worker adds to the same numbers under a lock, by way of a journal; readers need
no lock. The memory is bounded: what finds no room in it is counted under OTHER.
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from airoxy.core.billing.usage import COUNTED, counts_of
from airoxy.server.admission import REASONS
from airoxy.server.metrics.journal import Journal, Mark, journal_of
from airoxy.server.shared_memory import Record, Region, SharedMemory
from airoxy.server.unwritten import Slot

if TYPE_CHECKING:
    from airoxy.store.usage.requests import Row

#: The label of models that Anthropic has never charged for (clients make names up), and of
#: everything that comes when the memory is full.
OTHER = "other"
#: How many models, and how many records (outcomes), the memory has room for.
MODELS, RECORDS = 128, 8192
#: Upper bounds of the times (milliseconds); one more bucket is for what takes longer.
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
BOUNDS = tuple(int(bound * 1000) for bound in _SECONDS)
#: What is summed of a request.
SUMMED = (*COUNTED, "cost_nanousd", "is_estimate", "uncounted")

_BUCKETS = {f"at_most_{bound}_ms": 1 for bound in BOUNDS}
_TIME = Record(**_BUCKETS, longer=1, sum=1)
#: The name is the ending, a space and the model.
_COUNTED = Record(
    key_id=1,
    token_id=1,
    group_id=1,
    status=1,
    name=10,
    requests=1,
    failovers=1,
    **dict.fromkeys(SUMMED, 1),
    ttfb=_TIME,
    duration=_TIME,
)
_CONNECTIONS = Record(**dict.fromkeys(REASONS, 1))
#: Rows of one step of the journal. Each changes its number, failovers, sums, and twice a bucket and
#: the sum of a time.
_STEP = 500
_JOURNAL = journal_of(_STEP * (2 + len(SUMMED) + 4), _STEP)
_METRICS = Record(
    records_used=1,
    rows_dropped=1,
    refused=1,
    connections=_CONNECTIONS,
    journal=_JOURNAL,
    records=RECORDS * _COUNTED,
)
REGION = Region("metrics", _METRICS, locks={"turn": 1})

_REFUSED = _METRICS.at["refused"]
_HEAD, _RECORD, _TIMES = _METRICS.at["records"], _COUNTED.size, _TIME.size
_NAME, _NAMED = _COUNTED.at["name"], 10
_FAILOVERS, _SUMS = _COUNTED.at["failovers"], _COUNTED.at[SUMMED[0]]
_TTFB, _DURATION = _COUNTED.at["ttfb"], _COUNTED.at["duration"]
_LONGEST = 60  # characters of a model's name: the longest ending is 15


class CounterLabels(NamedTuple):
    """What requests have in common; the id 0 is no token, no group, or any key in the record of the
    rest."""

    key_id: int
    token_id: int
    status: int
    ending: str
    model: str
    group_id: int = 0


class CounterValues(NamedTuple):
    """What they sum up to. Times are milliseconds: a number for each of BOUNDS and one for what
    took longer, then the sum."""

    requests: int
    failovers: int
    sums: Mapping[str, int]  # by the names of SUMMED
    ttfb: tuple[int, ...]
    duration: tuple[int, ...]


#: Of a row, what its record is found by.
_Alike = tuple[int, int | None, int, str, str | None, int | None]
_alike_of: Callable[[Row], _Alike] = attrgetter(
    "api_key_id", "token_id", "status_code", "ending", "model", "group_id"
)
_attempts_of, _ttfb_of = attrgetter("attempts"), attrgetter("ttfb_ms")
_duration_of = attrgetter("duration_ms")
#: What is summed beside the counts.
_others_of = attrgetter(*SUMMED[len(COUNTED) :])

_REST = CounterLabels(0, 0, 0, OTHER, OTHER)


class MetricCounters:
    """What this worker, and all that share `memory`, count; `mark` takes the slots of requests that
    were counted."""

    def __init__(self, memory: SharedMemory, mark: Mark = lambda _: None) -> None:
        self._words = memory.words(REGION)
        self._turn = memory.lock(REGION, "turn")
        # Rows are counted by the writer's thread, refusals by that of the loop.
        self._threads = threading.Lock()
        self._journal = Journal(self._words, _METRICS.at["journal"], mark)
        self._places: dict[tuple[int, int, int, str, str, int], int] = {}
        #: By what rows have, those of models that exist; no more than there are records.
        self._found: dict[_Alike, int] = {}
        self._models: set[str] = set()
        self._known = 0  # records that `_places` has
        with self._threads, self._turn:
            if not self._words[0]:
                self._add(_REST)

    def count(
        self,
        rows: Sequence[Row],
        dropped: int = 0,
        slots: Sequence[Slot | None] = (),
    ) -> None:
        """Add these requests, of which some have `slots`, and how many rows were dropped."""
        with self._threads, self._turn:
            self._journal.finish()
            self._words[1] += dropped
            for start in range(0, len(rows), _STEP):
                step = slice(start, start + _STEP)
                counted = [slot.word for slot in slots[step] if slot is not None]
                self._count(rows[step], counted)

    def settle(self) -> None:
        """Count, and mark, what a worker that was killed has begun to count."""
        with self._threads, self._turn:
            self._journal.finish()

    def _count(self, rows: Iterable[Row], slots: Collection[int]) -> None:
        # Those of one record are summed together, at half the cost.
        found: dict[int, list[Row]] = {}
        for row in rows:
            place = self._found.get(_alike_of(row)) or self._place(row)
            found.setdefault(place, []).append(row)
        numbers: dict[int, int] = {}
        for place, together in found.items():
            self._sum(numbers, place, together)
        self._journal.take(numbers, slots)

    def refuse(self) -> None:
        """A request had no valid client key."""
        with self._threads, self._turn:
            self._words[_REFUSED] += 1

    def refuse_connection(self, reason: str) -> None:
        """One was not accepted, or closed before its time."""
        with self._threads, self._turn:
            self._words[_METRICS.at["connections"] + _CONNECTIONS.at[reason]] += 1

    @property
    def refused_connections(self) -> dict[str, int]:
        """How many there were, by reason."""
        first = _METRICS.at["connections"]
        return {each: self._words[first + at] for each, at in _CONNECTIONS.at.items()}

    @property
    def refused(self) -> int:
        """How many requests had no valid client key."""
        return self._words[_REFUSED]

    @property
    def dropped(self) -> int:
        """Rows that were never written, because too many waited."""
        return self._words[1]

    def read(self) -> list[tuple[CounterLabels, CounterValues]]:
        """All that was counted so far."""
        words = self._words[: _HEAD + self._words[0] * _RECORD].tolist()
        return [
            (self._outcome(place), _counts(words[place : place + _RECORD]))
            for place in range(_HEAD, len(words), _RECORD)
        ]

    def _sum(self, numbers: dict[int, int], place: int, rows: Sequence[Row]) -> None:
        """The numbers of a record, by their words, to which these rows were added."""
        words = self._words
        if failovers := sum(each - 1 for each in map(_attempts_of, rows) if each > 1):
            numbers[place + _FAILOVERS] = words[place + _FAILOVERS] + failovers
        amounts = [(*counts_of(row.usage), *_others_of(row)) for row in rows]
        sums = map(sum, zip(*amounts, strict=True))
        for at, amount in enumerate(sums, place + _SUMS):
            if amount:
                numbers[at] = words[at] + amount
        times = [time for time in map(_ttfb_of, rows) if time is not None]
        self._sum_times(numbers, place + _TTFB, times)
        self._sum_times(numbers, place + _DURATION, [*map(_duration_of, rows)])
        # Last: who reads that there was one more request finds all of it.
        numbers[place + _FAILOVERS - 1] = words[place + _FAILOVERS - 1] + len(rows)

    def _sum_times(self, numbers: dict[int, int], place: int, times: list[int]) -> None:
        words = self._words
        buckets = [bisect_left(BOUNDS, time) for time in times]
        for bucket in set(buckets):
            numbers[place + bucket] = words[place + bucket] + buckets.count(bucket)
        numbers[place + _TIMES - 1] = words[place + _TIMES - 1] + sum(times)

    def _place(self, row: Row) -> int:
        """The first word of the row's record."""
        model = row.model or ""
        if model and model not in self._models:
            model = self._admit(row, model)
        outcome = (
            row.api_key_id, row.token_id or 0, row.status_code, row.ending, model,
            row.group_id or 0,
        )  # fmt: skip
        place = self._places.get(outcome)
        if place is None:
            self._catch_up()
            place = self._places.get(outcome) or self._add(CounterLabels(*outcome))
        if model == (row.model or "") and place != _HEAD:
            self._found[_alike_of(row)] = place
        return place

    def _admit(self, row: Row, model: str) -> str:
        """`model`, where it is one that exists."""
        self._catch_up()
        if model in self._models:
            return model
        charged = row.status_code == 200 and (row.usage.input_tokens or row.usage.output_tokens)
        plain = model.isascii() and model.isprintable() and len(model) <= _LONGEST
        return model if charged and plain and len(self._models) < MODELS else OTHER

    def _catch_up(self) -> None:
        """Find the records that others have added."""
        for number in range(self._known, self._words[0]):
            place = _HEAD + number * _RECORD
            outcome = self._outcome(place)
            self._places[outcome] = place
            if outcome.model not in ("", OTHER):
                self._models.add(outcome.model)
        self._known = self._words[0]

    def _add(self, outcome: CounterLabels) -> int:
        """A new record's place, or that of the rest."""
        number = self._words[0]
        if number == RECORDS:
            return _HEAD
        place = _HEAD + number * _RECORD
        name = f"{outcome.ending} {outcome.model}".encode("ascii").ljust(_NAMED * 8, b"\0")
        numbers = (outcome.key_id, outcome.token_id, outcome.group_id, outcome.status)
        head = memoryview(struct.pack("4q", *numbers) + name).cast("q")
        self._words[place : place + len(head)] = head
        self._words[0] += 1  # now that it is whole, readers may see it
        self._catch_up()
        return place

    def _outcome(self, place: int) -> CounterLabels:
        words = self._words[place : place + _NAME + _NAMED]
        ending, _, model = bytes(words[_NAME:]).rstrip(b"\0").decode("ascii").partition(" ")
        return CounterLabels(words[0], words[1], words[3], ending, model, words[2])


def _counts(record: list[int]) -> CounterValues:
    return CounterValues(
        record[_FAILOVERS - 1],
        record[_FAILOVERS],
        dict(zip(SUMMED, record[_SUMS:_TTFB], strict=True)),
        tuple(record[_TTFB:_DURATION]),
        tuple(record[_DURATION:]),
    )
