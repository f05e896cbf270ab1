"""The usage of all hosts, told on each of them."""

from __future__ import annotations

import datetime
import json
import socket
import subprocess
import time
from contextlib import closing
from dataclasses import replace

from airoxy.cli.command import Context
from airoxy.cli.fleet.everybody import see_everybody
from airoxy.cli.top.controls import REQUESTS, Controls
from airoxy.cli.top.lists import frame
from airoxy.cli.top.top import Watch
from airoxy.cli.top.view import lines
from airoxy.fleet.overview.log import OthersLog, as_told
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet.membership import membership
from airoxy.store.schema import run, transaction
from airoxy.store.usage import requests
from tests.cli.terminal import Screen
from tests.fleet.conftest import eventually, shipped
from tests.fleet.test_agent import append
from tests.fleet.test_sharing import settled
from tests.fleet.test_ship import row


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


def test_stats_fetch_no_other_sums_than_those_of_the_days_that_they_are_about(hosts):
    a, b = hosts(2)
    settled((a, b))
    now, day = int(time.time()) * 1000, 86_400_000
    with b.airoxy.opened() as db, transaction(db):
        requests.append(db, [at(now - age * day, 1) for age in range(4)])
    eventually(lambda: shipped(b.airoxy))
    today = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date()
    for since, until, count in ((None, None, 4), (2, None, 3), (3, 1, 2), (None, 0, 3)):
        context = Context(config_path=a.airoxy.config)
        first, end = (n if n is None else today - datetime.timedelta(n) for n in (since, until))
        see_everybody(context, here=False, since=first, until=end)
        fetched = run(context.database, "SELECT sum(requests) FROM temp.others")
        assert fetched == [(count,)], (since, until)
        context.database.close()


def test_a_host_alone_tells_of_itself_without_a_word(airoxy):
    told = airoxy.run("stats")
    assert told.stderr == ""


def by_host(told):
    return [(each["host"], each["requests"], each["cost_nanousd"]) for each in told]


def test_usage_by_host_is_that_of_each_and_without_the_others_of_this_one(hosts, cluster):
    a, b, c = hosts(3)
    settled((a, b, c))
    append(a.airoxy, 10**9)
    append(b.airoxy, 2 * 10**9, 4 * 10**9)
    for host in (a, b):
        eventually(lambda host=host: shipped(host.airoxy))
    each = [("b", 2, 6 * 10**9), ("a", 1, 10**9)]  # c has not had any
    for host in (a, b, c):
        assert by_host(host.airoxy.json("stats", "--by", "host")) == each
    assert by_host(b.airoxy.json("stats", "--by", "host", "--here")) == each[:1]
    assert by_host(c.airoxy.json("stats", "--by", "host", "--host", "a")) == each[1:]
    assert c.airoxy.json("stats", "--by", "host", "--until", "2020-01-02") == []
    head, *lines = a.airoxy.cli("stats", "--by", "host").splitlines()
    assert head.split()[:2] == ["HOST", "REQUESTS"]
    assert [line.split()[:2] for line in lines] == [["b", "2"], ["a", "1"], ["total", "3"]]
    cluster.stop()
    try:
        alone = a.airoxy.run("stats", "--by", "host", "--json")
        assert alone.returncode == 0
        assert "this host only" in alone.stderr
        assert by_host(json.loads(alone.stdout)) == each[1:]
    finally:
        cluster.start()


def test_a_host_alone_has_a_name_in_its_usage_by_host(airoxy):
    assert airoxy.json("stats", "--by", "host") == []
    append(airoxy, 5)
    name = socket.gethostname().partition(".")[0]
    assert by_host(airoxy.json("stats", "--by", "host")) == [(name, 1, 5)]
    assert by_host(airoxy.json("stats", "--by", "host", "--here")) == [(name, 1, 5)]


def test_stats_and_logs_of_one_other_host_are_that_ones_or_say_why_not(hosts, cluster):
    a, b, c = hosts(3)
    settled((a, b, c))
    for host, cost in ((a, 1), (b, 2), (c, 4)):
        append(host.airoxy, cost * 10**9)
        eventually(lambda host=host: shipped(host.airoxy))
    assert a.airoxy.json("stats", "--host", "b")["cost_nanousd"] == 2 * 10**9
    assert a.airoxy.json("stats", "--host", "a")["cost_nanousd"] == 10**9
    for by in ("day", "model", "key", "hour"):
        (group,) = a.airoxy.json("stats", "--by", by, "--host", "c")
        assert group["cost_nanousd"] == 4 * 10**9
    report = a.airoxy.json("stats", "--report", "month", "--host", "b")
    assert report["totals"]["cost_nanousd"] == 2 * 10**9
    assert log_of(a, "--host", "b") == [("b", 2)]
    assert log_of(a, "--host", "a") == [("a", 1)]
    unknown = a.airoxy.run("stats", "--host", "nobody")
    assert (unknown.returncode != 0, "no host 'nobody'" in unknown.stderr) == (True, True)
    both = a.airoxy.run("logs", "--host", "b", "--here")
    assert both.returncode == 2
    cluster.stop()
    try:
        for words in (("stats",), ("logs",), ("stats", "--by", "host"), ("stats", "--by", "hour")):
            away = a.airoxy.run(*words, "--host", "b")
            assert away.returncode == 1
            assert away.stdout == ""
            assert "PostgreSQL" in away.stderr
            assert a.airoxy.run(*words, "--host", "a").returncode == 0
    finally:
        cluster.start()


def test_no_other_host_can_be_meant_outside_a_fleet(airoxy):
    for command in ("stats", "logs"):
        told = airoxy.run(command, "--host", "b")
        assert told.returncode == 1
        assert "in no fleet" in told.stderr


def log_of(host, *words):
    """Host, cost in dollars of each request."""
    rows = host.airoxy.json("logs", *words)
    return [(row["host"], row["cost_nanousd"] // 10**9) for row in rows]


def test_the_log_is_that_of_all_hosts_and_with_here_of_one(hosts, cluster):
    a, b = hosts(2, agents=False)
    now = int(time.time()) * 1000
    for host, ages in ((a, (5, 3)), (b, (4, 2, 1))):
        with host.airoxy.opened() as db, transaction(db):
            requests.append(db, [at(now - age * 1000, age) for age in ages])
        host.start_agent()
    for host in (a, b):
        eventually(lambda host=host: shipped(host.airoxy))
    for host in (a, b):
        assert log_of(host) == [("b", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5)]
    assert log_of(a, "--limit", "2") == [("b", 1), ("b", 2)]
    assert log_of(a, "--here") == [("a", 3), ("a", 5)]
    head, *table = a.airoxy.cli("logs").splitlines()
    assert head.split()[:2] == ["TIME", "HOST"]
    assert [line.split()[2] for line in table] == ["b", "b", "a", "b", "a"]
    assert "HOST" not in a.airoxy.cli("logs", "--here")
    hours = a.airoxy.json("stats", "--by", "hour")
    assert sum(hour["requests"] for hour in hours) == 5
    assert sum(hour["cost_nanousd"] for hour in hours) == 15 * 10**9
    here = a.airoxy.json("stats", "--by", "hour", "--here")
    assert sum(hour["requests"] for hour in here) == 2
    cluster.stop()
    try:
        alone = a.airoxy.run("logs", "--json")
        assert "this host only" in alone.stderr
        assert [row["host"] for row in json.loads(alone.stdout)] == ["a", "a"]
        hours = a.airoxy.run("stats", "--by", "hour", "--json")
        assert "this host only" in hours.stderr
        assert sum(hour["requests"] for hour in json.loads(hours.stdout)) == 2
    finally:
        cluster.start()


def at(ms, dollars, **changes):
    return row(ms / 1000, dollars * 10**9)._replace(**changes)


def test_filters_choose_the_same_requests_of_another_host_as_of_this_one(hosts):
    a, b = hosts(2)
    settled((a, b))
    now = int(time.time()) * 1000
    hour = 3_600_000
    various = [
        at(now - (5 - n) * 10 * hour + n, 1, model=model, status_code=code, ending=ending,
           request_id=f"req_{n}", api_key_id=1 + n % 2, token_id=n % 3 or None)
        for n, (model, code, ending) in enumerate((
            ("claude-haiku-4-5", 200, "complete"),
            ("claude-opus-5-5[1m]", 429, "complete"),
            ("claude_opus%", 200, "upstream_failed"),
            ("a\\b", 529, "complete"),
            (None, 401, "complete"),
            ("Claude-haiku-4-5-20251001", 200, "client_left"),
        ))
    ]  # fmt: skip
    with a.airoxy.opened() as db, transaction(db):
        requests.append(db, various)
        requests_of_a = requests.newest(db, limit=99)
    eventually(lambda: shipped(a.airoxy))
    with b.airoxy.opened() as db, closing(Postgres(b.url)) as postgres:
        log = OthersLog(postgres, membership(db).host)

        def told(wanted, limit=99):
            found = as_told(db, log.newest(limit, wanted), log.names)
            return sorted(found, key=lambda each: -each["id"])[:limit]

        names = ("api_key_name", "token_name", "group_name")
        for wanted in (
            requests.Filter(),
            requests.Filter(token_id=1),
            requests.Filter(key_id=2),
            requests.Filter(group_id=1),
            requests.Filter(failed=True),
            requests.Filter(since_ms=now - 15 * hour),
            requests.Filter(until_ms=now - 25 * hour),
            requests.Filter(since_ms=now - 40 * hour, until_ms=now - 15 * hour),
            requests.Filter(statuses=(400, 500)),
            requests.Filter(statuses=(429, 430, 500, 600)),
            requests.Filter(request_id="req_3"),
            *(
                requests.Filter(model=glob)
                for glob in ("claude-*", "*[1m]", "claude_*", "*%", "a\\b", "a\\*", "?laude*",
                             "*haiku*, *opus*", "nothing")
            ),
        ):  # fmt: skip
            expected = [row for row in requests_of_a if wanted.admits(row)]
            found = told(wanted)
            assert {each.pop("host") for each in found} <= {"a"}
            for each in (*expected, *found):
                for name in names:
                    each[name] = None
            assert found == expected, wanted
        # Of two days, perhaps.
        assert [each["id"] for each in told(requests.Filter(), 2)] == [6, 5]


def test_who_follows_the_log_sees_the_other_hosts_and_goes_on_without_postgresql(hosts, cluster):
    a, b = hosts(2)
    settled((a, b))
    append(b.airoxy, 1)
    eventually(lambda: shipped(b.airoxy))
    follower, of_b = (
        a.airoxy.execute("logs", "--follow", "--json", *words, output=subprocess.PIPE)
        for words in ((), ("--host", "b"))
    )

    def told():
        found = json.loads(follower.stdout.readline())
        return found["host"], found["cost_nanousd"]

    try:
        assert told() == ("b", 1)
        append(b.airoxy, 2)
        assert told() == ("b", 2)
        append(a.airoxy, 3)
        assert told() == ("a", 3)
        costs = [json.loads(of_b.stdout.readline())["cost_nanousd"] for _ in range(2)]
        assert costs == [1, 2]
        append(b.airoxy, 4)
        assert told() == ("b", 4)
        assert json.loads(of_b.stdout.readline())["cost_nanousd"] == 4  # and not a's
        cluster.stop()
        try:
            append(b.airoxy, 4)
            assert "not shown for now" in follower.stderr.readline().decode()
            append(a.airoxy, 5)
            assert told() == ("a", 5)
        finally:
            cluster.start()
        assert told() == ("b", 4)
        append(b.airoxy, 6)
        assert told() == ("b", 6)
        assert "all hosts" in follower.stderr.readline().decode()
    finally:
        for process in (follower, of_b):
            process.terminate()
            process.communicate(timeout=30)


def test_top_shows_all_hosts_and_says_when_it_cannot(hosts, cluster):
    a, b = hosts(2)
    settled((a, b))
    append(a.airoxy, 10**9)
    with b.airoxy.opened() as db, transaction(db):
        requests.append(db, [at(time.time() * 1000, 2, status_code=529, error_message="Overload")])
    for host in (a, b):
        eventually(lambda host=host: shipped(host.airoxy))
    with closing(Watch(Context(config_path=a.airoxy.config), here=True)) as watch:
        here = watch.picture(None)
    assert [row["host"] for row in here.requests] == ["a"]
    assert here.totals["cost_nanousd"] == 10**9
    with closing(Watch(Context(config_path=a.airoxy.config))) as watch:

        def shown(*texts):
            pictures.append(watch.picture(None))
            drawn = "\n".join(line.text for line in lines(pictures[-1], 100, 24, Screen()))
            return all(text in drawn for text in texts)

        pictures = []
        eventually(lambda: shown("2 requests, 1 failed, $3.00", "on all hosts", "Overload"))
        assert {row["host"] for row in pictures[-1].requests} == {"a", "b"}
        assert [row["host"] for row in pictures[-1].errors] == ["b"]
        append(b.airoxy, 4 * 10**9)
        eventually(lambda: shown("3 requests, 1 failed, $7.00") and len(pictures[-1].requests) == 3)
        assert pictures[-1].requests[0]["host"] == "b"
        controls = Controls(view=REQUESTS)
        drawn = [line.text for line in frame(pictures[-1], controls, 100, 24, Screen())]
        assert any("HOST" in text for text in drawn)
        alone = replace(pictures[-1], is_fleet=False)
        drawn = [line.text for line in frame(alone, controls, 100, 24, Screen())]
        assert not any("HOST" in text for text in drawn)
        cluster.stop()
        try:
            eventually(lambda: shown("Other hosts are not up to date", "3 requests"))
            append(a.airoxy, 10**9)
            eventually(lambda: shown("4 requests"))
        finally:
            cluster.start()
        eventually(lambda: shown("on all hosts") and not pictures[-1].fleet_trouble)
