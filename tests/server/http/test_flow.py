"""When an answer leaves the process, and when what a client sends is read."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.flow import LARGE, Flow
from airoxy.server.http.request import ClientLeft, Request
from airoxy.server.http.server_state import ServerState
from airoxy.server.turns import Turns
from tests.fuzz.wire import Transport

FLOODING, OTHER = 1, 2
#: So long keys share the turns, however slow the machine is.
AN_HOUR = 3600.0
REQUEST = b"GET / HTTP/1.1\r\nhost: airoxy\r\n\r\n"


class Limited(Transport):
    """Remembers how much may wait in it; None is what the event loop thinks best."""

    high: int | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


async def _limits(clients: int, *, secure: bool) -> list[int | None]:
    """What `clients` are told that come one after the other and wait for their answers."""

    async def answer(*_: object) -> None:
        await asyncio.Event().wait()

    state = ServerState(answer, secure=secure)
    transports = [Limited() for _ in range(clients)]
    for transport in transports:
        connection = ClientConnection(state)
        connection.connection_made(transport)
        connection.data_received(REQUEST)
    for runner in tuple(state.runners):
        runner.cancel()
    return [transport.high for transport in transports]


@pytest.mark.parametrize(("secure", "limits"), [(False, [0, 0, 0, None, None]), (True, [None] * 5)])
def test_answers_to_a_few_do_not_wait_for_company(secure: bool, limits: list[int | None]) -> None:
    assert asyncio.run(_limits(5, secure=secure)) == limits


class Reading(Transport):
    """Knows whether it is read."""

    reads = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


UPLOAD = b"POST /v1/messages HTTP/1.1\r\nhost: airoxy\r\ncontent-length: 10000000\r\n\r\n"
PIECE = bytes(LARGE + 1)


async def read_in_turns(turns: Turns, rounds: int) -> list[int]:
    """How many of eight bodies of one key go on in each of so many turns of the loop."""

    async def answer(request: Request, _: object) -> None:
        request.identified(FLOODING)
        with contextlib.suppress(ClientLeft):
            await request.body()

    state = ServerState(answer, turns=turns)
    transports, connections = [Reading() for _ in range(8)], []
    for transport in transports:
        connection = ClientConnection(state)
        connection.connection_made(transport)
        connection.data_received(UPLOAD)
        connections.append(connection)
    read = []
    for _ in range(rounds):
        going = [each for each, at in zip(connections, transports, strict=True) if at.reads]
        for connection in going:
            connection.data_received(PIECE)
        read.append(len(going))
        await asyncio.sleep(0)
    for connection in connections:
        connection.connection_lost(None)
    return read


def test_of_a_floods_large_bodies_one_is_read_in_a_turn_and_each_goes_on() -> None:
    turns = Turns(AN_HOUR)
    turns.are_shared(OTHER, time.time())
    first, *then = asyncio.run(read_in_turns(turns, 30))
    assert first == 8
    assert max(then) == 1
    assert sum(then) >= 24


def test_bodies_of_a_key_that_is_alone_are_read_as_they_come() -> None:
    turns = Turns()
    turns.are_shared(FLOODING, time.time() - 10)
    assert asyncio.run(read_in_turns(turns, 10)) == [8] * 10


def test_what_is_paused_for_another_reason_stays_so_after_its_turn() -> None:
    async def run() -> list[bool]:
        turns, transport = Turns(AN_HOUR), Reading()
        turns.are_shared(OTHER, time.time())
        flow = Flow(asyncio.get_running_loop(), transport, secure=False, turns=turns)
        flow.key_id = FLOODING
        flow.take_turns()
        flow.pause_reading()
        seen = [transport.reads]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(transport.reads)
        flow.resume_reading()
        seen.append(transport.reads)
        flow.take_turns()
        flow.resume_reading()  # nobody pauses it, but its turn has not come
        seen.append(transport.reads)
        flow.end()
        return seen

    assert asyncio.run(run()) == [False, False, True, False]
