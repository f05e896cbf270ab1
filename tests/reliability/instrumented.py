"""airoxy with shorter time limits, whose /health also tells what it holds: `python3 -m` this.

AIROXY_TEST_TIMEOUTS is a JSON object of fields of airoxy.server.http.deadline.Timeouts;
AIROXY_TEST_MEMORY is how many bytes the machine seems to have, and AIROXY_TEST_PATIENCE for how
many seconds bodies wait there for room (1 without it);
AIROXY_TEST_CLOCK is a file with the seconds by which the wall clock is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from airoxy.server import body_budget
from airoxy.server.http import listener
from airoxy.server.http.deadline import Timeouts
from airoxy.server.metrics.health import Health

_plain = Health.read


def _read(self: Health) -> tuple[int, dict[str, Any]]:
    status, body = _plain(self)
    gc.collect()
    return status, body | {
        "pid": os.getpid(),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def _set_clock(offset: Path) -> None:
    """The wall clock, and no other, as if somebody had set it."""
    right, right_ns = time.time, time.time_ns
    wrong = 0

    def read() -> int:
        nonlocal wrong
        with contextlib.suppress(OSError):  # where descriptors are used up, it stays as it was
            wrong = int(offset.read_text())
        return wrong

    time.time = lambda: right() + read()
    time.time_ns = lambda: right_ns() + read() * 10**9


def main() -> int:
    if clock := os.environ.get("AIROXY_TEST_CLOCK"):
        _set_clock(Path(clock))
    listener.TIMEOUTS = Timeouts(**json.loads(os.environ.get("AIROXY_TEST_TIMEOUTS", "{}")))
    if memory := os.environ.get("AIROXY_TEST_MEMORY"):
        body_budget.available_memory = lambda: int(memory)
        body_budget.PATIENCE = float(os.environ.get("AIROXY_TEST_PATIENCE", "1"))
    Health.read = _read  # type: ignore[method-assign]
    from airoxy.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
