"""How each token stands right now, shared by all workers: its last use and its coolings; and what
all workers are at, as the parent hears.

The law: this mapping is what the pool decides by; the database only outlives it. A slot is found
by the token's id, so nothing is ever allocated and no worker waits for another to do so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import struct
from hashlib import blake2b
from typing import NamedTuple

from airoxy.core.pool import EVERY_CLASS, Token

SLOTS = 4096
_COOLINGS = 10  # model classes that can cool at once; the one that ends first gives way
_HEAD = 2  # words: token id, last use (Unix ns)
_ENTRY = 3  # words: class, until (Unix ns), set at (Unix ns)
_SLOT = _HEAD + _COOLINGS * _ENTRY  # words of 8 bytes
_LOAD = SLOTS * _SLOT  # behind the slots, the words of a Load
_LATEST = _LOAD + 3  # one more: the latest use of any token
_COOL = _LATEST + 1  # and one: until when any of them cools at all (Unix ns)
#: Bytes of this part; pages that no token touches cost nothing.
SIZE = (_COOL + 1) * 8


class Load(NamedTuple):
    """What workers are at: open requests, connections to Anthropic, log rows that wait for the
    database."""

    streams: int = 0
    connections: int = 0
    waiting: int = 0


class TokenState:
    """`fd` is the memory that the parent made (an own one without); `shared` says that other
    workers use it too."""

    def __init__(self, fd: int | None = None, *, shared: bool = False) -> None:
        self._fd = os.memfd_create("airoxy-standing") if fd is None else fd
        self._own = fd is None
        if self._own:
            os.ftruncate(self._fd, SIZE)
        self._map = mmap.mmap(self._fd, SIZE)
        self._words = memoryview(self._map).cast("Q")
        self._turn: contextlib.AbstractContextManager[None] = (
            FileLock(self._fd, 0) if shared else contextlib.nullcontext()
        )

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Choosing a token and marking it used is one step for all workers (microseconds)."""
        return self._turn

    def last_used(self, token: Token) -> int:
        """Unix nanoseconds, 0 for never."""
        base = token.id % SLOTS * _SLOT
        return self._words[base + 1] if self._words[base] == token.id else 0

    def mark_used(self, token_id: int, now_ns: int) -> int:
        """Remember the use; the answer is later than every earlier one, whatever the clock does: a
        token that was used before it was set back would be passed over until it is that late again.
        """
        words = self._words
        used = words[_LATEST] = max(now_ns, words[_LATEST] + 1)
        words[self._slot(token_id) + 1] = used
        return used

    def recall(self, token_id: int, used_ns: int) -> None:
        """What the database remembers of the last use; this mapping may know better."""
        base = self._slot(token_id)
        self._words[base + 1] = max(used_ns, self._words[base + 1])
        self._words[_LATEST] = max(used_ns, self._words[_LATEST])

    def any_cools(self, now: float) -> bool:
        """Whether a look at the coolings is worth it: nearly always, none is there."""
        return self._words[_COOL] > now * 1e9

    def cooling_until(self, token: Token, model_class: str) -> float:
        """When the token is ready for `model_class`, in Unix seconds; 0 if it is."""
        base = token.id % SLOTS * _SLOT
        if self._words[base] != token.id or not self._words[base + _HEAD]:
            return 0.0  # it has never cooled
        until = 0
        asked = _code(model_class)
        for place in range(base + _HEAD, base + _SLOT, _ENTRY):
            code = self._words[place]
            if not code:
                break
            if code in (asked, _EVERY) and self._words[place + 2] > token.reset_at:
                until = max(until, self._words[place + 1])
        return until / 1e9

    def cool(self, token_id: int, model_class: str, until: float, set_at_ns: int) -> None:
        """The token rests for `model_class` until the Unix second `until`."""
        base = self._slot(token_id)
        code = _code(model_class)
        places = range(base + _HEAD, base + _SLOT, _ENTRY)
        place = next(
            (p for p in places if self._words[p] in (0, code)),
            min(places, key=lambda p: self._words[p + 1]),
        )
        with self._turn:  # or another worker's would be forgotten
            self._words[_COOL] = max(int(until * 1e9), self._words[_COOL])
        self._words[place + 1] = int(until * 1e9)
        self._words[place + 2] = set_at_ns
        self._words[place] = code

    @property
    def load(self) -> Load:
        """What all workers together are at, as of the last second."""
        return Load(*self._words[_LOAD:_LATEST])

    def close(self) -> None:
        self._words.release()
        self._map.close()
        if self._own:
            os.close(self._fd)

    def _slot(self, token_id: int) -> int:
        """The first word of the token's slot, emptied if it was another token's."""
        base = token_id % SLOTS * _SLOT
        if self._words[base] != token_id:
            self._words[base : base + _SLOT] = _EMPTY
            self._words[base] = token_id
        return base


def tell_load(fd: int, load: Load) -> None:
    """What the parent has heard, for all who share the memory `fd`."""
    os.pwrite(fd, struct.pack("3Q", *load), _LOAD * 8)


class FileLock(contextlib.AbstractContextManager[None]):
    """A lock between processes, on the byte `place`; within one only one thread takes it.

    Who has one waits for no other. But to the kernel locks are a process's and not a thread's: one
    thread that has a turn and one that waits for another look to it like a circle of processes.
    """

    def __init__(self, fd: int, place: int) -> None:
        self._fd = fd
        self._place = place

    def __enter__(self) -> None:
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, self._place)
                return
            except OSError as error:
                if error.errno != errno.EDEADLK:
                    raise
                os.sched_yield()  # it lasts for microseconds

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._place)


def _code(model_class: str) -> int:
    code = _codes.get(model_class)
    if code is None:
        if len(_codes) >= 1000:  # model names come from clients: keep the table bounded
            _codes.clear()
        digest = blake2b(model_class.encode(), digest_size=8).digest()
        code = _codes[model_class] = int.from_bytes(digest, "little") or 1
    return code


_codes: dict[str, int] = {}
_EVERY = int.from_bytes(blake2b(EVERY_CLASS.encode(), digest_size=8).digest(), "little")
_EMPTY = memoryview(bytes(_SLOT * 8)).cast("Q")
