"""One HTTP/1.1 answer, parsed from bytes without socket, clock or waiting.

Invariant: what cannot be framed beyond doubt is a fault, and what arrives after the end of the
answer never becomes a part of it; it only keeps the connection from being used again.
"""

from __future__ import annotations

from collections.abc import Callable

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from airoxy.core.request.headers import Headers
from airoxy.upstream.usual_head import CHUNKED, UsualHead, only_chunk, read_usual_head

#: Largest head (all interim answers included), and longest run of bytes inside a chunked body that
#: brings no body: far above what any server sends, too little to fill the memory.
HEAD_LIMIT = 64 * 1024

#: A feed can bring thousands of tiny chunks; above this many pieces they are joined at once,
#: because each one costs more than it holds.
_MANY_PIECES = 64

_SPACE = ord(" ")
#: Heads that only say how the body is framed.
_OF_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
_IN_CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class UpstreamResponse:
    """`started` when the head is complete, `complete` when the body is; `fault` says why neither
    can be any more.

    `reusable` says whether the connection is good for another request after a complete answer.
    `pieces` is the body that has arrived and was not taken yet, `size` its length in bytes; it
    `is_fine` once much of it has come in many small chunks.
    """

    __slots__ = (
        "_barren", "_bodiless", "_is_new", "_parser", "complete", "fault", "headers", "is_fine",
        "named", "on_body", "pieces", "reusable", "size", "started", "status",
    )  # fmt: skip

    status: int
    headers: Headers
    #: The same by their names; of several with one name the last.
    named: dict[bytes, bytes]
    on_body: Callable[[bytes], None]
    #: Bytes since the last one of the body.
    _barren: int

    def __init__(self, *, bodiless: bool = False) -> None:
        """`bodiless`: the request was a HEAD, so no body follows whatever the headers say."""
        self.started = self.complete = self.reusable = self.is_fine = False
        self.fault: str | None = None
        self.pieces: list[bytes] = []
        self.size = 0
        self._bodiless = bodiless
        self._is_new = True
        # The parser and its callbacks refer to each other: the end of the answer drops the parser,
        # so that an answer is freed with its last reference and not by the garbage collector.
        self._parser: HttpResponseParser | None = None

    @property
    def heard(self) -> bool:
        """Any byte has arrived."""
        return not self._is_new

    def feed(self, data: bytes) -> None:
        """Parse what has arrived. Never raises: afterwards an error is in `fault`."""
        if self._is_new:
            self._is_new = False
            if not self._bodiless and (usual := read_usual_head(data)) is not None:
                self._begin(data, usual)
                return
            self.headers = []
            self._parse()
        if self.started or self._parser is None or len(data) + self._barren <= HEAD_LIMIT:
            self._feed(data)
            return
        room = HEAD_LIMIT - self._barren
        if room > 0:  # http-parser takes no bytes for the end of all
            self._feed(data[:room])
        if self.fault is None:
            self._feed_behind_head(data[room:])

    def end(self) -> None:
        """The connection has ended: the end of some answers, a fault of all others."""
        self.reusable = False
        if self.complete or self.fault is not None:
            return
        if not self.started:
            self._fail("it closed the connection before it answered")
        elif self._lasts_until_close():
            self._finish()
        else:
            self._fail("it closed the connection in the middle of the answer")

    def take(self) -> bytes:
        """All of the body that has arrived since the last call, in one piece."""
        pieces, self.size = self.pieces, 0
        if len(pieces) == 1:
            return pieces.pop()
        data = b"".join(pieces)
        pieces.clear()
        return data

    def look(self) -> bytes:
        """The same, which stays to be taken."""
        if len(self.pieces) != 1:
            self.pieces[:] = (b"".join(self.pieces),)
        return self.pieces[0]

    def discard(self) -> None:
        """Read no further, whatever comes."""
        self._is_new = False
        self._parser = None

    def _begin(self, data: bytes, usual: UsualHead) -> None:
        """It has begun with such a head and a part of its body, which often is all of it."""
        self.status = 200
        self.headers, self.named, length, start = usual
        self.started = self.reusable = True
        if length == CHUNKED:
            body = only_chunk(data, start)
        else:
            body = data[start:] if len(data) - start == length else None
        if body is None:
            # How the body is framed is all that the parser has to know.
            self._parse().feed_data(_IN_CHUNKS if length == CHUNKED else _OF_LENGTH % length)
            if len(data) > start:
                self._feed(memoryview(data)[start:])
            return
        self.complete = True
        if body:
            self.pieces.append(body)
            self.size = len(body)

    def _parse(self) -> HttpResponseParser:
        # A stream has a piece for each event, so this must cost next to nothing.
        self.on_body = self.pieces.append
        self._barren = 0
        parser = self._parser = HttpResponseParser(self)
        return parser

    def _feed(self, data: bytes | memoryview) -> None:
        parser, pieces = self._parser, self.pieces
        if parser is None:
            self.reusable = False
            return
        before = len(pieces)
        self._barren += len(data)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self.complete:
                self.reusable = False
            else:
                self._fail(self.fault or f"its answer is not valid HTTP ({error})")
        if len(pieces) > before:
            self._take_up(before)
        elif self._barren > HEAD_LIMIT and self.started and not self.complete:
            self._fail("its answer has framing without end")

    def _take_up(self, before: int) -> None:
        """What has come to `pieces` since there were `before`."""
        pieces = self.pieces
        if not self.started:
            self._fail("its interim answer has a body")
        if self._bodiless or not self.started:
            del pieces[before:]
            self.reusable = False
            return
        self._barren = 0
        self.size += sum(map(len, pieces[before:] if before else pieces))
        if len(pieces) > _MANY_PIECES:
            self.is_fine = True
            pieces[:] = (b"".join(pieces),)

    def _feed_behind_head(self, data: bytes) -> None:
        if self.started:
            self._feed(data)
        else:
            self._fail("the head of its answer is larger than 64 KiB")

    def _lasts_until_close(self) -> bool:
        """Neither a length nor chunks; other transfer codings were refused with the head."""
        return not any(
            name in (b"content-length", b"transfer-encoding") for name, _ in self.headers
        )

    def _finish(self) -> None:
        self.complete = True
        self._parser = None

    def _fail(self, sentence: str) -> None:
        self.fault = sentence
        self.reusable = False
        self._parser = None

    def _refuse(self, sentence: str) -> None:
        """From within a callback: the exception stops the parser."""
        self.fault = sentence
        raise ValueError(sentence)

    # httptools calls these while it is fed.

    def on_message_begin(self) -> None:
        """A second answer in the same piece is surplus; the first one may have been interim."""
        if self.complete:
            raise ValueError("surplus")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; or a trailer, which has no place in what was handed out with the head."""
        if not self.started:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head of the answer or of an interim one, which is forgotten."""
        parser = self._parser
        if parser is None or self.started:
            return
        status = parser.get_status_code()
        if status >= 200:
            self._check_headers()
            self.status, self.named = status, dict(self.headers)
            self.started = True
            self.reusable = parser.should_keep_alive()
            if self._bodiless or status == 204 or status == 304:
                self._bodiless = True
                self._finish()
        elif status < 100 or status == 101:
            self._refuse(f"its answer has the status {status}, which makes no sense here")
        else:
            self.headers.clear()

    def _check_headers(self) -> None:
        for name, value in self.headers:
            if name == b"transfer-encoding":
                if value.strip().lower() != b"chunked":
                    self._refuse("its answer has a transfer coding that nobody asked for")
            elif name[-1] == _SPACE:  # http-parser lets `Content-Length : 5` pass
                self._refuse("its answer has a header name that ends in a space")

    def on_message_complete(self) -> None:
        """The end of the answer or of an interim one."""
        if self.started:
            self._finish()
        elif self.pieces:
            self._refuse("its interim answer has a body")
