"""What monitors and operators are told of a fleet."""

from __future__ import annotations

import datetime
import json
import time
from types import SimpleNamespace

from airoxy.cli.system.health import HealthAnswer
from airoxy.cli.system.status import Status, UnitState
from airoxy.console.pages.records import show_health
from airoxy.console.templates import render
from airoxy.store.fleet.hosts import fleet_hosts
from airoxy.store.schema import run
from tests.fleet.conftest import eventually
from tests.fleet.test_limits import fleet_of
from tests.fleet.test_sharing import settled


def seen(host):
    """The hosts that it knows of, by name, with how many rows they have waiting."""
    with host.airoxy.opened() as db:
        return {each.name: each.waiting for each in fleet_hosts(db)}


def doctor(host):
    found = json.loads(host.airoxy.run("doctor", "--json").stdout)
    return [each for each in found if each["check"] == "fleet"]


def test_doctor_and_metrics_tell_who_may_use_what_of_a_limit(hosts, cluster, url):
    (a, b), _ = fleet_of(hosts, 2, "--spend-per-day", "0.5", "--requests-per-minute", "60")
    metrics = a.airoxy.request("GET", "/metrics").body.decode()
    for limit in ("spend_per_day", "requests_per_minute"):
        line = f'airoxy_fleet_share_ratio{{group="",key="laptop",limit="{limit}",token=""}} 0.5'
        assert line in metrics
    (well, divided) = doctor(a)
    assert well["state"] == divided["state"] == "ok"
    assert "This host is a, one of 2 hosts; 0 rows wait; last contact" in well["text"]
    assert "laptop requests_per_minute a 30, b 30" in divided["text"]
    assert "laptop spend_per_day a $0.2500, b $0.2500" in divided["text"]
    b.stop_agent()
    name = url.partition("@/")[2].partition("?")[0]
    old = "UPDATE airoxy.hosts SET seen_at = now() - interval '3 hours' WHERE name = 'b'"
    cluster.sql(name, old)
    (_, gone, _) = doctor(a)
    assert gone["state"] == "warn"
    assert gone["text"] == "b was last there 3h ago, and keeps its shares of 2 limits."
    assert "fleet forget b" in gone["remedy"]


def test_a_host_knows_the_others_also_while_postgresql_is_away(hosts, cluster):
    a, b = hosts(2)
    settled((a, b))
    eventually(lambda: seen(a) == seen(b) == {"a": 0, "b": 0})
    cluster.stop()
    try:
        with a.airoxy.opened() as db:
            eventually(lambda: run(db, "SELECT trouble FROM fleet")[0][0])
        assert seen(a) == {"a": 0, "b": 0}
    finally:
        cluster.start()
    b.airoxy.cli("fleet", "leave")
    eventually(lambda: seen(a) == {"a": 0})
    assert seen(b) == {}


def test_the_status_shows_the_agents_unit_and_how_far_the_fleet_is_behind():
    unit = UnitState("airoxy-fleet.service", "active", "running", "enabled", 1.0)
    body = {"status": "ok", "fleet": {"host": "a", "hosts": 3, "rows_waiting": 1200,
            "seconds_since_contact": 65.0, "trouble": "It is cut off."}}  # fmt: skip
    status = Status(unit, [], unit, 1, "", HealthAnswer("http://x", 200, body), unit, [])
    last = list(status.rows(2.0))[-1]
    assert last == (
        "airoxy-fleet.service", "active (running)", "enabled",
        "a, one of 3 hosts; 1,200 rows wait; last contact 1m 5s ago. It is cut off.",
    )  # fmt: skip
    assert status.document()["fleet"]["unit"] == "airoxy-fleet.service"


def test_the_consoles_page_of_health_shows_the_hosts(hosts):
    a, b = hosts(2)
    settled((a, b))
    eventually(lambda: seen(a).keys() == {"a", "b"})
    with a.airoxy.opened() as db:
        page = page_of_health(db)
    assert "The fleet" in page
    assert "<dt>this host<dd>a" in page
    assert "<dt>rows waiting<dd>0" in page
    assert "<tr><td>b<td>" in page


def page_of_health(db):
    services = SimpleNamespace(
        ask_health=lambda: (200, {"status": "ok", "fleet": {"hosts": 2}}),
        checkup=SimpleNamespace(look=lambda *_: SimpleNamespace(looking=True, at=None, found=[])),
        examine=None, clock=None,
    )  # fmt: skip
    shown = show_health(SimpleNamespace(services=services, db=db, now=time.time()))
    return render(
        "health.html", {"visitor": None, "zone": datetime.UTC, "now": time.time(), **shown.values}
    )


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
