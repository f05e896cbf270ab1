"""The limits of a fleet: each host holds its share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

from airoxy.fleet import sync
from airoxy.fleet.divide import Divider
from airoxy.store import keys
from airoxy.store.fleet.membership import membership
from airoxy.store.fleet.shares import InMemory, divisions, report, shares_of
from airoxy.store.limits import set_limits
from airoxy.store.schema import run, transaction
from tests.fleet.conftest import eventually
from tests.fleet.test_sharing import settled, status
from tests.fleet.test_ship import join


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
    told = set()

    def nearly_all():
        answer = a.airoxy.request("POST", "/v1/messages", {}, key=key)
        if answer.status == 429:
            told.add((answer.headers["retry-after"], answer.json()["error"]["message"]))
        return share(a) == 19 and share(b) == 1

    eventually(nearly_all, within=60)
    assert any("this one of 2 hosts has used its share of it" in text for _, text in told)
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
    """Of hosts whose servers tell nothing new."""
    dbs, connections, dividers = [], [], []
    for name in "ab":
        (tmp_path / name).mkdir()
        if name == "b":
            key = (tmp_path / "a" / "token.key").read_text()
            (tmp_path / "b" / "token.key").write_text(key)
        db, postgres = join(tmp_path / name / f"{name}.db", url, name, first=name == "a")
        dbs.append(db)
        connections.append(postgres)
        dividers.append(Divider(db, postgres, membership(db).host))
    with transaction(dbs[0]):
        set_limits(dbs[0], keys.add_key(dbs[0], "k", "ak-1", 0), {"requests_per_minute": 100})
    sync.push(dbs[0], connections[0])
    sync.pull_all(dbs[1], connections[1])

    def turn(now, **of_the_first):
        for number, (db, divider) in enumerate(zip(dbs, dividers, strict=True)):
            with transaction(db):
                held = InMemory() if number else InMemory(**of_the_first)
                report(db, divisions(db)[0], {1: held})
            divider.divide(now)
        return [shares_of(db, 1)["requests"].most for db in dbs]

    for second in range(10):
        before = turn(second, asked=10 * second, requests=5)
    assert before[0] > 90
    assert sum(before) <= 100
    for second in range(10, 30):
        after = turn(second, asked=90)
    assert after == [50, 50]
    for postgres in connections:
        postgres.close()


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
        held.open()
        assert [each.result() for each in running].count(200) == 5
