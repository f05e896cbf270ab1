"""What it costs to look through request bodies that are made to be dear, 32 MB each: processor time
in all, and the longest step between two turns of the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

from airoxy.core.estimate import read_estimate
from airoxy.core.request import json_scan
from airoxy.core.request.body import read_request_steps
from airoxy.errors import InvalidInput

SIZE = 32_000_000


def _filled(before: bytes, piece: bytes, after: bytes) -> bytes:
    return before + piece * ((SIZE - len(before) - len(after)) // len(piece)) + after


_MODEL = b'{"model":"claude-sonnet-4-5","messages":['
#: By what they are full of.
BODIES: dict[str, Callable[[], bytes]] = {
    "prose": lambda: _filled(_MODEL + b'{"role":"user","content":"', b"word ", b'"}]}'),
    "short messages": lambda: _filled(_MODEL, b'{"role":"user","content":"a"},', b"0]}"),
    "brackets": lambda: _filled(_MODEL, b"[[[[[[]]]]]],", b"0]}"),
    "open brackets": lambda: _filled(_MODEL, b"[", b""),
    "quotes": lambda: _filled(_MODEL, b'"",', b"0]}"),
    "backslashes": lambda: _filled(_MODEL + b'"', b"\\\\", b'"]}'),
    "escaped quotes": lambda: _filled(_MODEL + b'"', b'\\"', b'"]}'),
    "escaped letters": lambda: _filled(_MODEL + b'"', b"\\u0065", b'"]}'),
    '"model" in a text': lambda: _filled(_MODEL + b'"', b'\\"model\\" ', b'"]}'),
    '"model" as a key': lambda: _filled(_MODEL, b'{"model":1},', b"0]}"),
    '"model", nested': lambda: _filled(b'{"model":', b'{"model":', b""),
    '"model" without an object': lambda: _filled(b"{", b'"model" ', b"}"),
    "members": lambda: _filled(b"{", b'"a":1,', b'"model":"b"}'),
    "members with long values": lambda: _filled(b"{", b'"a":"' + b"x" * 300 + b'",', b'"b":1}'),
    "tools": lambda: _filled(b'{"model":"a","tools":[', b'{"model":"b"},', b"0]}"),
    "ids of files": lambda: _filled(_MODEL, b'{"file_id":"file_0123456789"},', b"0]}"),
    "blanks": lambda: _filled(b"{", b" ", b'"model":"a"}'),
}


def cost() -> list[tuple[str, str]]:
    """Each as (what, figure): without limits, and what limits add."""
    lines = []
    for name, make in BODIES.items():
        body = make()
        plain = _measured(lambda body=body: read_request_steps(body))
        limited = _measured(lambda body=body: json_scan.paced(read_estimate(body)))
        lines.append((f"a body of 32 MB full of {name}", f"{plain}; with limits also {limited}"))
    return lines


def _measured(begin: Callable[[], Generator[None, None, object]]) -> str:
    """Of two runs the better one: whatever else runs only adds to it."""
    (first, longest, refused), (second, other, _) = _run(begin()), _run(begin())
    figures = f"{min(first, second):.2f} s, {min(longest, other) * 1000:.1f} ms at the longest"
    return f"{figures}{' (400)' if refused else ''}"


def _run(steps: Generator[None, None, object]) -> tuple[float, float, bool]:
    used, longest, refused = 0.0, 0.0, False
    while True:
        before = time.thread_time()
        try:
            next(steps)
        except StopIteration:
            break
        except InvalidInput:
            refused = True
            break
        finally:
            step = time.thread_time() - before
            used, longest = used + step, max(longest, step)
    return used, longest, refused
