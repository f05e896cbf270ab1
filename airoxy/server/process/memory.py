"""The layout of the memory that the parent makes and all workers share."""

from __future__ import annotations

from airoxy.server import unwritten
from airoxy.server.limits import counters as limit_counters
from airoxy.server.metrics import counters as metric_counters
from airoxy.server.metrics import load
from airoxy.server.pool import recent, refusals, spent, token_state
from airoxy.server.shared_memory import Layout

LAYOUT = Layout(
    load.REGION,
    token_state.REGION,
    spent.REGION,
    refusals.REGION,
    recent.REGION,
    metric_counters.REGION,
    limit_counters.REGION,
    unwritten.REGION,
)
