"""The quota windows of subscription tokens, as the headers of every answer have them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from airoxy.core.answers.retry import unix_time

_PREFIX = b"anthropic-ratelimit-unified-"
_FIELD = re.compile(rb"([\w.-]{1,40})-(utilization|reset)")
#: A window for one family of models, such as 7d_opus, says nothing of the others.
_FAMILY = "_"
_MOST_WINDOWS = 16


class QuotaWindow(NamedTuple):
    """`used` is the share that is spent, `resets_at` when it begins anew (Unix seconds)."""

    used: float
    resets_at: float


def read_windows(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, QuotaWindow]:
    """By name: 5h, 7d, 7d_opus. Nothing where there are none."""
    found: dict[str, dict[str, float]] = {}
    for name, value in headers:
        if name.startswith(_PREFIX) and (field := _FIELD.fullmatch(name, len(_PREFIX))):
            number = _share(value) if field[2] == b"utilization" else unix_time(value)
            found.setdefault(field[1].decode(), {})[field[2].decode()] = number
    windows = {
        name: QuotaWindow(fields["utilization"], fields.get("reset", 0.0))
        for name, fields in found.items()
        if fields.get("utilization", -1) >= 0
    }
    return windows if len(windows) <= _MOST_WINDOWS else {}


def spare_until(windows: Mapping[str, QuotaWindow], leave_at: float) -> float:
    """Until when (Unix seconds) the token is to be spared: the last reset of the windows of which
    more than `leave_at` is spent; 0 if there is none."""
    resets = (
        window.resets_at
        for name, window in windows.items()
        if window.used >= leave_at and _FAMILY not in name
    )
    return max(resets, default=0.0)


def _share(value: bytes) -> float:
    """-1 for what is no share."""
    try:
        share = float(value)
    except ValueError:
        return -1
    return share if math.isfinite(share) and 0 <= share <= 1000 else -1
