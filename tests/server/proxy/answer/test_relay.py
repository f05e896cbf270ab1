"""An answer on its way to a client that reads slowly, beside others."""

from __future__ import annotations

import asyncio
import time

import pytest

from airoxy.core.request.headers import Headers
from airoxy.server.proxy.answer.relay import relay
from airoxy.server.proxy.request_log import RequestLog


class Answer:
    """Three pieces."""

    status, ready = 200, True

    def __init__(self) -> None:
        self.headers: Headers = []
        self.named: dict[bytes, bytes] = {}
        self.pieces = [b"one", b"two", b"three"]

    @property
    def complete(self) -> bool:
        return not self.pieces

    async def read(self) -> bytes:
        return self.pieces.pop(0)

    def close(self) -> None:
        """It has no connection."""


class Client:
    """Remembers in which order things happen; `slow`, it has to be waited for."""

    def __init__(self, slow: bool) -> None:
        self.slow = slow
        self.seen: list[str] = []

    def begin(self, *_: object) -> None:
        """The head does not matter here."""

    flush = begin

    def write(self, piece: bytes, *, more: bool) -> None:
        self.seen.append(piece.decode())

    async def drain(self) -> bool:
        return self.slow

    async def turn(self) -> None:
        self.seen.append("turn")


@pytest.mark.parametrize(
    ("slow", "seen"),
    [(False, ["one", "two", "three"]), (True, ["one", "turn", "two", "turn", "three"])],
)
def test_after_a_client_was_waited_for_the_next_piece_waits_for_a_turn(slow, seen):
    def before_end(*_: object) -> None:
        """Nothing has to be remembered."""

    async def run() -> list[str]:
        client, request_log = Client(slow), RequestLog(1, "/v1/messages", time.time(), None)
        await relay(Answer(), client, request_log, before_end, turn=client.turn)
        return client.seen

    assert asyncio.run(run()) == seen
