"""What docs/reliability.md promises, looked at when all is over."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.clients import Crowd
from tests.chaos.upstream import Anthropic
from tests.reliability.conftest import Watched
from tests.reliability.load import integrity, opened

#: In every token, and nowhere else.
MARK = "qc7Vn3Lp"
#: What of the memory is the allocator's mood (bytes), and a connection that is about to close.
MEMORY, DESCRIPTORS = 32 << 20, 8
#: What the sums of each day have of its rows.
SUMMED = ("input_tokens", "output_tokens", "cost_nanousd")


def held(pids: list[int]) -> dict[str, int]:
    """Processes, and the most that one of them holds."""
    memory = [Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0] for pid in pids]
    return {
        "processes": len(pids),
        "memory": max(map(int, memory)) * 1024,
        "descriptors": max(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
    }


def grown(before: dict[str, int], now: dict[str, int]) -> list[str]:
    allowed = {"processes": 0, "memory": MEMORY, "descriptors": DESCRIPTORS}
    return [
        f"{name}: {before[name]} at the beginning, {now[name]} at the end"
        for name in before
        if now[name] > before[name] + allowed[name]
    ]


def broken(airoxy: Watched, anthropic: Anthropic, crowd: Crowd, key: str) -> list[str]:
    """Of a service that was stopped."""
    if (told := integrity(airoxy.database)) != "ok":
        return [f"integrity: {told}"]
    return [
        *crowd.faults,
        *_sums(airoxy.database),
        *_rows(airoxy.database, anthropic, crowd),
        *_secrets(airoxy, key),
        *_tokens(airoxy, anthropic),
    ]


def _sums(database: Path) -> list[str]:
    """The sums of the days are those of their rows."""
    columns = ", ".join(f"ifnull(sum({name}), 0)" for name in SUMMED)
    [rows] = _query(database, f"SELECT count(*), {columns} FROM requests")
    [days] = _query(database, f"SELECT ifnull(sum(requests), 0), {columns} FROM daily")
    return [] if rows == days else [f"sums: {days} in the days, {rows} in the rows"]


def _rows(database: Path, anthropic: Anthropic, crowd: Crowd) -> list[str]:
    """Each request that was sent has one row, and a whole answer's has what is billed for it."""
    sql = "SELECT model, input_tokens, output_tokens FROM requests WHERE model LIKE '%-5-5-%'"
    rows = _query(database, sql)
    written = Counter(model for model, _, _ in rows)
    found = [
        f"{model} was sent and has {written[model]} rows"
        for model in anthropic.asked
        if written[model] != 1
    ]
    found += [
        f"{model} was not sent and has {count} rows"
        for model, count in written.items()
        if count > 1 and model not in anthropic.asked
    ]
    for model, *counted in rows:
        billed = anthropic.billed.get(model)
        if model in crowd.whole and tuple(counted) != billed:
            found.append(f"{model}: counted {counted}, billed {billed}")
    return found


def _secrets(airoxy: Watched, key: str) -> list[str]:
    found = []
    for path in (airoxy.log, *airoxy.database.parent.glob("airoxy.db*")):
        data = path.read_bytes()
        found += [
            f"{what} in {path.name}"
            for what, text in {"a token": MARK, "the client key": key[3:-4]}.items()
            if text.encode() in data
        ]
    if "Traceback" in airoxy.errors:
        found.append(f"a traceback: {airoxy.errors[airoxy.errors.index('Traceback') :][:2000]}")
    return found


def _tokens(airoxy: Watched, anthropic: Anthropic) -> list[str]:
    """All are active, and no refresh token was sent twice, unless it is in the log that a refresh
    had no answer: nobody can know then whether the refresh token is spent."""
    rows = _query(airoxy.database, "SELECT name, is_active, inactive_reason FROM tokens")
    found = []
    for name, is_active, reason in rows:
        if re.search(rf"\({name}\)(: .*; it stays active| was interrupted)", airoxy.errors):
            continue
        if not is_active:
            found.append(f"{name} is not active: {reason}")
        again = [n for sent, n in anthropic.refreshed.items() if f"-{name}" in sent and n > 1]
        found += [f"a refresh token of {name} was sent {times} times" for times in again]
    return found


def _query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    db = opened(database)
    try:
        return db.cursor().execute(sql).fetchall()
    finally:
        db.close()
