"""Nothing that one connection sends holds the event loop: work is counted, not time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.errors import Unauthorized
from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.errors import answer_error
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.server_state import ServerState
from tests.fuzz.wire import Transport

POST = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
#: What the event loop reads at once (bytes).
READ = 256 * 1024
#: Calls of Python functions in one turn; each takes far less than a microsecond or two. A turn with
#: one refused request has some 150.
MOST_CALLS = 1000

HOSTILE = {
    "pipelined requests": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "pipelined requests with bodies": POST + b"content-length: 1\r\n\r\na",
    "chunks of one byte": b"1\r\na\r\n",
    "chunks with extensions": b"1;a=b\r\na\r\n",
    "empty lines": b"\r\n",
    "headers": b"a: b\r\n",
    "headers without values": b"a:\r\n",
    "something else": b"\0",
    "a first line without end": b"A",
}


async def _answer_at_once(_: Request, response: Response) -> None:
    answer_error(response, Unauthorized("Invalid API key"))


async def _read_first(request: Request, response: Response) -> None:
    await request.body()
    answer_error(response, Unauthorized("Invalid API key"))


class Turns:
    """Counts the calls of functions in each turn of the loop."""

    def __init__(self) -> None:
        self.most = self.now = 0

    def profile(self, _frame: Any, event: str, _argument: Any) -> None:
        self.now += event in ("call", "c_call")

    def measure(self, work: Callable[[], Any]) -> None:
        self.now = 0
        sys.setprofile(self.profile)
        try:
            work()
        finally:
            sys.setprofile(None)
        self.most = max(self.most, self.now)


async def _most_calls(pieces: list[bytes], answer: Any) -> int:
    turns = Turns()
    loop = asyncio.get_running_loop()
    plain = loop.call_soon

    def call_soon(callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:
        if getattr(callback, "__self__", None) is connection:
            return plain(turns.measure, lambda: callback(*arguments), context=context)
        return plain(callback, *arguments, context=context)

    state = ServerState(answer)
    connection = ClientConnection(state)
    transport = Transport()
    connection.connection_made(transport)
    loop.call_soon = call_soon  # type: ignore[method-assign]
    for piece in pieces:
        if transport.closed:
            break
        turns.measure(lambda piece=piece: connection.data_received(piece))
        for _ in range(5):
            await asyncio.sleep(0)
    connection.connection_lost(None)
    for runner in tuple(state.runners):
        runner.cancel()
    await asyncio.sleep(0)
    return turns.most


@pytest.mark.parametrize("answer", [_answer_at_once, _read_first])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("start", [b"", POST, CHUNKED], ids=["a head", "a header", "a body"])
def test_a_read_full_of_it_is_taken_in_small_steps(
    answer: Any, hostile: bytes, start: bytes
) -> None:
    pieces = [start + hostile * (READ // len(hostile)), hostile * (READ // len(hostile))]
    assert asyncio.run(_most_calls(pieces, answer)) < MOST_CALLS


@settings(deadline=None, database=None, max_examples=60)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from([*HOSTILE.values(), POST, CHUNKED, b"0\r\n\r\n"]),
                  st.sampled_from([1, 10, 1000, 20_000])),
        min_size=1, max_size=5,
    ),
    cut=st.integers(1, READ),
)  # fmt: skip
def test_any_mixture_is_taken_in_small_steps(parts: list[tuple[bytes, int]], cut: int) -> None:
    stream = b"".join(part * count for part, count in parts)[: 4 * READ]
    pieces = [stream[at : at + cut] for at in range(0, min(len(stream), 50 * cut), cut)]
    assert asyncio.run(_most_calls(pieces, _read_first)) < MOST_CALLS
