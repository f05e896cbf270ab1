"""Reads an answer as it passes to the client, for what the usage log says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from airoxy.core.billing.answer_form import form_of, is_document
from airoxy.core.billing.plain_usage import plain_usage
from airoxy.core.billing.usage import Usage
from airoxy.core.billing.usage_reader import MAX_ERROR, UsageReader, document_of
from airoxy.core.error_page import LOOKED_AT, describe
from airoxy.server.proxy.answer.decode import Decoder

#: An answer with no more digits in its length is kept as it comes, and read with the others.
_SHORT = 6
#: A compressed document that comes out larger is not worth counting (bytes).
DECODED_LIMIT = 64 << 20
#: For a document whose path is not known any more.
_ANY_DOCUMENT = "/v1/messages"
#: Why an answer with status 200 is not complete, by its form.
_INCOMPLETE = {
    "sse": "The stream ended without message_stop.",
    "chat": "The stream ended without [DONE].",
    "jsonl": "The answer has no results.",
}


#: Of a short document, until its usage has to be read with all rules.
_NONE_YET = UsageReader("none")


class AnswerReader:
    """`counted` results of a batch were counted before."""

    __slots__ = (
        "_decoder",
        "_document",
        "_headers",
        "_status",
        "feed",
        "form",
        "pieces",
        "reader",
    )

    def __init__(
        self,
        request: tuple[str, str],
        status: int,
        headers: Mapping[bytes, bytes],
        counted: int = 0,
    ) -> None:
        self._decoder: Decoder | None = None
        self._status = status
        self._headers = headers
        #: Of what is no short document.
        self.reader = _NONE_YET
        self._document: Mapping[str, Any] | None = None
        self.form = _form_of(request, status, headers.get(b"content-type", b""))
        #: A short document, which is read when the row is made.
        self.pieces: list[bytes] = []
        #: What takes the next bytes of the body.
        self.feed: Callable[[bytes], object] = self.pieces.append
        encoding = headers.get(b"content-encoding")
        if self.form == "json" and not encoding:
            if 0 < len(headers.get(b"content-length", b"")) <= _SHORT:
                return
        most = None if status < 400 else MAX_ERROR
        reader = self.reader = UsageReader(self.form, counted, most)
        self.feed = reader.feed_events if self.is_stream else reader.feed
        if encoding and self.form != "none":
            # Lines and pages are bounded by themselves.
            limit = DECODED_LIMIT if self.form == "json" else None
            decoder = self._decoder = Decoder(encoding.decode("latin-1"), limit=limit)
            self.feed = lambda piece: reader.feed(decoder.decode(piece))

    @classmethod
    def of_document(cls, status: int, raw: bytes) -> AnswerReader:
        """A short JSON document that is read again."""
        reader = cls(("POST", _ANY_DOCUMENT), status, {b"content-type": b"application/json"})
        reader.feed(raw)
        return reader

    @property
    def raw(self) -> bytes:
        """The whole document, where it is short and has not been read."""
        return b"".join(self.pieces)

    @property
    def is_stream(self) -> bool:
        return self.form in ("sse", "chat")

    @property
    def finished(self) -> bool:
        """Whether a stream has come to its last event."""
        return self.is_stream and self.reader.finished

    def plain(self) -> Usage | None:
        """What a message has used that is as nearly all are, a short one or a stream; with None,
        `close` tells."""
        if not self.pieces:
            return self.reader.close_plain() if self.is_stream else None
        self._document = document_of(self.raw)
        return plain_usage(self._document)

    def close(self) -> UsageReader:
        """No more comes; what was read of it."""
        if self.reader is not _NONE_YET:
            self.reader.close()
            return self.reader
        reader = self.reader = UsageReader("json")
        body = self.raw
        reader.take_document(self._document or document_of(body), body)
        return reader

    def trouble(self) -> tuple[str | None, str | None]:
        """What went wrong, and why it is not complete although it came to its end."""
        return self._error(), self._incomplete()

    def _error(self) -> str | None:
        if self.reader.error_message or self.form == "none":
            return self.reader.error_message
        if not self._readable:
            return "The answer could not be decoded, so it is not counted."
        unread = self.reader.unread
        return self._described(unread) if unread is not None and self._status >= 400 else None

    def _incomplete(self) -> str | None:
        if self._status != 200 or self.form == "none" or not self._readable:
            return None
        if self.reader.error_message and self.is_stream:
            return self.reader.error_message
        if self.reader.finished:
            return None
        return _INCOMPLETE.get(self.form) or self._described(self.reader.unread or b"")

    @property
    def _readable(self) -> bool:
        """Whether its compression could be undone; else nobody here knows what it is."""
        return self._decoder is None or self._decoder.active

    def _described(self, body: bytes) -> str:
        kind, server = (
            self._headers.get(name, b"").decode("latin-1") for name in (b"content-type", b"server")
        )
        return describe(kind, server, body[:LOOKED_AT])


# Asked the same for nearly every request.
@lru_cache(maxsize=256)
def _form_of(request: tuple[str, str], status: int, content_type: bytes) -> str:
    method, endpoint = request
    if method == "HEAD":
        return "none"
    form = form_of(endpoint, status, content_type.decode("latin-1"))
    if form == "none" and (
        status >= 400
        or (status == 200 and is_document(endpoint) and b"json" not in content_type.lower())
    ):
        return "page"
    return form
