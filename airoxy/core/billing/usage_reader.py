"""Reads the usage of an answer from its bytes as they pass.

Invariant: nothing here fails and nothing grows. Whatever the bytes are, what can be read is counted
and the rest is skipped; an event, line or body beyond its bound is skipped whole, so that the
result does not depend on how the bytes were cut into pieces. No list of event names: an event is
parsed if it can hold what is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from airoxy.core.billing.blocks import Blocks, events_with
from airoxy.core.billing.message_usage import MODEL_LENGTH, MessageUsage, bounded_text
from airoxy.core.billing.plain_usage import may_wait, plain_stream
from airoxy.core.billing.streamed_text import StreamedText, tokens_of, with_newlines
from airoxy.core.billing.usage import PROMPT_STEP, Usage
from airoxy.core.error_page import LOOKED_AT
from airoxy.core.message import without_content

#: A longer event holds text, not usage; it is the most that is kept of one.
MAX_EVENT = 1 << 20
#: A batch result holds a whole message in one line.
MAX_RESULT_LINE = 8 << 20
#: A JSON answer is kept up to here, and an error up to there.
MAX_BODY, MAX_ERROR = 32 << 20, 1 << 20
#: A longer one is not parsed as a whole if it need not be (bytes).
_LONG = 4096

#: json.loads without its choice of encodings (RFC 8259 has one), and without blanks around; it
#: raises StopIteration where there is nothing. (`raw_decode` is the same, and a call more.)
_decoder: Any = json.JSONDecoder()
_decode = _decoder.scan_once
_MESSAGE_LENGTH = 1000
_DONE = b"[DONE]"
#: The last event of every stream, as Anthropic writes it; it need not be parsed.
_STOP = re.compile(rb'event: message_stop\ndata: \{"type": ?"message_stop" *\}\s*')
#: Inside a JSON string these quotes would be escaped, so nothing of interest is missed.
_LOOKED_FOR = (b'"usage"', b'"error"', b'"message_stop"')
#: The kept pieces of a stream are settled after so many small ones, or one larger than so (bytes).
_SETTLE_AFTER, _LARGE = 64, 1024
#: So often it is settled until the text is much more.
_TELL_AFTER = 2
_IN_CHATS = (b'"usage"', b'"error"', _DONE)


class UsageReader:
    """Reads one answer's body, fed piece by piece; its attributes hold what is known so far.

    Of batch results it leaves out the first `counted` lines, which were counted before.
    """

    __slots__ = (
        "_billed",
        "_blocks",
        "_body",
        "_copied",
        "_counted",
        "_cr",
        "_form",
        "_lines",
        "_looked_for",
        "_most",
        "_read_message",
        "_recent",
        "_settled",
        "_size",
        "_text",
        "_waiting",
        "container_id",
        "copy",
        "error_message",
        "finished",
        "is_chat",
        "is_whole",
        "resource_id",
        "tell",
        "unread",
    )

    def __init__(self, form: str, counted: int = 0, most: int | None = None) -> None:
        #: Where the events that are read are copied to, until there is no room.
        self.copy: memoryview[int] | None = None
        self._copied = 0
        #: Is called with each event that has no room there, and when much more text has come.
        self.tell: Callable[[], object] | None = None
        self.error_message: str | None = None
        self.resource_id: str | None = None
        self.container_id: str | None = None
        #: The first bytes of a document that could not be read, or that is none.
        self.unread: bytes | None = None
        #: The answer has come to its end: its last event, or a whole document.
        self.finished = False
        #: A stream has come to its end as it should, with its counts.
        self.is_whole = False
        self.is_chat = form == "chat"
        self._form = form
        self._read_message: MessageUsage | None = None
        #: The two events of a plain stream: they are read together, or before whatever else is.
        self._waiting: list[Mapping[str, Any]] = []
        if form == "jsonl":
            self._blocks = Blocks(b"\n", MAX_RESULT_LINE)
            self._billed: dict[object, Usage] = {}
            self._counted = counted
            self._lines = 0
        elif form in ("sse", "chat"):
            self._blocks = Blocks(b"\n\n", MAX_EVENT)
            self._text = StreamedText()
            self._recent = self._text.recent
            self._looked_for = _LOOKED_FOR if form == "sse" else _IN_CHATS
            self._cr = False
            self._settled = 0
        else:
            self._body: list[bytes] = []
            self._size, self._most = 0, MAX_BODY if most is None else most

    @property
    def _message(self) -> MessageUsage:
        """What was said of the message so far."""
        if (message := self._read_message) is None:
            message = self._read_message = MessageUsage()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for document in waiting:
                self._read(document)
        return message

    @property
    def model(self) -> str | None:
        """The model as the answer said it; of batch results, the first one's."""
        return self._message.model

    @property
    def parts(self) -> list[Usage]:
        """What is billed, each part at its own model's price; empty if no usage was seen."""
        return list(self._billed.values()) if self._form == "jsonl" else self._message.parts()

    @property
    def is_estimate(self) -> bool:
        """Whether the output is estimated by the text that came, because the counts did not."""
        return self._message.is_estimate

    @property
    def has_counts(self) -> bool:
        """Whether the answer has said anything of its usage."""
        return self._message.has_counts

    @property
    def lines(self) -> int:
        """Of batch results, how many lines there have been."""
        return self._lines + self._blocks.skipped if self._form == "jsonl" else 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the (decoded) body."""
        form = self._form
        if form == "sse" or form == "chat":
            self.feed_events(piece)
        elif form == "json":
            self._size += len(piece)
            self._body.append(piece)
            if self._size > self._most:
                self._form, self._body = "none", []
        elif form == "jsonl":
            self._take_lines(self._blocks.cut(piece))
        elif form == "page" and self._size < LOOKED_AT:
            self._size += len(piece)
            self._body.append(piece[:LOOKED_AT])

    def feed_events(self, piece: bytes) -> None:
        """The same for a stream; called for every event, so with as little work as can be."""
        recent = self._recent
        # Whole events, as nearly always: if there is a `\r` among them, it can wait.
        whole = piece[-2:] == b"\n\n" and not self._blocks.begun and not self._cr
        if not whole:
            piece = self._with_newlines(piece)
        recent.append(piece)
        if len(recent) > _SETTLE_AFTER or len(piece) > _LARGE:
            self._settle()
        if not whole:
            piece = self._blocks.cut(piece)
        find = piece.find  # three times as fast as `in`
        usage, error, end = self._looked_for
        if find(usage) >= 0 or find(error) >= 0 or find(end) >= 0:
            self._take_events(piece)

    def _settle(self) -> None:
        if self._text.settle() and self.tell is not None:
            self._settled += 1
            if self._settled % _TELL_AFTER == 0:
                self.tell()

    @property
    def text_tokens(self) -> int:
        """About how many tokens the text of a stream makes that has come so far."""
        return self._text.tokens_so_far()

    def break_off(self, text_tokens: int) -> None:
        """Of a stream no more comes, after so much text."""
        if not self._message.ended:
            self._message.estimate = text_tokens

    def so_far(self) -> tuple[list[Usage], bool]:
        """`parts` and `is_estimate`, should a stream end here."""
        self.break_off(self.text_tokens)
        try:
            return self.parts, self.is_estimate
        finally:
            self._message.estimate = 0

    def close_plain(self) -> Usage | None:
        """The body is over: what it has used, if it was a plain stream to its end. With None,
        `close` has to be called."""
        if not self.is_whole or len(self._waiting) < 2 or self._read_message or self._blocks.begun:
            return None
        usage = plain_stream(*self._waiting)
        if usage is not None:
            self.tell = self.copy = None  # as in `close`
        return usage

    def close(self) -> None:
        """The body is over, complete or not."""
        # Without these callbacks into its owner nothing has to wait for the garbage collector.
        self.tell = self.copy = None
        if self._form == "json":
            body, self._body = b"".join(self._body), []
            self.take_document(document_of(body), body)
        elif self._form == "jsonl":
            rest = self._blocks.rest()
            if _parse(rest):
                self._take_lines(rest)
            self.finished = self.lines > 0
        elif self._form == "page":
            self.unread = b"".join(self._body)[:LOOKED_AT]
        elif self._form in ("sse", "chat"):
            if self._blocks.begun:
                self._take_events(self._blocks.rest())
            if not self._message.ended:
                self._message.estimate = self._text.tokens()

    def take_document(self, document: Mapping[str, Any], body: bytes) -> None:
        """The whole `body` is this."""
        self._read(document)
        self.finished = bool(document) or _is_json(body)
        if "usage" not in document:
            self.unread = body[:LOOKED_AT]
        self.is_chat = isinstance(document.get("choices"), list)
        if self.is_chat and not self.has_counts:
            self._message.estimate = tokens_of(document)

    def _with_newlines(self, piece: bytes) -> bytes:
        """With `\\n` for each `\\r\\n` and `\\r`, wherever the bytes are cut."""
        if self._cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._cr = piece.endswith(b"\r")
        return with_newlines(piece)

    def _take_events(self, block: bytes) -> None:
        if _STOP.fullmatch(block):
            self._stop()
            return
        block = with_newlines(block)
        # One event, as nearly always, or several.
        alone = block.find(b"\n\n") == len(block) - 2
        events = (block[:-2],) if alone else events_with(block, self._looked_for)
        for event in events:
            if not alone and _STOP.fullmatch(event):
                self._stop()
                continue
            start = event.find(b"data:") + 5
            if len(event) > MAX_EVENT or start < 5:
                continue
            # One line of data, as nearly always.
            document = _parse(event[start:]) if event.find(b"\ndata:", start) < 0 else None
            if not document:
                self._take_lines_of(event, start)
            elif not may_wait(document, self._waiting):
                self._read(document)
        if (copy := self.copy) is not None:
            if not alone:
                block = b"\n\n".join((*events, b""))
            at = self._copied
            end = self._copied = at + len(block)
            try:
                copy[at:end] = block
            except ValueError:  # there is no room
                self.copy = None
        if self.copy is None and self.tell is not None:
            self.tell()

    def _stop(self) -> None:
        """The last event of a stream."""
        self.finished = True
        ended = len(self._waiting) == 2 or self._message.ended
        self.is_whole = ended and self.error_message is None

    def _take_lines_of(self, event: bytes, start: int) -> None:
        """An event's data, which is its `data:` lines as one text. Where they make none, each by
        itself, as of events without a blank line between them, or else all that follows."""
        lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        documents = [_parse(b"\n".join(lines))]
        if not documents[0]:
            documents = [document for line in lines if (document := _parse(line))]
        for document in documents or [_parse(event[start:])]:
            self._read(document)
        if lines[-1:] == [_DONE]:
            self.finished = True
            self._message.ended |= self._message.has_counts
            self.is_whole = self._message.ended and self.error_message is None

    def _take_lines(self, block: bytes) -> None:
        for line in block.split(b"\n"):
            if line.strip():
                self._lines += 1
                if self.lines > self._counted and len(line) <= MAX_RESULT_LINE:
                    if b'"usage"' in line:
                        self._take_result(_parse(line))

    def _read(self, document: Mapping[str, Any]) -> None:
        """An SSE event, or a whole answer: what is looked for has the same names in both."""
        usage, message = self._message, document.get("message")
        if isinstance(message, dict):
            usage.read(message)
        usage.read(document)
        holder = message or document.get("delta") or document
        if isinstance(holder, dict) and "container" in holder:
            self._take_container(holder["container"])
        error = document.get("error")
        if error is not None:
            self.is_whole = False
            self.error_message = _error_text(error) or self.error_message
        kind = document.get("type")
        if kind == "message_stop" or kind == "error":
            self._stop()
        elif kind in ("message_batch", "file"):
            self.resource_id = bounded_text(document.get("id"), MODEL_LENGTH) or self.resource_id

    def _take_container(self, container: object) -> None:
        if isinstance(container, dict):
            self.container_id = bounded_text(container.get("id"), MODEL_LENGTH)

    def _take_result(self, line: Mapping[str, Any]) -> None:
        result = line.get("result")
        answer = result.get("message") if isinstance(result, dict) else None
        if not isinstance(answer, dict):
            return
        message = MessageUsage()
        message.read(answer)
        self._message.model = self._message.model or message.model
        for part in message.parts():
            part.batch = True
            # A batch may have 100,000 results. The like are added up; which price tier holds can
            # still be told, because the mean of prompts within one step is within that step.
            step = -(-part.prompt_tokens // PROMPT_STEP)
            like = (part.model, part.geo, part.speed, part.billed, step)
            sum_ = self._billed.setdefault(like, part)
            if sum_ is not part:
                sum_.add(part)


def document_of(body: bytes | bytearray) -> Mapping[str, Any]:
    """A JSON answer, perhaps without its content; empty if it is none."""
    if len(body) > _LONG and (rest := without_content(body)):
        message = _parse(rest)
        if message.get("type") == "message" and "usage" in message and "model" in message:
            return message
    return _parse(body)


def _parse(data: bytes | bytearray) -> Mapping[str, Any]:
    try:
        text = data.decode().strip(" \t\r\n")
        document, end = _decode(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return {}
    return document if end == len(text) and isinstance(document, dict) else {}


def _is_json(body: bytes | bytearray) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _error_text(error: object) -> str | None:
    if isinstance(error, dict):
        error = error.get("message") or error.get("type")
    return bounded_text(error, _MESSAGE_LENGTH)
