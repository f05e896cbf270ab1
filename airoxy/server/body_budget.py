"""How much memory the request bodies that a worker collects may take, in all and of one key.

Above the budget bodies are not read: they wait in the kernel.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from airoxy.errors import AiroxyError

#: Bodies up to this size are not counted (bytes); the number of requests has limits of its own.
UNCOUNTED = 16 * 1024
#: How long a body may wait for its share (seconds).
PATIENCE = 10.0
#: The `retry-after` of a body that has waited in vain (seconds).
_RETRY_AFTER = "5"
_CGROUPS = Path("/sys/fs/cgroup")


class BodyBudget:
    """Of `total` bytes one key may have a quarter. The only body, of a key or of all, may always
    be read, however large it is."""

    def __init__(self, total: int, patience: float) -> None:
        """`patience`: seconds that a body may wait for room."""
        self.total = total
        self.patience = patience
        self.of_key = total // 4
        self.used = 0
        #: What tries again when something is given back, the first one first.
        self.waiting: dict[Callable[[], None], None] = {}
        self._used_by: dict[int, int] = {}

    def take(self, key_id: int, size: int) -> bool:
        """Take `size` bytes of it for a key, if there is room."""
        used = self._used_by.get(key_id, 0)
        if (used and used + size > self.of_key) or (self.used and self.used + size > self.total):
            return False
        self._used_by[key_id] = used + size
        self.used += size
        return True

    def give_back(self, key_id: int, size: int) -> None:
        """What was taken is free again."""
        self.used -= size
        left = self._used_by[key_id] - size
        if left:
            self._used_by[key_id] = left
        else:
            del self._used_by[key_id]
        for wake in tuple(self.waiting):
            wake()

    def refusal(self, key_id: int, size: int) -> AiroxyError:
        """What a client is told whose body has waited in vain."""
        used = self._used_by.get(key_id, 0)
        if used and used + size > self.of_key:
            error = AiroxyError(
                "Your API key has too many large requests under way at the same time.",
                headers=[("retry-after", _RETRY_AFTER)],
            )
            error.status, error.kind = 429, "rate_limit_error"
            return error
        error = AiroxyError(
            "airoxy has too many large requests under way at the same time.",
            headers=[("retry-after", _RETRY_AFTER)],
        )
        error.status, error.kind = 529, "overloaded_error"
        return error


def budget_of_worker(workers: int) -> BodyBudget:
    """A quarter of the memory that there is, shared by the workers."""
    return BodyBudget(available_memory() // 4 // workers, PATIENCE)


def available_memory(cgroups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that this service may use: what the machine has, or the least that a control group
    above it may have."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return limits[0]
    for line in lines:
        number, _, path = line.partition("::")
        if number != "0":
            continue
        group = cgroups / path.lstrip("/")
        for each in (group, *group.parents):
            try:
                limit = (each / "memory.max").read_text().strip()
            except OSError:
                limit = "max"
            if limit.isdigit():
                limits.append(int(limit))
            if each == cgroups:
                break
    return min(limits)
