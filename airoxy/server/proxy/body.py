"""Looks into request bodies without keeping the other clients waiting.

The law: the loop has a turn after every half millisecond or so of work on a large body.
"""

from __future__ import annotations

from airoxy.core.request import body as rules
from airoxy.core.request import system_line
from airoxy.core.request.body import LARGE, Asked
from airoxy.server.pauses import with_pauses


async def read_request(body: bytes | bytearray) -> Asked:
    if len(body) < LARGE:
        return rules.read_request(body)
    return await with_pauses(rules.read_request_steps(body))


async def with_system_line(body: bytes | bytearray, lines: system_line.Lines) -> bytes | bytearray:
    """`body` as a subscription token needs it; no `lines`, no change."""
    if not lines:
        return body
    if len(body) < LARGE:
        return system_line.splice(body, lines)
    return await with_pauses(system_line.splice_steps(body, lines))
