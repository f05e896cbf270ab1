"""A worker without sockets, killed before any line of the code that counts and writes requests."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import airoxy
from airoxy.config import Config, load_config
from airoxy.core.pool import EVERYTHING
from airoxy.errors import UpstreamBroken
from airoxy.server.app import ServerApp, open_server
from airoxy.server.http.head import RequestHead
from airoxy.server.pool.pool import Wanted
from airoxy.server.proxy.request_log import RequestLog
from airoxy.server.shared_memory import SharedMemory
from airoxy.store import keys, resources, tokens
from airoxy.store.tokens import set_token
from tests.databases import open_new

OPUS = "claude-opus-5-5"
PLAIN, LIMITED = 1, 2  # a key and a token of each kind
BATCH = "msgbatch_01AAAAAAAAAAAAAAAAAAAAAA"
#: How many requests a worker has, and what is noted of each: nothing, or one of these.
REQUESTS = 6
SENT, BEGUN, ENDED = 1, 2, 3

_ROOT = Path(airoxy.__file__).parent
_FILES = frozenset(
    str(_ROOT / name)
    for name in (
        "server/limits/counters.py",
        "server/limits/reservations.py",
        "server/metrics/counters.py",
        "server/metrics/journal.py",
        "server/pool/limited_tokens.py",
        "server/pool/spent.py",
        "server/pool/token_limits.py",
        "server/proxy/affinity.py",
        "server/proxy/ended_requests.py",
        "server/proxy/request_log.py",
        "server/unwritten.py",
        "server/writer.py",
        "store/resources.py",
        "store/usage/requests.py",
    )
)


class Step(NamedTuple):
    """A line that a thread comes to, by its number from the beginning on."""

    thread: str
    number: int


class Notes:
    """What is known of a process after its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 512)
        #: Of each request, how far it has come.
        self.seen = memoryview(self._memory)[:REQUESTS]
        self._steps = memoryview(self._memory)[64:72].cast("q")
        self._line = memoryview(self._memory)[128:]

    @property
    def steps(self) -> int:
        """The lines that the thread has come to."""
        return self._steps[0]

    @property
    def line(self) -> str:
        """Where it was killed."""
        return bytes(self._line).rstrip(b"\0").decode()

    def come_to(self, frame: FrameType) -> int:
        """The number of this line."""
        self._steps[0] += 1
        return self._steps[0] - 1

    def killed_at(self, frame: FrameType) -> None:
        text = f"{frame.f_code.co_filename}:{frame.f_lineno}".encode()
        self._line[: len(text)] = text


def run(work: Callable[[], Coroutine[Any, Any, None]], step: Step, notes: Notes) -> bool:
    """Whether a process that did this was killed before that step."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            _kill_before(step, notes)
            asyncio.run(work())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    exitcode = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert exitcode in (0, -signal.SIGKILL)
    return exitcode != 0


def _kill_before(step: Step, notes: Notes) -> None:
    def in_file(frame: FrameType, event: str, arg: object) -> Any:
        return at_line if frame.f_code.co_filename in _FILES else None

    def at_line(frame: FrameType, event: str, arg: object) -> Any:
        if event == "line" and threading.current_thread().name == step.thread:
            if notes.come_to(frame) == step.number:
                notes.killed_at(frame)
                os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    threading.settrace(in_file)
    sys.settrace(in_file)


def prepare(path: Path) -> Config:
    """A database with keys and tokens of each kind, and a batch of the key with limits."""
    now = time.time()
    limits = {
        "spend_per_day_nanousd": 10**15, "tokens_per_minute": 10**6, "concurrent_requests": 4,
    }  # fmt: skip
    with closing(open_new(path)) as db:
        keys.add_key(db, "plain", "ak-" + "p" * 40, now)
        keys.add_key(db, "limited", "ak-" + "l" * 40, now, limits)
        for name in ("plain", "limited"):
            tokens.add_token(
                db, name=name, type="api_key", token=f"sk-ant-api-test-{name}",
                refresh_token=None, expires_at=None, now=now,
            )  # fmt: skip
        set_token(db, LIMITED, {"spend_per_day_nanousd": 10**15, "concurrent_requests": 4})
        resources.remember_resource(db, BATCH, LIMITED, LIMITED, now)
    config = path.with_name("airoxy.yaml")
    config.write_text(f"database: {path}\nupstream: {{url: 'http://127.0.0.1:1'}}\n")
    return load_config(config)


async def work(config: Config, memory: SharedMemory, notes: Notes, base: float) -> None:
    """What a worker does with its requests, which came at `base` and a millisecond apart."""
    app = open_server(config, memory)
    await _Requests(app, notes, base).all()
    await app.aclose()


async def adopt(config: Config, memory: SharedMemory) -> None:
    """What the next worker does with what was left."""
    await open_server(config, memory).aclose()


def _event(**data: Any) -> bytes:
    return b"event: x\ndata: " + json.dumps(data).encode() + b"\n\n"


def _chunk(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


USAGE = {"input_tokens": 1000, "cache_read_input_tokens": 50, "output_tokens": 1}
START = _event(type="message_start", message={"model": OPUS, "usage": USAGE})
TEXT = _event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "four"})
END = _event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 900})
STOP = _event(type="message_stop")
_SSE = {b"content-type": b"text/event-stream", b"request-id": b"req_stream"}
_HEAD = RequestHead(b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n\r\n")


class _Requests:
    """Requests as the proxy has them, with answers that come at once."""

    def __init__(self, app: ServerApp, notes: Notes, base: float) -> None:
        self._proxy, self._notes, self._base = app.proxy, notes, base
        self._tokens = app.proxy.pool.snapshot.tokens

    async def all(self) -> None:
        self._document(0, PLAIN, PLAIN)
        await self._limited_stream(1)
        self._retried(2)
        await asyncio.sleep(0.006)  # the rows of these are made
        self._chat(3)
        self._results(4)
        self._document(5, LIMITED, LIMITED)

    def _document(self, number: int, key: int, token: int) -> None:
        request_log = self._send(number, key, token)
        body = json.dumps({"type": "message", "model": OPUS, "usage": USAGE}).encode()
        headers = {
            b"content-type": b"application/json", b"request-id": b"req_document",
            b"content-length": b"%d" % len(body),
        }  # fmt: skip
        request_log.answered(200, headers)(body)
        self._end(number, request_log)

    async def _limited_stream(self, number: int) -> None:
        limiter, pool = self._proxy.limiter, self._proxy.pool
        limits = pool.snapshot.limits[LIMITED]
        request_log = self._log(number, LIMITED)
        request_log.reservation = await limiter.admit(_HEAD, limits)
        body = json.dumps({"model": OPUS, "max_tokens": 100, "messages": []}).encode()
        await limiter.look(_HEAD, body, limits, request_log.reservation, OPUS)
        wanted = Wanted(EVERYTHING, pinned=LIMITED)
        token = await pool.next(wanted)
        assert token is not None
        self._attempt(number, request_log, token.id)
        feed = request_log.answered(200, _SSE)
        feed(START)
        self._notes.seen[number] = BEGUN
        for piece in (TEXT * 40, TEXT, END, STOP):
            feed(piece)
        self._end(number, request_log)
        pool.release(wanted)

    def _retried(self, number: int) -> None:
        request_log = self._send(number, PLAIN, PLAIN)
        request_log.attempted(self._tokens[LIMITED])
        request_log.failed(UpstreamBroken("It broke off."))
        self._end(number, request_log)

    def _chat(self, number: int) -> None:
        request_log = self._send(number, PLAIN, PLAIN, "/v1/chat/completions")
        feed = request_log.answered(200, _SSE)
        feed(_chunk(model=OPUS, choices=[{"delta": {"content": "four"}}]))
        feed(_chunk(model=OPUS, choices=[], usage={"prompt_tokens": 30, "completion_tokens": 4}))
        feed(b"data: [DONE]\n\n")
        self._end(number, request_log)

    def _results(self, number: int) -> None:
        """Of a batch that another key has made, which they are counted for."""
        path = f"/v1/messages/batches/{BATCH}/results"
        request_log = self._send(number, PLAIN, LIMITED, path, "GET")
        headers = {b"content-type": b"application/x-jsonl", b"request-id": b"req_results"}
        message = {"type": "message", "model": OPUS, "usage": USAGE}
        result = {"custom_id": "a", "result": {"type": "succeeded", "message": message}}
        request_log.answered(200, headers)(json.dumps(result).encode() + b"\n")
        self._end(number, request_log)

    def _log(
        self, number: int, key: int, path: str = "/v1/messages", method: str = "POST"
    ) -> RequestLog:
        came = self._base + number / 1000
        request_log = RequestLog(key, path, came, self._proxy.unwritten, method, 400)
        request_log.model = None if method == "GET" else OPUS
        return request_log

    def _send(self, number: int, key: int, token: int, *asked: str) -> RequestLog:
        request_log = self._log(number, key, *asked)
        self._attempt(number, request_log, token)
        return request_log

    def _attempt(self, number: int, request_log: RequestLog, token: int) -> None:
        request_log.attempted(self._tokens[token])
        self._notes.seen[number] = SENT

    def _end(self, number: int, request_log: RequestLog) -> None:
        assert self._proxy.ended.before_end(request_log, None) is None
        self._notes.seen[number] = ENDED  # the client has all of it
        self._proxy.ended.add(request_log)
