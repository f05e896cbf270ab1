"""What is measured once, of airoxy alone or against nginx: memory, start, and bad company."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import account, bodies, machine, servers
from bench.servers import Server, load, loading
from tests.program import ROOT, environment

Lines = list[tuple[str, str]]
IDLE_STREAMS = 5000


@dataclass(frozen=True)
class Flood:
    """What another key does meanwhile: its query, options of the load generator, and its key."""

    name: str
    query: str
    options: tuple[str, ...] = ("-c", "100")
    path: str = "/v1/messages"
    #: Whose requests are answered by airoxy itself, with an error.
    refused: str = ""


FLOODS = (
    Flood("100 requests at once", "size=1000"),
    Flood(
        "100 requests at once, each with a model and a session of its own",
        "size=1000",
        ("-c", "100", "-u"),
    ),
    Flood("100 requests at once, each on a new connection", "size=1000", ("-c", "100", "-r")),
    Flood("100 requests at once without a valid key", "size=1000", refused="nobody"),
    Flood("100 requests at once above a limit", "size=1000", refused="limited"),
    Flood(
        "100 requests at once that are nothing but log rows",
        "size=1000",
        path="/v1/organizations/users",
        refused="flooding",
    ),
    Flood("100 streams, an event each ms", "events=1000&every=1000"),
    Flood("100 streams as fast as they are taken", "events=4000&batch=8"),
    Flood("100 answers of 100 kB", "size=100000"),
    Flood("100 bodies of 100 kB", "size=1000", ("-c", "100", "-b", "100000")),
    Flood("8 bodies of 10 MB", "size=1000", ("-c", "8", "-b", "10000000")),
)


def run(directory: Path, seconds: float, only: Sequence[str] | None) -> Lines:
    """All of them, each as (what, figure)."""
    lines: Lines = []
    for name, measure in MEASURES:
        if not only or any(part in name for part in only):
            print(f"{name} …", flush=True)
            lines += measure(directory / name.replace(" ", "-"), seconds)
    return lines


def _with_airoxy(
    measure: Callable[[Server, Server, float], Lines], **settings: int
) -> Callable[[Path, float], Lines]:
    def run(directory: Path, seconds: float) -> Lines:
        upstream = servers.upstream()
        try:
            cores = set(machine.CORES) if settings else machine.PROXY
            there = servers.airoxy(directory, "airoxy", "http", upstream, cores, **settings)
            try:
                return measure(there, upstream, seconds)
            finally:
                there.stop()
        finally:
            upstream.stop()

    return run


def _idle_streams(there: Server, _: Server, seconds: float) -> Lines:
    idle = machine.memory(there.pid)
    holders = loading(there, "hold=1", "-c", str(IDLE_STREAMS), "-H")
    assert holders.stdout
    assert holders.stdin
    assert holders.stdout.readline() == b"held\n"
    held = machine.memory(there.pid)
    told = load(there, "size=1000", "-c", "1", "-p", "5000", "-d", str(max(1.0, seconds)))
    holders.communicate(b"")
    return [
        ("worker's memory, idle", f"{idle:.0f} MiB"),
        (f"worker's memory with {IDLE_STREAMS:,} idle streams", f"{held:.0f} MiB "
         f"({(held - idle) * 1024 / IDLE_STREAMS:.0f} KiB each)"),
        ("a new request among them, median / p99 / longest", _times(told, "whole")),
    ]  # fmt: skip


def _large_body_nginx(directory: Path, seconds: float) -> Lines:
    upstream = servers.upstream()
    try:
        there = servers.nginx(directory, "nginx", "http", upstream)
        try:
            lines = _large_body(there, upstream, seconds)
            return [(f"{what} (nginx)", figure) for what, figure in lines]
        finally:
            there.stop()
    finally:
        upstream.stop()


def _large_body(there: Server, _: Server, seconds: float) -> Lines:
    alone = load(there, "events=100&every=10000", "-c", "16", "-d", str(1.1 * seconds))
    before = machine.memory(there.pid)
    streams = loading(there, "events=100&every=10000", "-c", "16", "-d", str(2.2 * seconds))
    bodies = load(there, "size=1000", "-c", "1", "-b", "30000000", "-d", str(2 * seconds))
    after = machine.memory(there.pid)
    told = servers.told(streams)
    return [
        ("16 streams' events, delayed: median / p99 / longest", _times(alone, "delay")),
        ("the same beside 30 MB requests", _times(told, "delay")),
        ("30 MB requests meanwhile", f"{bodies['requests'] / bodies['seconds']:.0f} a second, "
         f"worker grew by {after - before:.0f} MiB"),
    ]  # fmt: skip


def _fairness(there: Server, upstream: Server, seconds: float) -> Lines:
    """What a key's requests take beside each kind of flood by another one, and alone before it.

    Its client, the upstream and the proxy go before the flooding client on their cores: what is
    measured is how the proxy treats them, and not how the kernel does."""
    keys = _flooding_keys(there)
    machine.put_first(there.pid)
    machine.put_first(upstream.pid)
    lines: Lines = []
    for each in FLOODS:
        if each.refused and not there.airoxy:
            continue
        alone = load(there, "size=1000", "-c", "1", "-d", str(seconds), first=True)
        flooding = replace(there, key=keys.get(each.refused or "flooding", "nobody"))
        options = (*each.options, "-d", str(3 * seconds))
        flood = loading(flooding, each.query, *options, path=each.path)
        time.sleep(seconds / 2)
        beside = load(there, "size=1000", "-c", "1", "-d", str(2 * seconds), first=True)
        told = servers.told(flood, refused=bool(each.refused))
        rate = told["requests"] / told["seconds"]
        ratio = beside.get("whole_p99", float("inf")) / alone["whole_p99"]
        figures = f"{_times(beside, 'whole')}; alone {_times(alone, 'whole')}"
        what = f"{figures}; p99 × {ratio:.1f} ({rate:,.0f} a second)"
        lines.append((f"a key beside {each.name}", what))
    return lines


def _flooding_keys(there: Server) -> dict[str, str]:
    """Those of FLOODS that exist."""
    if there.airoxy is None:
        return {}
    keys = {name: there.airoxy.key(name) for name in ("flooding", "limited")}
    there.airoxy.cli("api-key", "set", "limited", "--requests-per-minute", "60")
    return keys


def _fairness_nginx(directory: Path, seconds: float) -> Lines:
    upstream = servers.upstream()
    try:
        there = servers.nginx(directory, "nginx", "http", upstream)
        try:
            lines = _fairness(there, upstream, seconds)
            return [(f"{what} (nginx)", figure) for what, figure in lines]
        finally:
            there.stop()
    finally:
        upstream.stop()


def _workers(there: Server, _: Server, seconds: float) -> Lines:
    load(there, "size=1000", "-c", "32", "-d", "0.3")
    before = [machine.cpu_ns(pid) for pid in machine.tree(there.pid)[1:]]
    told = load(there, "size=1000", "-c", "32", "-d", str(2 * seconds))
    after = [machine.cpu_ns(pid) for pid in machine.tree(there.pid)[1:]]
    used = sorted(b - a for a, b in zip(before, after, strict=True))
    shares = " : ".join(f"{100 * one / sum(used):.0f}" for one in used)
    rate, cpu = told["requests"] / told["seconds"], sum(used) / 1000 / told["requests"]
    return [(f"{len(used)} workers, load and upstream on the same {len(machine.CORES)} cores",
             f"{rate:,.0f} requests a second, {cpu:.0f} µs CPU each, shared {shares}")]  # fmt: skip


def _cold_start(directory: Path, _: float) -> Lines:
    upstream = servers.upstream()
    try:
        there = servers.airoxy(directory, "airoxy", "http", upstream, machine.PROXY)
        there.stop()
        times = sorted(_activate(there) for _ in range(5))
    finally:
        upstream.stop()
    return [("from socket activation to the first answer, median of 5", f"{times[2]:.2f} s")]


def _activate(there: Server) -> float:
    """As systemd does it: the socket is there, and the first client waits in it."""
    assert there.airoxy
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with machine.on(machine.PROXY):
            process = subprocess.Popen(
                ["bash", "-c", 'exec 3<&"$0"; LISTEN_PID=$$ exec "$@"', str(listener.fileno()),
                 sys.executable, "-m", "airoxy", "--config", str(there.airoxy.config), "serve"],
                pass_fds=[listener.fileno()], cwd=ROOT, stderr=subprocess.DEVNULL,
                env=environment() | {"LISTEN_FDS": "1"},
            )  # fmt: skip
        try:
            client = http.client.HTTPConnection(*listener.getsockname(), timeout=30)
            client.request("POST", "/v1/messages?size=100", b"{}", {"x-api-key": there.key})
            assert client.getresponse().status == 200
            return time.monotonic() - started
        finally:
            client.close()
            process.terminate()
            process.wait(20)


def _account(directory: Path, _: float) -> Lines:
    directory.mkdir()
    with machine.on(machine.PROXY):
        return account.cost(directory / "account.db")


def _dear_bodies(_: Path, __: float) -> Lines:
    return bodies.cost()


def _times(told: dict[str, float], name: str) -> str:
    if f"{name}_p50" not in told:
        return "no answer in time"
    times = (told[f"{name}_{point}"] / 1000 for point in ("p50", "p99", "max"))
    return " / ".join(f"{each:.2f}" for each in times) + " ms"


MEASURES: tuple[tuple[str, Callable[[Path, float], Lines]], ...] = (
    ("cold start", _cold_start),
    ("idle streams", _with_airoxy(_idle_streams)),
    ("large body", _with_airoxy(_large_body)),
    ("large body, nginx", _large_body_nginx),
    ("fairness", _with_airoxy(_fairness)),
    ("fairness, nginx", _fairness_nginx),
    ("one worker", _with_airoxy(_workers, workers=1)),
    ("two workers", _with_airoxy(_workers, workers=2)),
    ("account", _account),
    ("dear bodies", _dear_bodies),
)
