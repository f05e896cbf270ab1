"""airoxy is killed, at any moment.

AIROXY_KILLS (20) says how often.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from tests.reliability.conftest import Watched
from tests.reliability.load import Load, integrity, logged, wait, worker

KILLS = int(os.environ.get("AIROXY_KILLS", "20"))


def test_workers_are_killed_at_any_moment(airoxy: Watched, key: str) -> None:
    lost = 0
    with Load(airoxy, key) as load:
        for _ in range(KILLS):
            load.wait_served(random.randrange(1, 40))
            time.sleep(random.random() / 100)
            before = len(set(logged(airoxy.database)))
            with contextlib.suppress(OSError):
                os.kill(worker(airoxy), signal.SIGKILL)
            lost += before > len(set(logged(airoxy.database)))
        load.wait_served(10)
    assert lost == 0
    assert load.outcomes["refused"] == 0  # the parent holds the door
    airoxy.stop()
    assert integrity(airoxy.database) == "ok"
    known = logged(airoxy.database)
    assert len(known) == len(set(known))
    # Only what was waiting for the writer when its process died.
    missing = load.request_ids - set(known)
    assert len(missing) <= KILLS * 40
    report("worker", load, missing)


def test_the_parent_is_killed_at_any_moment(airoxy: Watched, key: str) -> None:
    missing: set[str] = set()
    for _ in range(max(2, KILLS // 4)):
        with Load(airoxy, key) as load:
            load.wait_served(random.randrange(1, 40))
            assert airoxy.process
            children = Path(f"/proc/{airoxy.process.pid}/task/{airoxy.process.pid}/children")
            workers = [int(word) for word in children.read_text().split()]
            airoxy.process.kill()
            airoxy.process.wait()
            airoxy.process = None
        # The workers finish what runs, and leave: nothing keeps the port from a successor.
        wait(lambda workers=workers: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        missing |= load.request_ids - set(logged(airoxy.database))
        airoxy.start()
    assert missing == set()
    airoxy.stop()
    assert integrity(airoxy.database) == "ok"
    report("parent", load, missing)


def report(what: str, load: Load, missing: set[str]) -> None:
    """For docs/reliability.md; shown with `pytest -s`."""
    print(f"\n{what}: {dict(load.outcomes)}, not in the log: {len(missing)}")
