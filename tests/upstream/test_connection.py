"""One connection, with a loop and a transport that do only what the test says."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

import pytest

from airoxy.errors import UpstreamBroken, UpstreamTimeout
from airoxy.upstream.connection import HIGH_WATER, UpstreamConnection
from airoxy.upstream.response import UpstreamResponse

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"


class Timer:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call, self.cancelled = call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A clock that moves when it is told to; timers go off on the way."""

    def __init__(self) -> None:
        self.now, self.set, self._timers = 1000.0, 0, list[Any]()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        return self.call_at(self.now + delay, call)

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        self.set += 1
        heapq.heappush(self._timers, (when, self.set, timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.call()
        self.now = end

    @property
    def armed(self) -> int:
        return sum(not timer.cancelled for _, _, timer in self._timers)


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written, self.pending, self.reading, self.open = b"", 0, True, True

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.pending

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def abort(self) -> None:
        self.open = False

    def is_closing(self) -> bool:
        return not self.open


class World:
    """A connection that is made, with an exchange begun and its request sent."""

    def __init__(self) -> None:
        self.loop, self.transport, self.lost = Loop(), Transport(), list[UpstreamConnection]()
        self.connection = UpstreamConnection(self.loop, 60.0, self.lost.append)  # type: ignore[arg-type]
        self.connection.connection_made(self.transport)
        self.ask()

    def ask(self) -> UpstreamResponse:
        self.woken, self.answer = 0, UpstreamResponse()
        self.connection.begin(self.answer, self._wake)
        self.connection.write(b"GET / HTTP/1.1\r\n\r\n")
        self.connection.sent = True
        return self.answer

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def world() -> World:
    return World()


# Silence


def test_silence_is_counted_from_the_last_byte_received(world: World) -> None:
    for byte in HEAD[:10]:
        world.loop.advance(59)
        world.connection.data_received(bytes((byte,)))
    world.loop.advance(59.9)
    assert world.connection.fault is None
    world.loop.advance(0.1)
    assert isinstance(world.connection.fault, UpstreamTimeout)
    assert "60 seconds" in str(world.connection.fault)
    assert not world.transport.open


def test_silence_is_counted_from_the_last_byte_sent(world: World) -> None:
    for _ in range(10):
        world.loop.advance(59)
        world.connection.write(b"x")
    world.loop.advance(60)
    assert isinstance(world.connection.fault, UpstreamTimeout)


def test_a_socket_that_takes_bytes_again_is_a_sign_of_life(world: World) -> None:
    world.connection.sent = False
    world.connection.pause_writing()
    world.loop.advance(59)
    world.connection.resume_writing()
    world.connection.pause_writing()
    world.loop.advance(59)
    assert world.connection.fault is None
    world.loop.advance(1)
    assert isinstance(world.connection.fault, UpstreamTimeout)


def test_a_body_that_is_still_being_made_is_not_the_upstream_s_silence(world: World) -> None:
    world.connection.sent = False
    world.loop.advance(1000)
    assert world.connection.fault is None
    world.connection.sent = True
    world.loop.advance(120)
    assert isinstance(world.connection.fault, UpstreamTimeout)


def test_a_slow_reader_is_not_the_upstream_s_silence(world: World) -> None:
    world.connection.data_received(HEAD + b"x" * (HIGH_WATER + 1))
    world.loop.advance(1000)
    assert world.connection.fault is None
    world.answer.take()
    world.connection.resume()
    world.loop.advance(59)
    assert world.connection.fault is None
    world.loop.advance(1)
    assert isinstance(world.connection.fault, UpstreamTimeout)


def test_an_idle_connection_and_a_complete_answer_do_not_time_out(world: World) -> None:
    world.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    world.loop.advance(1000)
    assert world.connection.end()
    world.loop.advance(1000)
    assert world.connection.fault is None
    assert world.loop.armed == 0


def test_one_timer_serves_many_requests(world: World) -> None:
    for _ in range(1000):
        world.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert world.connection.end()
        world.loop.advance(1)
        world.ask()
    assert world.loop.set <= 1000 / 60 + 2
    world.loop.advance(59.9)
    assert world.connection.fault is None
    world.loop.advance(0.1)
    assert isinstance(world.connection.fault, UpstreamTimeout)


def test_a_lost_connection_leaves_no_timer(world: World) -> None:
    world.connection.connection_lost(None)
    assert world.loop.armed == 0
    assert world.lost == [world.connection]


# Flow


def test_reading_pauses_above_the_mark_and_resumes_when_the_reader_has_caught_up(
    world: World,
) -> None:
    world.connection.data_received(HEAD + b"x" * HIGH_WATER)
    assert world.transport.reading
    world.connection.data_received(b"x")
    assert not world.transport.reading
    world.connection.data_received(b"x")
    assert len(world.answer.take()) == HIGH_WATER + 2
    world.connection.resume()
    assert world.transport.reading


def test_a_paused_connection_listens_again_when_its_exchange_is_over(world: World) -> None:
    size = HIGH_WATER + 1
    world.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    world.connection.data_received(b"x" * size)
    assert not world.transport.reading
    assert world.connection.end()
    assert world.transport.reading


def test_every_arrival_wakes_the_exchange(world: World) -> None:
    world.connection.data_received(HEAD[:9])
    world.connection.data_received(HEAD[9:])
    world.connection.data_received(b"x")
    assert world.woken == 3


# Whether it may be used again


def complete(world: World) -> None:
    world.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_a_clean_end_leaves_it_usable(world: World) -> None:
    complete(world)
    assert world.connection.end()
    assert world.transport.open


def _unsent(world: World) -> None:
    world.connection.sent = False


def _unflushed(world: World) -> None:
    world.transport.pending = 1


def _surplus(world: World) -> None:
    world.connection.data_received(b"x")


def _ended(world: World) -> None:
    world.connection.eof_received()
    world.transport.open = False  # as the loop does after an EOF


@pytest.mark.parametrize("spoil", [_unsent, _unflushed, _surplus, _ended])
def test_an_unclean_end_closes_it(world: World, spoil: Callable[[World], None]) -> None:
    complete(world)
    spoil(world)
    assert world.answer.complete
    assert not world.connection.end()
    assert not world.transport.open


def test_an_end_before_the_answer_is_complete_closes_it(world: World) -> None:
    world.connection.data_received(HEAD)
    assert not world.connection.end()
    assert not world.transport.open


@pytest.mark.parametrize("event", ["bytes", "end"])
def test_an_idle_connection_that_hears_anything_closes(world: World, event: str) -> None:
    complete(world)
    assert world.connection.end()
    if event == "bytes":
        world.connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    else:
        world.connection.eof_received()
    assert not world.connection.usable()
    assert not world.transport.open


def test_the_first_fault_is_the_reason(world: World) -> None:
    world.connection.data_received(b"nonsense\r\n")
    world.connection.connection_lost(ConnectionResetError("reset"))
    assert isinstance(world.connection.fault, UpstreamBroken)
    assert "not valid HTTP" in str(world.connection.fault)
