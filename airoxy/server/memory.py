"""The memory that the parent makes and all workers share: how the tokens stand, what was counted
since the service began, and how much of their limits the client keys have used.

The law: LAYOUT changes whenever the layout does, so that a reloaded parent knows whether to keep
what its predecessor made; old workers go on with the old one until they leave.
"""

from __future__ import annotations

import mmap

from airoxy.server import allowance, tally

LAYOUT = 6
#: Where the allowance begins, behind the tally, which is behind the standing; with a page, because
#: it is mapped by itself.
ALLOWANCE = -(-tally.SIZE // mmap.PAGESIZE) * mmap.PAGESIZE
#: Bytes of all of it; pages that nobody touches cost nothing.
SIZE = ALLOWANCE + allowance.SIZE
