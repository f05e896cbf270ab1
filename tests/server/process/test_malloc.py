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


_LARGE_BODIES = """
import ctypes, mmap
from airoxy.server.process import malloc
malloc.keep_freed_memory()
before = malloc._resident()
piece = bytes(256 * 1024)
bodies = [bytearray().join([piece] * 5) for _ in range(8)]  # as they are collected
for _ in range(36):
    for body in bodies:
        body += piece
        # glibc has a block of its own begin so many bytes behind the beginning of a page.
        address = ctypes.addressof(ctypes.c_char.from_buffer(body))
        assert address % mmap.PAGESIZE == 2 * ctypes.sizeof(ctypes.c_size_t), len(body)
del body
bodies.clear()
print(malloc._resident() - before)
"""


def test_large_bodies_grow_in_pages_of_their_own_which_are_given_back():
    done = subprocess.run(
        [PYTHON, "-c", _LARGE_BODIES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20 << 20


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
