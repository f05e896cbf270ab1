"""Requests that have no row in the database yet, in memory that outlives the worker.

A request has a slot from before it is sent upstream until its row is committed. When a worker is
killed, another one adopts its slots and writes the rows; at a stop the parent starts one for that.

Invariant: a slot is valid whenever its worker is killed. What belongs together is written by one
call, with the word last that makes it valid; events are copied one behind the other into zeros, and
half of one is none. Before a row is committed its slot has the row's id, so that whoever adopts the
slot can see whether it was.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from airoxy.core.billing.usage import Usage
from airoxy.server.shared_memory import FileLock, Record, Region, SharedMemory

#: Workers that can have slots at once: those of a few reloads together.
PLACES = 256
#: Slots are had by blocks; pages that no request touches cost nothing.
BLOCKS, _PER_BLOCK = 512, 64
#: Bytes of a path, a model's name, a request id and a client's address that are kept.
_PATH, _MODEL, _REQUEST_ID = 208, 128, 104
_ADDRESS = 48
#: Bytes of what is kept of an answer.
ROOM = 2640

#: What is noted of a request that is not kept as it came, in this order; `used` has the values of
#: the fields of `Usage`.
PROGRESS = (
    "ending",
    "status",
    "error",
    "ttfb_ms",
    "duration_ms",
    "request_id",
    "model",
    "is_stream",
    "counted_results",
    "used",
)
#: The states of an answer, in the lowest bits of a word. A stream has begun, and its events that
#: matter are kept as they came:
BEGUN = {"sse": 1, "chat": 2}
#: An answer has ended, and nothing was wrong. Above these bits there are milliseconds.
WHOLE = {"json": 3, "sse": 4, "chat": 5}
#: Something was noted instead, in the one area or in the other. Above, there is its length.
_NOTED, _NOTED_OVER_KEPT = 6, 7
STATE_BITS = 8
_STATES = (1 << STATE_BITS) - 1
_FORMS = {state: form for states in (BEGUN, WHOLE) for form, state in states.items()}

_SLOT = Record(
    # Without words of their own: with another order, what is noted is of another layout.
    **{f"progress_{name}": 0 for name in PROGRESS},
    **{f"usage_{each.name}": 0 for each in fields(Usage)},
    status=1,
    ttfb_ms=1,
    text_tokens=1,
    request_id=_REQUEST_ID // 8,
    kept=ROOM // 8,
    state_and_more=1,
    row_id=1,
    counted=1,
    moved=1,
    client_address=_ADDRESS // 8,
    key_id=1,
    group_id=1,  # 0: none
    began=1,  # Unix time, a double
    is_stream=1,
    is_uncounted=1,
    path=_PATH // 8,
    model=_MODEL // 8,
    token_and_retries=1,  # the retries from bit _RETRIES on; 0: the slot is not used
    noted=ROOM // 8,
)
_REGION = Record(owners=BLOCKS, slots=BLOCKS * _PER_BLOCK * _SLOT)
REGION = Region("unwritten", _REGION, locks={"turn": 1, "place": PLACES})

# Each of these two groups of fields is written by one call. They have the state in common: of a new
# request's answer nothing is known.
#: From `status` to the state.
_ANSWER = struct.Struct(f"<2q8x{_REQUEST_ID}s{ROOM}sq")
#: From the state to the token; all up to `client_address` is 0.
_REQUEST = struct.Struct(f"<32x{_ADDRESS}s2qd2q{_PATH}s{_MODEL}sq")
_STATE = _SLOT.at["state_and_more"]
#: Where these are from the state on, in words.
_STATUS, _TEXT, _KEPT, _ROW_ID, _COUNTED, _MOVED, _TOKEN, _NOTES = (
    _SLOT.at[name] - _STATE
    for name in (
        "status", "text_tokens", "kept", "row_id", "counted", "moved", "token_and_retries", "noted",
    )
)  # fmt: skip
#: Up to this bit, ids of tokens.
_RETRIES = 48
_IDS = (1 << _RETRIES) - 1
#: Stands for no model.
NO_MODEL = b"\xff"
#: The last version that does not look for the same object twice, which takes half as long again.
_MARSHAL = 2


class Kept(NamedTuple):
    """Of an answer what its usage can be read from again, as it came."""

    form: str
    status: int
    ttfb_ms: int
    #: The text of a stream so far, by its length.
    text_tokens: int
    duration_ms: int
    #: Whether it has ended, and nothing was wrong.
    is_whole: bool
    request_id: bytes
    raw: bytes


class Slot:
    """A slot of this worker; its state is at this `word` of the region."""

    __slots__ = ("_bytes", "_words", "answer", "kept", "request", "set_state", "word")

    def __init__(self, words: memoryview[int], as_bytes: memoryview[int], word: int) -> None:
        self.word = word
        self._words, self._bytes = words, as_bytes
        kept = (word + _KEPT) * 8
        #: Where the events of a stream that matter are copied to.
        self.kept = as_bytes[kept : kept + ROOM]
        # Calls without a frame of their own, which is a third of what it costs to keep a request.
        #: Takes the client's address or nothing, key, group or 0, time, is_stream, is_uncounted,
        #: path, model (or NO_MODEL), token.
        self.request = partial(_REQUEST.pack_into, as_bytes, word * 8)
        #: Takes status, ttfb_ms, request id, document or nothing, and state with milliseconds.
        self.answer = partial(_ANSWER.pack_into, as_bytes, (word + _STATUS) * 8)
        #: Takes the state of an answer that is kept, with milliseconds.
        self.set_state = partial(words.__setitem__, word)

    def retry(self, token_id: int) -> None:
        """The request goes out again, with this token."""
        before = self._words[self.word + _TOKEN] >> _RETRIES
        self._words[self.word + _TOKEN] = before + 1 << _RETRIES | token_id

    def note_moved(self) -> None:
        """The conversation has changed its account."""
        self._words[self.word + _MOVED] = 1

    def keep_text(self, form: str, tokens: int, duration_ms: int) -> None:
        """So much text has come of a stream."""
        self._words[self.word + _TEXT] = tokens
        self.set_state(duration_ms << STATE_BITS | BEGUN[form])

    def note(self, progress: tuple[Any, ...]) -> bool:
        """Keep `progress` (of what marshal takes) in the place of what was kept or noted before;
        False if it is too long."""
        written = marshal.dumps(progress, _MARSHAL)
        if (length := len(written)) > ROOM:
            return False
        # The area that is not in use.
        state, area = _NOTED, _NOTES
        if self._words[self.word] & _STATES == _NOTED:
            state, area = _NOTED_OVER_KEPT, _KEPT
        at = (self.word + area) * 8
        self._bytes[at : at + length] = written
        self.set_state(length << STATE_BITS | state)
        return True

    def read(self) -> Unwritten:
        """What another worker has written here."""
        word, kept, progress = self.word, None, None
        state, row_id, counted, moved = self._words[word : word + 4]
        address, key_id, group_id, began, is_stream, is_uncounted, path, model, token = (
            _REQUEST.unpack_from(self._bytes, word * 8)
        )
        if state & _STATES in _FORMS:
            kept = self._read_kept()
        elif state:
            at = (word + (_NOTES if state & _STATES == _NOTED else _KEPT)) * 8
            written = self._bytes[at : at + (state >> STATE_BITS)]
            progress = marshal.loads(written)  # noqa: S302 - airoxy wrote it
        return Unwritten(
            self,
            row_id,
            key_id,
            group_id or None,
            _text(path),
            began,
            _text(model) if model[:1] != NO_MODEL else None,
            bool(is_stream),
            bool(is_uncounted),
            token & _IDS,
            (token >> _RETRIES) + 1,
            bool(counted),
            bool(moved),
            _text(address) or None,
            kept,
            progress,
        )

    def _read_kept(self) -> Kept:
        status, ttfb_ms, request_id, raw, state = _ANSWER.unpack_from(
            self._bytes, (self.word + _STATUS) * 8
        )
        return Kept(
            _FORMS[state & _STATES],
            status,
            ttfb_ms,
            self._words[self.word + _TEXT],
            state >> STATE_BITS,
            state & _STATES in WHOLE.values(),
            request_id.rstrip(b"\0"),
            raw.rstrip(b"\0"),
        )


@dataclass(frozen=True)
class Unwritten:
    """What a slot says: what was asked, and of the answer either what is `kept` or, as `progress`,
    what was noted last. There may be a row of the id `row_id`, and `counted` says that the metrics
    have it already."""

    slot: Slot
    row_id: int
    key_id: int
    group_id: int | None
    path: str
    began: float
    model: str | None
    is_stream: bool
    is_uncounted: bool
    token_id: int
    attempts: int
    counted: bool
    moved: bool
    client_address: str | None
    kept: Kept | None
    progress: tuple[Any, ...] | None


class UnwrittenRequests:
    """This worker's slots in `memory`."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._words = memory.words(REGION)
        self._bytes = self._words.cast("B")
        self._turn = memory.lock(REGION, "turn")
        #: Its blocks by their numbers.
        self._blocks: dict[int, list[Slot]] = {}
        #: Slots for requests that are about to be sent; see `grow`.
        self.unused: list[Slot] = []
        #: Called before what is `counted` of a worker that was killed is read.
        self.settle: Callable[[], object] = lambda: None
        with self._turn:
            self.place = self._take_place()

    def grow(self) -> bool:
        """More unused slots; False if there are none."""
        with self._turn:
            for block in range(BLOCKS):
                if not self._words[block]:
                    self.unused += reversed(self._own(block))
                    return True
        return False

    # The writer

    def inserted(self, slots: Iterable[Slot | None], row_id: int) -> None:
        """The transaction that inserts their rows, from this id on, is about to be committed."""
        words = self._words
        for each, slot in enumerate(slots, row_id):
            if slot is not None:
                words[slot.word + _ROW_ID] = each

    def count(self, slots: Iterable[int]) -> None:
        """The metrics have these, which are told by their words."""
        for word in slots:
            self._words[word + _COUNTED] = 1

    def free(self, slots: Iterable[Slot | None]) -> None:
        """These are in the database, or given up."""
        words, free = self._words, self.unused.append
        for slot in slots:
            if slot is not None:
                words[slot.word + _TOKEN] = 0
                free(slot)

    def close(self) -> None:
        """Give the blocks back, but for those that still have something to be written."""
        with self._turn:
            for block, slots in self._blocks.items():
                if not any(map(self._is_used, slots)):
                    self._words[block] = 0
        for slot in chain.from_iterable(self._blocks.values()):
            slot.kept.release()
        self.unused.clear()
        self._bytes.release()

    # Workers that were killed

    def adopt(self) -> list[Unwritten]:
        """Take over the slots of workers that have ended; they are to be written, and freed."""
        owners = set(self._words[:BLOCKS].tolist()) - {0, self.place + 1}
        found: list[Unwritten] = []
        for place in (owner - 1 for owner in owners):
            lock = self._place_lock(place)
            if lock.try_acquire():  # its worker lives no more
                try:
                    self.settle()
                    found += self._adopt(place)
                finally:
                    lock.release()
        return found

    def _adopt(self, place: int) -> list[Unwritten]:
        found = []
        with self._turn:
            for block in range(BLOCKS):
                if self._words[block] == place + 1:
                    used = [slot for slot in self._own(block) if self._is_used(slot)]
                    found += [slot.read() for slot in used]
                    self.unused += [slot for slot in self._blocks[block] if slot not in used]
        return found

    # Blocks and places

    def _own(self, block: int) -> list[Slot]:
        """Have the slots of this block from now on."""
        slots = [Slot(self._words, self._bytes, word) for word in _slots_of(block)]
        self._blocks[block] = slots
        self._words[block] = self.place + 1
        return slots

    def _take_place(self) -> int:
        """A place that no worker has, and from which nothing is left to be adopted."""
        owned = set(self._words[:BLOCKS].tolist())
        for place in range(PLACES):
            if place + 1 not in owned and self._place_lock(place).try_acquire():
                return place
        raise RuntimeError(f"More than {PLACES} workers are running; restart airoxy.")

    def _is_used(self, slot: Slot) -> bool:
        return bool(self._words[slot.word + _TOKEN])

    def _place_lock(self, place: int) -> FileLock:
        return self._memory.lock(REGION, "place", place)


def count_left(memory: SharedMemory) -> int:
    """How many requests in `memory` have no row, or nobody has freed them since."""
    words = memory.words(REGION)
    blocks = (block for block in range(BLOCKS) if words[block])
    return sum(bool(words[word + _TOKEN]) for block in blocks for word in _slots_of(block))


def _slots_of(block: int) -> range:
    """The words of their states."""
    first = _REGION.at["slots"] + block * _PER_BLOCK * _SLOT.size + _STATE
    return range(first, first + _PER_BLOCK * _SLOT.size, _SLOT.size)


def _text(written: bytes) -> str:
    return written.rstrip(b"\0").decode(errors="ignore")
