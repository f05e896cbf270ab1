"""The figures as a page: bench/RESULTS.md."""

from __future__ import annotations

import time
from pathlib import Path

from bench import machine
from bench.rounds import Rounds, Scenario

_HOW = """# What was measured last

{machine}.
{versions}. {date}; {rounds} rounds, {seconds:g} s each.

How to read it: all servers were measured in turn within each round, and medians of the rounds are
shown, so ratios hold although absolute figures drift with the machine and with what else it does.
The proxy had a core for itself, the load generator and the upstream shared the other.
"of nginx" compares with nginx doing the same (TLS with TLS). CPU is that of all of the server's
processes, divided by the requests (or events): it holds on a busy machine, too. Where "busy" is
well under 1.00 the proxy was waiting for load or upstream (or for a core that others used), and
its rate would be higher. airoxy does everything it does: client key, pool of five tokens, log row,
cost; its upstream is the mock of bench/upstream.c, by http or, where it says TLS, by https. That
neither mock nor load generator is the bottleneck shows in the first line of each table: the two
together, on one core, without a proxy.
"""
_HEAD = """
| | {rate}/s | of nginx | CPU, µs | busy | {time} p50, ms | p99 | added p50 |
|---|--:|--:|--:|--:|--:|--:|--:|
"""


def text(
    rounds: Rounds,
    singles: list[tuple[str, str]],
    count: int,
    seconds: float,
    where: str,
) -> str:
    parts = [
        _HOW.format(
            machine=where, versions=_versions(), date=time.strftime("%Y-%m-%d", time.gmtime()),
            rounds=count, seconds=seconds,
        )
    ]  # fmt: skip
    parts += [_table(rounds, scenario) for scenario in rounds.scenarios]
    if singles:
        lines = "\n".join(f"| {what} | {figure} |" for what, figure in singles)
        parts.append(f"## By itself\n\n| | |\n|---|---|\n{lines}\n")
    return "\n".join(parts)


def _table(rounds: Rounds, scenario: Scenario) -> str:
    rate, unit = ("events", "delay") if scenario.streams else ("rate", "first")
    cpu = "cpu_event" if scenario.streams else "cpu"
    alone = rounds.figures[scenario.name, rounds.servers[0]]
    lines = []
    for name in rounds.servers:
        mine = rounds.figures[scenario.name, name]
        nginx = rounds.figures[scenario.name, "nginx, TLS" if "TLS" in name else "nginx"]
        p50, p99 = mine[f"{unit}_p50"], mine[f"{unit}_p99"]
        lines.append(
            f"| {name} | {mine[rate]:,.0f} | {mine[rate] / nginx[rate]:.2f} | {mine[cpu]:.3g} "
            f"| {mine['busy']:.2f} | {p50 / 1000:.2f} | {p99 / 1000:.2f} "
            f"| {(p50 - alone[f'{unit}_p50']) / 1000:.2f} |"
        )
    head = _HEAD.format(
        rate="events" if scenario.streams else "requests",
        time="event's delay" if scenario.streams else "first byte",
    )
    return f"## {scenario.name}\n{head}" + "\n".join(lines) + "\n"


def _versions() -> str:
    from importlib.metadata import version

    libraries = [f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "apsw")]
    nginx = "/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else "nginx"
    return ", ".join([*libraries, f"nginx {machine.version(nginx, '-v')}"])
