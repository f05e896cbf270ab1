"""airoxy with shorter time limits, whose /health also tells what it holds: `python3 -m` this.

AIROXY_TEST_LIMITS is a JSON object of constants in airoxy.server.connection.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from typing import Any

from airoxy.server import connection
from airoxy.server.health import Health

_plain = Health.on_get


async def _on_get(self: Health, request: Any, response: Any) -> None:
    await _plain(self, request, response)
    gc.collect()
    response.media |= {
        "pid": os.getpid(),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def main() -> int:
    for name, value in json.loads(os.environ.get("AIROXY_TEST_LIMITS", "{}")).items():
        assert hasattr(connection, name)
        setattr(connection, name, value)
    Health.on_get = _on_get  # type: ignore[method-assign]
    from airoxy.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
