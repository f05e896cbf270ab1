"""GET /metrics for Prometheus.

Invariant: only this machine and the networks of `metrics.allow` get an answer, and only when they
ask directly: behind a proxy nobody can tell who asks. The event loop only reads memory; the
database and the text are a thread's work, and prometheus_client is imported with the first request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import apsw

from airoxy.core.limits.addresses import Network, parsed_address
from airoxy.core.pool import Scope, model_class
from airoxy.core.request.headers import is_forwarded
from airoxy.errors import Forbidden, StoreError
from airoxy.server.metrics.counters import MetricCounters
from airoxy.server.metrics.load import Load
from airoxy.server.metrics.readings import Readings, Stored
from airoxy.server.pool.pool import Pool
from airoxy.store.fleet.membership import lag
from airoxy.store.fleet.shares import share_ratios
from airoxy.store.names import all_names
from airoxy.store.tokens import list_tokens

_NAMED = ("api_keys", "tokens", "groups")


def networks(allow: Collection[str]) -> list[Network]:
    """Those of `metrics.allow`."""
    return [ipaddress.ip_network(network) for network in allow]


def may_ask(scope: Mapping[str, Any], allowed: Collection[Network]) -> bool:
    """Whether the request of this ASGI scope is answered."""
    if is_forwarded(scope["headers"]) or not scope.get("client"):
        return False
    address = parsed_address(scope["client"][0])
    return address is not None and (
        address.is_loopback or any(address in network for network in allowed)
    )


class MetricsEndpoint:
    """`allow` is networks as CIDR; `connect` opens the database for reading, `load` is what all
    workers are at, `models` are those that have a price."""

    def __init__(
        self,
        allow: Collection[str],
        pool: Pool,
        metric_counters: MetricCounters,
        connect: Callable[[], apsw.Connection],
        load: Callable[[], Load],
        models: Collection[str],
    ) -> None:
        self._load = load
        self._classes = frozenset(map(model_class, models))
        self._networks = networks(allow)
        self._pool = pool
        self._metric_counters = metric_counters
        self._connect = connect
        self._stored = Stored()

    async def read(self, scope: Mapping[str, Any], accept: str) -> tuple[bytes, str]:
        """The text in the format that is asked for, and its content type; `scope` is of ASGI.
        Raises Forbidden."""
        if not may_ask(scope, self._networks):
            raise Forbidden(
                "Metrics are for this machine, asked directly, and for the networks under"
                " metrics.allow in airoxy.yaml."
            )
        self._pool.snapshot.renew()
        ready = frozenset(token.id for token in self._pool.all_ready())
        exhausted = tuple(self._pool.exhausted())
        return await asyncio.to_thread(self._answer, ready, exhausted, accept)

    def _answer(
        self, ready: frozenset[int], exhausted: Collection[Scope], accept: str
    ) -> tuple[bytes, str]:
        from airoxy.server.metrics import exposition

        self._stored = self._look()
        readings = Readings(
            counted=self._metric_counters.read(),
            dropped=self._metric_counters.dropped,
            refused=self._metric_counters.refused,
            refused_connections=self._metric_counters.refused_connections,
            load=self._load(),
            ready=ready,
            stored=self._stored,
            exhausted=exhausted,
            classes=self._classes,
        )
        return exposition.render(readings, accept)

    def _look(self) -> Stored:
        try:
            db = self._connect()
        except StoreError:
            return replace(self._stored, readable=False)
        try:
            listed = list_tokens(db, time.time())
            keys, names, groups = (all_names(db, table) for table in _NAMED)
            return Stored(
                keys, names, listed, readable=True, groups=groups, fleet=lag(db, time.time()),
                shares=share_ratios(db),
            )  # fmt: skip
        except (apsw.Error, StoreError):
            return replace(self._stored, readable=False)
        finally:
            db.close()
