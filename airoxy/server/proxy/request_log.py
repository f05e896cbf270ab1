"""What one request leaves in the usage log, gathered along its way.

Invariant: exactly one row for each request whose key was valid, however it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from operator import attrgetter
from time import monotonic
from typing import Any, NamedTuple

from airoxy.calendar import DAY_SECONDS, numbered_day
from airoxy.core.billing.cost_inputs import cost_inputs_of
from airoxy.core.billing.pricing import PriceTable, cost_nanousd, move_nanousd
from airoxy.core.billing.streamed_text import BYTES_PER_TOKEN
from airoxy.core.billing.usage import Usage, total
from airoxy.core.billing.usage_reader import UsageReader
from airoxy.core.oauth import clean
from airoxy.core.pool import Token
from airoxy.core.request.paths import CHAT, MESSAGES, ids_in_path
from airoxy.errors import AiroxyError, UpstreamError
from airoxy.server.limits.reservations import Reservation
from airoxy.server.proxy.answer_reader import AnswerReader
from airoxy.server.unwritten import (
    BEGUN,
    NO_MODEL,
    ROOM,
    STATE_BITS,
    WHOLE,
    Kept,
    Slot,
    Unwritten,
    UnwrittenRequests,
)
from airoxy.store.usage.requests import Row

#: nginx's convention for a client that left before it was answered.
CLIENT_CLOSED_REQUEST = 499
#: Paths that nearly all requests have, and that are kept as they are.
_PLAIN_PATHS = frozenset((MESSAGES, CHAT))
#: The ending that is noted of a request while it runs.
RUNNING = "running"


class ResultsSeen(NamedTuple):
    """Of the results of a batch, the first `counted` had been counted before, and then this fetch
    has seen all up to `lines`."""

    batch_id: str
    counted: int
    lines: int


#: What an answer has used, in parts; whether that is an estimate; and how many lines it had of a
#: batch's results, where it had any.
_Used = tuple[list[Usage], bool, int | None]
_NOTHING: _Used = ([], False, None)


# With room for all of it in the object: most of what it has is looked up several times.
@dataclass(slots=True, eq=False, repr=False)
class RequestLog:
    """`now` is the Unix time of the request; lengths of time are of the monotonic clock.
    `reservation` is what is held for it where its key has limits; in `unwritten` it is kept until
    its row is written."""

    key_id: int
    endpoint: str
    now: float
    _unwritten: UnwrittenRequests | None = None
    method: str = "POST"
    #: The size of its body, where that is known.
    request_bytes: int = 0
    #: Of a batch's results, how many were counted before.
    counted_results: int = 0
    model: str | None = None
    is_stream: bool = False
    #: What it costs is not known, whatever the answer says.
    uncounted: bool = False
    #: Its conversation was with another token before.
    moved: bool = False
    client_address: str | None = None
    #: The group that its key is in.
    group_id: int | None = None
    #: The container that a Messages answer names, once there is a row.
    container_id: str | None = None
    token_id: int | None = None
    token_name: str | None = None
    attempts: int = 0
    reservation: Reservation | None = None
    #: What has been counted of it for its token's limits.
    spent_nanousd: int = 0
    slot: Slot | None = None
    _noted_ending: str | None = None
    _ttfb_ms: int | None = None
    _duration_ms: int = 0
    _status: int = 0
    _error: str | None = None
    _ending: str = "complete"
    _request_id: bytes = b""
    _answer: AnswerReader | None = None
    _used: _Used | None = None
    _started: float = field(default_factory=time.monotonic)

    @property
    def begun(self) -> bool:
        """Whether the client has been sent the head of the answer."""
        return self._ttfb_ms is not None

    @property
    def batch(self) -> ResultsSeen | None:
        """What was seen of a batch's results, where the answer has them; after `row`."""
        results = (self._used or self._read())[2]
        ids = ids_in_path(self.endpoint) if results else ()
        return ResultsSeen(ids[0], self.counted_results, results) if ids and results else None

    @classmethod
    def adopted(cls, left: Unwritten) -> RequestLog:
        """The request of a worker that was killed, as far as it was noted."""
        log = cls(left.key_id, left.path, left.began)
        log.group_id, log.moved = left.group_id, left.moved
        log.client_address = left.client_address
        log.slot, log.token_id, log.attempts = left.slot, left.token_id, left.attempts
        log.model, log.is_stream, log.uncounted = left.model, left.is_stream, left.is_uncounted
        log._ending = RUNNING
        if left.kept:
            log._resume_kept(left.kept)
        elif left.progress:
            log._resume(*left.progress)
        if log._ending == RUNNING:
            log._status = log._status or AiroxyError.status
            log._ending, log._error = "worker_killed", "A worker of airoxy was killed"
        return log

    def attempted(self, token: Token) -> None:
        """The request is about to be sent, with this token."""
        self.attempts += 1
        self.token_id, self.token_name = token.id, token.name
        if (slot := self.slot) is not None:
            slot.retry(token.id)
        elif (unwritten := self._unwritten) is not None and (unwritten.unused or unwritten.grow()):
            slot = self.slot = unwritten.unused.pop()
            model, address = self.model, self.client_address
            path = self.endpoint if self.endpoint in _PLAIN_PATHS else self._path
            slot.request(
                b"" if address is None else address.encode(), self.key_id, self.group_id or 0,
                self.now, self.is_stream, self.uncounted, path.encode(),
                NO_MODEL if model is None else model.encode(), token.id,
            )  # fmt: skip

    def answered(self, status: int, headers: Mapping[bytes, bytes]) -> Callable[[bytes], object]:
        """The head of the client's answer has arrived; its body goes to what is returned."""
        self._status = status
        self._request_id = headers.get(b"request-id", b"")
        self._ttfb_ms = round((monotonic() - self._started) * 1000)
        request = (self.method, self.endpoint)
        answer = self._answer = AnswerReader(request, status, headers, self.counted_results)
        if self.moved and self.slot is not None:
            self.slot.note_moved()
        if (form := answer.form) == "sse" or form == "chat":
            self.is_stream = True
            if (slot := self.slot) is not None:
                begun = self._ttfb_ms << STATE_BITS | BEGUN[form]
                slot.answer(status, self._ttfb_ms, self._request_id, b"", begun)
                self._noted_ending = RUNNING
                answer.reader.copy, answer.reader.tell = slot.kept, self._note_progress
        return answer.feed

    def failed(self, error: AiroxyError) -> None:
        """airoxy answers by itself, or breaks the answer off."""
        self._status = self._status or error.status
        self._error = error.message
        if not self._request_id and error.request_id:
            self._request_id = error.request_id.encode("latin-1", "replace")
        if isinstance(error, UpstreamError):
            self._ending = "upstream_failed"

    def client_left(self) -> None:
        self._status = self._status or CLIENT_CLOSED_REQUEST
        # Many clients hang up on the last event, without waiting for the end of the body.
        if not (self._answer and self._answer.finished):
            self._ending = "client_left"

    def stopped(self) -> None:
        """The server ends before the answer does."""
        self._status = self._status or AiroxyError.status
        self._ending, self._error = "upstream_failed", "airoxy was stopped"

    def end(self) -> None:
        """From now on nothing more happens to the request; should the worker be killed now, another
        one makes the same row."""
        ending = self._ending
        if self._noted_ending == ending:
            return  # as before the end of its answer went to the client
        duration_ms = self._duration_ms = round((monotonic() - self._started) * 1000)
        if (slot := self.slot) is None:
            return
        answer, before = self._answer, self._noted_ending
        self._noted_ending = ending
        if answer is not None and ending == "complete" and self._error is None:
            if before is None:
                # A short document is read by whoever makes the row; what a chat does not tell of
                # its usage follows from the request, which is not kept.
                raw = b"".join(answer.pieces) if self.endpoint != CHAT else b""
                if 0 < len(raw) <= ROOM:
                    state = duration_ms << STATE_BITS | WHOLE["json"]
                    slot.answer(self._status, self._ttfb_ms, self._request_id, raw, state)
                    return
            elif (reader := answer.reader).is_whole and reader.copy is not None:
                slot.set_state(duration_ms << STATE_BITS | WHOLE[answer.form])
                return
        used = self._read()  # which may change the ending
        self._note(self._ending, self.model, used)
        self._noted_ending = self._ending

    def row(self, prices: PriceTable) -> Row:
        """What is known now is all."""
        parts, is_estimate, _ = self._used or self._read()
        day, path = _day(int(self.now) // DAY_SECONDS), self.endpoint
        values = (
            int(self.now * 1000),
            self.key_id,
            self.token_id,
            path if path in _PLAIN_PATHS else self._path,
            self.model,
            self.is_stream,
            parts[0] if len(parts) == 1 else total(parts),
            cost_nanousd(parts, prices, day) if parts else 0,
            self._status,
            self._error,
            self._ending,
            self.attempts,
            self._ttfb_ms,
            self._duration_ms,
            self._request_id[:100].decode("latin-1") or None,
            cost_inputs_of(parts, self.model),
            is_estimate,
            self.uncounted and 200 <= self._status < 300,
            self.moved,
            move_nanousd(parts, prices, day) if self.moved else 0,
            self.client_address,
            self.group_id,
        )
        return _row(values)

    @property
    def _path(self) -> str:
        # Some clients put their key into the path: it must not be in the log.
        path = self.endpoint
        return clean(path) if "k-" in path else path[:200]

    # What outlives the worker

    def _note_progress(self) -> None:
        """Of a stream much more text has come, or an event that cannot be kept as it came."""
        if (answer := self._answer) is None or (slot := self.slot) is None:
            return
        reader = answer.reader
        self._duration_ms = self._elapsed_ms()
        if reader.copy is not None:
            slot.keep_text(answer.form, reader.text_tokens, self._duration_ms)
        else:
            self._note(RUNNING, reader.model or self.model, (*reader.so_far(), None))

    def _resume_kept(self, kept: Kept) -> None:
        self._status, self._request_id = kept.status, kept.request_id
        self._ttfb_ms, self._duration_ms = kept.ttfb_ms, kept.duration_ms
        self._ending = "complete" if kept.is_whole else RUNNING
        if kept.form == "json":
            self._answer = AnswerReader.of_document(kept.status, kept.raw)
            return
        self.is_stream = True
        reader = UsageReader(kept.form)
        reader.feed(kept.raw)
        reader.break_off(kept.text_tokens)
        self._used = self._with_model(reader.model, reader.parts), reader.is_estimate, None

    def _note(self, ending: str, model: str | None, used: _Used) -> None:
        """Keep what `_resume` takes."""
        if self.slot is None:
            return
        self.slot.note(
            (
                ending,
                self._status,
                self._error,
                self._ttfb_ms,
                self._duration_ms,
                self._request_id,
                model,
                self.is_stream,
                self.counted_results,
                ([_usage_values(part) for part in used[0]], *used[1:]),
            ),
        )

    def _resume(
        self,
        ending: str,
        status: int,
        error: str | None,
        ttfb_ms: int | None,
        duration_ms: int,
        request_id: bytes,
        model: str | None,
        is_stream: bool,
        counted_results: int,
        used: tuple[list[tuple[Any, ...]], bool, int | None],
    ) -> None:
        self._ending, self._status, self._error = ending, status, error
        self._ttfb_ms, self._duration_ms, self._request_id = ttfb_ms, duration_ms, request_id
        self.model, self.is_stream, self.counted_results = model, is_stream, counted_results
        parts, is_estimate, results = used
        self._used = [Usage(*values) for values in parts], is_estimate, results

    def _read(self) -> _Used:
        """What the answer has used, read to its end."""
        if self._used is None:
            answer, plain = self._answer, None
            if answer is not None and self._status == 200 and self._error is None:
                plain = answer.plain()
            if plain is not None:
                self.model = plain.model
                self._used = [plain], False, None
            else:
                self._used = self._take_over(answer) if answer else _NOTHING
        return self._used

    def _take_over(self, answer: AnswerReader) -> _Used:
        """What the answer says, once, when no more of it comes."""
        reader = answer.close()
        parts, is_estimate = reader.parts, reader.is_estimate
        if reader.is_chat and self._status == 200 and not reader.has_counts:
            # It does not say what it used; how much went in, only the request says.
            parts, is_estimate = parts or [Usage()], True
            parts[0].input_tokens = -(-self.request_bytes // BYTES_PER_TOKEN)
        self.container_id = reader.container_id
        results = None
        if answer.form == "jsonl":
            self.model, results = reader.model or self.model, reader.lines
        else:
            parts = self._with_model(reader.model, parts)
        if not reader.finished or self._error or reader.error_message or self._status != 200:
            self._note_trouble(answer)
        return parts, is_estimate, results

    def _with_model(self, told: str | None, parts: list[Usage]) -> list[Usage]:
        """What does not say its model is priced by the one that was asked for."""
        if asked := self.model:
            for part in parts:
                part.model = part.model or asked
        self.model = told or asked
        return parts

    def _note_trouble(self, answer: AnswerReader) -> None:
        error, incomplete = answer.trouble()
        if error := self._error or error:
            self._error = clean(error)
        if incomplete and self._ending == "complete":
            self._ending, self._error = "upstream_failed", self._error or clean(incomplete)

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


#: By position, which takes a quarter of the time.
_row: Callable[[tuple[Any, ...]], Row] = partial(tuple.__new__, Row)
_usage_values = attrgetter(*(each.name for each in fields(Usage)))


# Asked the same for nearly every request.
_day = lru_cache(maxsize=8)(numbered_day)
