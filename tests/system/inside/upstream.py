"""The fake Anthropic on port 4000, with streams that take as many seconds as the client asks for
in `x-test-seconds`. While there is a file /run/broke, its account is out of money, and while there
is /run/overloaded, it is.

usage: python3 -m tests.system.inside.upstream
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from tests.fake_anthropic import Exchange, FakeAnthropic, Seen
from tests.fake_anthropic.messages import events

NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
SECONDS = "x-test-seconds"


def asks_for_time(seen: Seen) -> bool:
    return seen.header(SECONDS) is not None


def is_asked_while(name: str) -> Callable[[Seen], bool]:
    file = Path("/run") / name
    return lambda seen: seen.path == "/v1/messages" and file.exists()


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

    fake.script(when=is_asked_while("broke"), times=None).status(400, NO_CREDIT)
    fake.script(when=is_asked_while("overloaded"), times=None).overloaded()
    fake.script(when=asks_for_time, times=None).do(take_time)
    with fake:
        print("listening", flush=True)
        signal.sigwait(stopping)


if __name__ == "__main__":
    main()
