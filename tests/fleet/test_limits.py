"""The limits of a fleet: each host holds its share."""

from __future__ import annotations

from airoxy.store.schema import run
from tests.fleet.conftest import eventually
from tests.fleet.test_sharing import settled, status


def hosts_of(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT hosts FROM fleet")[0][0]


def test_hosts_together_let_in_what_the_limit_says_and_one_alone_all_of_it(hosts, upstream):
    a, b = hosts(2, servers=True)
    settled((a, b))
    eventually(lambda: hosts_of(a) == hosts_of(b) == 2)
    a.airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    key = a.airoxy.json("api-key", "add", "laptop", "--requests-per-minute", "4")["key"]
    eventually(lambda: len(b.airoxy.json("api-key", "list")) == 1)
    told = [[status(host, key) for _ in range(4)] for host in (a, b)]
    assert told == [[200, 200, 429, 429]] * 2
    refused = a.airoxy.request("POST", "/v1/messages", {}, key=key)
    assert "On this one of 2 hosts, this API key" in refused.json()["error"]["message"]
    b.airoxy.cli("fleet", "leave")
    eventually(lambda: hosts_of(a) == 1)
    assert [status(a, key) for _ in range(3)] == [200, 200, 429]


def test_health_and_doctor_say_how_far_the_fleet_is_behind(hosts, cluster, upstream):
    (host,) = hosts(1, servers=True)
    settled((host,))
    body = host.airoxy.request("GET", "/health").json()
    assert body["fleet"]["hosts"] == 1
    assert body["fleet"]["rows_waiting"] == 0
    cluster.stop()
    try:
        with host.airoxy.opened() as db:
            eventually(lambda: run(db, "SELECT trouble FROM fleet")[0][0])
        host.airoxy.token("sk-ant-api03-fleet")
        health = host.airoxy.request("GET", "/health")
        assert health.status == 200
        assert "cannot be used" in health.json()["fleet"]["trouble"]
        metrics = host.airoxy.request("GET", "/metrics").body.decode()
        assert "airoxy_fleet_hosts 1.0" in metrics
        assert "airoxy_fleet_rows_waiting 0.0" in metrics
        assert "airoxy_fleet_seconds_since_contact" in metrics
        found = host.airoxy.run("doctor", "--json").stdout
        assert '"check": "fleet"' in found
    finally:
        cluster.start()


def test_a_host_alone_says_nothing_of_a_fleet(airoxy):
    assert "fleet" not in airoxy.request("GET", "/health").json()
    assert b"fleet" not in airoxy.request("GET", "/metrics").body
    assert '"check": "fleet"' not in airoxy.run("doctor", "--json").stdout
