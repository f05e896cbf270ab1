"""What a worker leaves of its requests when it is killed, and who takes it over."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.server import unwritten as module
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.unwritten import (
    BEGUN,
    NO_MODEL,
    REGION,
    ROOM,
    STATE_BITS,
    WHOLE,
    Kept,
    Slot,
    Unwritten,
    UnwrittenRequests,
)

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    with closing(SharedMemory.of(REGION)) as memory:
        yield memory


@pytest.fixture
def own(memory: SharedMemory) -> Iterator[UnwrittenRequests]:
    own = UnwrittenRequests(memory)
    yield own
    own.close()


def begin(requests: UnwrittenRequests, number: float = 7, **changes: Any) -> Slot:
    usual: dict[str, Any] = {
        "address": b"", "key_id": 12, "group": 0, "began": number, "is_stream": True,
        "is_uncounted": False, "path": "/v1/messages", "model": "claude-opus-5-5", "token_id": 3,
    }  # fmt: skip
    asked = usual | changes
    assert requests.unused or requests.grow()
    slot = requests.unused.pop()
    path, model = asked["path"].encode(), asked["model"]
    written = NO_MODEL if model is None else model.encode()
    slot.request(*list(asked.values())[:6], path, written, asked["token_id"])
    return slot


def killed(memory: SharedMemory, work: Callable[[UnwrittenRequests], object]) -> None:
    """A worker that does this and is killed."""

    def run() -> None:
        work(UnwrittenRequests(memory))
        os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_what_a_killed_worker_has_left_is_adopted_once(memory, own):
    killed(memory, begin)
    (left,) = own.adopt()
    assert left == Unwritten(
        left.slot, 0, 12, None, "/v1/messages", 7, "claude-opus-5-5", True, False, 3, 1, False,
        False, None, None, None,
    )  # fmt: skip
    assert own.adopt() == []


def test_a_worker_that_lives_keeps_its_requests(memory, own):
    begin(own)
    other = FORK.Process(target=lambda: os._exit(len(UnwrittenRequests(memory).adopt())))
    other.start()
    other.join()
    assert other.exitcode == 0


def test_what_was_noted_last_is_what_is_left(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        slot.retry(4)
        for number in range(3):
            assert slot.note((number, "text", None, 1.5, [(1, None)], b"raw"))

    killed(memory, work)
    (left,) = own.adopt()
    assert (left.token_id, left.attempts) == (4, 2)
    assert left.progress == (2, "text", None, 1.5, [(1, None)], b"raw")


def test_what_is_too_long_to_be_noted_leaves_what_was_noted_before(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        assert slot.note((1,))
        assert not slot.note((b"x" * 5000,))

    killed(memory, work)
    assert own.adopt()[0].progress == (1,)


def begin_stream(slot: Slot) -> None:
    slot.answer(200, 5, b"req_1", b"", 5 << STATE_BITS | BEGUN["sse"])


def test_a_document_is_kept_as_it_came(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        slot.answer(200, 5, b"req_1", b"{}", 6 << STATE_BITS | WHOLE["json"])

    killed(memory, work)
    (left,) = own.adopt()
    assert left.kept == Kept("json", 200, 5, 0, 6, True, b"req_1", b"{}")
    assert left.progress is None


def test_the_events_of_a_stream_are_kept_as_they_came(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        running, whole = begin(requests, 1), begin(requests, 2)
        for slot in (running, whole):
            begin_stream(slot)
            slot.kept[:6] = b"first,"
            slot.kept[6:12] = b"second"
            slot.keep_text("sse", 40, 8)
        whole.set_state(9 << STATE_BITS | WHOLE["sse"])

    killed(memory, work)
    running, whole = sorted(own.adopt(), key=lambda each: each.began)
    assert running.kept == Kept("sse", 200, 5, 40, 8, False, b"req_1", b"first,second")
    assert whole.kept == Kept("sse", 200, 5, 40, 9, True, b"req_1", b"first,second")


def test_a_slot_that_is_used_again_has_nothing_of_its_last_answer(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests, address=b"2001:db8:1111:2222:3333:4444:5555:6666")
        begin_stream(slot)
        slot.kept[:] = b"x" * ROOM
        slot.note_moved()
        slot.keep_text("sse", 40, 8)
        requests.free([slot])
        assert begin(requests, 1) is slot
        other = begin(requests, 2)
        requests.free([other])
        assert begin(requests, 2) is other
        begin_stream(slot)
        slot.kept[:5] = b"short"

    killed(memory, work)
    first, second = sorted(own.adopt(), key=lambda each: each.began)
    assert first.kept == Kept("sse", 200, 5, 0, 5, False, b"req_1", b"short")
    assert (second.kept, second.progress) == (None, None)
    assert (first.client_address, first.moved) == (None, False)


def test_what_is_noted_takes_the_place_of_what_was_kept(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        begin_stream(slot)
        for number in range(3):
            assert slot.note((number,))

    killed(memory, work)
    (left,) = own.adopt()
    assert (left.kept, left.progress) == (None, (2,))


def test_what_is_freed_is_not_left_and_its_slot_is_used_again(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        first, second = begin(requests, 1), begin(requests, 2)
        first.note(("noted",))
        requests.count([first.word])
        requests.inserted([first], 99)
        requests.free([first])
        assert begin(requests, 3) is first
        requests.inserted([second], 17)
        requests.count([second.word])

    killed(memory, work)
    left = sorted(own.adopt(), key=lambda each: each.began)
    assert [(each.began, each.row_id, each.counted, each.progress) for each in left] == [
        (2, 17, True, None),
        (3, 0, False, None),
    ]


def test_an_adopted_request_is_adopted_again_when_that_worker_is_killed_too(memory, own):
    killed(memory, begin)
    killed(memory, lambda requests: requests.adopt())
    assert len(own.adopt()) == 1


def test_a_worker_that_ends_leaves_its_blocks_to_others(memory, monkeypatch):
    monkeypatch.setattr(module, "BLOCKS", 2)
    for _ in range(5):
        worker = UnwrittenRequests(memory)
        slots = [begin(worker, number) for number in range(100)]
        worker.free(slots)
        worker.close()


def test_without_a_slot_a_request_goes_on_unkept(memory, own, monkeypatch):
    monkeypatch.setattr(module, "BLOCKS", 1)
    slots = [begin(own, number) for number in range(64)]
    assert len(set(slots)) == 64
    assert not own.unused
    assert not own.grow()
    own.free(slots[:1])
    assert begin(own) is slots[0]


@given(path=st.text(), model=st.none() | st.text(), now=st.floats(0, 2**40))
def test_any_text_is_kept_as_far_as_there_is_room(path, model, now):
    with closing(SharedMemory.of(REGION)) as memory:
        worker = UnwrittenRequests(memory)
        slot = begin(worker, now, path=path, model=model)
        left = slot.read()
        worker.close()
    kept = path.encode(errors="ignore")[:208].decode(errors="ignore").rstrip("\0")
    assert left.path == kept
    assert (left.model is None) is (model is None)
    assert left.began == now
