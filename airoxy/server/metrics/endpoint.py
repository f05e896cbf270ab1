"""GET /metrics for Prometheus: who may ask, and what is known at that moment.

The law: only this machine and the networks of `metrics.allow` get an answer, and of them only who
asks directly, since nobody can tell for whom a proxy asks. The event loop does no more than to read
what is in memory; all else is a thread's work, and what makes text of it is imported with the first
question.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import apsw
import falcon.asgi

from airoxy.core.request.headers import is_forwarded
from airoxy.errors import Forbidden, StoreError
from airoxy.server.metrics.counters import MetricCounters
from airoxy.server.pool.pool import Pool
from airoxy.server.pool.token_state import Load
from airoxy.store import keys, tokens

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(allow: Collection[str]) -> list[Network]:
    """Those of `metrics.allow`."""
    return [ipaddress.ip_network(network) for network in allow]


def may_ask(scope: Mapping[str, Any], allowed: Collection[Network]) -> bool:
    """Whether the request of this ASGI scope is answered."""
    if is_forwarded(scope["headers"]) or not scope.get("client"):
        return False
    address = ipaddress.ip_address(scope["client"][0].partition("%")[0])
    # A socket for both families tells IPv4 clients by their mapped addresses.
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or any(address in network for network in allowed)


@dataclass(frozen=True)
class Known:
    """What the database said last: names by id, and the rows of `tokens.list_tokens`."""

    keys: Mapping[int, str] = field(default_factory=dict)
    token_names: Mapping[int, str] = field(default_factory=dict)
    tokens: Collection[Mapping[str, Any]] = ()
    readable: bool = False


class Metrics:
    """`allow` is networks as CIDR; `connect` opens the database for reading."""

    def __init__(
        self,
        allow: Collection[str],
        pool: Pool,
        metric_counters: MetricCounters,
        connect: Callable[[], apsw.Connection],
    ) -> None:
        self._networks = networks(allow)
        self._pool = pool
        self.metric_counters = metric_counters
        self._connect = connect
        self._registry: CollectorRegistry | None = None
        self.known = Known()
        self.ready: frozenset[int] = frozenset()

    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """In the format that is asked for. Raises Forbidden."""
        if not may_ask(request.scope, self._networks):
            raise Forbidden(
                "Metrics are for this machine, asked directly, and for the networks under"
                " metrics.allow in airoxy.yaml."
            )
        self._pool.snapshot.renew()
        self.ready = frozenset(token.id for token in self._pool.all_ready())
        accept = request.get_header("accept") or ""
        response.data, response.content_type = await asyncio.to_thread(self._answer, accept)

    @property
    def load(self) -> Load:
        """What all workers are at."""
        return self._pool.token_state.load

    def _answer(self, accept: str) -> tuple[bytes, str]:
        from airoxy.server.metrics import exposition

        if self._registry is None:
            self._registry = exposition.registry(self)
        self.known = self._look()
        return exposition.render(self._registry, accept)

    def _look(self) -> Known:
        try:
            db = self._connect()
        except StoreError:
            return replace(self.known, readable=False)
        try:
            listed = tokens.list_tokens(db, time.time())
            return Known(keys.names(db), tokens.names(db), listed, readable=True)
        except (apsw.Error, StoreError):
            return replace(self.known, readable=False)
        finally:
            db.close()
