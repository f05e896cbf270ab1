"""The limits of upstream tokens, divided among the hosts of a fleet."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from airoxy.store.fleet.shares import DividedLimit
from airoxy.views.formats import dollars
from tests.fleet.conftest import eventually
from tests.fleet.pair import Pair
from tests.fleet.test_divide import (
    COST,
    DOLLAR,
    ask,
    served_while_postgresql_dies,
    shares_here,
    spent,
)
from tests.fleet.test_limits import hosts_of
from tests.fleet.test_sharing import settled, status


def fleet_of(hosts, upstream, count, *limits):
    """Hosts that serve with one token, which has these limits, and a key without any."""
    upstream.set_usage(output_tokens=250)
    found = hosts(count, servers=True)
    settled(found)
    eventually(lambda: {hosts_of(host) for host in found} == {count})
    airoxy = found[0].airoxy
    airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    airoxy.cli("token", "set", "work", *limits)
    key = airoxy.json("api-key", "add", "laptop")["key"]
    for host in found:
        eventually(lambda host=host: shares_here(host) and status(host, key) != 401)
    return found, key


def test_one_host_alone_can_spend_nearly_all_of_a_tokens_limit(hosts, upstream):
    (a, b, _), key = fleet_of(hosts, upstream, 3, "--spend-per-day", "0.5")
    deadline = time.monotonic() + 120
    while spent(a) < 0.95 * 0.5 * DOLLAR:
        assert time.monotonic() < deadline, (spent(a), shares_here(a), shares_here(b))
        if ask(a, key).status != 200:
            time.sleep(0.1)
    # What is left is kept for others, whose first request is let in at once.
    assert ask(b, key).status == 200
    assert spent(a) <= 0.5 * DOLLAR + COST


def test_all_hosts_spend_no_more_than_the_limit_and_what_runs_then(hosts, cluster, upstream):
    found, key = fleet_of(hosts, upstream, 3, "--spend-per-day", "1")
    for host in found:
        host.airoxy.wait_logs(1)
    before = sum(map(spent, found))
    served = served_while_postgresql_dies(
        found, key, cluster, 60, 300, measure=DividedLimit(-1, "day"), clients=9
    )
    eventually(lambda: sum(map(spent, found)) == before + served * COST)
    assert before + served * COST <= DOLLAR + 9 * COST


def test_what_a_token_has_spent_is_not_given_up_before_it_is_written(tmp_path, url):
    with closing(Pair(tmp_path, url, spend_per_day_nanousd=1)) as pair:
        pair.add_token(spend_per_day_nanousd=100)
        now = time.time()
        for host in (0, 1, 0, 1):
            pair.report_token(host, 0, now, asked=1)
            pair.divide(host, now)
        assert [pair.share(host, "day", -1) for host in (0, 1)] == [50, 50]
        # The first has spent 40, of which no row is written yet; the second is asked for more.
        for asked in (100, 200, 300):
            pair.report_token(0, 40, now, asked=1)
            pair.report_token(1, 0, now, asked=asked)
            pair.divide(0, now)
            pair.divide(1, now)
        assert 50 < pair.share(1, "day", -1) <= 60
        assert pair.share(0, "day", -1) + pair.share(1, "day", -1) <= 100


def test_what_a_token_had_spent_yesterday_is_not_of_today(tmp_path, url):
    with closing(Pair(tmp_path, url, spend_per_day_nanousd=1)) as pair:
        pair.add_token(spend_per_day_nanousd=100)
        now = time.time()
        for asked in (1, 2, 3):
            for host in (0, 1):
                pair.report_token(host, 50, now - 86_400, asked=asked)
                pair.divide(host, now)
        assert [pair.share(host, "day", -1) for host in (0, 1)] == [50, 50]


def test_a_host_of_which_more_is_asked_runs_more_requests_with_a_token(hosts, upstream):
    (a, b), key = fleet_of(hosts, upstream, 2, "--concurrent", "6")
    running = DividedLimit(-1, "running")

    def nearly_all():
        ask(a, key)
        return (shares_here(a)[running].most, shares_here(b)[running].most) == (5, 1)

    eventually(nearly_all, within=60)
    held = upstream.script(path="/v1/messages", times=None).hold()
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, a, key) for _ in range(5)]
        held.wait_arrived(5)
        assert ask(a, key).status == 429
        held.open()
    assert [each.result().status for each in asked] == [200] * 5


def test_the_status_and_the_metrics_name_the_token(hosts, upstream):
    (a, _), _ = fleet_of(hosts, upstream, 2, "--spend-per-month", "4")

    # The requests of the beginning have moved the shares a little, which goes back by and by.
    def told_alike():
        shares = a.airoxy.json("fleet", "status")["shares"]
        assert [(each["token_id"], each["key_id"], each["host"]) for each in shares] == [
            (1, None, "a"),
            (1, None, "b"),
        ]
        lines = [line.split() for line in a.airoxy.cli("fleet", "status").splitlines()]
        return [line[:5] for line in lines if line[:1] == ["token"]] == [
            ["token", "work", "spend-per-month", each["host"], dollars(each["share"])]
            for each in shares
        ]

    def measured():
        share = shares_here(a)[DividedLimit(-1, "month")]
        text = a.airoxy.request("GET", "/metrics").body.decode()
        labels = 'group="",key="",limit="spend_per_month",token="work"'
        return f"airoxy_fleet_share_ratio{{{labels}}} {share.most / share.of}\n" in text

    eventually(told_alike)
    eventually(measured)
