"""The results of a batch are paid once, whichever host they are fetched from."""

from __future__ import annotations

from airoxy.store.resources import counted_results
from airoxy.store.schema import run
from tests.fleet.conftest import eventually
from tests.fleet.test_sharing import settled
from tests.server.limits.asking import COST, OPUS


def spent(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT ifnull(sum(cost_nanousd), 0) FROM requests")[0][0]


def counted(host, batch_id):
    with host.airoxy.opened() as db:
        return counted_results(db, batch_id)


def test_results_that_all_hosts_fetch_one_after_the_other_are_counted_once(hosts, upstream):
    found = hosts(3, servers=True)
    settled(found)
    a = found[0].airoxy
    a.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    key = a.json("api-key", "add", "laptop")["key"]
    for host in found:
        eventually(lambda host=host: len(host.airoxy.json("api-key", "list")) == 1)
    asked = {"model": OPUS, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]}
    batch = {"requests": [{"custom_id": str(n), "params": asked} for n in range(4)]}
    made = a.request("POST", "/v1/messages/batches", batch, key=key).json()["id"]
    for host in found:
        path = f"/v1/messages/batches/{made}/results"
        assert host.airoxy.request("GET", path, key=key).status == 200
        for other in found:
            eventually(lambda other=other: counted(other, made) == 4)
    for host in found:
        host.airoxy.wait_logs(1)
    # Half of what the same would cost one by one.
    assert sum(map(spent, found)) == 2 * COST
