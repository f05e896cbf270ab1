"""The fake by itself: `python3 -m tests.fake_anthropic --port 4000`.

Another process asks it what it saw with GET /_requests, and scripts it with POST /_script, whose
JSON names a method of Script: {"token": "…", "times": null, "do": "limit", "with": {"retry_after":
30}}. Both are for tests that cannot share its memory.
"""

from __future__ import annotations

import argparse
import signal

from tests.fake_anthropic.server import FakeAnthropic
from tests.fake_anthropic.wire import Exchange


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fake_anthropic", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4000, help="0 takes a free one")
    parser.add_argument(
        "--limit", metavar="TOKEN", action="append", default=[],
        help="answer this token with a 429 that asks to wait 60 seconds",
    )  # fmt: skip
    parser.add_argument(
        "--remember", metavar="N", type=int, default=1000, help="how many requests to remember"
    )
    args = parser.parse_args()
    # Blocked before the thread starts, so that only sigwait below gets them.
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    fake = FakeAnthropic(host=args.host, port=args.port, remember=args.remember)
    add_controls(fake)
    for token in args.limit:
        fake.script(token=token, times=None).limit(retry_after=60)
    with fake:
        print(f"fake Anthropic on {fake.url}", flush=True)
        signal.sigwait(stopping)


def add_controls(fake: FakeAnthropic) -> None:
    async def requests(x: Exchange) -> None:
        seen = [
            {
                "method": s.method,
                "target": s.target,
                "token": s.token,
                "status": s.status,
                "length": len(s.body),
                "sha256": s.sha256,
                "complete": s.answered_at is not None,
            }
            for s in fake.requests
            if s.path not in fake.controls
        ]
        await fake.api.json(x, seen)

    async def script(x: Exchange) -> None:
        asked = x.seen.json()
        do, given = asked.pop("do"), asked.pop("with", {})
        getattr(fake.script(**asked), do)(**given)
        await fake.api.json(x, {})

    fake.controls = {"/_requests": requests, "/_script": script}


if __name__ == "__main__":
    main()
