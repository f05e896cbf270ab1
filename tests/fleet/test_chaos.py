"""The chaos of a fleet, shortened, and whether it would notice."""

from __future__ import annotations

import os

from tests.chaos.fleet import differences, fleet_chaos
from tests.fleet.conftest import eventually, shipped
from tests.fleet.test_agent import append

SECONDS = float(os.environ.get("CHAOS_SECONDS", "10"))
#: `make chaos` draws other faults each time; see tests/chaos/test_chaos.py.
SEED = int(os.environ.get("CHAOS_SEED", "1"))


def test_whatever_is_killed_the_fleet_has_what_its_hosts_have(tmp_path):
    assert fleet_chaos(tmp_path, SECONDS, SEED) == []


def test_a_row_a_sum_or_an_answer_that_is_missing_would_be_noticed(hosts, cluster, url):
    (host,) = hosts(1)
    name = url.partition("@/")[2].partition("?")[0]
    append(host.airoxy, 5, 7)
    eventually(lambda: shipped(host.airoxy))
    host.stop_agent()
    assert differences(cluster, url, host, 2) == []
    assert len(differences(cluster, url, host, 3)) == 1
    cluster.sql(name, "UPDATE airoxy.daily SET cost_nanousd = cost_nanousd + 1")
    assert len(differences(cluster, url, host, 2)) == 1
    cluster.sql(name, "DELETE FROM airoxy.requests WHERE id = 2")
    assert len(differences(cluster, url, host, 2)) == 2
