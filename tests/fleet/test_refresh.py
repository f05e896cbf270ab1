"""A refresh token works once, however many hosts want a new one."""

from __future__ import annotations

import time

from airoxy.store.schema import run
from tests.fleet.conftest import eventually
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
    cluster.stop()
    try:
        refused = host.airoxy.run("token", "refresh")
        assert "is not renewed" in refused.stdout + refused.stderr
        assert refreshes(upstream) == 0
    finally:
        cluster.start()


def test_a_lease_of_another_host_is_waited_for_and_never_taken(hosts, cluster, url, upstream):
    a, b = hosts(2)
    settled((a, b))
    expired(a)
    eventually(lambda: has_token(b))
    name = url.partition("@/")[2].partition("?")[0]
    cluster.sql(
        name,
        "INSERT INTO airoxy.leases (token_id, host, since)"
        " SELECT 1, host, now() - interval '9 days' FROM airoxy.hosts WHERE name = 'a'",
    )
    refused = b.airoxy.run("token", "refresh")
    assert "another host" in refused.stdout + refused.stderr
    assert refreshes(upstream) == 0
    # The holder itself may.
    a.airoxy.cli("token", "refresh")
    assert refreshes(upstream) == 1
    assert eventually(lambda: cluster.sql(name, "SELECT count(*) FROM airoxy.leases") == [(0,)])


def test_a_refresh_whose_process_was_killed_before_its_answer_is_tried_by_nobody_else(
    hosts, cluster, url, upstream
):
    a, b = hosts(2)
    settled((a, b))
    expired(a)
    eventually(lambda: has_token(b))
    dead = a.airoxy.begin("version")
    dead.wait(30)
    with a.airoxy.opened() as db:
        run(db, "INSERT INTO fleet_leases VALUES (1, ?, 'held')", (dead.pid,))
        run(db, "UPDATE tokens SET refresh_asked_at = unixepoch()")
    name = url.partition("@/")[2].partition("?")[0]
    cluster.sql(
        name,
        "INSERT INTO airoxy.leases (token_id, host)"
        " SELECT 1, host FROM airoxy.hosts WHERE name = 'a'",
    )
    eventually(lambda: cluster.sql(name, "SELECT interrupted FROM airoxy.leases") == [(True,)])
    b.airoxy.run("token", "refresh")
    assert refreshes(upstream) == 0


def test_the_one_key_of_a_fleet_is_not_changed_by_one_host(hosts):
    (host,) = hosts(1)
    host.airoxy.token("sk-ant-api03-fleet")
    refused = host.airoxy.run("token", "rotate-key")
    assert refused.returncode == 1
    assert "one key" in refused.stderr
    assert host.airoxy.json("token", "list")[0]["is_readable"]
