"""What the usage of one message comes to, as the JSON of its answer tells it bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.core.billing.usage import USAGE, Usage

#: No request uses more; it keeps sums over the largest batch within SQLite's 64 bits.
MAX_COUNT = 10**9
MODEL_LENGTH = 200
_TEXTS = ("service_tier", "inference_geo", "speed")
#: All cache writes, of whatever length.
_WRITES = "cache_creation_input_tokens"
_FOUND_AS = tuple(each.found_as for each in USAGE)
#: What the server's tools did is counted for the whole message.
_ONCE = tuple(each for each in USAGE if not each.is_token)


def _places() -> dict[str, dict[str, str]]:
    """What is looked for, by the object of the usage that has it ("" is the usage itself)."""
    places: dict[str, dict[str, str]] = {"": {_WRITES: _WRITES}}
    for path in _FOUND_AS:
        holder, _, name = path.rpartition(".")
        places.setdefault(holder, {})[name] = path
    return places


_PLACES = _places()


class MessageUsage:
    """What was said of one message, or of one attempt at it, so far."""

    __slots__ = ("attempts", "counts", "model", "texts")

    def __init__(self) -> None:
        self.model: str | None = None
        self.counts: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.attempts: list[MessageUsage] = []

    def read(self, holder: Mapping[str, Any]) -> None:
        """Take model and usage from the object that has them."""
        self.model = bounded_text(holder.get("model"), MODEL_LENGTH) or self.model
        usage = holder.get("usage")
        if not isinstance(usage, dict):
            return
        self.take(usage)
        iterations = usage.get("iterations")
        if iterations and (counted := _attempts(iterations)):
            self.attempts = counted
        elif self.attempts:
            # The top level describes the last attempt, and here it is the newer of the two.
            self.attempts[-1].take(usage)

    def parts(self) -> list[Usage]:
        """A part for each attempt; the server's tools are counted for the message, once."""
        if self.attempts:
            parts = [attempt.billed(self) for attempt in self.attempts]
            for each in _ONCE:
                for part in parts:
                    setattr(part, each.name, 0)
                setattr(parts[-1], each.name, self.counts.get(each.found_as, 0))
        elif self.counts:
            parts = [self.billed(self)]
        else:
            return []
        return parts

    def take(self, usage: Mapping[str, Any]) -> None:
        """Counts are cumulative: the last value wins; what is absent or odd keeps the earlier."""
        counts = self.counts
        for holder, names in _PLACES.items():
            group = usage.get(holder) if holder else usage
            if isinstance(group, dict):
                for name, path in names.items():
                    value = group.get(name)
                    if type(value) is int and 0 <= value <= MAX_COUNT:
                        counts[path] = value
        for name in _TEXTS:
            if name in usage and (text := bounded_text(usage[name], MODEL_LENGTH)):
                self.texts[name] = text

    def billed(self, message: MessageUsage) -> Usage:
        count, text = self.counts.get, (message.texts | self.texts).get
        values: list[Any] = [
            self.model or message.model,
            *[count(path, 0) for path in _FOUND_AS],
            text("service_tier") == "batch",
            text("inference_geo"),
            text("speed"),
        ]
        usage = Usage(*values)  # by position, which takes half the time
        # Five minutes is what a write is without further word, so what the split leaves
        # unexplained is that; a split that says more than the sum is believed.
        writes = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
        usage.cache_write_5m_tokens += max(0, count(_WRITES, 0) - writes)
        return usage


def _attempts(iterations: object) -> list[MessageUsage]:
    attempts = map(_attempt, iterations if isinstance(iterations, list) else ())
    return [attempt for attempt in attempts if attempt.counts]


def _attempt(entry: object) -> MessageUsage:
    attempt = MessageUsage()
    if isinstance(entry, dict):
        attempt.model = bounded_text(entry.get("model"), MODEL_LENGTH)
        attempt.take(entry)
    return attempt


def bounded_text(value: object, length: int) -> str | None:
    """A string that any database takes: bounded, and without half a surrogate pair."""
    if type(value) is not str or not value:
        return None
    if value.isascii():
        return value[:length]
    return value[:length].encode("utf-8", "replace").decode()
