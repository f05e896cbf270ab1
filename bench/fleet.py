"""`make bench-fleet`: what a fleet's PostgreSQL and its agents have to do, by hosts and requests.

Each host is an agent's session with a database of its own, all of them in this process, and an
empty PostgreSQL of the benchmark's own.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from airoxy.fleet.agent import Session
from airoxy.fleet.postgres import Postgres
from airoxy.store.schema import open_database
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of one measurement")
    options = parser.parse_args()
    print("| hosts | rows a second in all | PostgreSQL, of one core | for each host |")
    print("|---|---|---|---|")
    for load in LOADS:
        print(measure(load, options.seconds), flush=True)


if __name__ == "__main__":
    main()
