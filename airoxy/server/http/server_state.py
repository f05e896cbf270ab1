"""What all connections of a worker share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from airoxy.server.http.deadline import Timeouts
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.runner import Runner
from airoxy.server.turns import Turns


class Connected(Protocol):
    """A connection, as the server sees it."""

    transport: asyncio.Transport

    def expire_in(self, seconds: float) -> None:
        """Close the connection once it has been idle for that long."""


@dataclass
class ServerState:
    """`secure` where clients speak TLS, `leaving` once the worker takes no more requests after
    those that run, `ended` once even a connection that was accepted before is closed. `turns` are
    those that bodies are read in."""

    answer: Callable[[Request, Response], Coroutine[Any, Any, None]]
    secure: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    turns: Turns | None = None
    leaving: bool = False
    ended: bool = False
    connections: set[Connected] = field(default_factory=set)
    runners: set[Runner] = field(default_factory=set)
