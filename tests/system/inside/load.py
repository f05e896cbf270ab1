"""Clients that never pause: short requests, and streams that are open all the time.

One more client asks the fake Anthropic directly, now and then: how long that takes at worst is
what this computer, with all that runs on it, does to everybody.

usage: python3 -m tests.system.inside.load KEY [--clients N] [--streams N] [--seconds S]
It says "running" when everything is open, goes on until its standard input ends, lets the streams
finish, and prints as one JSON document what happened.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PORT, UPSTREAM = 3800, 4000
TIMEOUT = 60
#: Seconds between two direct requests: often enough to meet every stall worth noting.
CONTROL_PAUSE = 0.02
BODY = json.dumps(
    {
        "model": "claude-opus-5-5",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Hi"}],
    }
).encode()
STREAM = BODY[:-1] + b', "stream": true}'


class Broken(Exception):
    """An answer that is none, or not the one that was due."""


@dataclass
class MetricCounters:
    """What happened."""

    trouble: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)
    streams: int = 0
    ending: bool = False

    def report(self) -> dict[str, Any]:
        times = sorted(self.times)
        return {
            "requests": len(times),
            "streams": self.streams,
            "trouble": self.trouble,
            "usual_ms": round(statistics.median(times) * 1000, 1) if times else 0,
            "slowest_ms": [round(each * 1000, 1) for each in times[-5:]],
            "slowest_direct_ms": round(max(self.direct, default=0) * 1000, 1),
        }

    def note(self, error: Exception) -> None:
        kind = type(error).__name__
        self.trouble[f"{kind}: {error}" if isinstance(error, Broken) else kind] += 1


class Client:
    """One connection after the other, each used as long as the server keeps it, or once."""

    def __init__(self, key: str, host: str, port: int = PORT, *, keeps: bool) -> None:
        self._key, self._host, self._port, self._keeps = key, host, port, keeps
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, body: bytes, headers: str = "", begun: asyncio.Event | None = None
    ) -> bytes:
        """The answer's body; `begun` is set when it begins. Raises OSError, EOFError or Broken."""
        if self._line is None:
            self._line = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._line
        again = False
        try:
            writer.write(self._request(body, headers))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if begun:
                begun.set()
            answer = await _read_body(reader, head)
            if not head.startswith(b"http/1.1 200 "):
                raise Broken(f"{head.split(b' ')[1].decode()} {answer[:200]!r}")
            again = self._keeps and b"connection: close" not in head
        finally:
            if not again:
                self._line = None
                writer.close()
        return answer

    def _request(self, body: bytes, headers: str) -> bytes:
        kept = "" if self._keeps else "connection: close\r\n"
        return (
            f"POST /v1/messages HTTP/1.1\r\nhost: airoxy\r\nx-api-key: {self._key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"anthropic-version: 2023-06-01\r\n{kept}{headers}\r\n"
        ).encode() + body

    def close(self) -> None:
        if self._line:
            self._line[1].close()


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" not in head:
        _, _, length = head.partition(b"content-length: ")
        return await reader.readexactly(int(length.split(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


async def requests(client: Client, metric_counters: MetricCounters) -> None:
    while not metric_counters.ending:
        began = time.monotonic()
        try:
            await asyncio.wait_for(client.ask(BODY), TIMEOUT)
        except (OSError, EOFError, Broken, TimeoutError) as error:
            metric_counters.note(error)
        metric_counters.times.append(time.monotonic() - began)
    client.close()


async def control(client: Client, metric_counters: MetricCounters) -> None:
    while not metric_counters.ending:
        began = time.monotonic()
        await client.ask(BODY)
        metric_counters.direct.append(time.monotonic() - began)
        await asyncio.sleep(CONTROL_PAUSE)
    client.close()


async def streams(
    client: Client, metric_counters: MetricCounters, seconds: float, begun: asyncio.Event
) -> None:
    while not metric_counters.ending:
        try:
            answer = await client.ask(STREAM, f"x-test-seconds: {seconds}\r\n", begun)
            if b"event: message_stop" not in answer:
                raise Broken("a stream without an end")
            metric_counters.streams += 1
        except (OSError, EOFError, Broken) as error:
            metric_counters.note(error)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("key")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--streams", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    metric_counters = MetricCounters()
    running = []
    for number in range(args.clients):
        host = ("127.0.0.1", "::1")[number // 2 % 2]
        client = Client(args.key, host, keeps=number % 2 == 0)
        running.append(asyncio.create_task(requests(client, metric_counters)))
    direct = Client("sk-ant-api-test-control", "127.0.0.1", UPSTREAM, keeps=True)
    running.append(asyncio.create_task(control(direct, metric_counters)))
    begun = [asyncio.Event() for _ in range(args.streams)]
    for event in begun:
        client = Client(args.key, "127.0.0.1", keeps=False)
        running.append(asyncio.create_task(streams(client, metric_counters, args.seconds, event)))
    await asyncio.gather(*(event.wait() for event in begun))
    print("running", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    metric_counters.ending = True
    await asyncio.gather(*running)
    print(json.dumps(metric_counters.report()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
