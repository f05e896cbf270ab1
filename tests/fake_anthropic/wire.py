"""HTTP/1.1 as bytes: requests read without tidying them, answers written without deciding for them.

Invariant: what a client sent is kept as it came, with the order, case, repeats and spaces of its
headers; what a test wants to send goes out as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

#: A head or a line of a chunked body may be this long; far above what a server would allow.
LIMIT = 4 * 1024 * 1024

LEFT = ConnectionResetError("the peer left in the middle of its body")

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(eq=False)
class Seen:
    """One request as it arrived. Times are `time.monotonic()`, which all processes share."""

    head: bytes = field(repr=False)
    connection: int
    at: float
    method: str = ""
    target: str = ""
    headers: RawHeaders = field(default_factory=list, repr=False)
    body: bytes = field(default=b"", repr=False)
    token: str | None = None
    received_at: float | None = None
    status: int | None = None
    #: Bytes of the answer that were handed to the kernel so far.
    sent: int = 0
    #: When the last byte of it was, or when the fake hung up on purpose.
    answered_at: float | None = None
    #: When the peer closed although the answer was not complete.
    gone_at: float | None = None

    def __post_init__(self) -> None:
        first, *lines = self.head.rstrip(b"\r\n").split(b"\r\n")
        method, target, _version = first.split(b" ", 2)
        self.method, self.target = method.decode("latin-1"), target.decode("latin-1")
        pairs = (line.partition(b":") for line in lines)
        self.headers = [(name, value.strip(b" \t")) for name, _, value in pairs]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    def all(self, name: str) -> list[str]:
        """Every value of the header, in order; names compare without case."""
        wanted = name.lower().encode()
        return [v.decode("latin-1") for n, v in self.headers if n.lower() == wanted]

    def header(self, name: str) -> str | None:
        """The only value of the header, None without one; several are an error."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Line(asyncio.StreamReaderProtocol):
    """One connection. `gone` is set as soon as the peer closes, even while nobody reads."""

    def __init__(self, connected: Callable[[Line], Any], gone: Callable[[Line], None]) -> None:
        self.reader = asyncio.StreamReader(limit=LIMIT)
        super().__init__(self.reader, lambda _reader, writer: self._begin(connected, writer))
        self.gone = asyncio.Event()
        self.current: Seen | None = None
        self._on_gone = gone

    def _begin(self, connected: Callable[[Line], Any], writer: asyncio.StreamWriter) -> Any:
        self.writer = writer
        return connected(self)

    def eof_received(self) -> bool | None:
        keep = super().eof_received()
        self._leave()
        return keep

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._leave()

    def _leave(self) -> None:
        if not self.gone.is_set():
            self.gone.set()
            self._on_gone(self)

    def abort(self) -> None:
        """Close at once, with a reset, whatever is still unsent."""
        self.writer.transport.abort()

    async def read_head(self) -> bytes | None:
        """A request's head with its empty line, or None where the peer has finished."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None

    async def read_body(self, seen: Seen) -> bytes:
        """The body after its head, which said how it is framed."""
        if [v for v in seen.all("expect") if v.lower() == "100-continue"]:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if any(v.lower() == "chunked" for v in seen.all("transfer-encoding")):
            return await self._read_chunks()
        return await self._read_exactly(int(seen.header("content-length") or 0))

    async def _read_exactly(self, length: int) -> bytes:
        body = bytearray()
        while len(body) < length:
            piece = await self.reader.read(min(length - len(body), 1 << 20))
            if not piece:
                raise LEFT
            body += piece
        return bytes(body)

    async def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._read_line()).split(b";")[0], 16):
            body += await self._read_exactly(size)
            assert await self._read_line() == b"\r\n"
        while await self._read_line() != b"\r\n":  # trailers
            pass
        return bytes(body)

    async def _read_line(self) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise LEFT
        return line

    async def linger(self) -> None:
        """Say goodbye, then read and forget, so that what was said is not lost in a reset."""
        if not self.writer.is_closing() and self.writer.can_write_eof():
            self.writer.write_eof()
            while await self.reader.read(1 << 20):
                pass


def pack_headers(headers: Iterable[tuple[str | bytes, str | bytes]]) -> RawHeaders:
    def raw(text: str | bytes) -> bytes:
        return text.encode("latin-1") if isinstance(text, str) else text

    return [(raw(name), raw(value)) for name, value in headers]


class Exchange:
    """One request and what is sent in answer to it; what a scripted step gets to work with."""

    def __init__(self, line: Line, seen: Seen, changed: Callable[[], None]) -> None:
        self.line, self.seen, self._changed = line, seen, changed
        self.keep = all(v.lower() != "close" for v in seen.all("connection"))
        self._chunked = False

    @property
    def gone(self) -> asyncio.Event:
        return self.line.gone

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are; waits while the peer does not read."""
        if data:
            self.line.writer.write(data)
            await self.line.writer.drain()
            self.seen.sent += len(data)
            self._changed()

    async def respond(
        self, status: int, headers: Iterable[tuple[str | bytes, str | bytes]], body: bytes = b""
    ) -> None:
        """A whole answer with `content-length`; a HEAD, a 204 and a 304 get no body."""
        headers = pack_headers(headers)
        if status not in (204, 304):
            headers.append((b"Content-Length", b"%d" % len(body)))
        bare = self.seen.method == "HEAD" or status in (204, 304)
        await self.raw(self._head(status, headers) + (b"" if bare else body))

    async def begin(self, status: int, headers: Iterable[tuple[str | bytes, str | bytes]]) -> None:
        """The head of an answer in pieces (chunked)."""
        self._chunked = True
        await self.raw(self._head(status, [*pack_headers(headers), CHUNKED]))

    async def piece(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if data else b"")

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    def _head(self, status: int, headers: RawHeaders) -> bytes:
        self.seen.status = status
        if not self.keep:
            headers = [*headers, (b"Connection", b"close")]
        lines = [b"HTTP/1.1 %d %s" % (status, reason(status)), *(b": ".join(h) for h in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    async def until(self, event: asyncio.Event) -> None:
        """Wait for the event, or for the peer to leave."""
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.gone.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def hang_up(self, how: str = "fin") -> None:
        """Close the connection: "fin" as after a last word, "reset" as a crash does."""
        self.keep, self.line.current = False, None
        if how == "reset":
            sock = self.line.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.line.abort()
        else:
            self.line.writer.close()


CHUNKED = (b"Transfer-Encoding", b"chunked")


def reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Overloaded" if status == 529 else b"Unknown"


def now() -> float:
    return time.monotonic()
