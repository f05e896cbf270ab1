"""`make bench-fleet`: what a fleet's PostgreSQL and its agents have to do, by hosts and requests,
and how soon a change on one host holds on another.

Each host is an agent's session with a database of its own, all of them in this process, and an
empty PostgreSQL of the benchmark's own.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from airoxy.core.pool import Scope
from airoxy.fleet.agent import Session
from airoxy.fleet.commit import commit_on_both
from airoxy.fleet.postgres import Postgres
from airoxy.store.keys import add_key, toggle_key
from airoxy.store.schema import open_database, run
from airoxy.store.tokens import add_token, cool
from bench import machine
from tests.fleet.postgresql import Cluster
from tests.fleet.test_ship import append, join

_KEEP_DAYS = 3
#: Rows of one commit, as the server's writer makes them under load.
_AT_ONCE = 10


class Load(NamedTuple):
    hosts: int
    rows: int  # a second and host


LOADS = (Load(1, 0), Load(3, 0), Load(50, 0), Load(3, 20), Load(10, 20), Load(50, 20))


class Host:
    """A host's database, its agent's session, and the thread that turns it."""

    def __init__(self, path: Path, url: str, name: str, *, first: bool) -> None:
        db, self.postgres = join(path, url, name, first=first)
        self.session = Session(db, self.postgres, _KEEP_DAYS)
        self.db, self.path = db, path
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._turn)

    def start(self) -> None:
        self._thread.start()

    def _turn(self) -> None:
        while not self._ends.is_set():
            self.session.turn()
        self.session.ship_all()

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()
        self.postgres.close()
        self.db.close()


def measure(load: Load, seconds: float) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as directory, closing(Cluster()) as cluster:
        url = cluster.database()
        paths = [Path(directory, f"{n}.db") for n in range(load.hosts)]
        hosts = [Host(path, url, path.stem, first=not n) for n, path in enumerate(paths)]
        for host in hosts:
            host.start()
        time.sleep(2)  # what joining has changed has been told to all
        before, began = machine.cpu_ns(cluster.pid), time.monotonic()
        written = _write(hosts, load.rows, seconds)
        taken = time.monotonic() - began
        busy = machine.cpu_ns(cluster.pid) - before
        for host in hosts:
            host.stop()
        with closing(Postgres(url)) as postgres:
            ((arrived,),) = postgres.run("SELECT count(*) FROM airoxy.requests")
    assert arrived == written, (arrived, written)
    core = busy / taken / 1e7
    return f"| {load.hosts} | {written / taken:.0f} | {core:.1f} % | {core / load.hosts:.2f} % |"


def _write(hosts: list[Host], rows: int, seconds: float) -> int:
    """Log so many rows a second on each host: how many there were."""
    databases = [open_database(host.path) for host in hosts]
    written, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        turn = time.monotonic()
        for db in databases if rows else ():
            append(db, *[1] * _AT_ONCE)
            written += _AT_ONCE
        time.sleep(max(0.0, turn + (_AT_ONCE / rows if rows else 1) - time.monotonic()))
    for db in databases:
        db.close()
    return written


def spread(times: int) -> Iterator[str]:
    """Lines of the second table: from before a change begins on one of three hosts until it is in
    the database of another, whose next request heeds it."""
    with tempfile.TemporaryDirectory() as directory, closing(Cluster()) as cluster:
        url = cluster.database()
        paths = [Path(directory, f"{name}.db") for name in "abc"]
        hosts = [Host(path, url, path.stem, first=path.stem == "a") for path in paths]
        for host in hosts:
            host.start()
        command, server, other = (open_database(paths[n]) for n in (0, 0, 1))
        commit_on_both(command, lambda member: Postgres(member.url))
        add_token(
            command, name="t", type="api_key", token="sk-bench", refresh_token=None,
            expires_at=None, now=time.time(),
        )  # fmt: skip
        changes: dict[str, tuple[Callable[[int], object], str]] = {
            "a key is made (by a command)": (
                lambda n: add_key(command, f"key-{n}", f"ak-{n}", time.time()),
                "SELECT count(*) FROM api_keys",
            ),
            "a key is disabled (by a command)": (
                lambda n: toggle_key(command, n + 1),
                "SELECT count(*) FROM api_keys WHERE NOT is_active",
            ),
            "a token cools down (by a server)": (
                lambda n: cool(server, 1, Scope(), time.time() + n, "bench", time.time_ns() + n),
                "SELECT ifnull(max(set_at), 0) FROM cooldowns",
            ),
        }
        for what, (change, asked) in changes.items():
            taken = sorted(_seconds_until_seen(other, change, asked, n) for n in range(times))
            yield f"| {what} | {taken[times // 2] * 1000:.0f} ms | {taken[-1] * 1000:.0f} ms |"
        for host in hosts:
            host.stop()


def _seconds_until_seen(
    other: apsw.Connection, change: Callable[[int], object], asked: str, number: int
) -> float:
    ((before,),) = run(other, asked)
    began = time.monotonic()
    change(number)
    while run(other, asked) == [(before,)]:
        time.sleep(0.001)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of one measurement")
    parser.add_argument("--times", type=int, default=50, help="of each change")
    options = parser.parse_args()
    print("| hosts | rows a second in all | PostgreSQL, of one core | for each host |")
    print("|---|---|---|---|")
    for load in LOADS:
        print(measure(load, options.seconds), flush=True)
    print("\n| until it holds on another host | median | longest |\n|---|---|---|")
    for line in spread(options.times):
        print(line, flush=True)


if __name__ == "__main__":
    main()
