"""How much text an answer has brought so far, for an estimate where its counts do not come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: Of Anthropic's models a token is about so much text, thinking or tool input.
BYTES_PER_TOKEN = 4
#: So much of a stream is kept to be looked at exactly (bytes); what is older is estimated.
RECENT = 16 * 1024
#: The longest event that is looked at (bytes).
LONGEST = 1 << 20
#: So many kinds of events are looked at to learn how long one is without its text.
_SAMPLES = 8
#: Chunks of one chat begin with the same bytes.
_ALIKE = 24

#: An event without one of these has no text, and need not be parsed.
_HOLDERS = (b'"delta"', b'"content_block"', b'"choices"')
_TEXTS = ("text", "thinking", "partial_json", "content", "reasoning_content")


class StreamedText:
    """Server-sent events as they pass. The reader appends them to `recent`, which costs next to
    nothing, and calls `settle` now and then."""

    __slots__ = ("_earlier", "recent")

    def __init__(self) -> None:
        self.recent: list[bytes] = []
        self._earlier = 0

    def tokens(self) -> int:
        """The output tokens that the text of all whole events makes."""
        recent = sum(_text_bytes(event) for event in self._events())
        return -(-(self._earlier + recent) // BYTES_PER_TOKEN)

    def tokens_so_far(self) -> int:
        """Nearly the same, by the length of most events: for a look that is taken often."""
        recent = _estimated(self._events()[:-1])
        return -(-(self._earlier + recent) // BYTES_PER_TOKEN)

    def settle(self) -> bool:
        """Keep `recent` small: count the text of what is older by the length of its events. False
        if that has to wait."""
        first = len(self.recent[0])
        if first > RECENT and sum(map(len, self.recent)) < 2 * first:
            return False  # a long event that goes on: it is not joined for every piece of it
        block = with_newlines(b"".join(self.recent))
        end = block.rfind(b"\n\n") + 2
        if len(block) > RECENT and end >= 2:
            self._earlier += _estimated_of_block(block[:end])
            block = block[end:]
        elif len(block) > LONGEST:
            block = b""  # it ends nowhere, so it is no event
        self.recent[:] = [block]
        return True

    def _events(self) -> list[bytes]:
        return with_newlines(b"".join(self.recent)).split(b"\n\n")


def with_newlines(block: bytes) -> bytes:
    """With `\\n` for each `\\r\\n` and `\\r`; JSON has them as white space only."""
    if block.find(b"\r") < 0:
        return block
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _estimated_of_block(block: bytes) -> int:
    """The same for events in one piece, as a fast stream brings them: nearly all begin alike."""
    first = block[: block.find(b"\n\n")]
    if found := _text_bytes(first):
        count = 1 + block.count(b"\n\n" + _head(first))
        if count == block.count(b"\n\n"):
            return max(0, len(block) - count * (len(first) - found + 2))
    return _estimated(block.split(b"\n\n"))


def _estimated(events: list[bytes]) -> int:
    """The text of events, by the length of those that begin like one that was looked at."""
    overheads: dict[bytes, int] = {}
    text = 0
    for event in events:
        for head, overhead in overheads.items():
            if event.startswith(head):
                text += max(0, len(event) - overhead)
                break
        else:
            if len(overheads) < _SAMPLES and (found := _text_bytes(event)):
                overheads[_head(event)] = len(event) - found
                text += found
    return text


def _head(event: bytes) -> bytes:
    """What events of the same kind begin with: for Anthropic's, all up to the kind of the delta."""
    kind = event.find(b'_delta"', event.find(b'"delta"'))
    return event[: kind + 7] if kind >= 0 else event[:_ALIKE]


def _text_bytes(event: bytes) -> int:
    if not any(event.find(name) >= 0 for name in _HOLDERS):
        return 0
    lines = [line[5:] for line in event.split(b"\n") if line.startswith(b"data:")]
    try:
        document = json.loads(b"\n".join(lines))
    except (ValueError, RecursionError):
        return 0
    return _text_of(document) if isinstance(document, dict) else 0


def tokens_of(document: Mapping[str, Any]) -> int:
    """The output tokens that the text of a whole chat makes."""
    return -(-_text_of(document) // BYTES_PER_TOKEN)


def _text_of(document: Mapping[str, Any]) -> int:
    return sum(len(text.encode("utf-8", "replace")) for text in _texts(document))


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    """The text, the thinking and the tool input of an event, or of a chat or a chunk of one."""
    choices = document.get("choices")
    holders = [document.get("delta"), document.get("content_block")]
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") or choice.get("message") if isinstance(choice, dict) else None
        holders.append(delta)
        calls = delta.get("tool_calls") if isinstance(delta, dict) else None
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                yield function["arguments"]
    for holder in holders:
        if isinstance(holder, dict):
            yield from (holder[name] for name in _TEXTS if isinstance(holder.get(name), str))
