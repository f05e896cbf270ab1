"""GET /health for monitors, and / for who looks whether somebody is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import falcon
import falcon.asgi

from airoxy import __version__
from airoxy.server.metrics.load import Load
from airoxy.server.pool.pool import Pool


class Root:
    """Clients warm their connection up with HEAD /."""

    async def on_get(self, _: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        response.media = {"name": "airoxy", "version": __version__}

    on_head = on_get


@dataclass
class HealthEndpoint:
    """`started` is of the monotonic clock, `load` what all workers are at."""

    pool: Pool
    started: float
    load: Callable[[], Load]

    async def on_get(self, _: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """200, or 503 with the reason where no request could be served."""
        snapshot, writer = self.pool.snapshot, self.pool.writer
        snapshot.renew()
        ready = len(self.pool.all_ready())
        reason = None if ready else _reason(len(snapshot.tokens))
        body: dict[str, Any] = {
            "status": "unavailable" if reason else "ok",
            "version": __version__,
            "uptime": round(time.monotonic() - self.started),
            "tokens_ready": ready,
            "streams_open": self.load().streams,
            "log_rows_waiting": writer.backlog,
        }
        if reason:
            body["reason"] = reason
            response.status = falcon.HTTP_503
        if trouble := writer.trouble or (None if snapshot.readable else "database unreadable"):
            body["warning"] = trouble
        if writer.dropped:
            body["log_rows_dropped"] = writer.dropped
        response.media = body

    on_head = on_get


def _reason(tokens: int) -> str:
    if tokens:
        return "Every access token is cooling or expired: airoxy token list"
    return "There is no active access token: airoxy token add"
