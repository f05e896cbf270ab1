"""A client on a raw socket: it sends what no library would, and reads answers one by one."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from tests.program import Airoxy

PATIENCE = 60.0
HELLO = b'{"model":"claude-opus-5-5","max_tokens":9,"messages":[]}'
STREAM = HELLO.replace(b'"messages"', b'"stream":true,"messages"')


def request(
    key: str, body: bytes | None = HELLO, *, path: str = "/v1/messages", headers: bytes = b""
) -> bytes:
    """A plain request: POST with the body, or GET without one."""
    first = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n".encode()
    length = b"" if body is None else b"content-length: %d\r\n" % len(body)
    common = b"host: airoxy\r\nanthropic-version: 2023-06-01\r\nx-api-key: %b\r\n" % key.encode()
    return first + common + headers + length + b"\r\n" + (body or b"")


@dataclass
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    #: Whether the body came to the end that its framing promised.
    whole: bool = True

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_ours(self) -> bool:
        """airoxy said it, in Anthropic's shape; nobody upstream did."""
        return self.headers.get(b"request-id", b"").startswith(b"req_airoxy_")


@contextlib.contextmanager
def swallowing() -> Iterator[int]:
    """A port of ours where connections are neither taken nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # as many as the queue takes; the rest is dropped without a word
            full = stack.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class Client:
    """One connection to airoxy; `reset` tells whether it ended with a reset."""

    def __init__(
        self, airoxy: Airoxy | int, *, address: str = "127.0.0.1", buffer: int = 0
    ) -> None:
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.bind((address, 0))
            port = airoxy if isinstance(airoxy, int) else airoxy.port
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.received = b""
        self.reset = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, how: str = "fin") -> None:
        if how == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> Self:
        """All of it, or as much as is taken before the other side closes."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        return self

    def more(self) -> bool:
        """Wait for bytes; False at the end."""
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            self.reset = True
            return False
        self.received += piece
        return bool(piece)

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        while self.more():
            pass
        taken, self.received = self.received, b""
        return taken

    def answer(self, *, bodiless: bool = False) -> Answer | None:
        """The next answer on the connection, interim ones aside; None where it ends instead."""
        while b"\r\n\r\n" not in self.received:
            if not self.more():
                return None
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        assert first.startswith(b"HTTP/1.1 "), first
        status = int(first.split(b" ")[1])
        if status < 200:
            return self.answer(bodiless=bodiless)
        pairs = (line.partition(b":") for line in lines)
        answer = Answer(status, {n.lower(): v.strip() for n, _, v in pairs}, b"")
        if not bodiless:
            self._read_body(answer)
        return answer

    def _read_body(self, answer: Answer) -> None:
        if answer.headers.get(b"transfer-encoding") == b"chunked":
            while size := self._chunk():
                answer.body += size
            answer.whole = size is not None
        elif length := answer.headers.get(b"content-length"):
            answer.body = self._exactly(int(length)) or b""
            answer.whole = len(answer.body) == int(length)
        else:
            answer.body = self.rest()
            answer.whole = not self.reset

    def _chunk(self) -> bytes | None:
        """The next chunk, b"" for the last; None where the connection ends before it is over."""
        while b"\r\n" not in self.received:
            if not self.more():
                return None
        line, _, self.received = self.received.partition(b"\r\n")
        size = int(line, 16)
        chunk = self._exactly(size + 2)
        return None if chunk is None else chunk[:-2]

    def _exactly(self, size: int) -> bytes | None:
        pieces, length = [self.received], len(self.received)  # joined once: it may be 50 MB
        while length < size:
            self.received = b""
            if not self.more():
                self.received = b"".join(pieces)
                return None
            pieces.append(self.received)
            length += len(self.received)
        whole = b"".join(pieces)
        self.received = whole[size:]
        return whole[:size]
