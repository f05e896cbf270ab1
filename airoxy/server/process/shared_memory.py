"""The memory that the parent makes and all workers share: how the tokens stand, what was counted
since the service began, and how much of their limits the client keys have used.

The law: LAYOUT changes whenever the layout does, so that a reloaded parent knows whether to keep
what its predecessor made; old workers go on with the old one until they leave.
"""

from __future__ import annotations

import mmap

from airoxy.server.limits import counters as limit_counters
from airoxy.server.metrics import counters as metric_counters

LAYOUT = 6
#: Where the allowance begins, behind the tally, which is behind the standing; with a page, because
#: it is mapped by itself.
ALLOWANCE = -(-metric_counters.SIZE // mmap.PAGESIZE) * mmap.PAGESIZE
#: Bytes of all of it; pages that nobody touches cost nothing.
SIZE = ALLOWANCE + limit_counters.SIZE
