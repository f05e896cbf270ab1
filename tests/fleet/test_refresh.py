"""A refresh token works once, however many hosts want a new one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import closing

import pytest

from airoxy.fleet import leases, sync
from airoxy.store.fleet import leases as fleet_leases
from airoxy.store.schema import run
from airoxy.store.tokens import add_token
from tests.fake_anthropic.api import OAUTH_PATH
from tests.fleet.conftest import eventually
from tests.fleet.pair import Pair
from tests.fleet.test_sharing import settled


def expired(host) -> None:
    """An OAuth token that has to be renewed."""
    host.airoxy.token("sk-ant-oat01-one", "sk-ant-ort01-one", name="login")
    with host.airoxy.opened() as db:
        run(db, "UPDATE tokens SET expires_at = ?", (int(time.time()) - 10,))


def has_token(host):
    with host.airoxy.opened() as db:
        rows = run(db, "SELECT expires_at < unixepoch() FROM tokens")
    return bool(rows and rows[0][0])


def refreshes(upstream):
    return sum(b"/v1/oauth/token" in each.head for each in upstream.requests)


def secrets(found):
    read = []
    for host in found:
        with host.airoxy.opened() as db:
            read.append(run(db, "SELECT unseal(token), unseal(refresh_token) FROM tokens"))
    return read


def test_three_hosts_that_want_one_token_renewed_make_one_call(hosts, upstream):
    found = hosts(3)
    settled(found)
    expired(found[0])
    for host in found:
        eventually(lambda host=host: has_token(host))
    running = [host.airoxy.begin("job", "refresh-tokens") for host in found]
    for process in running:
        process.wait(60)
    assert refreshes(upstream) == 1

    def same():
        first, *others = secrets(found)
        return all(other == first for other in others)

    eventually(same)
    assert secrets(found)[0][0][0] != "sk-ant-oat01-one"


def test_without_postgresql_nobody_refreshes(hosts, cluster, upstream):
    (host,) = hosts(1)
    settled((host,))
    expired(host)
    with host.airoxy.opened() as db:  # as a refresh that was interrupted on another host leaves it
        run(db, "UPDATE tokens SET refresh_asked_at = 1")
    cluster.stop()
    try:
        refused = host.airoxy.run("token", "refresh")
        assert "is not renewed" in refused.stdout + refused.stderr
        assert refreshes(upstream) == 0
        with host.airoxy.opened() as db:
            assert run(db, "SELECT refresh_asked_at FROM tokens") == [(1,)]
    finally:
        cluster.start()


@pytest.fixture
def pair(tmp_path, url):
    """Two hosts without agents, and the token 1 on both."""
    with closing(Pair(tmp_path, url, requests_per_minute=1)) as pair:
        add_token(
            pair.dbs[0], name="login", type="oauth", token="sk-ant-oat01-one",
            refresh_token="sk-ant-ort01-one", expires_at=1, now=time.time(),
        )  # fmt: skip
        sync.push(pair.dbs[0], pair.connections[0])
        for each in zip(pair.dbs, pair.connections, strict=True):
            sync.pull_all(*each)
        yield pair


def wants(pair, host, process):
    """Whether this process of the host gets the lease."""
    fleet_leases.want(pair.dbs[host], 1, process)
    return serve(pair, host, process)


def serve(pair, host, process):
    """Whether the process has it after a look of the agent's."""
    leases.serve(pair.dbs[host], pair.connections[host])
    return fleet_leases.is_held(pair.dbs[host], 1, process)


def test_a_lease_is_its_holders_until_he_gives_it_back_however_long_that_takes(pair):
    process = os.getpid()
    assert wants(pair, 0, process)
    assert not wants(pair, 1, process)
    pair.connections[0].run("UPDATE airoxy.leases SET since = now() - interval '9 days'")
    assert not serve(pair, 1, process)
    # The holder itself may try again.
    assert wants(pair, 0, process)
    fleet_leases.withdraw(pair.dbs[0], 1, process)
    assert not serve(pair, 0, process)
    assert serve(pair, 1, process)


def test_a_refresh_whose_process_was_killed_before_its_answer_is_tried_by_nobody_else(pair):
    with subprocess.Popen(["true"]) as dead:
        pass
    assert wants(pair, 0, dead.pid)
    run(pair.dbs[0], "UPDATE tokens SET refresh_asked_at = unixepoch()")
    serve(pair, 0, dead.pid)
    assert pair.connections[0].run("SELECT interrupted FROM airoxy.leases") == [(True,)]
    assert not wants(pair, 1, os.getpid())


def test_a_refresh_whose_process_was_killed_before_it_asked_is_anybodys(pair):
    with subprocess.Popen(["true"]) as dead:
        pass
    assert wants(pair, 0, dead.pid)
    serve(pair, 0, dead.pid)  # which finds it dead
    serve(pair, 0, dead.pid)
    assert wants(pair, 1, os.getpid())


def test_when_the_refreshing_process_is_killed_nobody_tries_again_and_doctor_says_so(
    hosts, upstream
):
    """Between Anthropic's answer and the database, as far as anybody can know."""
    a, b = hosts(2)
    settled((a, b))
    expired(a)
    with a.airoxy.opened() as db:  # it still serves, but is due
        run(db, "UPDATE tokens SET expires_at = ?", (int(time.time()) + 600,))
    eventually(lambda: b.airoxy.json("token", "list"))
    hold = upstream.script(path=OAUTH_PATH).hold()
    holder = a.airoxy.begin("token", "refresh")
    hold.wait_arrived(timeout=60)
    holder.kill()
    holder.wait()
    for host in (b, a, b):
        assert host.airoxy.run("token", "refresh").returncode != 0
    assert refreshes(upstream) == 1
    told = json.loads(a.airoxy.run("doctor", "--json").stdout)
    assert any("was interrupted" in each["text"] for each in told)


def test_the_one_key_of_a_fleet_is_not_changed_by_one_host(hosts):
    (host,) = hosts(1)
    host.airoxy.token("sk-ant-api03-fleet")
    refused = host.airoxy.run("token", "rotate-key")
    assert refused.returncode == 1
    assert "one key" in refused.stderr
    assert host.airoxy.json("token", "list")[0]["is_readable"]
