"""The limits of a fleet: each host holds its share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

from airoxy.store.fleet.shares import shares_of
from airoxy.store.schema import run
from tests.fleet.conftest import eventually
from tests.fleet.pair import Pair
from tests.fleet.test_sharing import settled, status


def hosts_of(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT hosts FROM fleet")[0][0]


def fleet_of(hosts, count, *limits):
    """Hosts that serve, and a key on all of them that has these limits, which are divided."""
    found = hosts(count, servers=True)
    settled(found)
    eventually(lambda: {hosts_of(host) for host in found} == {count})
    found[0].airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    key = found[0].airoxy.json("api-key", "add", "laptop", *limits)["key"]
    for host in found:
        eventually(lambda host=host: shares_here(host))
    return found, key


def shares_here(host):
    with host.airoxy.opened() as db:
        return shares_of(db, 1)


def share(host, measure="requests"):
    return shares_here(host)[measure].most


def test_hosts_together_let_in_what_the_limit_says_and_one_alone_all_of_it(hosts, upstream):
    (a, b), key = fleet_of(hosts, 2, "--requests-per-minute", "4")
    with a.frozen_agent(), b.frozen_agent():  # what one gives up the other has a moment later
        asked = [status(host, key) for _ in range(4) for host in (a, b)]
    assert asked.count(200) == 4
    refused = a.airoxy.request("POST", "/v1/messages", {}, key=key)
    assert "limit of 4 requests per minute" in refused.json()["error"]["message"]
    b.airoxy.cli("fleet", "leave")
    eventually(lambda: hosts_of(a) == 1)
    eventually(lambda: status(a, key) and share(a) == 4)


def test_a_key_whose_requests_all_go_to_one_host_has_nearly_all_of_its_rate_there(hosts, upstream):
    (a, b), key = fleet_of(hosts, 2, "--requests-per-minute", "20")
    assert share(a) == share(b) == 10
    with a.frozen_agent(), b.frozen_agent():  # so that the shares stay what they are
        answers = [a.airoxy.request("POST", "/v1/messages", {}, key=key) for _ in range(11)]
    assert [answer.status == 429 for answer in answers] == [False] * 10 + [True]
    told = answers[-1].json()["error"]["message"]
    assert "this one of 2 hosts has used its share of it" in told

    def nearly_all():
        status(a, key)
        return share(a) == 19 and share(b) == 1

    eventually(nearly_all, within=60)
    # The other host keeps one, which is let in at once.
    assert status(b, key) == 200


def test_the_status_of_a_fleet_shows_shares_of_rates_as_numbers(hosts, upstream):
    (a, _), key = fleet_of(hosts, 2, "--requests-per-minute", "3000")
    assert status(a, key) == 200

    def told():
        found = a.airoxy.json("fleet", "status")["shares"]
        return [each for each in found if (each["host"], each["used"]) == ("a", 1)]

    (mine,) = eventually(told)
    assert (mine["key_id"], mine["limit"]) == (1, "requests_per_minute")
    lines = [line.split() for line in a.airoxy.cli("fleet", "status").splitlines()]
    names = [line[:3] for line in lines if line[:1] == ["laptop"]]
    assert names == [["laptop", "requests-per-minute", host] for host in ("a", "b")]


def test_after_a_while_every_host_has_the_same_share_of_a_rate_again(tmp_path, url):
    with closing(Pair(tmp_path, url, requests_per_minute=100)) as pair:

        def turn(now, **of_the_first):
            pair.report(0, **of_the_first)
            pair.report(1)
            pair.divide(0, now)
            pair.divide(1, now)
            return [pair.share(host, "requests") for host in (0, 1)]

        for second in range(10):
            busy = turn(second, asked=10 * second, requests=5)
        assert busy[0] > 90
        assert sum(busy) <= 100
        for second in range(10, 30):
            quiet = turn(second, asked=90)
        assert quiet == [50, 50]


def test_of_concurrent_requests_a_host_has_what_the_others_do_not_use(hosts, upstream):
    (a, b), key = fleet_of(hosts, 2, "--concurrent", "6")
    held = upstream.script(path="/v1/messages", times=None).hold()
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(status, a, key) for _ in range(3)]
        held.wait_arrived(3)

        def more():
            running.append(pool.submit(status, a, key))
            wait(running, timeout=0.2)
            return share(a, "running") == 5 and len(held.arrived) == 5

        eventually(more, within=60)
        eventually(lambda: share(b, "running") == 1)
        eventually(lambda: sum(each.done() for each in running) == len(running) - 5)
        held.open()
        assert [each.result() for each in running].count(200) == 5
