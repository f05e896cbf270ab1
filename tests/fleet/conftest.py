"""Hosts of a fleet on one machine, which meet in a real PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.fleet.join import Entry
from airoxy.fleet.postgres import connected
from airoxy.store.fleet.membership import membership
from airoxy.store.schema import open_database, transaction
from tests.fleet.postgresql import Cluster
from tests.forkserver import Process
from tests.program import Airoxy


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def url(cluster: Cluster) -> str:
    """A new database."""
    return cluster.database()


class Host:
    """One airoxy of a fleet, and its agent."""

    def __init__(self, airoxy: Airoxy, url: str, name: str, *, first: bool) -> None:
        self.airoxy, self.name, self.url = airoxy, name, url
        self.agent: Process | subprocess.Popen[bytes] | None = None
        with closing(open_database(airoxy.database)) as db, connected(url, None) as postgres:
            entry = Entry(db, postgres, url, name, first=first)
            entry.prepare()
            entry.carry_out(keep_days=31)

    def join(self, *words: str) -> str:
        return self.airoxy.cli("fleet", "join", self.url, "--name", self.name, *words)

    def start_agent(self) -> None:
        self.agent = self.airoxy.begin("fleet", "agent")

    def stop_agent(self, *, kill: bool = False) -> None:
        if self.agent is not None:
            self.agent.kill() if kill else self.agent.terminate()
            self.agent.wait(60)
            self.agent = None

    @contextlib.contextmanager
    def frozen_agent(self) -> Iterator[None]:
        """Its agent does nothing, and holds no lock here or in PostgreSQL."""
        assert self.agent
        pid = self.agent.pid

        def stopped() -> bool:
            os.kill(pid, signal.SIGSTOP)
            eventually(lambda: _has_stopped(pid))
            if not (free := self._is_free()):
                os.kill(pid, signal.SIGCONT)
            return free

        eventually(stopped)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _is_free(self) -> bool:
        busy = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid != pg_backend_pid() AND state != 'idle'"
        )
        with self.airoxy.opened() as db, connected(self.url, None) as postgres:
            db.setbusytimeout(0)
            try:
                with transaction(db):
                    return postgres.run(busy) == [(0,)]
            except apsw.BusyError:
                return False


@pytest.fixture
def hosts(install: Callable[..., Airoxy], url: str) -> Iterator[Callable[..., list[Host]]]:
    """`hosts(3)` are three that have joined one fleet; their agents and servers run if wanted."""
    made: list[Host] = []

    def hosts(count: int, *, agents: bool = True, servers: bool = False, **settings: Any):
        for number in range(len(made), len(made) + count):
            airoxy = install(**settings)
            if made:
                key = made[0].airoxy.database.with_name("token.key").read_text()
                airoxy.database.with_name("token.key").write_text(key)
            made.append(Host(airoxy, url, "abcdefgh"[number], first=not number))
        for host in made:
            if servers:
                host.airoxy.start()
            if agents:
                host.start_agent()
        return made

    yield hosts
    for host in made:
        with contextlib.suppress(ProcessLookupError):
            host.stop_agent()


def eventually(holds: Callable[[], Any], within: float = 60.0) -> Any:
    """What `holds` gives once that is true; nothing tells of another process's commit."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.01)
    return found


def _has_stopped(pid: int) -> bool:
    """All of its threads; it is no child of ours."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads)


def shipped(airoxy: Airoxy) -> bool:
    """Whether the fleet has all of its log."""
    with airoxy.opened() as db:
        member = membership(db)
        last = db.cursor().execute("SELECT ifnull(max(id), 0) FROM requests").fetchall()
    return bool(member) and member.shipped >= last[0][0]
