"""What GET /health says to monitors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airoxy import __version__
from airoxy.server.metrics.load import Load
from airoxy.server.pool.pool import Pool
from airoxy.server.pool.snapshot import Snapshot
from airoxy.store.file.database_file import DatabaseFile
from airoxy.views.times import rfc3339


@dataclass
class Health:
    """`started` is of the monotonic clock, `load` what all workers are at."""

    pool: Pool
    started: float
    load: Callable[[], Load]
    database: DatabaseFile

    def read(self) -> tuple[int, dict[str, Any]]:
        """Status 200, or 503 with the reason if no request could be served; and the body, with what
        all tokens are cooling down for."""
        snapshot, writer = self.pool.snapshot, self.pool.writer
        snapshot.renew()
        ready = len(self.pool.all_ready())
        reason = None if ready else _reason(snapshot)
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
        if (fleet := snapshot.fleet()) is not None:
            body["fleet"] = fleet
        if cooling := self.pool.exhausted():
            body["cooling"] = [
                {"scope": str(scope) or "everything", "until": rfc3339(int(until))}
                for scope, until in sorted(cooling.items())
            ]
        if moved := self.database.trouble():
            body["warning"], body["database_moved"] = moved, True
        elif trouble := writer.trouble or (None if snapshot.readable else "database unreadable"):
            body["warning"] = trouble
        if writer.dropped:
            body["log_rows_dropped"] = writer.dropped
        return 503 if reason else 200, body


def _reason(snapshot: Snapshot) -> str:
    if snapshot.locked:
        return "The access tokens cannot be decrypted, because their key is not here: airoxy doctor"
    if snapshot.tokens:
        return "Every access token is cooling or expired: airoxy token list"
    return "There is no active access token: airoxy token add"
