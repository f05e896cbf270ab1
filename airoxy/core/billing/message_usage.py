"""What the usage of one message comes to, as the JSON of its answer tells it bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.core.billing.usage import USAGE, Usage

#: No request uses more; it keeps sums over the largest batch within SQLite's 64 bits.
MAX_COUNT = 10**9
MODEL_LENGTH = 200
#: What a usage says beside counts.
TEXTS = ("service_tier", "inference_geo", "speed")
#: Attempts that may decline, with nothing to pay: not those that advise or compact.
_DECLINABLE = ("message", "fallback_message")
#: All cache writes, of whatever length.
CACHE_WRITES = "cache_creation_input_tokens"
_FOUND_AS = tuple(each.found_as for each in USAGE)
_ZEROS = (0,) * len(_FOUND_AS)
#: What the server's tools did is counted for the whole message.
_ONCE = tuple(each for each in USAGE if not each.is_token)


def _places() -> tuple[tuple[str, dict[str, str]], ...]:
    """What is looked for, by the object of the usage that has it ("" is the usage itself)."""
    places: dict[str, dict[str, str]] = {"": {CACHE_WRITES: CACHE_WRITES}}
    for path in _FOUND_AS:
        holder, _, name = path.rpartition(".")
        places.setdefault(holder, {})[name] = path
    return tuple(places.items())


_PLACES = _places()
#: Its fields follow the table, which a type checker cannot know.
_usage: Any = Usage


class MessageUsage:
    """What was said of one message so far: of the whole of it, and of the attempts at it."""

    __slots__ = ("_attempts", "_whole", "ended", "estimate", "model", "refused")

    def __init__(self) -> None:
        self.model: str | None = None
        self._whole = _Attempt()
        self._attempts: list[_Attempt] = []
        #: The reason of its end is known, and with it the last counts.
        self.ended = False
        self.refused = False
        #: Output tokens by the text that has come, where that may be more than what was counted.
        self.estimate = 0

    @property
    def has_counts(self) -> bool:
        return bool(self._whole.counts)

    @property
    def is_estimate(self) -> bool:
        """Whether the output is not Anthropic's own count."""
        return self.estimate > 0 and self.estimate > self._output()

    def read(self, holder: Mapping[str, Any]) -> None:
        """Take model, usage and the reason of the end from the object that has them."""
        if "model" in holder:
            self.model = bounded_text(holder["model"], MODEL_LENGTH) or self.model
        delta = holder.get("delta")
        reason = (delta if isinstance(delta, dict) else holder).get("stop_reason")
        if reason:
            self.ended, self.refused = True, reason == "refusal"
        usage = holder.get("usage")
        if isinstance(usage, dict):
            # A chat tells its usage once, at its end, or with each piece of its text, too.
            if "prompt_tokens" in usage and not _goes_on(holder.get("choices")):
                self.ended = True
            self._whole.take(usage)
            # What a later usage says without iterations is a part of them, or their sum.
            if iterations := usage.get("iterations"):
                self._attempts = _attempts(iterations) or self._attempts

    def parts(self) -> list[Usage]:
        """A part for each attempt."""
        if self._attempts:
            parts = self._parts_of_attempts()
        elif self._whole.counts or self.estimate:
            parts = [self._whole.usage(self.model, {}, declined=self.refused)]
        else:
            return []
        if self.estimate:
            parts[-1].output_tokens += max(0, self.estimate - self._output())
        return parts

    def _parts_of_attempts(self) -> list[Usage]:
        fell_back = any(attempt.kind == "fallback_message" for attempt in self._attempts)
        last = self._attempts[-1]
        parts = [
            attempt.usage(
                self.model,
                self._whole.texts,
                declined=self.refused
                or (fell_back and (attempt.kind == "message" or attempt is not last)),
            )
            for attempt in self._attempts
        ]
        # What the server's tools did is counted for the message, once.
        served = next((part for part in reversed(parts) if part.billed), parts[-1])
        for each in _ONCE:
            added = sum(getattr(part, each.name) for part in parts)
            for part in parts:
                setattr(part, each.name, 0)
            setattr(served, each.name, self._whole.counts.get(each.found_as, added))
        return parts

    def _output(self) -> int:
        counted = self._attempts or [self._whole]
        return sum(attempt.counts.get("output_tokens", 0) for attempt in counted)


class _Attempt:
    """The usage of one model that worked at a message."""

    __slots__ = ("counts", "kind", "model", "texts")

    def __init__(self, kind: str = "message") -> None:
        self.kind = kind
        self.model: str | None = None
        self.counts: dict[str, int] = {}
        self.texts: dict[str, str] = {}

    def take(self, usage: Mapping[str, Any]) -> None:
        """Counts are cumulative: the last value wins; what is absent or odd keeps the earlier."""
        if "prompt_tokens" in usage:
            usage = _from_chat(usage)
        counts = self.counts
        for holder, names in _PLACES:
            group = usage.get(holder) if holder else usage
            if type(group) is dict:
                for name, value in group.items():
                    if type(value) is float:
                        value = _whole(value)
                    if type(value) is int and name in names and 0 <= value <= MAX_COUNT:
                        counts[names[name]] = value
        for name in TEXTS:
            if name in usage and (text := bounded_text(usage[name], MODEL_LENGTH)):
                self.texts[name] = text

    def usage(self, model: str | None, texts: dict[str, str], *, declined: bool) -> Usage:
        """By this attempt's words, or else the message's. One that was declined is not charged for,
        if it has no output."""
        count = self.counts.get
        # By position, which takes half the time.
        usage: Usage = _usage(self.model or model, *map(count, _FOUND_AS, _ZEROS))
        if texts or self.texts:
            text = (texts | self.texts).get
            usage.batch = text("service_tier") == "batch"
            usage.geo, usage.speed = text("inference_geo"), text("speed")
        if writes := count(CACHE_WRITES, 0):
            usage.explain_writes(writes)
        if declined and not usage.output_tokens and self.kind in _DECLINABLE:
            usage.billed = False
        return usage


def _attempts(iterations: object) -> list[_Attempt]:
    attempts = map(_attempt, iterations if isinstance(iterations, list) else ())
    return [attempt for attempt in attempts if attempt.counts]


def _attempt(entry: object) -> _Attempt:
    attempt = _Attempt()
    if isinstance(entry, dict):
        attempt.kind = bounded_text(entry.get("type"), MODEL_LENGTH) or attempt.kind
        attempt.model = bounded_text(entry.get("model"), MODEL_LENGTH)
        attempt.take(entry)
    return attempt


def _from_chat(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The usage of a chat completion, whose prompt includes what came from the cache."""
    details = usage.get("prompt_tokens_details")
    prompt, cached = _whole(usage["prompt_tokens"]), 0
    if isinstance(details, dict) and type(told := _whole(details.get("cached_tokens"))) is int:
        cached = told
    if type(prompt) is not int or not 0 <= cached <= prompt:
        cached = 0
    return {
        "input_tokens": prompt - cached if type(prompt) is int else None,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.get("completion_tokens"),
    }


def _whole(count: Any) -> Any:
    """A count that is written as `10.0`, which is the same number in JSON."""
    return int(count) if type(count) is float and count.is_integer() else count


def _goes_on(choices: object) -> bool:
    """Whether a chunk of a chat brings text, and not the reason of its end."""
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and bool(first.get("delta")) and not first.get("finish_reason")


def bounded_text(value: object, length: int) -> str | None:
    """A string that any database takes: bounded, and without half a surrogate pair."""
    if type(value) is not str or not value:
        return None
    if value.isascii():
        return value[:length]
    return value[:length].encode("utf-8", "replace").decode()
