"""The agent, as a process beside airoxy."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from airoxy.store.schema import run, transaction
from airoxy.store.usage import requests
from airoxy.views.json_documents import document_of
from tests.cli.printed import unlike
from tests.fleet.conftest import eventually, shipped
from tests.fleet.test_ship import row


def total(cluster, url):
    name = url.partition("@/")[2].partition("?")[0]
    return cluster.sql(
        name,
        "SELECT count(*), sum(cost_nanousd)::bigint,"
        " (SELECT sum(requests)::bigint FROM airoxy.daily),"
        " (SELECT sum(cost_nanousd)::bigint FROM airoxy.daily) FROM airoxy.requests",
    )[0]


def append(airoxy, *costs):
    with airoxy.opened() as db, transaction(db):
        requests.append(db, [row(time.time(), cost) for cost in costs])


def test_a_request_is_in_the_fleet_soon_and_its_host_in_the_status(hosts, upstream, cluster, url):
    (host,) = hosts(1, servers=True)
    key = host.airoxy.key()
    host.airoxy.token("sk-ant-api03-fleet")
    body = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}
    assert host.airoxy.request("POST", "/v1/messages", body, key=key).status == 200
    host.airoxy.wait_logs(1)
    eventually(lambda: shipped(host.airoxy))
    count, cost, *sums = total(cluster, url)
    assert (count, cost) == (1, sums[1])
    assert count == sums[0]
    status = host.airoxy.json("fleet", "status")
    assert [each["name"] for each in status["hosts"]] == ["a"]
    assert unlike(document_of("fleet status"), status) == set()
    assert status["here"]["rows_waiting"] == 0
    assert status["here"]["trouble"] is None


def test_a_host_on_which_nothing_happens_is_seen_all_the_same(hosts, cluster, url):
    (host,) = hosts(1)
    name = url.partition("@/")[2].partition("?")[0]
    eventually(lambda: host.airoxy.json("fleet", "status")["here"]["contact_at"])
    cluster.sql(name, "UPDATE airoxy.hosts SET seen_at = now() - interval '1 hour', waiting = 7")
    cluster.sql(name, "NOTIFY airoxy")
    seen = "SELECT seen_at > now() - interval '1 minute', waiting FROM airoxy.hosts"
    eventually(lambda: cluster.sql(name, seen) == [(True, 0)])


def test_rows_wait_while_postgresql_is_away_and_arrive_once(hosts, cluster, url):
    a, b = hosts(2)
    append(a.airoxy, 1, 2)
    eventually(lambda: shipped(a.airoxy))
    cluster.stop()
    append(a.airoxy, 4)
    append(b.airoxy, 8)
    assert "cannot be used" in a.airoxy.run("fleet", "status").stdout
    cluster.start()
    eventually(lambda: shipped(a.airoxy) and shipped(b.airoxy))
    assert total(cluster, url) == (4, 15, 4, 15)


def test_agents_that_are_killed_and_a_postgresql_that_crashes_lose_and_double_nothing(
    hosts, cluster, url
):
    found = hosts(2)
    for n in range(6):
        for host in found:
            append(host.airoxy, n + 1, 10)
            host.stop_agent(kill=True)
            host.start_agent()
        if n % 2:
            cluster.stop(signal.SIGKILL)
            cluster.start()
    for host in found:
        eventually(lambda host=host: shipped(host.airoxy))
    assert total(cluster, url) == (24, 2 * (21 + 60), 24, 2 * (21 + 60))


def test_a_second_agent_of_a_host_waits(hosts):
    (host,) = hosts(1)
    append(host.airoxy, 1)
    eventually(lambda: shipped(host.airoxy))
    second = host.airoxy.begin("fleet", "agent")
    with host.airoxy.opened() as db:
        eventually(lambda: "Another agent" in (run(db, "SELECT trouble FROM fleet")[0][0] or ""))
    host.stop_agent(kill=True)
    append(host.airoxy, 1)
    eventually(lambda: shipped(host.airoxy))
    second.terminate()
    assert second.wait(60) == 0


def test_a_trouble_that_ended_while_no_agent_ran_is_told_no_longer(hosts, cluster):
    (host,) = hosts(1)
    with host.airoxy.opened() as db:

        def trouble():
            return run(db, "SELECT trouble FROM fleet")[0][0]

        eventually(lambda: run(db, "SELECT contact_at FROM fleet")[0][0])
        cluster.stop()
        try:
            eventually(trouble)
            host.stop_agent(kill=True)
        finally:
            cluster.start()
        host.start_agent()
        eventually(lambda: not trouble())


def test_leaving_gives_everything_and_coming_back_counts_nothing_twice(hosts, cluster, url):
    a, b = hosts(2)
    append(a.airoxy, 1)
    append(b.airoxy, 2)
    eventually(lambda: shipped(a.airoxy))
    left = b.airoxy.json("fleet", "leave")
    assert unlike(document_of("fleet leave"), left) == set()
    assert left["trouble"] is None
    assert b.agent.wait(60) == 0
    assert total(cluster, url) == (2, 3, 2, 3)
    append(b.airoxy, 4)
    b.join()
    b.start_agent()
    for host in (a, b):
        eventually(lambda host=host: shipped(host.airoxy))
    assert total(cluster, url) == (3, 7, 3, 7)


def test_the_agent_ends_at_once_when_it_is_told_to_and_has_given_everything(hosts, cluster, url):
    (host,) = hosts(1)
    append(host.airoxy, 1)
    eventually(lambda: shipped(host.airoxy))
    append(host.airoxy, 2)
    host.agent.terminate()
    assert host.agent.wait(60) == 0
    assert total(cluster, url) == (2, 3, 2, 3)


def test_who_cannot_reach_postgresql_leaves_by_force(hosts, cluster):
    (host,) = hosts(1, agents=False)
    cluster.stop()
    try:
        refused = host.airoxy.run("fleet", "leave")
        assert refused.returncode == 1
        assert "--force" in refused.stderr
        host.airoxy.cli("fleet", "leave", "--force")
    finally:
        cluster.start()
    assert "is in no fleet" in host.airoxy.run("fleet", "status").stderr


def test_a_forgotten_host_serves_on_and_gives_nothing(hosts, cluster, url):
    a, b = hosts(2)
    forgotten = a.airoxy.json("fleet", "forget", "b")
    assert unlike(document_of("fleet forget"), forgotten) == set()
    b.stop_agent()
    append(b.airoxy, 5)
    b.start_agent()
    with b.airoxy.opened() as db:
        eventually(lambda: "--anew" in (run(db, "SELECT trouble FROM fleet")[0][0] or ""))
    assert total(cluster, url)[0] == 0


def test_no_process_of_the_server_loads_a_driver(hosts):
    (host,) = hosts(1, servers=True)
    with host.airoxy.opened() as db:
        eventually(lambda: run(db, "SELECT contact_at FROM fleet")[0][0])
    server = host.airoxy.process.pid
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert children
    for pid in (server, *children):
        assert "libpq" not in Path(f"/proc/{pid}/maps").read_text()
    assert "libpq" in Path(f"/proc/{host.agent.pid}/maps").read_text()


def test_what_is_wrong_with_a_url_is_said(install):
    airoxy = install()
    for url, complaint in (
        ("mysql://x/y", "postgresql://"),
        ("postgresql://u:secret@h/d", "password"),
        ("postgresql://u@/d?host=/nowhere", "cannot be used"),
    ):
        told = airoxy.run("fleet", "join", url, "--first")
        assert told.returncode
        assert complaint in told.stderr
        assert "secret" not in told.stderr


def test_a_fleet_needs_a_first_host_and_only_one(install, url):
    a, b = install(), install()
    assert "--first" in a.run("fleet", "join", url, "--name", "a").stderr
    a.cli("fleet", "join", url, "--name", "a", "--first")
    assert "already" in b.run("fleet", "join", url, "--name", "b", "--first").stderr
    assert "another key" in b.run("fleet", "join", url, "--name", "b").stderr
    key = a.database.with_name("token.key")
    b.token("sk-ant-api03-own")
    b.cli("fleet", "join", url, "--name", "b", "--token-key", str(key))
    assert b.database.with_name("token.key").read_text() == key.read_text()
    assert b.json("token", "list")[0]["is_readable"]
