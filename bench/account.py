"""What the account of usage costs: reading usage, pricing it, and writing the row."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from airoxy.config import load_config
from airoxy.core.billing.usage_reader import UsageReader
from airoxy.core.pool import Token
from airoxy.server.proxy.request_log import RequestLog
from airoxy.store.schema import open_database, transaction
from airoxy.store.usage import requests

_USAGE = b'"usage":{"input_tokens":321,"cache_read_input_tokens":4567,"output_tokens":42}'
_ANSWER = (
    b'{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",'
    + _USAGE + b',"content":[{"type":"text","text":"' + b"x" * 700 + b'"}]}'
)  # fmt: skip
_EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"@0000000000000000000 and so on"}}\n\n'
)
_HEADERS = {b"content-type": b"application/json", b"request-id": b"req_011CSHoEeqs5C35K2UUqR7Fy"}
_TOKEN = Token(1, "one", "api_key", "sk-ant-api-bench", None, 0)
#: Rows of one commit, as many as a busy worker's writer finds.
_BATCH = 50


def cost(database: Path) -> list[tuple[str, str]]:
    """CPU time of the account alone, best of five."""
    prices = load_config(environ={}).pricing

    def row() -> requests.Row:
        request_log = RequestLog(1, "/v1/messages", time.time())
        request_log.attempted(_TOKEN)
        request_log.answered(200, _HEADERS)(_ANSWER)
        request_log.end()
        return request_log.row(prices)

    db = open_database(database)
    rows = [row()] * _BATCH

    def write() -> None:
        with transaction(db):
            requests.append(db, rows)

    reader = UsageReader("sse")
    read, written = _cpu(row, 2000), _cpu(write, 100) / _BATCH
    event, flood = _cpu(lambda: reader.feed(_EVENT), 20000), _EVENT * 50
    together = _cpu(lambda: reader.feed(flood), 2000) / 50
    db.close()
    return [
        ("account, per request", f"{read + written:.1f} µs "
         f"(reading and pricing {read:.1f}, its part of a commit {written:.1f})"),
        ("account, per stream event", f"{event:.2f} µs, {together:.2f} where 50 come together"),
    ]  # fmt: skip


def _cpu(work: Callable[[], object], times: int) -> float:
    """µs for one."""
    best = float("inf")
    for _ in range(5):
        started = time.process_time_ns()
        for _ in range(times):
            work()
        best = min(best, (time.process_time_ns() - started) / times / 1000)
    return best
