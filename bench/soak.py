"""`make bench-soak`: whether a worker's memory stays flat over many requests and streams.

After a tenth of the work the memory has reached its size; growth after that is a leak.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import machine, servers

#: MiB that the allocator's mood may account for.
_ALLOWED = 3.0
_PARTS = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--streams", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        upstream = servers.upstream()
        there = servers.airoxy(Path(path) / "airoxy", "airoxy", "http", upstream)
        try:
            sizes = [machine.memory(there.pid)]
            for _ in range(_PARTS):
                requests, streams = options.requests // _PARTS, options.streams // _PARTS
                servers.load(there, "size=1000", "-c", "32", "-n", str(requests))
                servers.load(there, "events=20&batch=4", "-c", "32", "-n", str(streams))
                sizes.append(machine.memory(there.pid))
                print(f"{sizes[-1]:.1f} MiB", flush=True)
        finally:
            there.stop()
            upstream.stop()
    grown = sizes[-1] - sizes[1]
    print(
        f"{options.requests:,} requests and {options.streams:,} streams: idle {sizes[0]:.1f} MiB,"
        f" after a tenth {sizes[1]:.1f}, in the end {sizes[-1]:.1f} ({grown:+.1f})"
    )
    return int(grown > _ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
