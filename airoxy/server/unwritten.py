"""Requests that have no row in the database yet, in memory that outlives the worker.

A request has a slot from before it is sent upstream until its row is committed. When a worker is
killed, another one adopts its slots and writes the rows.

Invariant: a slot is valid whenever its worker is killed. What is noted later goes behind what is
kept, or into the area that is not in use, and one word says which is and how long. Before a row is
committed its slot has the row's id, so that whoever adopts the slot can see whether it was.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from airoxy.core.billing.usage import Usage
from airoxy.server.shared_memory import FileLock, Record, Region, SharedMemory

#: Workers that can have slots at once: those of a few reloads together.
PLACES = 256
#: Slots are had by blocks; pages that no request touches cost nothing.
BLOCKS, _PER_BLOCK = 512, 64
#: Characters of a path and of a model's name that are kept.
_PATH, _MODEL = 208, 128
_REQUEST_ID = 104
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
#: The forms of answers that are kept as they came: a document, or the events that matter.
FORMS = ("json", "sse", "chat")

_SLOT = Record(
    # Without words of their own: with another order, what is noted is of another layout.
    **{f"progress_{name}": 0 for name in PROGRESS},
    **{f"usage_{each.name}": 0 for each in fields(Usage)},
    row_id=1,
    counted=1,
    current=1,  # the area in use: its byte offset, its kind, and above 32 bits its length
    token_id=1,
    attempts=1,
    key_id=1,
    group_id=1,  # 0: none
    began_ms=1,
    flags=1,
    path=_PATH // 8,
    model=_MODEL // 8,
    used=1,
    form=1,
    status=1,
    ttfb_ms=1,
    text_tokens=1,
    duration_ms=1,
    ended=1,
    request_id=_REQUEST_ID // 8,
    first=ROOM // 8,
    second=ROOM // 8,
)
_REGION = Record(owners=BLOCKS, slots=BLOCKS * _PER_BLOCK * _SLOT)
REGION = Region("unwritten", _REGION, locks={"turn": 1, "place": PLACES})

#: The fields from `row_id` to `used`, which is written last.
_BEGIN = struct.Struct(f"<9q{_PATH}s{_MODEL}sq")
#: The fields from `form` to `first`.
_ANSWER = struct.Struct(f"<6q{_REQUEST_ID}s{ROOM}s")
_ANSWER_AT = _SLOT.at["form"] * 8
_ROW_ID, _COUNTED, _CURRENT = _SLOT.at["row_id"], _SLOT.at["counted"], _SLOT.at["current"]
_TOKEN, _ATTEMPTS, _USED = _SLOT.at["token_id"], _SLOT.at["attempts"], _SLOT.at["used"]
_TEXT, _DURATION, _ENDED = _SLOT.at["text_tokens"], _SLOT.at["duration_ms"], _SLOT.at["ended"]
_STREAM, _UNCOUNTED, _HAS_MODEL = 1, 2, 4
#: The last version that does not look for the same object twice, which takes half as long again.
_MARSHAL = 2
#: Where the areas begin in a slot (bytes).
_FIRST, _SECOND = _SLOT.at["first"] * 8, _SLOT.at["second"] * 8
#: In `current`, where the bytes are an answer's own.
_AS_IT_CAME = 1 << 31


class Kept(NamedTuple):
    """Of an answer what its usage can be read from again, as it came."""

    form: str
    status: int
    ttfb_ms: int
    #: The text of a stream so far, by its length.
    text_tokens: int
    duration_ms: int
    #: Whether it has ended, and nothing was wrong.
    ended: bool
    request_id: str | None
    raw: bytes


@dataclass(frozen=True)
class Unwritten:
    """What a slot says: what was asked, and of the answer either what is `kept` or, as `progress`,
    what was noted last. There may be a row of the id `row_id`, and `counted` says that the metrics
    have it already."""

    slot: int
    row_id: int
    key_id: int
    group_id: int | None
    path: str
    began_ms: int
    model: str | None
    is_stream: bool
    uncounted: bool
    token_id: int
    attempts: int
    counted: bool
    kept: Kept | None
    progress: tuple[Any, ...] | None


class UnwrittenRequests:
    """This worker's slots in `memory`; a slot is the number of its first word."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._words = memory.words(REGION)
        self._bytes = self._words.cast("B")
        self._turn = memory.lock(REGION, "turn")
        self._free: list[int] = []
        with self._turn:
            self.place = self._take_place()

    # A request

    def begin(
        self,
        key_id: int,
        path: str,
        began_ms: int,
        model: str | None,
        token_id: int,
        is_stream: bool = False,
        uncounted: bool = False,
        group_id: int | None = None,
    ) -> int | None:
        """A slot for a request that is about to be sent; None where there is none left."""
        if not self._free and not self._take_block():
            return None
        slot = self._free.pop()
        flags = is_stream * _STREAM + uncounted * _UNCOUNTED
        if model is not None:
            flags += _HAS_MODEL
        _BEGIN.pack_into(
            self._bytes, slot * 8,
            0, 0, 0, token_id, 1, key_id, group_id or 0, began_ms, flags,
            path.encode(), model.encode() if model else b"", 1,
        )  # fmt: skip
        return slot

    def retry(self, slot: int, token_id: int) -> None:
        """The request goes out again, with this token."""
        self._words[slot + _TOKEN] = token_id
        self._words[slot + _ATTEMPTS] += 1

    def keep(
        self,
        slot: int,
        form: int,
        raw: bytes,
        status: int,
        ttfb_ms: int,
        duration_ms: int,
        ended: bool,
        request_id: bytes,
    ) -> bool:
        """Keep `raw`, with which an answer begins or, with `ended`, all of it. False if it is too
        long, or something is noted already."""
        length = len(raw)
        if length > ROOM or self._words[slot + _CURRENT]:
            return False
        _ANSWER.pack_into(
            self._bytes, slot * 8 + _ANSWER_AT,
            form, status, ttfb_ms, 0, duration_ms, ended, request_id, raw,
        )  # fmt: skip
        self._words[slot + _CURRENT] = length << 32 | _AS_IT_CAME | _FIRST
        return True

    def keep_more(self, slot: int, raw: bytes, duration_ms: int) -> bool:
        """The answer goes on with this; False if there is no room for it."""
        current = self._words[slot + _CURRENT]
        kept, length = current >> 32, len(raw)
        if kept + length > ROOM or not current & _AS_IT_CAME:
            return False
        at = slot * 8 + _FIRST + kept
        self._bytes[at : at + length] = raw
        self._words[slot + _DURATION] = duration_ms
        self._words[slot + _CURRENT] = current + (length << 32)
        return True

    def keep_text(self, slot: int, tokens: int, duration_ms: int) -> None:
        """So much text has come of what is kept."""
        self._words[slot + _TEXT] = tokens
        self._words[slot + _DURATION] = duration_ms

    def keep_end(self, slot: int, duration_ms: int) -> None:
        """What is kept has ended, and nothing was wrong."""
        self._words[slot + _DURATION] = duration_ms
        self._words[slot + _ENDED] = True

    def note(self, slot: int, progress: tuple[Any, ...]) -> bool:
        """Keep `progress` (of what marshal takes) in the place of what was kept or noted before;
        False if it is too long."""
        written = marshal.dumps(progress, _MARSHAL)
        length = len(written)
        if length > ROOM:
            return False
        start = _FIRST
        if self._words[slot + _CURRENT] & (_AS_IT_CAME - 1) == start:
            start = _SECOND
        at = slot * 8 + start
        self._bytes[at : at + length] = written
        self._words[slot + _CURRENT] = length << 32 | start
        return True

    # The writer

    def inserted(self, slots: Iterable[int | None], row_id: int) -> None:
        """The transaction that inserts their rows, from this id on, is about to be committed."""
        words = self._words
        for each, slot in enumerate(slots, row_id):
            if slot is not None:
                words[slot + _ROW_ID] = each

    def count(self, slots: Iterable[int | None]) -> None:
        """The metrics have these."""
        words = self._words
        for slot in slots:
            if slot is not None:
                words[slot + _COUNTED] = 1

    def free(self, slots: Iterable[int | None]) -> None:
        """These are in the database, or given up."""
        words, free = self._words, self._free.append
        for slot in slots:
            if slot is not None:
                words[slot + _USED] = 0
                free(slot)

    def close(self) -> None:
        """Give the blocks back, but for those that still have something to be written."""
        with self._turn:
            for block in range(BLOCKS):
                if self._words[block] == self.place + 1 and not self._used_slots(block):
                    self._words[block] = 0
        self._free.clear()
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
                    found += self._adopt(place)
                finally:
                    lock.release()
        return found

    def _adopt(self, place: int) -> list[Unwritten]:
        found = []
        with self._turn:
            for block in range(BLOCKS):
                if self._words[block] == place + 1:
                    used = self._used_slots(block)
                    found += [self._read(slot) for slot in used]
                    self._words[block] = self.place + 1
                    self._free += [slot for slot in _slots(block) if slot not in used]
        return found

    def _read(self, slot: int) -> Unwritten:
        values = _BEGIN.unpack_from(self._bytes, slot * 8)
        row_id, counted, current, token_id, attempts, key_id, group_id, *more = values
        began_ms, flags, path, model, _ = more
        kept = progress = None
        at = slot * 8 + (current & (_AS_IT_CAME - 1))
        written = bytes(self._bytes[at : at + (current >> 32)])
        if current & _AS_IT_CAME:
            kept = self._read_kept(slot, written)
        elif current:
            progress = marshal.loads(written)  # noqa: S302 - airoxy wrote it
        return Unwritten(
            slot,
            row_id,
            key_id,
            group_id or None,
            path.rstrip(b"\0").decode(errors="ignore"),
            began_ms,
            model.rstrip(b"\0").decode(errors="ignore") if flags & _HAS_MODEL else None,
            bool(flags & _STREAM),
            bool(flags & _UNCOUNTED),
            token_id,
            attempts,
            bool(counted),
            kept,
            progress,
        )

    def _read_kept(self, slot: int, raw: bytes) -> Kept:
        form, status, ttfb_ms, text_tokens, duration_ms, ended, request_id, _ = _ANSWER.unpack_from(
            self._bytes, slot * 8 + _ANSWER_AT
        )
        name = request_id.rstrip(b"\0").decode("latin-1") or None
        return Kept(FORMS[form], status, ttfb_ms, text_tokens, duration_ms, bool(ended), name, raw)

    # Blocks and places

    def _take_block(self) -> bool:
        with self._turn:
            for block in range(BLOCKS):
                if not self._words[block]:
                    self._words[block] = self.place + 1
                    self._free += reversed(_slots(block))
                    return True
        return False

    def _take_place(self) -> int:
        """A place that no worker has, and from which nothing is left to be adopted."""
        owned = set(self._words[:BLOCKS].tolist())
        for place in range(PLACES):
            if place + 1 not in owned and self._place_lock(place).try_acquire():
                return place
        raise RuntimeError(f"More than {PLACES} workers are running; restart airoxy.")

    def _used_slots(self, block: int) -> list[int]:
        return [slot for slot in _slots(block) if self._words[slot + _USED]]

    def _place_lock(self, place: int) -> FileLock:
        return self._memory.lock(REGION, "place", place)


def _slots(block: int) -> range:
    first = _REGION.at["slots"] + block * _PER_BLOCK * _SLOT.size
    return range(first, first + _PER_BLOCK * _SLOT.size, _SLOT.size)
