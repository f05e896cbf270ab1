""".ci/run, which says whether a change has passed: with another `make`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.program import ROOT

#: The directory of temporary files cannot be removed at the first attempt, as where a program that
#: is about to end still writes into it.
PROGRAMS = {
    "make": 'echo "$TMPDIR" >"$HERE/made"; exit "$STATUS"',
    "rm": 'if [ -e "$HERE/asked" ]; then exec /bin/rm "$@"; fi; touch "$HERE/asked"; exit 1',
    "sleep": "exit 0",
}


@pytest.mark.parametrize("status", [0, 2])
def test_its_status_is_that_of_the_tests_whatever_they_have_left(
    tmp_path: Path, status: int
) -> None:
    for name, script in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environ = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "HERE": str(tmp_path), "STATUS": str(status),
    }  # fmt: skip
    assert subprocess.run([ROOT / ".ci/run"], env=environ).returncode == status
    assert not Path((tmp_path / "made").read_text().strip()).exists()
