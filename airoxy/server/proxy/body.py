"""Looks into request bodies without keeping the other clients waiting.

Invariant: the loop has a turn after every half millisecond or so of work on a large body.
"""

from __future__ import annotations

from airoxy.core.request import body as rules
from airoxy.core.request import json_scan, system_line
from airoxy.core.request.body import LARGE, Asked
from airoxy.core.request.resource_ids import ids_in
from airoxy.server.pauses import Pause, next_turn, with_pauses


async def read_request(body: bytes | bytearray, pause: Pause = next_turn) -> Asked:
    if len(body) < LARGE:
        return rules.read_request(body)
    return await with_pauses(rules.read_request_steps(body), pause)


async def other_ids(body: bytes | bytearray, pause: Pause = next_turn) -> tuple[str, ...]:
    """The ids in the body of a request that is about things in an account."""
    return await with_pauses(json_scan.paced(ids_in(body, any_kind=True)), pause)


async def with_system_line(
    body: bytes | bytearray,
    lines: system_line.Lines,
    pause: Pause = next_turn,
    *,
    no_escapes: bool = False,
) -> bytes | bytearray:
    """`body` as a subscription token needs it; no `lines`, no change."""
    if not lines:
        return body
    if len(body) < LARGE:
        return system_line.splice(body, lines, no_escapes=no_escapes)
    return await with_pauses(system_line.splice_steps(body, lines, no_escapes=no_escapes), pause)
