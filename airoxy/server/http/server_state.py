"""What all connections of a worker share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.runner import Runner


@dataclass(frozen=True)
class Timeouts:
    """What a client may take its time for, in seconds."""

    #: To begin its first request, and for any request's head.
    head: float = 60.0
    #: To send more of a body: what nginx gives, and far more than a hiccup of a mobile network
    #: takes.
    body: float = 60.0
    #: To begin its next request. The client should be the first to give a connection up, and Go's
    #: keeps one for 90.
    idle: float = 120.0
    #: To send the rest of a body that nobody waits for, since it may only then look for the answer;
    #: and to send more of it. These are nginx's, too.
    linger: float = 30.0
    linger_silence: float = 5.0
    #: To read what it was sent; Claude Code gives up after as much.
    unread: int = 300


class Connected(Protocol):
    """A connection, as the server sees it."""

    transport: asyncio.Transport

    def expire_in(self, seconds: float) -> None:
        """Close the connection once it has been idle for that long."""


@dataclass
class ServerState:
    """`secure` where clients speak TLS, `leaving` once the worker takes no more requests after
    those that run."""

    answer: Callable[[Request, Response], Awaitable[None]]
    secure: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    leaving: bool = False
    connections: set[Connected] = field(default_factory=set)
    runners: set[Runner] = field(default_factory=set)
