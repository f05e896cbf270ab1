"""Sending a request body that is too large for one write, or still arriving.

Invariant: never more than one piece is written ahead of the socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from airoxy.errors import InvalidInput
from airoxy.upstream.connection import TurnShare, UpstreamConnection

#: A body up to this size is handed to the socket in one go, a larger one in pieces of this size
#: with waiting in between, so that an early answer is heard and nothing is held twice.
PIECE = 256 * 1024


async def pump_bytes(
    connection: UpstreamConnection, body: bytes | bytearray, share: TurnShare | None = None
) -> None:
    """A body in memory, without copying it. Where others use the loop, too, each piece has a turn
    of the `share`."""
    view = memoryview(body)
    for start in range(0, len(view), PIECE):
        if share is not None:
            await share.turn()
        connection.write(view[start : start + PIECE])
        if not await connection.drain():
            return
    connection.sent = True


async def pump_iterator(
    connection: UpstreamConnection, body: AsyncIterator[bytes], length: int | None
) -> None:
    """A body that is still arriving: `length` bytes, or chunked. Raises InvalidInput if it is
    longer or shorter, and what the iterator raises."""
    left = length
    async for piece in body:
        if not piece:
            continue
        if left is None:
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            left -= len(piece)
            if left < 0:
                raise InvalidInput("The request body is longer than its content-length")
            connection.write(piece)
        if not await connection.drain():
            return
    if left:
        raise InvalidInput("The request body is shorter than its content-length")
    if left is None:
        connection.write(b"0\r\n\r\n")
    connection.sent = True
