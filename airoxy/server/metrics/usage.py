"""GET /usage and GET /key/info: what the holder of a client key may know of it, with the key alone.

Invariant: nothing of another key is told, and no limit of money or requests is in the way.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable
from contextlib import closing

import apsw

from airoxy.core.limits.holders import KeyLimits
from airoxy.errors import StoreError
from airoxy.server.http.request import Request
from airoxy.server.metrics.key_usage import Document, key_usage, litellm_info
from airoxy.store import keys


class UsageEndpoint:
    """`identify` says whose key a request has, or raises; `connect` opens the database for
    reading."""

    def __init__(
        self,
        identify: Callable[[Request], tuple[int, KeyLimits | None]],
        connect: Callable[[], apsw.Connection],
        zone: datetime.tzinfo,
    ) -> None:
        self._identify = identify
        self._connect = connect
        self._zone = zone

    async def read(self, request: Request) -> Document:
        """Raises Unauthorized, Forbidden, StoreError."""
        told, _ = await self._look(request)
        return told

    async def info(self, request: Request) -> Document:
        """As LiteLLM has it."""
        return litellm_info(*await self._look(request))

    async def _look(self, request: Request) -> tuple[Document, str]:
        key_id, limits = self._identify(request)
        return await asyncio.to_thread(self._read, key_id, limits)

    def _read(self, key_id: int, limits: KeyLimits | None) -> tuple[Document, str]:
        try:
            with closing(self._connect()) as db:
                told = key_usage(db, key_id, limits, time.time(), self._zone)
                return told, keys.find_key(db, key_id)["masked"]
        except apsw.Error as error:
            raise StoreError("The usage log cannot be read at the moment.") from error
