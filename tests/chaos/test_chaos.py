"""The chaos, shortened."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.run import chaos

SECONDS = float(os.environ.get("CHAOS_SECONDS", "15"))
#: `make chaos` draws other faults each time. Here a change would be blamed for what chance has
#: found. This one has every event and every condition within its first seven events.
SEED = int(os.environ.get("CHAOS_SEED", "44"))


def test_every_promise_is_kept_whatever_happens(tmp_path: Path) -> None:
    assert chaos(tmp_path, SECONDS, SEED) == []
