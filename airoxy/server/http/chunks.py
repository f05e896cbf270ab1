"""A request's body that comes in chunks, read by httptools.

The law: what follows the last chunk is no part of the body, and trailers are nobody's headers.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpRequestParser

from airoxy.core.request.head import LIMIT
from airoxy.errors import InvalidInput

#: The head has been read already, and more strictly.
_HEAD = b"POST / HTTP/1.1\r\nhost: airoxy\r\ntransfer-encoding: chunked\r\n\r\n"


class Chunks:
    """`ended` when the last chunk is there; `surplus` if something follows that is none."""

    def __init__(self) -> None:
        self.ended = self.surplus = False
        self._pieces: list[bytes] = []
        self._barren = 0  # bytes of framing since the last of the body
        self._begun = False
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._parser.feed_data(_HEAD)

    def feed(self, data: bytes) -> bytes:
        """What of the body is in `data`. Raises InvalidInput."""
        assert self._parser
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.surplus = self.ended
            if not self.ended:
                raise InvalidInput("Invalid HTTP request: its chunks are not clear.") from None
        if self.ended:
            self._parser = None  # it and its callbacks hold each other
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._barren = 0 if body else self._barren + len(data)
        if self._barren > LIMIT and not self.ended:
            raise InvalidInput("The request's body has framing without end.")
        return body

    # httptools calls these while it is fed.

    def on_message_begin(self) -> None:
        """A second request is out of turn."""
        if self._begun:
            raise ValueError
        self._begun = True

    def on_body(self, body: bytes) -> None:
        """What is in one chunk, or a part of that."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The last chunk and the trailers have come."""
        self.ended = True
