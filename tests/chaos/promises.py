"""What docs/reliability.md promises, looked at when all is over."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from tests.chaos.clients import Crowd
from tests.chaos.upstream import Anthropic
from tests.reliability.conftest import Watched
from tests.reliability.load import integrity, logged, opened

#: In every token, and nowhere else.
MARK = "qc7Vn3Lp"
#: What of the memory is the allocator's mood (bytes), and a connection that is about to close.
MEMORY, DESCRIPTORS = 32 << 20, 8


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
    found = list(crowd.faults)
    if (told := integrity(airoxy.database)) != "ok":
        found.append(f"integrity: {told}")
    logged(airoxy.database)  # the sums agree
    found += _rows(airoxy, anthropic, crowd)
    for path in (airoxy.log, *airoxy.database.parent.glob("airoxy.db*")):
        secrets = {"a token": MARK, "the client key": key[3:-4]}
        data = path.read_bytes()
        found += [
            f"{what} in {path.name}" for what, text in secrets.items() if text.encode() in data
        ]
    if "Traceback" in airoxy.errors:
        found.append(f"a traceback: {airoxy.errors[airoxy.errors.index('Traceback') :][:2000]}")
    with airoxy.opened() as db:
        for name, reason in db.cursor().execute(
            "SELECT name, inactive_reason FROM tokens WHERE NOT is_active"
        ):
            found.append(f"{name} is not active: {reason}")
    return found


def _rows(airoxy: Watched, anthropic: Anthropic, crowd: Crowd) -> list[str]:
    db = opened(airoxy.database)
    rows = db.cursor().execute(
        "SELECT model, input_tokens, output_tokens FROM requests WHERE model LIKE '%-5-5-%'"
    ).fetchall()  # fmt: skip
    db.close()
    written = Counter(model for model, _, _ in rows)
    found = [
        f"{model} was sent and has {written[model]} rows"
        for model in anthropic.asked
        if written[model] != 1
    ]
    found += [f"{model} has {count} rows" for model, count in written.items() if count > 1]
    for model, *counted in rows:
        billed = anthropic.billed.get(model)
        if model in crowd.whole and tuple(counted) != billed:
            found.append(f"{model}: counted {counted}, billed {billed}")
    return found
