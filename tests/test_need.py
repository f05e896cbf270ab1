"""need.sh, which says or installs what a make target needs, and retry.sh, which asks again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.program import ROOT

NEED = ROOT / "tests" / "need.sh"
RETRY = ROOT / "tests" / "retry.sh"


def need(*words: str) -> tuple[int, str]:
    done = subprocess.run([NEED, *words], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_nothing_is_said_where_nothing_is_missing():
    assert need("--tell", "dpkg") == (0, "")


def test_one_command_that_installs_what_is_missing_is_told():
    status, told = need("--tell", "dpkg", "no-such-package", "nor-this")
    assert (status, told.count("\n")) == (1, 1)
    assert told.endswith(": sudo apt-get install no-such-package nor-this\n")


def retry(pauses: str, script: str, directory: Path) -> tuple[int, int]:
    """The status, and how often the script has run."""
    command = [RETRY, "sh", "-c", f"echo >> times; {script}"]
    done = subprocess.run(
        command, cwd=directory, env=os.environ | {"RETRY_PAUSES": pauses}, capture_output=True
    )
    return done.returncode, (directory / "times").read_text().count("\n")


@pytest.mark.parametrize(
    ("pauses", "script", "outcome"),
    [
        ("0 0 0", "true", (0, 1)),
        ("0 0 0", "[ $(wc -l < times) = 3 ]", (0, 3)),
        ("0 0", "exit 7", (7, 3)),
        ("", "exit 7", (7, 1)),
    ],
)
def test_what_fails_is_tried_again(tmp_path, pauses, script, outcome):
    assert retry(pauses, script, tmp_path) == outcome
