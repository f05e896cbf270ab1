"""The table of a connection's states, and that a connection is never in any other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airoxy.errors import TooLarge
from airoxy.server.http import states
from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.request import ClientLeft, Request
from airoxy.server.http.response import Response
from airoxy.server.http.server_state import ServerState
from airoxy.server.http.states import ANSWERING, GONE, HAS_BODY, TABLE, UNANSWERED, Cycle
from tests.fuzz.wire import Transport

HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n"
PIECES = (
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    HEAD[:30],
    HEAD[30:],
    HEAD,
    b"connection: close\r\n",
    b"expect: 100-continue\r\n",
    b"content-length: 7\r\n\r\n",
    b"content-length: 70000000\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\n",
    b"hel",
    b"1234567",
    b"5\r\nhello\r\n",
    b"1\r\na\r\n" * 300,
    b"0\r\n\r\n",
    b"\r\n",
    b"\x16\x03\x01",
    b" " * 70_000,
)


def test_every_state_can_be_reached_and_leads_only_to_states_of_the_table():
    seen, new = set(), {states.IDLE}
    while new:
        seen |= new
        new = {to for state in new for to in TABLE[state].values()} - seen
    assert seen == set(TABLE)


def test_sets_of_states_agree_with_the_table():
    for state in (*UNANSWERED, *ANSWERING, *HAS_BODY, *GONE):
        assert state in TABLE
    assert {state for state in ANSWERING if states.BEGIN in TABLE[state]} == UNANSWERED
    ends = {state for state in TABLE if states.END in TABLE[state]}
    assert ends - GONE == ANSWERING - UNANSWERED


def test_what_the_table_does_not_have_is_a_mistake():
    with pytest.raises(AssertionError, match="BODY_END in state IDLE"):
        Cycle().on(states.BODY_END)


class Walk(RuleBasedStateMachine):
    """A connection whose client, application and clock do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.failures: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.failures.append(context))
        self.exchanges: list[tuple[Request, Response]] = []
        self.go_on: list[asyncio.Event] = []
        self.lost = False
        self.run(self._connect())

    async def _connect(self) -> None:
        self.state = ServerState(self._answer)
        self.connection = ClientConnection(self.state)
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    async def _answer(self, request: Request, response: Response) -> None:
        """Reads the body if it is told to; whatever else happens, the test does."""
        self.exchanges.append((request, response))
        done = asyncio.Event()
        self.go_on.append(done)
        await done.wait()

    def run(self, work: Any) -> None:
        self.loop.run_until_complete(work)

    def call(self, function: Any, *arguments: Any, **options: Any) -> None:
        async def call() -> None:
            function(*arguments, **options)
            for _ in range(5):
                await asyncio.sleep(0)

        self.run(call())

    @property
    def current(self) -> str:
        return self.connection._cycle.state

    @rule(numbers=st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=4))
    def receive(self, numbers: list[int]) -> None:
        if not (self.lost or self.transport.closed):
            pieces = [PIECES[number] for number in numbers]
            self.call(self.connection.data_received, b"".join(pieces))

    @precondition(lambda self: self.exchanges)
    @rule()
    def read(self) -> None:
        async def read() -> None:
            try:
                await asyncio.wait_for(self.exchanges[-1][0].body(), 0.001)
            except (TimeoutError, ClientLeft, TooLarge):
                return

        self.run(read())

    @precondition(lambda self: self.exchanges and not self.exchanges[-1][1].begun)
    @rule(length=st.sampled_from([None, 5]), status=st.sampled_from([200, 204, 413, 999]))
    def begin(self, length: int | None, status: int) -> None:
        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        self.call(self.exchanges[-1][1].begin, status, headers)

    @precondition(lambda self: self.current in ANSWERING - UNANSWERED)
    @rule(piece=st.sampled_from([b"", b"hello"]), more=st.booleans())
    def write(self, piece: bytes, more: bool) -> None:
        self.call(self.exchanges[-1][1].write, piece, more=more)

    @precondition(lambda self: self.exchanges)
    @rule()
    def end_application(self) -> None:
        """In the middle of an answer as well."""
        self.call(self.go_on[-1].set)

    @rule()
    def expire(self) -> None:
        if not self.lost:
            self.call(self.connection._expire)

    @rule(seconds=st.sampled_from([30.0, 0.25]))
    def drain(self, seconds: float) -> None:
        self.state.leaving = True
        if not self.lost:
            self.call(self.connection.expire_in, seconds)

    @rule()
    def lose(self) -> None:
        if not self.lost:
            self.lost = True
            self.transport.close()
            self.call(self.connection.connection_lost, None)

    @invariant()
    def in_the_table(self) -> None:
        assert self.current in TABLE
        assert self.current != states.DONE
        assert not self.failures, self.failures
        if self.current in ANSWERING:
            assert self.exchanges
        if self.transport.closed and not self.lost:
            assert self.current not in ANSWERING

    def teardown(self) -> None:
        for done in self.go_on:
            self.call(done.set)
        if not self.lost:
            self.lose()
        self.call(lambda: None)
        assert not self.state.runners
        assert not self.failures, self.failures
        self.loop.close()


Walk.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestWalk = Walk.TestCase
