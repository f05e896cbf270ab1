"""need.sh, which says or installs what a make target needs."""

from __future__ import annotations

import subprocess

from tests.program import ROOT

NEED = ROOT / "tests" / "need.sh"


def need(*words: str) -> tuple[int, str]:
    done = subprocess.run([NEED, *words], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_nothing_is_said_where_nothing_is_missing():
    assert need("--tell", "dpkg") == (0, "")


def test_one_command_that_installs_what_is_missing_is_told():
    status, told = need("--tell", "dpkg", "no-such-package", "nor-this")
    assert (status, told.count("\n")) == (1, 1)
    assert told.endswith(": sudo apt-get install no-such-package nor-this\n")
