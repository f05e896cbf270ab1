"""A fleet's hosts are upgraded one after the other, while all of them serve."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from airoxy.fleet.schema import STEPS
from airoxy.store.fleet.membership import membership
from tests.fleet.conftest import eventually, shipped
from tests.fleet.test_sharing import settled, status
from tests.program import PYTHON, ROOT, environment

NEWER = Path(__file__).with_name("newer.py")


def newer(host, *words):
    """The command of a newer airoxy."""
    return [PYTHON, NEWER, "--config", host.airoxy.config, *words]


def upgrade(host):
    """Its agent is the newer one's from now on; an upgrade restarts it."""
    host.stop_agent()
    host.agent = subprocess.Popen(
        newer(host, "fleet", "agent"), cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL
    )


def trouble(host):
    with host.airoxy.opened() as db:
        return membership(db).trouble or ""


def own_sums(host):
    with host.airoxy.opened() as db:
        rows = "SELECT count(*), sum(id), sum(cost_nanousd) FROM requests"
        sums = "SELECT sum(requests), sum(cost_nanousd) FROM daily"
        return (*db.execute(rows).fetchone(), *db.execute(sums).fetchone())


def test_an_older_host_serves_on_and_ships_what_waited_when_it_is_upgraded(
    hosts, upstream, cluster, url
):
    older, first = hosts(2, servers=True)
    settled((older, first))
    name = url.partition("@/")[2].partition("?")[0]
    key = older.airoxy.json("api-key", "add", "laptop")["key"]
    older.airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    for host in (older, first):
        eventually(lambda host=host: status(host, key) == 200)
    eventually(lambda: shipped(older.airoxy))

    upgrade(first)
    version = "SELECT schema FROM airoxy.fleet"
    eventually(lambda: cluster.sql(name, version) == [(len(STEPS) + 1,)])
    for _ in range(5):
        assert status(older, key) == 200
        assert status(first, key) == 200
    # Without being started anew, and with rows that wait.
    eventually(lambda: "newer airoxy" in trouble(older))
    older.airoxy.wait_logs(6)
    first.airoxy.wait_logs(6)
    eventually(lambda: shipped(first.airoxy))
    assert not shipped(older.airoxy)
    assert older.airoxy.json("fleet", "status")["here"]["rows_waiting"] > 0
    refused = older.airoxy.run("api-key", "disable", "laptop")
    assert refused.returncode == 1
    assert "Nothing has been changed" in refused.stderr
    assert "newer airoxy" in refused.stderr
    health = older.airoxy.request("GET", "/health")
    assert health.status == 200
    assert "newer airoxy" in health.json()["fleet"]["trouble"]
    done = subprocess.run(
        newer(first, "api-key", "add", "phone", "--json"), cwd=ROOT, env=environment(),
        check=True, capture_output=True,
    )  # fmt: skip
    phone = json.loads(done.stdout)["key"]
    assert status(first, phone) == 200
    assert status(older, phone) == 401

    upgrade(older)
    eventually(lambda: status(older, phone) == 200)
    for host in (older, first):
        eventually(lambda host=host: shipped(host.airoxy))
        with host.airoxy.opened() as db:
            mine = membership(db).host
        eventually(lambda host=host, mine=mine: theirs(cluster, name, mine) == own_sums(host))
    assert trouble(older) == ""


def theirs(cluster, name, host):
    """The same of what PostgreSQL has."""
    return cluster.sql(
        name,
        "SELECT count(*), sum(id)::bigint, sum(cost_nanousd)::bigint,"
        " (SELECT sum(requests)::bigint FROM airoxy.daily WHERE host = %s),"
        " (SELECT sum(cost_nanousd)::bigint FROM airoxy.daily WHERE host = %s)"
        " FROM airoxy.requests WHERE host = %s",
        (host, host, host),
    )[0]
