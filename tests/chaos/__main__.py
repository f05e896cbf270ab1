"""`make chaos`: CHAOS_SECONDS (3600) of it; CHAOS_SEED repeats the faults of an earlier run."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import chaos


def main() -> int:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 32))
    print(f"CHAOS_SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        found = chaos(Path(directory), float(os.environ.get("CHAOS_SECONDS", "3600")), seed)
    print("\n".join(found) or "Every promise was kept.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
