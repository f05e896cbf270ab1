"""The console tells of all hosts of a fleet, of each of them, and says when it cannot."""

from __future__ import annotations

import datetime
import http.client
import json
import re
import time
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import parse_qsl

import pytest

from airoxy.config import load_config
from airoxy.console.api import usage
from airoxy.console.api.records import month_report
from airoxy.console.pages import overview
from airoxy.console.pages.log import show_log, show_request
from airoxy.console.pages.reports import show_report
from airoxy.console.templates import render
from airoxy.console.visit import Services, Visit
from airoxy.errors import NotFound, StoreError
from airoxy.fleet.agent import Session, connector
from airoxy.fleet.overview.others import FleetOthers
from airoxy.fleet.postgres import Postgres
from airoxy.store import keys, tokens
from airoxy.store.console.api_tokens import add_api_token
from airoxy.store.console.users import VIEWER
from airoxy.store.schema import run, transaction
from airoxy.store.usage import requests
from airoxy.views.json_documents import document_of
from tests.fleet.conftest import eventually
from tests.fleet.test_ship import row
from tests.ports import free_port

#: Nothing here waits for so long: on a loaded machine PostgreSQL answers late.
PATIENCE = 30.0


class Pair:
    """The hosts a and b, whose agents do in this process what they are told."""

    def __init__(self, hosts):
        self.hosts = dict(zip("ab", hosts(2, agents=False), strict=True))
        self._open = ExitStack()
        self._sessions = {}
        for name, host in self.hosts.items():
            db = self._open.enter_context(host.airoxy.opened())
            postgres = self._open.enter_context(closing(Postgres(host.url)))
            self._sessions[name] = Session(db, postgres, keep_days=3)

    def add(self, name, *rows):
        """They are in the log of this host, and in the fleet."""
        with self.hosts[name].airoxy.opened() as db, transaction(db):
            requests.append(db, rows)
        self._sessions[name].ship_all()

    def meet(self):
        """Each agent has a turn, so that each host knows of the other."""
        for session in self._sessions.values():
            session.turn()

    def close(self):
        self._open.close()


@pytest.fixture
def pair(hosts):
    """Rows of theirs are 1 second apart: b has the newest."""
    pair = Pair(hosts)
    pair.meet()
    now = int(time.time()) * 1000
    for name, ages in (("a", (5, 3)), ("b", (4, 2, 1))):
        pair.add(name, *(request(now, age) for age in ages))
    yield pair
    pair.close()


def request(now, age, **changes):
    """One that costs as many dollars as it is old, in seconds."""
    return row(now / 1000 - age, age * 10**9)._replace(request_id=f"req_{age}", **changes)


@contextmanager
def console_of(pair):
    """`look(handler, **query)`, which is what the console of host a replies."""
    a = pair.hosts["a"]
    others = FleetOthers(connector(a.airoxy.database, None), PATIENCE)
    services = Services(
        load_config(a.airoxy.config, {}), time.time, lambda: (None, {}), list, others=others
    )
    with a.airoxy.opened() as db:

        def look(handler, params=None, **query):
            return handler(Visit(db, services, None, query=query, params=params or {}))

        yield look
        # Nothing of it stays behind for what is asked next on this connection.
        assert run(db, "SELECT name FROM temp.sqlite_schema WHERE type = 'view'") == []
    others.close()


@pytest.fixture
def look(pair):
    with console_of(pair) as look:
        yield look


def text_of(page):
    known = {"zone": datetime.UTC, "now": time.time(), "path": "/", "query": {}, "visitor": None}
    return render(page.template, {**known, **page.values})


def test_the_overview_is_of_all_hosts_and_of_each(look):
    page = look(overview.show)
    assert page.values["month"]["cost_nanousd"] == 15 * 10**9
    costs = [(name, sums["cost_nanousd"] // 10**9) for name, sums in page.values["hosts"]]
    if page.values["today"]["requests"] == 5:  # it is not a few seconds after midnight
        assert costs == [("a", 8), ("b", 7)]
    text = text_of(page)
    assert "Requests now on a" in text
    assert 'data-number="spent_today"' not in text  # which would be this host's alone
    assert look(overview.show, host="b").values["month"]["cost_nanousd"] == 7 * 10**9
    here = look(overview.show, host="a")
    assert here.values["month"]["cost_nanousd"] == 8 * 10**9
    assert 'data-number="spent_today"' in text_of(here)
    with pytest.raises(NotFound):
        look(overview.show, host="nobody")


def test_what_is_kept_of_days_that_are_over_is_kept_for_each_host(look, pair):
    def spent(**query):
        return look(usage.stats, by="model", **query).document[0]["cost_nanousd"] // 10**9

    assert [spent(), spent(host="a"), spent(host="b")] == [15, 8, 7]
    assert [spent(), spent(host="a"), spent(host="b")] == [15, 8, 7]
    pair.add("b", request(int(time.time()) * 1000, 2 * 86400)._replace(cost_nanousd=10**9))
    # What was of an older day comes when the days are compared again, in some minutes.
    assert spent() in (15, 16)


def test_sums_reports_and_hours_are_those_that_the_commands_tell(look, pair):
    a = pair.hosts["a"]
    with a.airoxy.opened() as db:
        keys.add_key(db, "k", "ak-1", 0)
        tokens.add_token(
            db, name="t", type="api_key", token="sk-ant-api03-fleet", refresh_token=None,
            expires_at=None, now=0,
        )  # fmt: skip
    month = f"{datetime.datetime.now(datetime.UTC):%Y-%m}"
    for by in ("day", "model", "key", "token", "hour"):
        assert look(usage.stats, by=by).document == a.airoxy.json("stats", "--by", by)
        here = a.airoxy.json("stats", "--by", by, "--here")
        assert look(usage.stats, by=by, host="a").document == here
    assert look(usage.stats).document == [a.airoxy.json("stats")]
    for filters in ({}, {"since": "2d"}, {"until": "2d"}, {"token": "t"}, {"key": "k"}):
        words = [word for name, value in filters.items() for word in (f"--{name}", value)]
        for more, query in (
            (("--here",), {"host": "a"}),
            (("--host", "b"), {"host": "b"}),
            ((), {}),
        ):
            told = a.airoxy.json("stats", "--by", "host", *words, *more)
            assert look(usage.stats, by="host", **filters, **query).document == told
            if filters == {}:
                costs = {each["host"]: each["cost_nanousd"] // 10**9 for each in told}
                dear = {"a": 8, "b": 7}
                assert costs == {name: dear[name] for name in query.get("host", "ab")}
    with pytest.raises(NotFound):
        look(usage.stats, by="host", host="nobody")
    assert look(usage.stats, key="k").document[0]["requests"] == 5
    of_b = look(usage.stats, by="hour", host="b").document
    assert sum(hour["requests"] for hour in of_b) == 3
    told = a.airoxy.json("stats", "--report", "month", "--month", month)
    found = look(month_report, month=month).document
    assert {**found, "generated_at": ""} == {**told, "generated_at": ""}
    assert look(show_report, month=month).values["totals"]["requests"] == 5
    assert look(show_report, month=month, host="b").values["totals"]["requests"] == 3
    assert look(month_report, format="csv").name == f"airoxy-{month}.csv"
    assert look(month_report, format="csv", host="b").name == f"airoxy-{month}-b.csv"


def log_of(page):
    return [(each["host"], each["request_id"]) for each in page.values["requests"]]


def test_the_log_is_of_all_hosts_with_their_names_and_filters_go_for_all(look):
    newest = [("b", "req_1"), ("b", "req_2"), ("a", "req_3"), ("b", "req_4"), ("a", "req_5")]
    page = look(show_log)
    assert log_of(page) == newest
    assert re.search(r"<th[^>]*>Host", text_of(page))
    assert log_of(look(show_log, host="b")) == [each for each in newest if each[0] == "b"]
    assert log_of(look(show_log, host="a")) == [each for each in newest if each[0] == "a"]
    assert log_of(look(show_log, q="req_4")) == [("b", "req_4")]
    assert log_of(look(show_log, status="failed")) == []
    rows = look(usage.log).document
    assert [(each["host"], each["request_id"]) for each in rows] == newest
    assert set(rows[0]) == set(rows[2])
    of_b = rows[0]
    number = {"number": str(of_b["id"]), "id": str(of_b["id"])}
    assert look(usage.one_request, params=number, host="b").document == of_b
    assert look(show_request, params=number, host="b").values["request"]["request_id"] == "req_1"
    assert look(usage.one_request, params={"id": "1"}).document["host"] == "a"
    for unknown in ({"id": "99"}, {"id": "x"}):
        with pytest.raises(NotFound):
            look(usage.one_request, params=unknown, host="b")


def test_pages_of_the_log_have_each_request_of_each_host_once(look, pair):
    now = int(time.time()) * 1000
    for name, start in (("a", 100), ("b", 103)):
        # Some ended before others that were written earlier.
        ages = [age + (n % 3) * 2 for n, age in enumerate(range(start, 60, -5))]
        pair.add(name, *(request(now, age) for age in ages))
    for size in ("1", "3", "7"):
        seen, query = [], {}
        while True:
            reply = look(usage.log, limit=size, **query)
            seen += [(each["host"], each["id"]) for each in reply.document]
            if reply.following is None:
                break
            if not query:  # what comes meanwhile moves nothing
                pair.add("b", request(now, 50))
            query = dict(parse_qsl(reply.following.partition("?")[2]))
            query.pop("limit", None)
        assert len(seen) == len(set(seen))
        everything = {
            (host.name, number)
            for host in pair.hosts.values()
            for (number,) in ids(host)
            if (host.name, number) not in {("b", newest) for newest in late(pair.hosts["b"])}
        }
        assert everything - set(seen) == set()


def ids(host):
    with host.airoxy.opened() as db:
        return run(db, "SELECT id FROM requests")


def late(host):
    """The requests that came while pages were turned."""
    with host.airoxy.opened() as db:
        return [
            number for (number,) in run(db, "SELECT id FROM requests WHERE request_id = 'req_50'")
        ]


def test_a_search_that_is_given_up_goes_on_from_there_on_all_hosts(look, pair):
    now = int(time.time()) * 1000
    day = 86_400_000
    for n, name in enumerate("abba"):
        pair.add(name, request(now - (4 - n) * day, 1)._replace(request_id=f"old_{n}"))
    found, query = [], {"status": "2xx"}
    pages = 0
    while pages < 50:
        pages += 1
        page = look(lambda visit: show_log(visit, 0.0), **query)
        assert page.values["sight"].trouble == ""
        found += [each["request_id"] for each in page.values["requests"]]
        if not page.values["older"]:
            break
        query = dict(parse_qsl(page.values["older"]))
    assert sorted(found) == sorted(
        [*(f"req_{n}" for n in range(1, 6)), *(f"old_{n}" for n in range(4))]
    )
    assert pages >= 3, found


def test_without_postgresql_it_shows_what_is_here_and_says_so(look, cluster):
    cluster.stop()
    try:
        for show in (overview.show, show_log, show_report):
            page = look(show)
            assert "This is the usage of a only." in text_of(page)
        assert look(overview.show).values["month"]["cost_nanousd"] == 8 * 10**9
        assert len(look(show_log).values["requests"]) == 2
        assert look(usage.stats).warning.startswith("This is the usage of a only.")
        assert look(usage.log).warning.startswith("This is the usage of a only.")
        assert look(month_report, format="csv").name.endswith("-a.csv")
        assert look(usage.stats, host="a").warning == ""
        with pytest.raises(StoreError):
            look(usage.stats, host="b")
    finally:
        cluster.start()


def test_what_was_fetched_before_is_shown_as_of_then(pair, cluster):
    a = pair.hosts["a"]
    connect = connector(a.airoxy.database, None)
    services = Services(
        load_config(a.airoxy.config, {}), time.time, lambda: (None, {}), list,
        others=FleetOthers(connect, PATIENCE),
    )  # fmt: skip
    with a.airoxy.opened() as db:
        visit = Visit(db, services, None)
        assert overview.show(visit).values["month"]["requests"] == 5
        cluster.stop()
        try:
            page = overview.show(visit)
            assert page.values["month"]["requests"] == 5
        finally:
            cluster.start()
    services.others.close()


def test_a_page_does_not_wait_for_a_postgresql_that_hangs(pair, cluster):
    a = pair.hosts["a"]
    others = FleetOthers(connector(a.airoxy.database, None), 0.3)
    services = Services(
        load_config(a.airoxy.config, {}), time.time, lambda: (None, {}), list, others=others
    )
    cluster.hang()
    try:
        with a.airoxy.opened() as db:
            pages = [text_of(overview.show(Visit(db, services, None))) for _ in range(3)]
        assert all("has not answered" in page for page in pages)
    finally:
        cluster.hang(go_on=True)
    with a.airoxy.opened() as db:
        eventually(
            lambda: overview.show(Visit(db, services, None)).values["month"]["requests"] == 5
        )
    others.close()


def test_the_api_has_the_status_of_the_fleet_for_viewers(hosts, cluster):
    port = free_port()
    a, _ = hosts(2, agents=False, console={"listen": [f"127.0.0.1:{port}"]})
    with a.airoxy.opened() as db:
        secret = add_api_token(db, "program", VIEWER, int(time.time()) + 600, time.time())[1]
    process = a.airoxy.begin("console")

    def ask(path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with closing(connection):
            try:
                connection.request("GET", path, headers={"authorization": f"Bearer {secret}"})
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), json.loads(answer.read())
            except ConnectionRefusedError:  # it is still starting
                return None

    try:
        status, headers, told = eventually(lambda: ask("/api/fleet"))
        assert status == 200
        assert set(told) == set(document_of("fleet status").fields)
        assert [each["name"] for each in told["hosts"]] == ["a", "b"]
        assert told["here"]["name"] == "a"
        assert "airoxy-warning" not in headers
        cluster.stop()
        try:
            status, headers, told = ask("/api/fleet")
            assert (status, told["hosts"]) == (200, [])
            assert told["here"]["trouble"]
            assert "cannot be used" in headers["airoxy-warning"]
            assert "a only" in ask("/api/stats")[1]["airoxy-warning"]
        finally:
            cluster.start()
    finally:
        process.terminate()
        process.wait(60)
