"""Memory that bodies have used is used again, instead of being asked of the kernel anew."""

from __future__ import annotations

import subprocess

from tests.program import PYTHON, ROOT

_FAULTS = """
import resource, sys
from airoxy.server.process.malloc import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def bodies():
    del [bytes(500_000) for _ in range(8)][:]
bodies()
before = faults()
for _ in range(20):
    bodies()
print(faults() - before)
"""


def faults(how: str) -> int:
    """Pages that the kernel had to find for 160 bodies of 500 kB."""
    done = subprocess.run(
        [PYTHON, "-c", _FAULTS, how], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_bodies_do_not_ask_the_kernel_for_memory_again_and_again():
    assert faults("kept") < 1000 < faults("given back")
