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
from airoxy.server.unwritten import FORMS, REGION, ROOM, Kept, Unwritten, UnwrittenRequests

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


def begin(requests: UnwrittenRequests, number: int = 7, **changes: Any) -> int:
    usual = {
        "key_id": 12, "path": "/v1/messages", "began_ms": number, "model": "claude-opus-5-5",
        "token_id": 3, "is_stream": True, "uncounted": False,
    }  # fmt: skip
    slot = requests.begin(**(usual | changes))
    assert slot is not None
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
        None, None,
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
        requests.retry(slot, 4)
        for number in range(3):
            assert requests.note(slot, (number, "text", None, 1.5, [(1, None)], b"raw"))

    killed(memory, work)
    (left,) = own.adopt()
    assert (left.token_id, left.attempts) == (4, 2)
    assert left.progress == (2, "text", None, 1.5, [(1, None)], b"raw")


def test_what_is_too_long_to_be_noted_leaves_what_was_noted_before(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        assert requests.note(slot, (1,))
        assert not requests.note(slot, (b"x" * 5000,))

    killed(memory, work)
    assert own.adopt()[0].progress == (1,)


#: Status, milliseconds to the first byte and in all, whether it has ended, the id.
ANSWER = (200, 5, 6, False, b"req_1")
JSON, SSE = FORMS.index("json"), FORMS.index("sse")


def test_an_answer_is_kept_as_it_came(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        assert requests.keep(slot, SSE, b"first,", *ANSWER)
        assert requests.keep_more(slot, b"second", 7)
        requests.keep_text(slot, 40, 8)
        requests.keep_end(slot, 9)

    killed(memory, work)
    (left,) = own.adopt()
    assert left.kept == Kept("sse", 200, 5, 40, 9, True, "req_1", b"first,second")
    assert left.progress is None


def test_what_is_noted_takes_the_place_of_what_was_kept(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        slot = begin(requests)
        assert requests.keep(slot, JSON, b"{}", *ANSWER)
        for number in range(3):
            assert requests.note(slot, (number,))
        assert not requests.keep(slot, JSON, b"{}", *ANSWER)
        assert not requests.keep_more(slot, b"{}", 1)

    killed(memory, work)
    (left,) = own.adopt()
    assert (left.kept, left.progress) == (None, (2,))


def test_what_has_no_room_leaves_what_was_kept_before(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        first, second = begin(requests, 1), begin(requests, 2)
        assert not requests.keep(first, SSE, b"x" * (ROOM + 1), *ANSWER)
        assert requests.keep(second, SSE, b"x" * (ROOM - 5), *ANSWER)
        assert not requests.keep_more(second, b"123456", 7)
        assert requests.keep_more(second, b"12345", 7)
        assert begin(requests, 3)

    killed(memory, work)
    first, second, third = sorted(own.adopt(), key=lambda each: each.began_ms)
    assert first.kept is third.kept is None
    assert second.kept is not None
    assert second.kept.raw == b"x" * (ROOM - 5) + b"12345"


def test_what_is_freed_is_not_left_and_its_slot_is_used_again(memory, own):
    def work(requests: UnwrittenRequests) -> None:
        first, second = begin(requests, 1), begin(requests, 2)
        requests.note(first, ("noted",))
        requests.count([first])
        requests.inserted([first], 99)
        requests.free([first])
        assert begin(requests, 3) == first
        requests.inserted([second], 17)
        requests.count([second])

    killed(memory, work)
    left = sorted(own.adopt(), key=lambda each: each.began_ms)
    assert [(each.began_ms, each.row_id, each.counted, each.progress) for each in left] == [
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
    full = own.begin(1, "/", 1, None, 1)
    assert full is None
    own.free(slots[:1])
    assert begin(own) == slots[0]


@given(path=st.text(), model=st.none() | st.text(), now=st.integers(0, 2**62))
def test_any_text_is_kept_as_far_as_there_is_room(path, model, now):
    with closing(SharedMemory.of(REGION)) as memory:
        worker = UnwrittenRequests(memory)
        slot = begin(worker, now, path=path, model=model)
        left = worker._read(slot)
        worker.close()
    kept = path.encode(errors="ignore")[:208].decode(errors="ignore").rstrip("\0")
    assert left.path == kept
    assert (left.model is None) is (model is None)
    assert left.began_ms == now
