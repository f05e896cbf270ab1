"""The usage of all hosts, told on each of them."""

from __future__ import annotations

from tests.fleet.conftest import eventually, shipped
from tests.fleet.test_agent import append
from tests.fleet.test_sharing import settled


def test_stats_tell_of_all_hosts_of_one_alone_and_say_when_they_could_see_no_other(hosts, cluster):
    a, b = hosts(2)
    settled((a, b))
    append(a.airoxy, 10**9)
    append(b.airoxy, 2 * 10**9, 4 * 10**9)
    for host in (a, b):
        eventually(lambda host=host: shipped(host.airoxy))
    for host in (a, b):
        assert host.airoxy.json("stats")["cost_nanousd"] == 7 * 10**9
        assert host.airoxy.json("stats", "--by", "model")[0]["requests"] == 3
    assert a.airoxy.json("stats", "--here")["cost_nanousd"] == 10**9
    assert "7.00" in a.airoxy.cli("stats", "--report", "month")
    cluster.stop()
    try:
        alone = a.airoxy.run("stats", "--json")
        assert alone.returncode == 0
        assert "this host only" in alone.stderr
        assert '"cost_nanousd": 1000000000' in alone.stdout
    finally:
        cluster.start()


def test_a_host_alone_tells_of_itself_without_a_word(airoxy):
    told = airoxy.run("stats")
    assert told.stderr == ""
