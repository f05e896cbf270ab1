"""The measurements that every server goes through in turn: requests and streams.

Invariant: a server's CPU time is that of its own processes between two readings, not the machine's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench import machine
from bench.servers import Server, load


@dataclass(frozen=True)
class Scenario:
    name: str
    query: str
    options: tuple[str, ...]
    streams: bool = False


SCENARIOS = (
    Scenario("1 kB, 1 connection", "size=1000", ("-c", "1")),
    Scenario("1 kB, 32 connections", "size=1000", ("-c", "32")),
    Scenario("100 kB requests, 32 connections", "size=1000", ("-c", "32", "-b", "100000")),
    Scenario("100 kB answers, 32 connections", "size=100000", ("-c", "32")),
    Scenario("a stream's first byte, 1 connection", "events=2&batch=2", ("-c", "1")),
    Scenario("64 streams, an event each 20 ms", "events=50&every=20000", ("-c", "64"), True),
    Scenario("flood of events, 8 streams", "events=4000&batch=8", ("-c", "8"), True),
)


@dataclass
class Figures:
    """Each a list with one value a round; times in µs."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __getitem__(self, name: str) -> float:
        return median(self.values[name]) if self.values[name] else float("nan")


class Rounds:
    """`seconds` is how long each measurement lasts."""

    def __init__(self, seconds: float, only: Sequence[str] | None) -> None:
        self._seconds = seconds
        self.scenarios = [
            each for each in SCENARIOS if not only or any(part in each.name for part in only)
        ]
        self.figures: dict[tuple[str, str], Figures] = defaultdict(Figures)
        self.servers: list[str] = []

    def run(self, servers: Sequence[Server]) -> None:
        """One round over everything."""
        self.servers = [server.name for server in servers]
        for scenario in self.scenarios:
            for server in servers:
                self._measure(scenario, server)

    def _measure(self, scenario: Scenario, server: Server) -> None:
        if not scenario.streams:
            load(server, scenario.query, *scenario.options, "-d", "0.2")
        before = machine.cpu_ns(server.pid)
        # Streams of a second each must be let end.
        seconds = max(2.2, self._seconds) if "every" in scenario.query else self._seconds
        told = load(server, scenario.query, *scenario.options, "-d", str(seconds))
        cpu = (machine.cpu_ns(server.pid) - before) / 1000
        values = self.figures[scenario.name, server.name].values
        values["rate"].append(told["requests"] / told["seconds"])
        values["events"].append(told["events"] / told["seconds"])
        values["cpu"].append(cpu / max(1, told["requests"]))
        values["cpu_event"].append(cpu / max(1, told["events"]))
        values["busy"].append(cpu / told["seconds"] / 1e6)
        for name in ("first_p50", "first_p99", "delay_p50", "delay_p99"):
            if name in told:
                values[name].append(told[name])
