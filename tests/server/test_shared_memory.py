"""The layout that follows from the declarations, and locks between processes and their threads."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from airoxy.server.process.memory import LAYOUT
from airoxy.server.shared_memory import Array, FileLock, Layout, Record, Region, SharedMemory
from tests.program import ROOT

#: Has the second lock, asks for the first, and tells of each step.
_OTHER = """
import sys
from airoxy.server.shared_memory import FileLock
fd = int(sys.argv[1])
with FileLock(fd, 1):
    print("has one", flush=True)
    sys.stdin.readline()
    print("asks", flush=True)
    with FileLock(fd, 0):
        print("has both", flush=True)
"""


FORK = multiprocessing.get_context("fork")
KEY = Record(id=1, counts=3)
REGIONS = (
    Region("first", Record(used=1, keys=4 * KEY), locks={"turn": 1, "place": 8}),
    Region("second", Record(latest=1, total=KEY), locks={"turn": 1}),
)


def test_regions_and_their_locks_do_not_overlap():
    layout = Layout(*REGIONS)
    words = [number for each in REGIONS for number in range(1000)[layout.words(each)]]
    assert words == list(range(layout.size // 8))
    places = [
        layout.lock(region, name) + number
        for region in REGIONS
        for name, count in region.locks.items()
        for number in range(count)
    ]
    assert sorted(places) == list(range(10))


def test_a_field_begins_where_the_one_before_it_ends():
    record = Record(used=1, keys=4 * KEY, total=KEY, last=1)
    assert record.at == {"used": 0, "keys": 1, "total": 17, "last": 21}
    assert record.size == 22


def changed(record: Record) -> Iterator[Record]:
    """The record with one thing different, at any depth."""
    fields = record.fields
    yield Record(**fields, one_more=1)
    if len(fields) > 1:
        yield Record(**dict(reversed(fields.items())))
    for name, each in fields.items():
        others = {key: value for key, value in fields.items() if key != name}
        yield Record(**others)
        yield Record(**{f"new_{key}" if key == name else key: v for key, v in fields.items()})
        inner: list[int | Record | Array] = []
        if isinstance(each, int):
            inner.append(each + 1)
        elif isinstance(each, Record):
            inner += changed(each)
        else:
            inner += [Array(each.count + 1, each.record)]
            inner += [Array(each.count, other) for other in changed(each.record)]
        for other in inner:
            yield Record(**{**fields, name: other})


@pytest.mark.parametrize("regions", [REGIONS, LAYOUT.regions], ids=["plain", "real"])
def test_whatever_is_declared_otherwise_changes_the_fingerprint(regions: tuple[Region, ...]):
    different = [regions[1:], regions[::-1]]
    for number, region in enumerate(regions):
        others = [Region(region.name, record, region.locks) for record in changed(region.record)]
        others += [
            Region(f"new_{region.name}", region.record, region.locks),
            Region(region.name, region.record, {**region.locks, "one more": 1}),
        ]
        different += [(*regions[:number], other, *regions[number + 1 :]) for other in others]
    fingerprints = [Layout(*each).fingerprint for each in (regions, *different)]
    assert len(set(fingerprints)) == len(fingerprints)


def test_the_same_declarations_have_the_same_fingerprint():
    again = Region("first", Record(used=1, keys=4 * Record(id=1, counts=3)), REGIONS[0].locks)
    assert Layout(again).fingerprint == Layout(REGIONS[0]).fingerprint


def test_what_is_written_into_one_region_is_read_there_and_nowhere_else():
    with closing(SharedMemory.of(*REGIONS)) as memory:
        first, second = (memory.words(each) for each in REGIONS)
        first[:] = memoryview(bytes([255]) * len(first) * 8).cast("q")
        assert not any(second)
        assert SharedMemory(memory.layout, os.dup(memory.fd)).words(REGIONS[0])[3] == -1


def test_locks_of_different_names_and_numbers_do_not_exclude_each_other():
    with closing(SharedMemory.of(*REGIONS)) as memory:
        first, second = REGIONS
        with memory.lock(first, "turn"), memory.lock(first, "place", 2):
            assert not in_another_process(lambda: memory.lock(first, "turn").try_acquire())
            assert not in_another_process(lambda: memory.lock(first, "place", 2).try_acquire())
            assert in_another_process(lambda: memory.lock(first, "place", 3).try_acquire())
            assert in_another_process(lambda: memory.lock(second, "turn").try_acquire())
        assert in_another_process(lambda: memory.lock(first, "turn").try_acquire())


def in_another_process(question: Callable[[], bool]) -> bool:
    process = FORK.Process(target=lambda: os._exit(0 if question() else 1))
    process.start()
    process.join()
    return process.exitcode == 0


def _waits_for_a_lock(pid: int) -> bool:
    with open("/proc/locks") as locks:
        return any("->" in line and f" {pid} " in line for line in locks)


def test_what_looks_like_a_circle_of_processes_is_waited_out():
    fd = os.memfd_create("test")
    os.ftruncate(fd, 2)
    taken = threading.Event()

    def take() -> None:
        with FileLock(fd, 1):
            taken.set()

    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(fd)], cwd=ROOT, pass_fds=[fd], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "has one\n"
        with FileLock(fd, 0):
            thread = threading.Thread(target=take)
            thread.start()
            deadline = time.monotonic() + 60
            while not _waits_for_a_lock(os.getpid()):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == "asks\n"
            time.sleep(0.2)  # it is refused within microseconds, if it is
        told, errors = other.communicate(timeout=20)
    assert (told, errors) == ("has both\n", "")
    assert taken.wait(20)
    thread.join()
    os.close(fd)
