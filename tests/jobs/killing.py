"""Long work on a database in a process of its own, which is killed in the middle of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.program import ROOT

_KILLED = """
import os, pathlib, signal, sys
from airoxy.store.schema import open_database
path, kill_at, work = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
db, calls = open_database(path), 0
def step():
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return False
db.setprogresshandler(step, 100)
exec(work)
"""


def work_killed(path: Path, kill_at: int, work: str) -> None:
    """Run the statements `work`, which have the database as `db`, and kill them while SQLite takes
    the step of this number (0: let them run)."""
    command = [sys.executable, "-c", _KILLED, str(path), str(kill_at), work]
    status = subprocess.run(command, cwd=ROOT).returncode
    assert status == (-signal.SIGKILL if kill_at else 0), kill_at
