"""`make chaos`: CHAOS_SECONDS (3600) of it, half of them for a host alone and half for a fleet;
CHAOS_SEED repeats the faults of an earlier run."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.fleet import fleet_chaos
from tests.chaos.run import chaos


def main() -> int:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 32))
    print(f"CHAOS_SEED={seed}", flush=True)
    seconds = float(os.environ.get("CHAOS_SECONDS", "3600"))
    found = []
    for run in (chaos, fleet_chaos):
        with tempfile.TemporaryDirectory() as directory:
            found += run(Path(directory), seconds / 2, seed)
    print("\n".join(found) or "Every promise was kept.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
