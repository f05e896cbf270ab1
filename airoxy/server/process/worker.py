"""A worker: an application on sockets that it was given, until it is told to leave.

Invariant: a worker that leaves closes its listeners first, then the connections that stay idle, and
lets what is running finish; its log rows are written last. Its clients lose nothing.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import math
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import uvloop

from airoxy.config.certificate import Certificate
from airoxy.server.admission import Admission
from airoxy.server.http.listener import HTTPServer
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.tls import TLSContext, server_context
from airoxy.server.metrics.load import Load
from airoxy.server.process.child import LEAVE_LATER, LEAVE_NOW, LEAVE_SOON
from airoxy.server.process.malloc import FreedMemory, keep_freed_memory
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.turns import Turns

log = logging.getLogger(__name__)

#: Seconds between two signs of life to the parent.
BEAT = 1.0
#: The garbage collector's threshold of new objects. A hundred requests have more than the usual 700
#: until they are written, and leave no garbage: its runs took 2 % of each request.
MOST_NEW = 3000
#: How long requests that were broken off may take to end (seconds).
_BREAK_OFF = 2.0


class Application(Protocol):
    """What a worker serves (`airoxy.server.app`): `check` is called every second, `aclose` after
    the last request."""

    @property
    def answer(self) -> Callable[[Request, Response], Coroutine[Any, Any, None]]: ...
    @property
    def load(self) -> Load: ...
    @property
    def admission(self) -> Admission: ...
    @property
    def turns(self) -> Turns: ...
    def check(self) -> None: ...
    async def startup(self) -> None: ...
    async def aclose(self) -> None: ...


#: configuration, shared memory, number of workers
OpenServer = Callable[[Any, SharedMemory, int], Application]


@dataclass(frozen=True)
class DrainDeadline:
    """Seconds in which an idle connection may still begin a request, a TLS handshake that has begun
    may come to its end, and a request may last."""

    idle: float
    handshake: float
    running: float


#: With LEAVE_LATER a successor accepts already, and a handshake may take as long as ever (uvloop
#: gives it a minute). With LEAVE_SOON clients wait for the next start, and systemd kills what is
#: left after 90 s (TimeoutStopSec).
DRAIN_DEADLINES = {
    LEAVE_LATER: DrainDeadline(30.0, 120.0, 3600.0),
    LEAVE_SOON: DrainDeadline(0.25, 2.0, 75.0),
    LEAVE_NOW: DrainDeadline(0.0, 0.0, 0.0),
}


def run(
    open_app: Callable[[], Application],
    sockets: Sequence[socket.socket],
    control: socket.socket,
    certificate: Certificate | None = None,
    *,
    shared: bool = False,
    drain_deadlines: Mapping[signal.Signals, DrainDeadline] = DRAIN_DEADLINES,
) -> int:
    """Serve `sockets`, by TLS where there is a `certificate`, until a signal comes or `control` is
    closed; the exit status. `shared`: other workers serve them, too. Without `sockets`, it only
    writes what other workers have left."""
    faulthandler.enable()  # a hanging worker is told to abort, and logs where it hung
    keep_freed_memory()
    # Not asyncio.run: it would wait for threads that look names up.
    loop = uvloop.new_event_loop()
    tls = server_context(certificate) if certificate else None
    serving = _Serving(sockets, control, tls, shared, drain_deadlines)
    loop.run_until_complete(serving.run(open_app))
    return 0


class _Serving:
    def __init__(
        self,
        sockets: Sequence[socket.socket],
        control: socket.socket,
        tls: TLSContext | None,
        shared: bool,
        drain_deadlines: Mapping[signal.Signals, DrainDeadline],
    ) -> None:
        self._shared = shared
        self._drain_deadlines = drain_deadlines
        self._sockets = sockets
        self._control = control
        self._tls = tls
        self._leaving = asyncio.Event()
        self._idle_limit = self._handshake_limit = math.inf
        self._end = math.inf
        self._server: HTTPServer

    async def run(self, open_app: Callable[[], Application]) -> None:
        app = open_app()
        if not self._sockets:
            await app.aclose()
            return
        await app.startup()
        self._server = HTTPServer(
            app.answer, self._sockets, self._tls,
            shared=self._shared, admission=app.admission, turns=app.turns,
        )  # fmt: skip
        self._watch_signals_and_parent()
        self._server.start()
        # What is there now stays: the garbage collector need not look at it again.
        gc.freeze()
        gc.set_threshold(MOST_NEW)
        gc.enable()
        self._report(b"ready")
        beating = asyncio.create_task(self._beat(app))
        await self._leaving.wait()
        self._server.close()
        self._report(b"deaf")
        await self._finish()
        beating.cancel()
        self._report(b"bye")
        await app.aclose()

    # The parent

    def _watch_signals_and_parent(self) -> None:
        loop = asyncio.get_running_loop()
        for signum, deadline in self._drain_deadlines.items():
            loop.add_signal_handler(signum, self._leave, deadline)
        self._control.setblocking(False)
        loop.add_reader(self._control, self._on_control)

    def _on_control(self) -> None:
        """The parent sends nothing; the control socket is closed when it ends."""
        with suppress(BlockingIOError, ConnectionError):
            if self._control.recv(64):
                return
        asyncio.get_running_loop().remove_reader(self._control)
        log.warning("The parent is gone; this worker leaves too.")
        self._leave(self._drain_deadlines[LEAVE_SOON])

    def _leave(self, deadline: DrainDeadline) -> None:
        now = asyncio.get_running_loop().time()
        self._idle_limit = min(self._idle_limit, deadline.idle)
        self._handshake_limit = min(self._handshake_limit, deadline.handshake)
        self._end = min(self._end, now + deadline.running)
        if self._leaving.is_set():
            self._report(b"deaf")  # to another parent, perhaps, which waits for it
        self._leaving.set()

    async def _beat(self, app: Application) -> None:
        memory, loop = FreedMemory(), asyncio.get_running_loop()
        while True:
            self._report(b"beat %d %d %d" % app.load)
            if self._leaving.is_set():
                self._report(b"deaf")  # perhaps to another parent than before
            app.check()
            memory.check(loop.time())
            await asyncio.sleep(BEAT)

    def _report(self, words: bytes) -> None:
        with suppress(OSError):  # a parent that is gone, or too busy to listen
            self._control.send(words)

    # Leaving

    async def _finish(self) -> None:
        loop = asyncio.get_running_loop()
        server = self._server
        began = loop.time()
        while loop.time() < self._end and (
            server.connections
            or server.running
            or (server.handshaking and loop.time() - began < self._handshake_limit)
            # Who has not said a word is waited for no longer than an idle connection.
            or (server.connecting and loop.time() - began < self._idle_limit)
        ):
            server.expire_idle(self._idle_limit)
            await asyncio.sleep(0.02)
        await self._break_off()

    async def _break_off(self) -> None:
        if running := self._server.running:
            log.warning("%d requests are broken off.", running)
        self._server.abort()
        await self._until_ended()
        self._server.cancel()
        await self._until_ended()

    async def _until_ended(self) -> None:
        """Wait until what was broken off has left its log rows, but not for ever."""
        for _ in range(int(_BREAK_OFF / 0.01)):
            if not self._server.running:
                return
            await asyncio.sleep(0.01)
