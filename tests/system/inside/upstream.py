"""The fake Anthropic on port 4000, with streams that take as many seconds as the client asks for
in `x-test-seconds`.

usage: python3 -m tests.system.inside.upstream
"""

from __future__ import annotations

import asyncio
import signal

from tests.fake_anthropic import Exchange, FakeAnthropic, Seen
from tests.fake_anthropic.messages import events

SECONDS = "x-test-seconds"


def asks_for_time(seen: Seen) -> bool:
    return seen.header(SECONDS) is not None


def main() -> None:
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    fake = FakeAnthropic(host="127.0.0.1", port=4000, remember=10)

    async def take_time(x: Exchange) -> None:
        pieces = events(fake.api.compose(x.seen))
        await fake.api.begin_stream(x)
        for piece in pieces:
            await x.piece(piece)
            await asyncio.sleep(float(x.seen.header(SECONDS) or 0) / len(pieces))
        await x.end()

    fake.script(when=asks_for_time, times=None).do(take_time)
    with fake:
        print("listening", flush=True)
        signal.sigwait(stopping)


if __name__ == "__main__":
    main()
