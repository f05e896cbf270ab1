"""What one request leaves in the usage log, gathered along its way.

Invariant: exactly one row for each request whose key was valid, however it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache

from airoxy.calendar import DAY_SECONDS, numbered_day
from airoxy.core.billing.cost_inputs import cost_inputs_of
from airoxy.core.billing.pricing import PriceTable, cost_nanousd
from airoxy.core.billing.usage import Usage, total
from airoxy.core.billing.usage_reader import UsageReader, form_of
from airoxy.core.oauth import clean
from airoxy.core.pool import Token
from airoxy.core.request.paths import ids_in_path
from airoxy.errors import AiroxyError, UpstreamError
from airoxy.server.limits.reservations import Reservation
from airoxy.server.proxy.decode import Decoder
from airoxy.store.usage.requests import Row

#: nginx's convention for a client that left before it was answered.
CLIENT_CLOSED_REQUEST = 499
#: An answer with no more digits in its length is kept as it comes, and read with the others.
_SHORT = 6
#: A compressed document that comes out larger is not worth counting (bytes).
DECODED_LIMIT = 64 << 20


class RequestLog:
    """`now` is the Unix time of the request; lengths of time are of the monotonic clock.
    `reservation` is what is held for it where its key has limits."""

    def __init__(self, key_id: int, endpoint: str, now: float) -> None:
        self.key_id = key_id
        self.endpoint = endpoint
        self.now = now
        self.model: str | None = None
        self.is_stream = False
        #: What it costs is not known, whatever the answer says.
        self.uncounted = False
        self.token_id: int | None = None
        self.attempts = 0
        self.reservation: Reservation | None = None
        self._started = time.monotonic()
        self._ttfb_ms: int | None = None
        self._duration_ms = 0
        self._status = 0
        self._error: str | None = None
        self._ending = "complete"
        self._request_id: str | None = None
        self._form = "none"
        self._reader: UsageReader | None = None
        #: A short document, which is read when the row is made.
        self._pieces: list[bytes] = []

    @property
    def begun(self) -> bool:
        """Whether the client has been sent the head of the answer."""
        return self._ttfb_ms is not None

    @property
    def batch_id(self) -> str | None:
        """Set where the answer is a batch's results."""
        return next(iter(ids_in_path(self.endpoint)), None) if self._form == "jsonl" else None

    def attempted(self, token: Token) -> None:
        self.attempts += 1
        self.token_id = token.id

    def answered(self, status: int, headers: Mapping[bytes, bytes]) -> Callable[[bytes], object]:
        """The head of the client's answer has arrived; its body goes to what is returned."""
        self._status = status
        self._request_id = headers.get(b"request-id", b"").decode("latin-1")[:100] or None
        self._ttfb_ms = self._elapsed_ms()
        self._form = _form_of(self.endpoint, status, headers.get(b"content-type", b""))
        self.is_stream = self.is_stream or self._form == "sse"
        encoding = headers.get(b"content-encoding")
        if self._form == "json" and not encoding:
            if 0 < len(headers.get(b"content-length", b"")) <= _SHORT:
                return self._pieces.append
        reader = self._reader = UsageReader(self._form)
        if not encoding or self._form == "none":
            return reader.feed
        limit = DECODED_LIMIT if self._form == "json" else None  # lines are bounded by themselves
        decode = Decoder(encoding.decode("latin-1"), limit=limit).decode
        return lambda piece: reader.feed(decode(piece))

    def failed(self, error: AiroxyError) -> None:
        """airoxy answers by itself, or breaks the answer off."""
        self._status = self._status or error.status
        self._error = error.message
        self._request_id = self._request_id or error.request_id
        if isinstance(error, UpstreamError):
            self._ending = "upstream_failed"

    def client_left(self) -> None:
        self._status = self._status or CLIENT_CLOSED_REQUEST
        # Many clients hang up on the last event, without waiting for the end of the body.
        if not (self._form == "sse" and self._reader and self._reader.finished):
            self._ending = "client_left"

    def stopped(self) -> None:
        """The server ends before the answer does."""
        self._status = self._status or AiroxyError.status
        self._ending, self._error = "upstream_failed", "airoxy was stopped"

    def end(self) -> None:
        """From now on nothing more happens to the request."""
        self._duration_ms = self._elapsed_ms()

    def row(self, prices: PriceTable) -> Row:
        """What is known now is all."""
        parts = self._parts()
        return Row(  # by position, which takes a third of the time
            int(self.now * 1000),
            self.key_id,
            self.token_id,
            # Some clients put their key into the path: it must not be in the log.
            clean(self.endpoint) if "k-" in self.endpoint else self.endpoint[:200],
            self.model,
            self.is_stream,
            parts[0] if len(parts) == 1 else total(parts),
            cost_nanousd(parts, prices, _day(int(self.now) // DAY_SECONDS)) if parts else 0,
            self._status,
            self._error,
            self._ending,
            self.attempts,
            self._ttfb_ms,
            self._duration_ms,
            self._request_id,
            cost_inputs_of(parts, self.model),
            uncounted=self.uncounted and 200 <= self._status < 300,
        )

    def _parts(self) -> list[Usage]:
        """Close the reader and take over what the answer said."""
        reader = self._reader
        if self._pieces:
            reader = UsageReader(self._form)
            reader.feed(b"".join(self._pieces))
        elif reader is None:
            return []
        reader.close()
        self.model = reader.model or self.model
        if reader.error_message:
            self._error = self._error or clean(reader.error_message)
            if self._form == "sse" and self._ending == "complete":
                # An error event: the status had promised more than the stream held.
                self._ending = "upstream_failed"
        return reader.parts

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


# Asked the same for nearly every request.
_day = lru_cache(maxsize=8)(numbered_day)


@lru_cache(maxsize=256)
def _form_of(endpoint: str, status: int, content_type: bytes) -> str:
    return form_of(endpoint, status, content_type.decode("latin-1"))
