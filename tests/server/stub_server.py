"""`airoxy serve` around an application for tests, as a program: stub_server.py CONFIG.

With two descriptors behind it (a listening socket, a line to the parent) it is one worker, with
TLS where `tls.key` and `tls.pem` stand next to the configuration. What it shall do beside serving
stands in files there: `broken` lets workers fail, `slow` lets them never get ready, `hasty` lets
connections idle for no time when the worker leaves, and `patient` for a minute, `strict` lets
nobody hang for long, `wary` has silent workers replaced as soon as usual, `unloadable` is new code
that cannot be imported, `spoil` spoils the configuration once the code has been found, `layout` is
new code that lays the shared memory out differently.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from airoxy.config.certificate import Certificate
from airoxy.errors import AiroxyError, StoreError
from airoxy.server import unwritten
from airoxy.server.admission import Admission
from airoxy.server.http.request import ClientLeft
from airoxy.server.metrics import load
from airoxy.server.metrics.load import Load
from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.serve import serve
from airoxy.server.process.workers import WorkerTimeouts
from airoxy.server.shared_memory import Layout, Record, Region, SharedMemory
from airoxy.server.turns import Turns

CONFIG = Path(sys.argv[1])
HERE = CONFIG.parent


class StubApp:
    """`/` says who answers, `/stream` streams, `/hang` hangs, `/body` tells what it was sent."""

    def __init__(self, config: Any, memory: SharedMemory | None, workers: int) -> None:
        inode = os.fstat(memory.fd).st_ino if memory else 0
        self.who = f"{os.getpid()} {workers} {getattr(config, 'max_attempts', 0)} {inode}"
        self.streams_open = 0
        self.admission, self.turns = Admission(), Turns()

    @property
    def load(self) -> Load:
        return Load(self.streams_open)

    def check(self) -> None:
        """There is nothing to check."""

    async def startup(self) -> None:
        if (HERE / "broken").exists():
            raise StoreError("The stub is broken.")
        if (HERE / "slow").exists():
            await asyncio.sleep(60)

    async def aclose(self) -> None:
        with (HERE / "closed").open("a") as closed:
            closed.write(f"{os.getpid()}\n")

    async def answer(self, request: Any, response: Any) -> None:
        try:
            body = bytes(await request.body())
        except ClientLeft:
            return
        if request.head.path == "/hang":
            time.sleep(60)
        elif request.head.path == "/stream":
            await self.stream(request, response)
        else:
            answer = body if request.head.path == "/body" else self.who.encode()
            response.begin(200, [(b"content-length", b"%d" % len(answer))])
            response.write(answer, more=False)

    async def stream(self, request: Any, response: Any) -> None:
        """A first piece at once, and the last one when the file `go` is there."""
        self.streams_open += 1
        try:
            response.begin(200, [])
            response.write(b"first\n", more=True)
            while not (HERE / "go").exists() and not request.left:
                await asyncio.sleep(0.01)
            response.write(b"last\n", more=False)
        finally:
            self.streams_open -= 1


def find_app() -> Any:
    if (HERE / "unloadable").exists():
        raise ImportError("new code, half installed")
    if (HERE / "spoil").exists():
        CONFIG.write_text("nonsense: 1\n")
    return StubApp


def solo() -> int:
    """One worker."""
    from airoxy.server.process.worker import DRAIN_DEADLINES, run

    listener, line = (socket.socket(fileno=int(fd)) for fd in sys.argv[2:])
    tls, deadlines = None, DRAIN_DEADLINES
    if (HERE / "tls.pem").exists():
        tls = Certificate((HERE / "tls.pem").read_bytes(), (HERE / "tls.key").read_bytes())
    for name, idle in (("hasty", 0.1), ("patient", 60.0)):
        if (HERE / name).exists():
            deadlines = {how: replace(each, idle=idle) for how, each in deadlines.items()}
    app = partial(StubApp, None, None, 1)
    return run(app, [listener], line, tls, drain_deadlines=deadlines)


def main() -> int:
    if sys.argv[2:]:
        return solo()
    # Short only where a test waits for the end of it: the machine may be a busy one.
    start = 1.0 if (HERE / "slow").exists() else 60.0
    suspicion = 3.0 if (HERE / "wary").exists() else 60.0
    silence = 4.0 if (HERE / "strict").exists() else 60.0
    other = Region("new", Record(field=1))
    layout = Layout(other, load.REGION, unwritten.REGION) if (HERE / "layout").exists() else LAYOUT
    timeouts = WorkerTimeouts(start=start, suspicion=suspicion, silence=silence, tick=0.2)
    try:
        return serve(CONFIG, find_app=find_app, timeouts=timeouts, layout=layout)
    except AiroxyError as error:
        print(error.message, file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
