"""Looks into request bodies without keeping the other clients waiting.

The law: the loop has a turn after every half millisecond or so of work on a large body.
"""

from __future__ import annotations

from airoxy.core.request import body as rules
from airoxy.core.request.body import LARGE, Asked
from airoxy.server.pauses import with_pauses


async def read_request(body: bytes | bytearray) -> Asked:
    if len(body) < LARGE:
        return rules.read_request(body)
    return await with_pauses(rules.read_request_steps(body))


async def with_system_line(body: bytes | bytearray, line: str | None) -> bytes | bytearray:
    """`body` as a subscription token needs it; no `line`, no change."""
    if line is None:
        return body
    if len(body) < LARGE:
        return rules.splice_system(body, line)
    return await with_pauses(rules.splice_system_steps(body, line))
