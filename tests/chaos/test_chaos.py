"""The chaos, shortened."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.chaos.run import chaos

SECONDS = float(os.environ.get("CHAOS_SECONDS", "15"))


def test_every_promise_is_kept_whatever_happens(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 32))
    print(f"CHAOS_SEED={seed}")  # shown where it fails
    assert chaos(tmp_path, SECONDS, seed) == []
