"""What happens to PostgreSQL, and on the way to it, is no affair of requests, and no row is lost or
doubled by it."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Self

import pytest

from tests.fleet.conftest import Host, eventually, shipped
from tests.fleet.postgresql import ROLE, Cluster, Standby
from tests.fleet.test_agent import append, total
from tests.fleet.test_sharing import settled, status
from tests.program import need


def seconds(host: Host, key: str, count: int = 40) -> list[float]:
    """How long requests take, from the quickest to the slowest."""
    taken = []
    for _ in range(count):
        began = time.monotonic()
        assert status(host, key) == 200
        taken.append(time.monotonic() - began)
    return sorted(taken)


def test_a_postgresql_that_hangs_slows_no_request_down(hosts, cluster, upstream):
    """For longer than an agent waits for an answer."""
    (host,) = hosts(1, servers=True)
    settled((host,))
    host.airoxy.token("sk-ant-api-test-one")
    key = host.airoxy.key()
    eventually(lambda: status(host, key) == 200)
    usual = seconds(host, key)
    cluster.hang()
    try:
        hung = []
        with host.airoxy.opened() as db:
            while not db.execute("SELECT trouble FROM fleet").fetchone()[0]:
                hung += seconds(host, key, 1)
    finally:
        cluster.hang(go_on=True)
    # Of requests that waited for PostgreSQL there would be one or two, until the agent gives up.
    assert len(hung) > 4
    # Nor do they wait for anything else. The quickest, as the machine has other things to do.
    assert min(hung) < 3 * statistics.median(usual)
    eventually(lambda: shipped(host.airoxy))


def test_a_standby_that_is_promoted_without_the_last_rows_gets_them_again(install):
    with contextlib.closing(Cluster()) as primary:
        url = primary.database()
        with contextlib.closing(Standby(primary)) as standby:
            name = url.partition("@/")[2].partition("?")[0]
            both = (
                f"postgresql://{ROLE}@/{name}?host={primary.directory},{standby.directory}"
                "&target_session_attrs=read-write"
            )
            host = Host(install(), both, "a", first=True)
            host.start_agent()
            try:
                append(host.airoxy, 1, 2)
                eventually(lambda: shipped(host.airoxy))
                eventually(lambda: total(standby, url)[:2] == (2, 3))
                standby.stop(signal.SIGTERM)
                append(host.airoxy, 4)
                eventually(lambda: shipped(host.airoxy))
                primary.stop(signal.SIGKILL)
                standby.start()  # which reads the end of its log while it answers already
                eventually(lambda: total(standby, url)[:2] == (2, 3))
                standby.promote()
                append(host.airoxy, 8)
                eventually(lambda: total(standby, url) == (4, 15, 4, 15))
            finally:
                host.stop_agent()


class Wire:
    """A network namespace of its own for a host, and the one wire that leads out of it."""

    def __init__(self) -> None:
        self.name = f"airoxy{os.getpid()}"
        third, fourth = divmod(4 * os.getpid() % (1 << 16), 1 << 8)
        self.here, self.there = (f"10.213.{third}.{fourth + end}" for end in (1, 2))
        self._ends = f"ax{os.getpid()}h", f"ax{os.getpid()}n"

    def __enter__(self) -> Self:
        here, there = self._ends
        _ip("netns", "add", self.name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
        _ip("addr", "add", f"{self.here}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", there)
        _ip("-n", self.name, "link", "set", there, "up")
        return self

    def cut(self) -> None:
        """What is sent is lost, as by a cable that is pulled on the way."""
        _ip("-n", self.name, "link", "set", self._ends[1], "down")

    def mend(self) -> None:
        _ip("-n", self.name, "link", "set", self._ends[1], "up")

    def __exit__(self, *_: object) -> None:
        _ip("netns", "del", self.name)


def _ip(*words: str) -> None:
    subprocess.run([need("ip"), *words], check=True, capture_output=True)


@pytest.fixture
def wire() -> Iterator[Wire]:
    if os.geteuid():
        pytest.skip("only root makes network namespaces")
    with Wire() as wire:
        yield wire


@pytest.fixture
def reached(wire: Wire) -> Iterator[Cluster]:
    """A PostgreSQL at this end of the wire."""
    with contextlib.closing(Cluster()) as cluster:
        cluster.stop()
        with (cluster.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {wire.here}/30 trust\n")
        cluster.start(f"listen_addresses={wire.here}")
        yield cluster


_HOLD = """
import sys, time
from airoxy.fleet.postgres import Postgres
postgres = Postgres(sys.argv[1])
postgres.listen()
postgres.run("SELECT pg_advisory_lock(1)")
time.sleep(0.5)  # until the kernel has acknowledged the answer
print("held", flush=True)
sys.stdin.read()
"""


def locks(cluster: Cluster) -> int:
    """How many agents PostgreSQL takes for running."""
    asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    return int(cluster.sql("postgres", asked)[0][0])


@pytest.mark.parametrize("is_told_something", [False, True])
def test_the_lock_of_an_agent_that_was_cut_off_does_not_outlive_it_for_long(
    wire, reached, is_told_something
):
    url = reached.database()
    name = url.partition("@/")[2].partition("?")[0]
    over_it = f"postgresql://{ROLE}@{wire.here}/{name}?sslmode=disable"
    command = ["ip", "netns", "exec", wire.name, sys.executable, "-c", _HOLD, over_it]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdout.readline() == b"held\n"
        assert locks(reached) == 1
        wire.cut()
        agent.kill()
        if is_told_something:  # what nobody says that it has arrived
            reached.sql(name, "NOTIFY airoxy")
        assert locks(reached) == 1
        eventually(lambda: not locks(reached))


def test_a_host_that_is_cut_off_serves_on_and_catches_up(wire, reached, install):
    url = reached.database()
    name = url.partition("@/")[2].partition("?")[0]
    over_it = f"postgresql://{ROLE}@{wire.here}/{name}?sslmode=disable"
    host = Host(install(), over_it, "a", first=True)
    airoxy = host.airoxy.start()
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    host.agent = airoxy.execute("fleet", "agent", under=["ip", "netns", "exec", wire.name])
    try:
        eventually(lambda: status(host, key) == 200)
        eventually(lambda: shipped(airoxy))
        wire.cut()
        with airoxy.opened() as db:
            trouble = "SELECT trouble FROM fleet"
            eventually(lambda: status(host, key) == 200 and db.execute(trouble).fetchone()[0])
            # Both ends have given the connection up, without a word from the other.
            eventually(lambda: status(host, key) == 200 and not locks(reached))
            assert not shipped(airoxy)
            wire.mend()
            rows = "SELECT count(*), sum(cost_nanousd) FROM requests"
            eventually(lambda: total(reached, url) == db.execute(rows).fetchone() * 2)
            assert db.execute(rows).fetchone()[0] > 1
    finally:
        host.stop_agent()
