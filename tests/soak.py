"""`make soak`: an hour of everything at once, and whether airoxy is as it was and counted right.

SOAK_SECONDS (3600) says how long. What the fake Anthropic says it has sent is the truth;
`airoxy stats` must say the same, to the token. What a worker holds is measured between rounds, when
nobody asks, and after the first round it must not grow.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fake_anthropic import Exchange, FakeAnthropic
from tests.reliability.conftest import Watched
from tests.reliability.raw import Client, request

ROUNDS = 10
#: What of the memory is the allocator's mood, and the statistics' (bytes).
ALLOWED = 8 << 20
#: What clients do, and how many of each are at it.
KINDS = {"plain": 3, "stream": 3, "leave": 2, "vanish": 1, "broken": 1, "error": 1, "busy": 1}
#: Events of a stream that gets no further.
FEW = 3


@dataclass
class Truth:
    """What was asked and what was sent."""

    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, usage: dict[str, Any], output: int) -> None:
        with self.lock:
            self.sent["input_tokens"] += usage["input_tokens"]
            self.sent["output_tokens"] += output
            self.sent["cache_read_tokens"] += usage["cache_read_input_tokens"]
            writes = usage["cache_creation"]
            self.sent["cache_write_5m_tokens"] += writes["ephemeral_5m_input_tokens"]
            self.sent["cache_write_1h_tokens"] += writes["ephemeral_1h_input_tokens"]


def usage_for(number: int) -> dict[str, Any]:
    """Other counts for every request."""
    five, hour = number % 7, number % 5
    return {
        "input_tokens": number % 1000 + 1,
        "output_tokens": number % 300 + 2,
        "cache_read_input_tokens": number % 11,
        "cache_creation_input_tokens": five + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
    }


class Anthropic:
    """Answers each kind of request in its way, and tells the truth about it."""

    def __init__(self, fake: FakeAnthropic, truth: Truth) -> None:
        self._fake, self._truth = fake, truth
        for kind in KINDS:
            mark = f'"kind":"{kind}"'.encode()
            fake.script(when=lambda seen, mark=mark: mark in seen.body, times=None).do(
                getattr(self, kind)
            )

    async def plain(self, x: Exchange) -> None:
        usage = usage_for(x.seen.json()["max_tokens"])
        self._truth.add(usage, usage["output_tokens"])
        await self._fake.api.message(x, usage=usage)

    stream = plain

    async def leave(self, x: Exchange) -> None:
        await self._some_events(x)
        await x.gone.wait()

    async def broken(self, x: Exchange) -> None:
        await self._some_events(x)
        x.hang_up("fin")

    async def vanish(self, x: Exchange) -> None:
        await x.gone.wait()

    async def error(self, x: Exchange) -> None:
        await self._fake.api.refuse(x, 500, "Scripted.")

    async def busy(self, x: Exchange) -> None:
        await self._fake.api.refuse(x, 529, "Overloaded")

    async def _some_events(self, x: Exchange) -> None:
        from tests.fake_anthropic import messages

        usage = usage_for(x.seen.json()["max_tokens"])
        self._truth.add(usage, 1)  # as message_start says it
        whole = self._fake.api.compose(x.seen, usage=usage)
        await self._fake.api.begin_stream(x)
        for event in messages.events(whole)[:FEW]:
            await x.piece(event)


class Crowd:
    """The clients of a round."""

    def __init__(self, airoxy: Watched, key: str, truth: Truth, numbers: Callable[[], int]) -> None:
        self._airoxy, self._key, self._truth, self._numbers = airoxy, key, truth, numbers
        self._failed: list[BaseException] = []

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._live, args=(kind, end))
            for kind, count in KINDS.items()
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _live(self, kind: str, end: float) -> None:
        try:
            client = Client(self._airoxy)
            while time.monotonic() < end:
                with self._truth.lock:
                    self._truth.asked[kind] += 1
                    number = self._numbers()
                if not getattr(self, f"_{kind}")(client.send(self._request(kind, number))):
                    client.close()
                    client = Client(self._airoxy)
            client.close()
        except BaseException as error:
            self._failed.append(error)

    def _request(self, kind: str, number: int) -> bytes:
        body = {"model": "claude-opus-5-5", "max_tokens": number, "messages": [], "kind": kind}
        if kind in ("stream", "leave", "broken"):
            body["stream"] = True
        return request(self._key, json.dumps(body, separators=(",", ":")).encode())

    # True where the connection may be used again

    def _plain(self, client: Client) -> bool:
        answer = client.answer()
        assert answer
        assert (answer.status, answer.whole) == (200, True), answer
        return True

    _stream = _plain

    def _leave(self, client: Client) -> bool:
        while client.received.count(b"\n\n") < FEW:
            assert client.more()
        return False

    def _vanish(self, client: Client) -> bool:
        time.sleep(0.05)
        return False

    def _broken(self, client: Client) -> bool:
        answer = client.answer()
        assert answer
        assert not answer.whole
        return False

    def _error(self, client: Client) -> bool:
        answer = client.answer()
        assert answer
        assert answer.status == 500
        return True

    def _busy(self, client: Client) -> bool:
        answer = client.answer()
        assert answer
        assert answer.status == 529
        return True


@dataclass
class Report:
    """`held` is after each round, with nobody asking."""

    asked: Counter[str]
    sent: Counter[str]
    counted: dict[str, int]
    held: list[dict[str, int]]

    def faults(self) -> list[str]:
        wanted = {"requests": sum(self.asked.values()), **self.sent}
        found = [
            f"{name}: counted {self.counted[name]}, in truth {value}"
            for name, value in wanted.items()
            if self.counted[name] != value
        ]
        first, last = self.held[0], self.held[-1]
        for name, allowed in (("tasks", 0), ("descriptors", 0), ("memory", ALLOWED)):
            if last[name] > first[name] + allowed:
                found.append(f"{name}: {first[name]} after the first round, {last[name]} at last")
        return found


def soak(airoxy: Watched, fake: FakeAnthropic, seconds: float) -> Report:
    """`airoxy` is running, with tokens, in front of `fake`."""
    key, truth, numbers = airoxy.key(), Truth(), iter(range(1, 1 << 62))
    Anthropic(fake, truth)
    crowd = Crowd(airoxy, key, truth, lambda: next(numbers))
    held = []
    for _ in range(ROUNDS):
        crowd.run(seconds / ROUNDS)
        fake.close_idle()
        held.append(_settled(airoxy))
        print(f"{sum(truth.asked.values()):,} requests, {held[-1]}", flush=True)
    expected = sum(truth.asked.values())
    deadline = time.monotonic() + 20
    while (counted := airoxy.json("stats"))["requests"] < expected:
        assert time.monotonic() < deadline, (counted, expected)
        time.sleep(0.1)
    return Report(truth.asked, truth.sent, counted, held)


def _settled(airoxy: Watched) -> dict[str, int]:
    """What is held when nothing changes any more: connections upstream take a moment to close."""
    before: dict[str, int] = {}
    deadline = time.monotonic() + 10
    while True:
        now = airoxy.held()
        same = all(before.get(key) == now[key] for key in ("tasks", "descriptors"))
        if same or time.monotonic() > deadline:
            return now
        before = now
        time.sleep(0.2)


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS", "3600"))
    with tempfile.TemporaryDirectory() as directory, FakeAnthropic(remember=100) as fake:
        airoxy = Watched(Path(directory), fake.url).start()
        try:
            for number in range(3):
                airoxy.token(f"sk-ant-api-test-{number}")
            report = soak(airoxy, fake, seconds)
            airoxy.stop()
        finally:
            airoxy.kill()
    print(f"asked {dict(report.asked)}")
    print(f"sent {dict(report.sent)}")
    faults = report.faults()
    print("\n".join(faults) or "Nothing has grown, and every token was counted.")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
