"""What one request leaves in the usage log, gathered along its way.

Invariant: exactly one row for each request whose key was valid, however it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

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
from airoxy.server.unwritten import Unwritten, UnwrittenRequests
from airoxy.store.usage.requests import Row

#: nginx's convention for a client that left before it was answered.
CLIENT_CLOSED_REQUEST = 499
#: An answer with no more digits in its length is kept as it comes, and read with the others.
_SHORT = 6
#: A document of so many bytes is kept as it is for its row; a longer one is read when it ends.
_SHORT_ENOUGH = 2200
#: The ending that is noted of a request while it runs.
RUNNING = "running"
#: A compressed document that comes out larger is not worth counting (bytes).
DECODED_LIMIT = 64 << 20


class RequestLog:
    """`now` is the Unix time of the request; lengths of time are of the monotonic clock.
    `reservation` is what is held for it where its key has limits; in `unwritten` it is kept until
    its row is written."""

    def __init__(
        self, key_id: int, endpoint: str, now: float, unwritten: UnwrittenRequests | None = None
    ) -> None:
        self.key_id = key_id
        self.endpoint = endpoint
        self.now = now
        self.model: str | None = None
        self.is_stream = False
        #: What it costs is not known, whatever the answer says.
        self.uncounted = False
        #: The container that a Messages answer names, once there is a row.
        self.container_id: str | None = None
        self.token_id: int | None = None
        self.attempts = 0
        self.reservation: Reservation | None = None
        self.slot: int | None = None
        self._unwritten = unwritten
        self._noted_ending: str | None = None
        self._noted_changes = 0
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
        self._counted: list[Usage] | None = None

    @property
    def begun(self) -> bool:
        """Whether the client has been sent the head of the answer."""
        return self._ttfb_ms is not None

    @property
    def batch_id(self) -> str | None:
        """Set where the answer is a batch's results."""
        return next(iter(ids_in_path(self.endpoint)), None) if self._form == "jsonl" else None

    @classmethod
    def adopted(cls, left: Unwritten) -> RequestLog:
        """The request of a worker that was killed, as far as it was noted."""
        log = cls(left.key_id, left.path, left.began_ms / 1000)
        log.slot, log.token_id, log.attempts = left.slot, left.token_id, left.attempts
        log.model, log.is_stream, log.uncounted = left.model, left.is_stream, left.uncounted
        log._ending = RUNNING
        if left.progress:
            log._resume(*left.progress)
        if log._ending == RUNNING:
            log._status = log._status or AiroxyError.status
            log._ending, log._error = "worker_killed", "A worker of airoxy was killed"
        return log

    def attempted(self, token: Token) -> None:
        """The request is about to be sent, with this token."""
        self.attempts += 1
        self.token_id = token.id
        if self._unwritten is None:
            return
        if self.slot is not None:
            self._unwritten.retry(self.slot, token.id)
            return
        self.slot = self._unwritten.begin(
            self.key_id,
            self._path,
            int(self.now * 1000),
            self.model,
            token.id,
            is_stream=self.is_stream,
            uncounted=self.uncounted,
        )

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
            return reader.feed if self.slot is None or self._form != "sse" else self._feed
        limit = DECODED_LIMIT if self._form == "json" else None  # lines are bounded by themselves
        decode = Decoder(encoding.decode("latin-1"), limit=limit).decode
        return lambda piece: self._feed(decode(piece))

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
        """From now on nothing more happens to the request; should the worker be killed now, another
        one makes the same row."""
        self._duration_ms = self._elapsed_ms()
        if self._noted_ending != self._ending:
            self._note(self._ending)

    def row(self, prices: PriceTable) -> Row:
        """What is known now is all."""
        parts = self._parts()
        return Row(  # by position, which takes a third of the time
            int(self.now * 1000),
            self.key_id,
            self.token_id,
            self._path,
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

    @property
    def _path(self) -> str:
        # Some clients put their key into the path: it must not be in the log.
        return clean(self.endpoint) if "k-" in self.endpoint else self.endpoint[:200]

    # What outlives the worker

    def _feed(self, piece: bytes) -> None:
        reader = self._reader
        if reader is not None:
            reader.feed(piece)
            if reader.changes != self._noted_changes:
                self._noted_changes = reader.changes
                self._note(RUNNING)

    def _note(self, ending: str) -> None:
        if self._unwritten is None or self.slot is None:
            return
        if ending == RUNNING:
            parts, raw = self._reader.parts if self._reader else [], b""
        elif self._pieces and sum(map(len, self._pieces)) <= _SHORT_ENOUGH:
            parts, raw = [], b"".join(self._pieces)  # is read by whoever makes the row
        else:
            parts, raw = self._parts(), b""
            ending = self._ending  # reading may have changed it
        self._noted_ending = ending
        self._unwritten.note(self.slot, self._progress(ending, parts, raw))

    def _progress(self, ending: str, parts: list[Usage], raw: bytes) -> tuple[Any, ...]:
        """What `_resume` takes."""
        model = self._reader.model if ending == RUNNING and self._reader else None
        return (
            ending,
            self._status,
            self._error,
            self._ttfb_ms,
            self._duration_ms or self._elapsed_ms(),
            self._request_id,
            model or self.model,
            self.is_stream,
            self._form,
            [_usage_values(part) for part in parts],
            raw,
        )

    def _resume(
        self,
        ending: str,
        status: int,
        error: str | None,
        ttfb_ms: int | None,
        duration_ms: int,
        request_id: str | None,
        model: str | None,
        is_stream: bool,
        form: str,
        parts: list[tuple[Any, ...]],
        raw: bytes,
    ) -> None:
        self._ending, self._status, self._error = ending, status, error
        self._ttfb_ms, self._duration_ms, self._request_id = ttfb_ms, duration_ms, request_id
        self.model, self.is_stream, self._form = model, is_stream, form
        self._pieces = [raw] if raw else []
        self._counted = None if raw else [Usage(*values) for values in parts]

    def _parts(self) -> list[Usage]:
        """What the answer has used, read to its end."""
        if self._counted is None:
            self._counted = self._read()
        return self._counted

    def _read(self) -> list[Usage]:
        """Close the reader and take over what the answer said."""
        reader = self._reader
        if self._pieces:
            reader = UsageReader(self._form)
            reader.feed(b"".join(self._pieces))
        elif reader is None:
            return []
        reader.close()
        self.model = reader.model or self.model
        self.container_id = reader.container_id
        if reader.error_message:
            self._error = self._error or clean(reader.error_message)
            if self._form == "sse" and self._ending == "complete":
                # An error event: the status had promised more than the stream held.
                self._ending = "upstream_failed"
        return reader.parts

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


_usage_values = attrgetter(*(each.name for each in fields(Usage)))


# Asked the same for nearly every request.
_day = lru_cache(maxsize=8)(numbered_day)


@lru_cache(maxsize=256)
def _form_of(endpoint: str, status: int, content_type: bytes) -> str:
    return form_of(endpoint, status, content_type.decode("latin-1"))
