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


_BURST = """
import ctypes, sys
from airoxy.server.process import malloc
malloc.keep_freed_memory()
freed = malloc.FreedMemory()
freed.check(0.0)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [libc.malloc(4096) for _ in range(40_000)]
for block in blocks:
    ctypes.memset(block, 1, 4096)
last = blocks.pop()  # what is above all others keeps the heap from shrinking
for block in blocks:
    libc.free(block)
before = malloc._resident()
freed.check(5.0)
assert before - malloc._resident() < 1 << 20, "too soon"
freed.check(20.0)
print(before - malloc._resident())
"""


def test_what_a_burst_has_left_goes_back_to_the_kernel():
    done = subprocess.run(
        [PYTHON, "-c", _BURST], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 100 << 20


_FREED_AT_ONCE = """
from airoxy.server.process import malloc
malloc.keep_freed_memory()
bodies = [bytearray(10_000_000) for _ in range(12)]
before = malloc._resident()
bodies.clear()
print(before - malloc._resident())
"""


def test_a_body_that_is_freed_gives_nothing_back_in_that_turn_of_the_loop():
    done = subprocess.run(
        [PYTHON, "-c", _FREED_AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1 << 20
