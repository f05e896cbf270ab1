"""Memory that all workers share: regions with named words and named locks, laid out by their
declarations.

A region is declared where it is used, as a `Region` of `Record`s; a `Layout` puts regions one
behind the other and gives each lock its byte. Its fingerprint is made of the declarations alone:
two programs with the same fingerprint understand each other's memory. So where the meaning of a
word changes, its name has to change as well.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

WORD = 8  # bytes


class Record:
    """Named fields, one behind the other: a number is that many words.

    `at` has the first word of each field, `size` the words of all of them."""

    def __init__(self, **fields: int | Record | Array) -> None:
        self.fields = fields
        self.at: dict[str, int] = {}
        self.size = 0
        for name, each in fields.items():
            self.at[name] = self.size
            self.size += each if isinstance(each, int) else each.size

    def __rmul__(self, count: int) -> Array:
        return Array(count, self)

    def __repr__(self) -> str:
        return f"({' '.join(f'{name}={each!r}' for name, each in self.fields.items())})"


@dataclass(frozen=True)
class Array:
    """`count * record`: so many records of one kind."""

    count: int
    record: Record

    @property
    def size(self) -> int:
        return self.count * self.record.size

    def __repr__(self) -> str:
        return f"{self.count}*{self.record!r}"


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the memory; `locks` says how many there are of each name."""

    name: str
    record: Record
    locks: Mapping[str, int] = field(default_factory=dict)


class Layout:
    """Where each region begins and which byte each lock has; `size` is in bytes."""

    def __init__(self, *regions: Region) -> None:
        self.regions = regions
        self._start: dict[Region, int] = {}
        self._locks: dict[tuple[Region, str], int] = {}
        words = locks = 0
        for region in regions:
            self._start[region] = words
            words += region.record.size
            for name, count in region.locks.items():
                self._locks[region, name] = locks
                locks += count
        # A lock is on a byte of the file: it has nothing to do with what stands there.
        self.size = max(words * WORD, locks)
        declared = " ".join(f"{each.name}{each.record!r}{dict(each.locks)}" for each in regions)
        self.fingerprint = hashlib.sha256(declared.encode()).hexdigest()[:16]

    def words(self, region: Region) -> slice:
        start = self._start[region]
        return slice(start, start + region.record.size)

    def lock(self, region: Region, name: str) -> int:
        return self._locks[region, name]


class SharedMemory:
    """The memory of `fd`, or a new one, that processes which are forked from this one share.

    Invariant: the file is opened once in a process, and closed at its end. To the kernel, closing
    any descriptor of a file gives back all locks that the process has on it."""

    def __init__(self, layout: Layout, fd: int | None = None) -> None:
        self.layout = layout
        self.fd = os.memfd_create("airoxy-shared-memory") if fd is None else fd
        if fd is None:
            # Pages that nobody touches cost nothing.
            os.ftruncate(self.fd, layout.size)
        self._map = mmap.mmap(self.fd, layout.size)
        self._words = memoryview(self._map).cast("q")
        self._views: dict[Region, memoryview[int]] = {}

    @classmethod
    def of(cls, *regions: Region) -> SharedMemory:
        """A new memory of these regions."""
        return cls(Layout(*regions))

    def words(self, region: Region) -> memoryview[int]:
        """The region's words, signed; until `close`."""
        if region not in self._views:
            self._views[region] = self._words[self.layout.words(region)]
        return self._views[region]

    def lock(self, region: Region, name: str, number: int = 0) -> FileLock:
        return FileLock(self.fd, self.layout.lock(region, name) + number)

    def close(self) -> None:
        for view in self._views.values():
            view.release()
        self._words.release()
        self._map.close()
        os.close(self.fd)


class FileLock(contextlib.AbstractContextManager[None]):
    """A lock between processes on byte `place` of a file; threads of one process do not exclude
    each other. The kernel takes it back from a process that ends."""

    def __init__(self, fd: int, place: int) -> None:
        self._fd = fd
        self._place = place

    def __enter__(self) -> None:
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, self._place)
                return
            except OSError as error:
                # Nobody waits for a second lock while it has one, but to the kernel a process has
                # what its threads have: one thread that has a lock and another that waits for one
                # look like half of a circle.
                if error.errno != errno.EDEADLK:
                    raise
                os.sched_yield()  # locks are kept for microseconds

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._place)

    def try_acquire(self) -> bool:
        """Take it if no other process has it."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
        except OSError:
            return False
        return True

    def release(self) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._place)
