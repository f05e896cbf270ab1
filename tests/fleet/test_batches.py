"""The results of a batch are paid once, whichever host they are fetched from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from airoxy.store.resources import counted_results
from airoxy.store.schema import run
from tests.fleet.conftest import Host, eventually, shipped
from tests.fleet.test_agent import total
from tests.fleet.test_sharing import settled
from tests.server.limits.asking import COST, OPUS

#: Half of what the four requests of the batch would cost one by one.
ONCE = 2 * COST


def spent(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT ifnull(sum(cost_nanousd), 0) FROM requests")[0][0]


def summed(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT ifnull(sum(cost_nanousd), 0) FROM daily")[0][0]


def counted(host, batch_id):
    with host.airoxy.opened() as db:
        return counted_results(db, batch_id)


@pytest.fixture
def batch(hosts, upstream):
    """Three hosts, a key that all of them know, and the path of the results of its batch."""
    found = hosts(3, servers=True)
    settled(found)
    a = found[0].airoxy
    a.token("sk-ant-api03-shared")
    key = a.key("laptop")
    for host in found:
        with host.airoxy.opened() as db:
            eventually(lambda db=db: run(db, "SELECT 1 FROM api_keys, tokens"))
    asked = {"model": OPUS, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]}
    requests = {"requests": [{"custom_id": str(n), "params": asked} for n in range(4)]}
    made = a.request("POST", "/v1/messages/batches", requests, key=key).json()["id"]
    return Batch(found, key, made)


class Batch(NamedTuple):
    hosts: list[Host]
    key: str
    id: str

    def fetch(self, host: Host) -> None:
        path = f"/v1/messages/batches/{self.id}/results"
        assert host.airoxy.request("GET", path, key=self.key).status == 200

    def fetch_everywhere(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.fetch, self.hosts))
        self.await_logs()

    def await_logs(self) -> None:
        """Each has fetched once, and the first has made the batch."""
        for rows, host in zip((2, 1, 1), self.hosts, strict=True):
            host.airoxy.wait_logs(rows)


def test_results_that_all_hosts_fetch_one_after_the_other_are_counted_once(batch):
    for host in batch.hosts:
        batch.fetch(host)
        for other in batch.hosts:
            eventually(lambda other=other: counted(other, batch.id) == 4)
    batch.await_logs()
    assert sum(map(spent, batch.hosts)) == ONCE


def test_results_that_all_hosts_fetch_at_the_same_moment_are_counted_once(batch, cluster, url):
    batch.fetch_everywhere()
    for host in batch.hosts:
        eventually(lambda host=host: shipped(host.airoxy))
    assert sum(map(spent, batch.hosts)) == ONCE
    # Rows and sums, here and there. One request more has made the batch.
    assert sum(map(summed, batch.hosts)) == ONCE
    assert total(cluster, url) == (4, ONCE, 4, ONCE)
    assert [counted(host, batch.id) for host in batch.hosts] == [4, 4, 4]


def test_results_that_were_fetched_while_postgresql_was_away_are_counted_once_in_the_end(
    batch, cluster, url
):
    cluster.stop()
    batch.fetch_everywhere()
    # Until the fleet has decided each of them counts for the limits of its host.
    assert [spent(host) for host in batch.hosts] == [ONCE] * 3
    batch.hosts[0].stop_agent(kill=True)
    cluster.start()
    batch.hosts[0].start_agent()
    for host in batch.hosts:
        eventually(lambda host=host: shipped(host.airoxy))
    assert sum(map(spent, batch.hosts)) == ONCE
    assert sum(map(summed, batch.hosts)) == ONCE
    assert total(cluster, url) == (4, ONCE, 4, ONCE)
    assert batch.hosts[1].airoxy.json("stats")["cost_nanousd"] == ONCE


def told(host, name):
    """The sum of what `/metrics` has of this name."""
    text = host.airoxy.request("GET", "/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_metrics_have_a_batch_once_and_never_too_much_of_it(batch, cluster):
    cluster.stop()
    batch.fetch_everywhere()
    # It is not decided yet, and a counter cannot take anything back.
    assert [told(host, "airoxy_cost_dollars_total") for host in batch.hosts] == [0.0] * 3
    cluster.start()
    for host in batch.hosts:
        eventually(lambda host=host: shipped(host.airoxy))
    # Each server takes the decision in its own time; one request more has made the batch.
    eventually(lambda: sum(told(host, "airoxy_requests_total") for host in batch.hosts) == 4)
    costs = [told(host, "airoxy_cost_dollars_total") for host in batch.hosts]
    assert sorted(costs) == [0.0, 0.0, ONCE / 10**9]


def test_a_token_that_has_reached_its_limit_by_anothers_batch_serves_again(batch, cluster):
    # Each host has less than the cost of the batch; once it counts once, more than that is left.
    limit = f"{2.4 * ONCE / 10**9:.6f}"
    batch.hosts[0].airoxy.cli("token", "set", "1", "--spend-per-day", limit)
    for host in batch.hosts:
        eventually(
            lambda host=host: host.airoxy.json("token", "show", "1")["spend_per_day_nanousd"]
        )
    cluster.stop()
    batch.fetch_everywhere()
    body = {"model": OPUS, "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}

    def serves(host):
        return host.airoxy.request("POST", "/v1/messages", body, key=batch.key).status == 200

    assert [serves(host) for host in batch.hosts] == [False] * 3
    cluster.start()
    for host in batch.hosts:
        eventually(lambda host=host: shipped(host.airoxy))
    lost = [host for host in batch.hosts if spent(host) == 0]
    assert len(lost) == 2
    for host in lost:
        eventually(lambda host=host: serves(host))
