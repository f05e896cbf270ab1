"""Three hosts of a fleet under load, while agents, workers and PostgreSQL are killed at random."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from airoxy.core.billing.usage import COUNTED
from airoxy.store.fleet.membership import membership
from tests.fake_anthropic import FakeAnthropic
from tests.fleet.conftest import Host, shipped
from tests.fleet.postgresql import Cluster
from tests.program import Airoxy

NAMES = ("a", "b", "c")
BODY = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}
#: Until the fleet must have everything after the last fault (seconds).
PATIENCE = 60
_SUMS = (*COUNTED, "cost_nanousd")


class Client:
    """Asks one host, one request after the other, whatever becomes of them."""

    def __init__(self, host: Host, key: str) -> None:
        self._host, self._key = host, key
        self.outcomes: Counter[int | str] = Counter()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._ends.is_set():
            try:
                answer = self._host.airoxy.request("POST", "/v1/messages", BODY, key=self._key)
                self.outcomes[answer.status] += 1
            except OSError as error:
                self.outcomes[type(error).__name__] += 1

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()


class Faults:
    """What happens to a fleet; each leaves it running."""

    def __init__(self, cluster: Cluster, hosts: list[Host], dice: random.Random) -> None:
        self._cluster, self._hosts, self._dice = cluster, hosts, dice
        self.events: tuple[Callable[[], None], ...] = (
            self.kill_agent, self.kill_agent, self.kill_worker, self.kill_worker,
            self.kill_postgresql, self.crash_postgresql, self.hang_postgresql, self.pause,
        )  # fmt: skip

    def kill_agent(self) -> None:
        host = self._dice.choice(self._hosts)
        host.stop_agent(kill=True)
        host.start_agent()

    def kill_worker(self) -> None:
        process = self._dice.choice(self._hosts).airoxy.process
        assert process
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        with contextlib.suppress(ProcessLookupError, IndexError):  # there may be none just now
            os.kill(int(self._dice.choice(children)), signal.SIGKILL)

    def kill_postgresql(self) -> None:
        self._cluster.stop(signal.SIGKILL)
        self.pause()
        self._cluster.start()

    def crash_postgresql(self) -> None:
        self._cluster.stop(signal.SIGQUIT)
        self._cluster.start()

    def hang_postgresql(self) -> None:
        self._cluster.hang()
        self.pause()
        self._cluster.hang(go_on=True)

    def pause(self) -> None:
        time.sleep(self._dice.uniform(0.1, 1))


def fleet_chaos(directory: Path, seconds: float, seed: int) -> list[str]:
    """What of a fleet's promises was broken in so many seconds."""
    with (
        closing(Cluster()) as cluster,
        FakeAnthropic(remember=100) as fake,
        contextlib.ExitStack() as stack,
    ):
        url, hosts = cluster.database(), list[Host]()
        for name in NAMES:
            airoxy = Airoxy(directory / name, fake.url, workers=2)
            stack.callback(airoxy.kill)
            if hosts:
                key = hosts[0].airoxy.database.with_name("token.key").read_bytes()
                airoxy.database.with_name("token.key").write_bytes(key)
            hosts.append(Host(airoxy, url, name, first=not hosts))
            stack.callback(hosts[-1].stop_agent, kill=True)
        return _run(cluster, url, hosts, seconds, random.Random(seed))


def _run(
    cluster: Cluster, url: str, hosts: list[Host], seconds: float, dice: random.Random
) -> list[str]:
    first = hosts[0].airoxy
    first.token("sk-ant-api-test-one")
    client_key = first.key()
    for host in hosts:
        host.airoxy.start()
        host.start_agent()
    _wait(lambda: all(_has_key(host) for host in hosts))
    clients = [Client(host, client_key) for host in hosts]
    faults, done = Faults(cluster, hosts, dice), Counter[str]()
    end, drawn = time.monotonic() + seconds, list[Callable[[], None]]()
    try:
        while time.monotonic() < end:
            # Everything comes before something comes again.
            drawn = drawn or dice.sample(faults.events, len(faults.events))
            event = drawn.pop()
            event()
            done[event.__name__] += 1
            faults.pause()
    finally:
        for client in clients:
            client.stop()
    print(f"faults {dict(done)}")
    for host, client in zip(hosts, clients, strict=True):
        print(f"{host.name}: {dict(client.outcomes)}")
        host.airoxy.stop()  # which writes what is still to be written
    found = [] if _wait(lambda: all(shipped(host.airoxy) for host in hosts)) else ["rows wait"]
    for host, client in zip(hosts, clients, strict=True):
        found += differences(cluster, url, host, client.outcomes[200])
    return found


def _has_key(host: Host) -> bool:
    with host.airoxy.opened() as db:
        return bool(db.execute("SELECT count(*) FROM api_keys JOIN tokens").fetchone()[0])


def _wait(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def differences(cluster: Cluster, url: str, host: Host, answered: int) -> list[str]:
    """Between the rows here and there, and the sums here and there; and the answers, each of which
    has a row."""
    with host.airoxy.opened() as db:
        member = membership(db)
        assert member
        sums = ", ".join(f"ifnull(sum({name}), 0)" for name in _SUMS)
        rows = db.execute(f"SELECT count(*), ifnull(sum(id), 0), {sums} FROM requests").fetchone()
        days = db.execute(f"SELECT ifnull(sum(requests), 0), {sums} FROM daily").fetchone()
    name = url.partition("@/")[2].partition("?")[0]
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _SUMS)
    of_host = " WHERE host = %s"
    [their_rows] = cluster.sql(
        name,
        f"SELECT count(*), coalesce(sum(id), 0)::bigint, {sums} FROM airoxy.requests{of_host}",
        (member.host,),
    )
    [their_days] = cluster.sql(
        name,
        f"SELECT coalesce(sum(requests), 0)::bigint, {sums} FROM airoxy.daily{of_host}",
        (member.host,),
    )
    found = []
    if rows != their_rows:
        found.append(f"{host.name}: {rows} in its rows, {their_rows} in the fleet's")
    if not days == their_days == (rows[0], *rows[2:]):
        found.append(f"{host.name}: {days} in its sums, {their_days} in the fleet's, {rows}")
    if not 0 < answered <= rows[0]:
        found.append(f"{host.name}: {answered} answers and {rows[0]} rows")
    return found
