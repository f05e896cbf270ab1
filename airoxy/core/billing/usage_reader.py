"""Reads the usage of an answer from its bytes as they pass.

Invariant: nothing here fails and nothing grows. Whatever the bytes are, what can be read is counted
and the rest is skipped; a line or body beyond its bound is skipped whole, so that the result does
not depend on how the bytes were cut into pieces. Lines end in `\\n` only (a `\\r` before it is
white space to JSON). No list of event names: a line is parsed if it can hold what is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airoxy.core.billing.message_usage import MODEL_LENGTH, MessageUsage, bounded_text
from airoxy.core.billing.usage import PROMPT_STEP, Usage
from airoxy.core.message import without_content

#: An SSE line longer than this holds text, not usage; it is the most that is kept of one.
MAX_LINE = 1 << 20
#: A batch result holds a whole message in one line.
MAX_RESULT_LINE = 8 << 20
#: A JSON answer is kept up to here.
MAX_BODY = 32 << 20
#: A longer one is not parsed as a whole if it need not be (bytes).
_LONG = 4096
#: json.loads without its choice of encodings (RFC 8259 has one), and without blanks around.
_decode = json.JSONDecoder().raw_decode
_MESSAGE_LENGTH = 1000
#: Inside a JSON string these quotes would be escaped, so nothing of interest is missed.
_LOOKED_FOR = (b'"usage"', b'"error"', b'"message_stop"')
_RESULTS = re.compile(r"/v1/messages/batches/[^/]+/results")
#: Answers that are one message, or that name a batch or file; a file's content is the client's own.
_DOCUMENTS = re.compile(r"/v1/(messages(/batches(/[^/]+(/cancel)?)?)?|files(/[^/]+)?)")


def form_of(path: str, status: int, content_type: str) -> str:
    """How an answer is to be read: "sse", "json", "jsonl", or "none" where nothing is counted."""
    path = path.partition("?")[0].rstrip("/")
    kind = content_type.partition(";")[0].strip().lower()
    if status >= 400:
        return "json" if kind == "application/json" or kind.endswith("+json") else "none"
    if status == 200 and _RESULTS.fullmatch(path):
        return "jsonl"
    if kind == "text/event-stream":
        return "sse" if path == "/v1/messages" else "none"
    return "json" if kind == "application/json" and _DOCUMENTS.fullmatch(path) else "none"


class UsageReader:
    """Reads one answer's body, fed piece by piece; its attributes hold what is known so far."""

    __slots__ = (
        "_billed",
        "_body",
        "_form",
        "_max_line",
        "_message",
        "_skipping",
        "changes",
        "container_id",
        "error_message",
        "finished",
        "resource_id",
    )

    def __init__(self, form: str) -> None:
        #: How often something was read that may have changed what is known.
        self.changes = 0
        self.error_message: str | None = None
        self.resource_id: str | None = None
        self.container_id: str | None = None
        self.finished = False
        self._form = form
        self._max_line = MAX_RESULT_LINE if form == "jsonl" else MAX_LINE
        self._message = MessageUsage()
        self._billed: dict[object, Usage] = {}
        #: JSON: what has come so far; else the line that has not ended.
        self._body: bytes | bytearray = b""
        self._skipping = False

    @property
    def model(self) -> str | None:
        """The model as the answer said it; of batch results, the first one's."""
        return self._message.model

    @property
    def parts(self) -> list[Usage]:
        """What is billed, each part at its own model's price; empty if no usage was seen."""
        return list(self._billed.values()) if self._form == "jsonl" else self._message.parts()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the (decoded) body."""
        form = self._form
        if form in ("sse", "jsonl"):
            if piece.endswith(b"\n") and not self._body and not self._skipping:
                self._take_lines(piece)
            else:
                self._take_cut(piece)
        elif form == "json" and not self._skipping:
            self._keep(piece, MAX_BODY)

    def close(self) -> None:
        """The body is over, complete or not."""
        rest, self._body = self._body, b""
        if self._form == "json":
            self._read(_document(rest))
        elif rest:
            self._take_lines(bytes(rest))
        if self._form != "sse":
            self.finished = True

    def _take_cut(self, piece: bytes) -> None:
        """Take bytes that continue a line or end within one."""
        end = piece.find(b"\n") + 1
        if not end:
            if not self._skipping:
                self._keep(piece, self._max_line)
            return
        if not self._skipping:
            self._take_lines(bytes(self._body) + piece[:end])
        self._body = b""
        self._skipping = False
        last = piece.rfind(b"\n") + 1
        if last > end:
            self._take_lines(piece[end:last])
        if last < len(piece):
            self._keep(piece[last:], self._max_line)

    def _keep(self, piece: bytes, limit: int) -> None:
        self._skipping = len(self._body) + len(piece) > limit
        if self._skipping:
            self._body = b""
        elif not self._body:
            self._body = piece
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body + piece)
        else:
            self._body += piece

    def _take_lines(self, block: bytes) -> None:
        for line in _interesting_lines(block):
            if len(line) > self._max_line:
                continue
            if self._form == "jsonl":
                self._take_result(_parse(line))
            elif line.startswith(b"data:"):
                self._read(_parse(line[5:]))

    def _read(self, document: Mapping[str, Any]) -> None:
        """An SSE event, or a whole answer: what is looked for has the same names in both."""
        self.changes += 1
        message = document.get("message")
        if isinstance(message, dict):
            self._message.read(message)
            self._take_container(message)
        elif "delta" in document:
            self._take_container(document["delta"])
        else:
            self._take_container(document)
        self._message.read(document)
        error = document.get("error")
        if error is not None:
            self.error_message = _error_text(error) or self.error_message
        kind = document.get("type")
        if kind in ("message_stop", "error"):
            self.finished = True
        elif kind in ("message_batch", "file"):
            self.resource_id = bounded_text(document.get("id"), MODEL_LENGTH) or self.resource_id

    def _take_container(self, part: object) -> None:
        container = part.get("container") if isinstance(part, dict) else None
        if isinstance(container, dict):
            self.container_id = bounded_text(container.get("id"), MODEL_LENGTH)

    def _take_result(self, line: Mapping[str, Any]) -> None:
        self.changes += 1
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
            sum_ = self._billed.setdefault((part.model, part.geo, part.speed, step), part)
            if sum_ is not part:
                sum_.add(part)


def _interesting_lines(block: bytes) -> list[bytes]:
    """The lines that have one of `_LOOKED_FOR`. Hundreds of events may have come together, and
    nearly all hold text: they are not even told apart."""
    lines: dict[int, int] = {}
    find = block.find  # three times as fast as `in`, and this is asked for every event
    for name in _LOOKED_FOR:
        at = find(name)
        while at >= 0:
            end = find(b"\n", at)
            lines[block.rfind(b"\n", 0, at) + 1] = end if end >= 0 else len(block)
            at = find(name, end) if end >= 0 else -1
    return [block[start : lines[start]] for start in sorted(lines)] if lines else []


def _document(body: bytes | bytearray) -> Mapping[str, Any]:
    if len(body) > _LONG and (rest := without_content(body)):
        message = _parse(rest)
        if message.get("type") == "message" and "usage" in message and "model" in message:
            return message
    return _parse(body)


def _parse(data: bytes | bytearray) -> Mapping[str, Any]:
    try:
        text = data.decode().strip(" \t\r\n")
        document, end = _decode(text)
    except (ValueError, RecursionError):
        return {}
    return document if end == len(text) and isinstance(document, dict) else {}


def _error_text(error: object) -> str | None:
    if isinstance(error, dict):
        error = error.get("message") or error.get("type")
    return bounded_text(error, _MESSAGE_LENGTH)
