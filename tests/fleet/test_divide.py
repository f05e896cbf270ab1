"""A limit of money, divided among the hosts of a fleet by what is asked of them."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from airoxy.core.limits.division import HostShare
from airoxy.store.fleet import shares
from airoxy.store.fleet.shares import DividedLimit, divisions
from airoxy.store.schema import run
from airoxy.views.formats import dollars
from airoxy.views.json_documents import document_of
from tests.cli.printed import unlike
from tests.fleet.conftest import eventually
from tests.fleet.pair import Pair
from tests.fleet.test_limits import hosts_of
from tests.fleet.test_sharing import settled
from tests.server.limits.asking import OPUS

DOLLAR = 10**9
#: 25 input tokens at 4 and 250 output tokens at 20 dollars a million.
COST = 25 * 4000 + 250 * 20000
BODY = {"model": OPUS, "max_tokens": 250, "messages": [{"role": "user", "content": "Hello"}]}


def fleet_of(hosts, upstream, count, *limits):
    """Hosts that serve, and a key on all of them that has these limits."""
    upstream.set_usage(output_tokens=250)
    found = hosts(count, servers=True)
    settled(found)
    eventually(lambda: {hosts_of(host) for host in found} == {count})
    found[0].airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    key = found[0].airoxy.json("api-key", "add", "laptop", *limits)["key"]
    for host in found:
        eventually(lambda host=host: len(shares_here(host)) > 0)
    return found, key


def shares_here(host):
    with host.airoxy.opened() as db:
        return shares.all_shares(db)


def ask(host, key):
    return host.airoxy.request("POST", "/v1/messages", BODY, key=key)


def spent(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT ifnull(sum(cost_nanousd), 0) FROM requests")[0][0]


def served_while_postgresql_dies(found, key, cluster, first, then, *, measure, clients):
    """How many of so many requests before and after it are answered. The others are refused by
    hosts that have used what they have of this measure. Each host has as many clients as another,
    so what runs at once is bounded there."""

    def ask_often(host, times):
        return [ask(host, key).status for _ in range(times)]

    def answers_of_all(requests):
        lanes = [host for host in found for _ in range(clients // len(found))]
        times = requests // len(lanes)
        with ThreadPoolExecutor(len(lanes)) as pool:
            answers = list(pool.map(lambda host: ask_often(host, times), lanes))
        return list(zip(lanes, answers, strict=True))

    before = answers_of_all(first)
    cluster.stop(signal.SIGKILL)
    try:
        after = answers_of_all(then)
        refusing = {host: shares_here(host)[measure].most for host, got in after if 429 in got}
    finally:
        cluster.start()
    assert refusing
    for host, share in refusing.items():
        eventually(lambda host=host, share=share: spent(host) >= share - COST)
    answers = [status for _, got in before + after for status in got]
    assert set(answers) == {200, 429}
    return answers.count(200)


def test_six_hundred_requests_at_once_pass_a_limit_by_no_more_than_one_for_each_host(
    hosts, cluster, upstream
):
    found, key = fleet_of(hosts, upstream, 3, "--spend-per-day", "1")
    served = served_while_postgresql_dies(
        found, key, cluster, 90, 510, measure=DividedLimit(1, "day"), clients=30
    )
    eventually(lambda: sum(map(spent, found)) == served * COST)
    assert served * COST <= DOLLAR + 3 * COST


def test_one_host_alone_can_spend_nearly_all_of_a_limit(hosts, upstream):
    (a, b, _), key = fleet_of(hosts, upstream, 3, "--spend-per-day", "0.5")
    deadline = time.monotonic() + 120
    while spent(a) < 0.95 * 0.5 * DOLLAR:
        assert time.monotonic() < deadline, (spent(a), shares_here(a), shares_here(b))
        answer = ask(a, key)
        if answer.status == 429 and "retry-after" in answer.headers:
            told = answer.json()["error"]["message"]
            assert "this one of 3 hosts has used its share" in told
            assert answer.headers["retry-after"] == "2"
            assert answer.headers["x-should-retry"] is None
            time.sleep(0.1)
    # What is left is kept for others, whose first request is let in at once.
    assert ask(b, key).status == 200
    assert spent(a) <= 0.5 * DOLLAR + COST


def test_when_all_is_spent_every_host_says_until_when(hosts, upstream):
    (a, b), key = fleet_of(hosts, upstream, 2, "--spend-per-day", "0.01")
    for host in (a, b):
        ask(host, key)
    for host in (a, b):
        eventually(lambda host=host: ask(host, key).headers["x-should-retry"] == "false")
        assert "it opens again at" in ask(host, key).json()["error"]["message"]
    assert sum(map(spent, (a, b))) <= 0.01 * DOLLAR + 2 * COST


def test_a_host_that_joins_gets_its_share_from_what_the_others_have_left(hosts, upstream):
    (a,), key = fleet_of(hosts, upstream, 1, "--spend-per-day", "0.02")
    while ask(a, key).status == 200:
        pass
    *_, b = hosts(1, agents=False)
    assert shares_here(b)[DividedLimit(1, "day")] == HostShare(0, 20_000_000)
    b.airoxy.start()
    b.start_agent()
    refused = eventually(lambda: (answer := ask(b, key)).status == 429 and answer)
    assert refused.headers["retry-after"]
    eventually(lambda: ask(b, key).headers["x-should-retry"] == "false")
    assert spent(b) == 0


def test_a_share_is_given_up_only_when_what_is_held_of_it_is_known(tmp_path, url):
    with closing(Pair(tmp_path, url, spend_per_day_nanousd=100)) as pair:
        for host in (0, 1, 0, 1):
            pair.report(host, asked=1)
            pair.divide(host)
        assert [pair.share(host, "day") for host in (0, 1)] == [50, 50]
        # The server of the first lets requests in that hold all of its share, and has not said so;
        # the second is asked for all there is.
        known = divisions(pair.dbs[0])[0]
        for asked in (100, 200, 300):
            pair.report(0, known, asked=1)
            pair.report(1, asked=asked)
            pair.divide(0)
            pair.divide(1)
        assert pair.share(0, "day") < 50
        assert pair.share(1, "day") == 50
        # It says now what it holds, and which division it knows: there is nothing to give up.
        pair.report(0, asked=1, held=50)
        pair.divide(0)
        pair.divide(1)
        assert pair.share(1, "day") <= 50
        # One that was of nothing is given up as soon as it is known.
        pair.report(0, asked=1, held=10)
        pair.divide(0)
        pair.report(0, asked=1, held=10)
        pair.divide(0)
        pair.divide(1)
        assert pair.share(1, "day") > 50
        assert pair.share(0, "day") + pair.share(1, "day") <= 100


def test_forgetting_a_host_frees_what_it_has_not_spent(hosts, upstream):
    (a, b), key = fleet_of(hosts, upstream, 2, "--spend-per-day", "0.5")
    assert shares_here(a)[DividedLimit(1, "day")].most == DOLLAR // 4
    status = a.airoxy.json("fleet", "status")
    assert unlike(document_of("fleet status"), status) == set()
    assert [(each["key_id"], each["host"], each["share"]) for each in status["shares"]] == [
        (1, "a", DOLLAR // 4),
        (1, "b", DOLLAR // 4),
    ]
    (line, _) = [line for line in a.airoxy.cli("fleet", "status").splitlines() if "laptop" in line]
    assert line.split() == ["laptop", "spend-per-day", "a", dollars(DOLLAR // 4), dollars(0)]
    b.stop_agent(kill=True)
    b.airoxy.kill()
    assert ask(a, key).status == 200
    a.airoxy.cli("fleet", "forget", "b")

    def all_mine():
        ask(a, key)
        return shares_here(a)[DividedLimit(1, "day")].most == DOLLAR // 2

    eventually(all_mine)
