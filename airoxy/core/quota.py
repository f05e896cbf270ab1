"""The quota windows of subscription tokens, as the headers of every answer have them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from airoxy.core.answers.retry import unix_time

_PREFIX = b"anthropic-ratelimit-unified-"
_FIELD = re.compile(rb"([\w.-]{1,40})-(utilization|reset)")
#: Separates a window's length from the family of models that it is about, as in 7d_opus.
_FAMILY = "_"
#: In `spare_until`: every model.
EVERY_FAMILY = ""
_MOST_WINDOWS = 16
#: Most words of a model's name that are read, because names come from clients.
_MOST_WORDS = 8


class QuotaWindow(NamedTuple):
    """`used` is the share that is spent, `resets_at` when it begins anew (Unix seconds)."""

    used: float
    resets_at: float


def read_windows(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, QuotaWindow]:
    """The windows by name (5h, 7d, 7d_opus); empty if the headers have none."""
    told = tuple([header for header in headers if header[0].startswith(_PREFIX)])
    return _windows(told) if told else {}


@lru_cache(maxsize=256)  # answers that come one after the other mostly say the same
def _windows(headers: tuple[tuple[bytes, bytes], ...]) -> Mapping[str, QuotaWindow]:
    found: dict[str, dict[str, float]] = {}
    for name, value in headers:
        if field := _FIELD.fullmatch(name, len(_PREFIX)):
            number = _share(value) if field[2] == b"utilization" else unix_time(value)
            found.setdefault(field[1].decode(), {})[field[2].decode()] = number
    windows = {
        name: QuotaWindow(fields["utilization"], fields.get("reset", 0.0))
        for name, fields in found.items()
        if fields.get("utilization", -1) >= 0
    }
    return MappingProxyType(windows if len(windows) <= _MOST_WINDOWS else {})


def spare_until(windows: Mapping[str, QuotaWindow], leave_at: float) -> dict[str, float]:
    """For which families of models the token is to be spared, and until when (Unix seconds): the
    last reset of the windows of which more than `leave_at` is spent."""
    found: dict[str, float] = {}
    for name, window in windows.items():
        if window.used >= leave_at:
            family = name.partition(_FAMILY)[2]
            found[family] = max(window.resets_at, found.get(family, 0.0))
    return found


def families(model_class: str) -> Iterator[str]:
    """The families of models that this class may be of: EVERY_FAMILY, and of claude-opus-4 also
    opus, opus-4 and so on."""
    yield EVERY_FAMILY
    words = model_class.split("-")[:_MOST_WORDS]
    for first, last in combinations(range(len(words) + 1), 2):
        yield "-".join(words[first:last])


def _share(value: bytes) -> float:
    """-1 for what is no share."""
    try:
        share = float(value)
    except ValueError:
        return -1
    return share if math.isfinite(share) and 0 <= share <= 1000 else -1
