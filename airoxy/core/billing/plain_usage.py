"""The usage of a message as nearly all answers tell it: at once, or in two events of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from airoxy.core.billing.message_usage import (
    CACHE_WRITES,
    MAX_COUNT,
    MODEL_LENGTH,
    TEXTS,
    bounded_text,
)
from airoxy.core.billing.usage import USAGE, Usage

#: What tells more of a message than its usage, or that it is none.
_MORE = frozenset(("error", "container", "message", "delta"))
#: What a usage has that needs rules of its own.
_NOT_PLAIN = frozenset(("prompt_tokens", "iterations"))
#: What an event of a stream would tell of the message beside the object that has it.
_BESIDE = frozenset(("error", "model", "usage", "delta", "stop_reason"))
_BESIDE_DELTA = frozenset(("error", "model", "message"))
_ONLY_INT = {int}
#: Its fields follow the table, which a type checker cannot know.
_usage: Any = Usage


#: The names in the usage itself, and as many zeros.
_TOP = (CACHE_WRITES, *(each.found_as for each in USAGE if "." not in each.found_as))
_NO_TOP = (0,) * len(_TOP)
#: The names in each object of the usage, which is named first, and as many zeros.
_NESTED = tuple(
    (holder, tuple(each.found_as.partition(".")[2] for each in run), (0,) * len(run))
    for holder in dict.fromkeys(each.found_as.partition(".")[0] for each in USAGE)
    if (run := [each for each in USAGE if each.found_as.startswith(holder + ".")])
)
_FOUND = (*_TOP, *(f"{holder}.{name}" for holder, names, _ in _NESTED for name in names))
#: Of all these counts, those of USAGE in its order.
_in_order = itemgetter(*(_FOUND.index(each.found_as) for each in USAGE))
#: Of a usage, all but counts: where two of them have it, the later does not simply replace it.
_NO_COUNTS = frozenset((*TEXTS, *(holder for holder, _, _ in _NESTED)))


def plain_usage(message: Mapping[str, Any]) -> Usage | None:
    """What `MessageUsage` would make of this document, in half the time; None for what needs its
    rules."""
    usage, model = message.get("usage"), message.get("model")
    if (
        type(usage) is not dict
        or type(model) is not str
        or message.get("type") != "message"
        or message.get("stop_reason") == "refusal"
        or "output_tokens" not in usage
        or not _NOT_PLAIN.isdisjoint(usage)
        or not (0 < len(model) <= MODEL_LENGTH and model.isascii())
        or (not _MORE.isdisjoint(message) and any(map(message.get, _MORE)))
    ):
        return None
    get = usage.get
    counts = list(map(get, _TOP, _NO_TOP))
    for holder, names, zeros in _NESTED:
        group = get(holder)
        counts += map(group.get, names, zeros) if type(group) is dict else zeros
    if set(map(type, counts)) != _ONLY_INT or min(counts) < 0 or max(counts) > MAX_COUNT:
        return None
    plain: Usage = _usage(model, *_in_order(counts))
    if writes := counts[0]:
        plain.explain_writes(writes)
    if "service_tier" in usage:
        plain.batch = usage["service_tier"] == "batch"
    if "inference_geo" in usage:
        plain.geo = bounded_text(usage["inference_geo"], MODEL_LENGTH)
    if "speed" in usage:
        plain.speed = bounded_text(usage["speed"], MODEL_LENGTH)
    return plain


def may_wait(event: Mapping[str, Any], waiting: list[Mapping[str, Any]]) -> bool:
    """Put the event to those that are `waiting` to be read together, if it begins or ends a stream
    as nearly all do, and is the next of the two."""
    kind = event.get("type")
    if kind == "message_start":
        waits = not waiting and _BESIDE.isdisjoint(event)
    elif kind == "message_delta" and len(waiting) == 1 and _BESIDE_DELTA.isdisjoint(event):
        delta = event.get("delta")
        waits = type(delta) is dict and bool(delta.get("stop_reason"))
    else:
        return False
    if waits:
        waiting.append(event)
    return waits


def plain_stream(start: Mapping[str, Any], end: Mapping[str, Any]) -> Usage | None:
    """The same of a stream, by its two events that `may_wait`."""
    message, delta, last = start.get("message"), end["delta"], end.get("usage")
    if type(message) is not dict or type(last) is not dict or delta.get("container"):
        return None
    first = message.get("usage")
    if type(first) is not dict or _NO_COUNTS & first.keys() & last.keys():
        return None
    return plain_usage({**message, "usage": {**first, **last}, "stop_reason": delta["stop_reason"]})
