"""What keys, groups and tokens have spent is that of all hosts, as their limits are."""

from __future__ import annotations

import datetime
import json
import time
from types import SimpleNamespace

import pytest

from airoxy.console.api import groups as groups_api
from airoxy.console.api import keys as keys_api
from airoxy.console.api import tokens as tokens_api
from airoxy.console.pages import groups as groups_pages
from airoxy.console.pages import keys as keys_pages
from airoxy.console.pages import tokens as tokens_pages
from airoxy.console.templates import render
from airoxy.store import groups, keys, tokens
from airoxy.store.limits import set_limits
from airoxy.store.schema import run, transaction
from tests.fleet.conftest import eventually
from tests.fleet.test_console_hosts import Pair, console_of
from tests.fleet.test_ship import row

_DAY = 86400
#: Dollars in nano-dollars.
_1, _100 = 10**9, 100 * 10**9


@pytest.fixture
def pair(hosts):
    """The hosts a and b have a key with a group and a token, and a has a limit of requests per
    minute. Each has spent $1 and $2 just now, and b $40 long ago."""
    pair = Pair(hosts)
    pair.meet()
    with pair.hosts["a"].airoxy.opened() as db:
        with transaction(db):
            key = keys.add_key(db, "laptop", "ak-1", 0)
            group = groups.add_group(db, "team", 0, {"spend_total_nanousd": _100})
            limits = {"spend_total_nanousd": _100, "requests_per_minute": 50}
            set_limits(db, key, {"group_id": group, **limits})
        tokens.add_token(db, name="work", type="api_key", token="sk-ant-api03-spent",
                         refresh_token=None, expires_at=None, now=0)  # fmt: skip
        tokens.set_token(db, 1, {"spend_per_month_nanousd": _100})
    with pair.hosts["b"].airoxy.opened() as db:

        def is_there():
            pair.meet()
            return run(db, "SELECT 1 FROM api_keys JOIN groups ON group_id = groups.id, tokens")

        eventually(is_there)
    now = time.time()
    pair.add("a", row(now, _1)._replace(group_id=group))
    pair.add("b", row(now, 2 * _1)._replace(group_id=group),
             row(now - 400 * _DAY, 40 * _1)._replace(group_id=group))  # fmt: skip
    yield pair
    pair.close()


def of_month(document, count, long_ago=40):
    """Whether so many dollars were spent this month, and with those of long ago in total."""
    spent = document["spent_this_month_nanousd"], document["spent_total_nanousd"]
    return spent == (count * _1, (count + long_ago) * _1)


def test_keys_groups_and_tokens_are_told_with_what_all_hosts_have_spent(pair):
    for name, alone, long_ago in (("a", 1, 0), ("b", 2, 40)):
        ask = pair.hosts[name].airoxy.json
        for kind, which in (("api-key", "laptop"), ("group", "team")):
            (listed,) = [each for each in ask(kind, "list") if each["name"] == which]
            assert of_month(listed, 3), (name, listed)
            assert ask(kind, "show", which) == listed
            assert of_month(ask(kind, "show", which, "--here"), alone, long_ago)
            (listed,) = [each for each in ask(kind, "list", "--here") if each["name"] == which]
            assert of_month(listed, alone, long_ago)
        (everybody,) = [each for each in ask("group", "list") if each["name"] == "all"]
        assert of_month(everybody, 3)
        (token,) = ask("token", "list")
        assert token["spent_this_month_nanousd"] == 3 * _1
        assert ask("token", "show", "work") == token
        (token,) = ask("token", "list", "--here")
        assert token["spent_this_month_nanousd"] == alone * _1


def test_a_key_and_a_token_were_used_last_when_any_host_did(pair):
    at = int(time.time()) + 60
    pair.add("b", row(at, 0))
    for words in (("api-key", "show", "laptop"), ("token", "show", "work")):
        used = [
            datetime.datetime.fromisoformat(host.airoxy.json(*words)["last_used_at"]).timestamp()
            for host in pair.hosts.values()
        ]
        assert used[0] == at, words
        here = pair.hosts["a"].airoxy.json(*words, "--here")["last_used_at"]
        assert here is None or datetime.datetime.fromisoformat(here).timestamp() < at


def test_without_postgresql_this_host_is_told_of_and_that_is_said_in_time(pair, cluster):
    a = pair.hosts["a"].airoxy

    def alone(*words):
        told = a.run(*words, "--json")
        assert told.returncode == 0, told.stderr
        assert told.stderr.count("\n") == 1
        assert "This is the usage of this host only." in told.stderr
        return json.loads(told.stdout)

    def each_alone():
        assert of_month(alone("api-key", "show", "laptop"), 1, 0)
        assert alone("api-key", "list")[0]["spent_this_month_nanousd"] == _1
        assert of_month(alone("group", "show", "team"), 1, 0)
        assert alone("token", "list")[0]["spent_this_month_nanousd"] == _1

    cluster.hang()
    try:
        each_alone()
        assert a.run("api-key", "list", "--here").stderr == ""
    finally:
        cluster.hang(go_on=True)
    cluster.stop()
    try:
        each_alone()
    finally:
        cluster.start()


@pytest.fixture
def look(pair):
    with console_of(pair) as look:
        yield look


def text_of(page):
    viewer = SimpleNamespace(is_admin=False, name="anna", role="viewer", session=None, csrf="")
    known = {"zone": datetime.UTC, "now": time.time(), "path": "/", "query": {}, "visitor": viewer}
    return render(page.template, {**known, **page.values})


def test_the_console_and_its_api_tell_of_all_hosts_or_of_one(look):
    for query, count, long_ago in (({}, 3, 40), ({"host": "a"}, 1, 0), ({"host": "b"}, 2, 40)):
        for api, which, name in (
            (keys_api, "laptop", keys_api.KEY), (groups_api, "team", groups_api.GROUP)
        ):  # fmt: skip
            listed = look(api.list_all, **query)
            (found,) = [each for each in listed.document if each["name"] == which]
            assert of_month(found, count, long_ago), (query, found)
            assert look(name.show, {"id": which}, **query).document == found
            assert listed.warning == ""
        for token in (
            look(tokens_api.list_all, **query).document[0],
            look(tokens_api.TOKEN.show, {"id": "work"}, **query).document,
        ):
            assert token["spent_this_month_nanousd"] == count * _1
        (key,) = look(keys_pages.show_all, **query).values["rows"]
        assert key["month"] == count * _1
        meters = look(keys_pages.ONE.show, {"number": "1"}, **query).values["meters"]
        assert f"${count + long_ago}.00" in {each.used for each in meters}
        team = look(groups_pages.show_all, **query).values["groups"][1]
        assert team["meters"][0].used == f"${count + long_ago}.00"
        (meter,) = look(groups_pages.ONE.show, {"number": "2"}, **query).values["meters"]
        assert meter.used == f"${count + long_ago}.00"
        (token,) = look(tokens_pages.show_all, **query).values["tokens"]
        assert token["spent_this_month_nanousd"] == count * _1


def test_the_console_says_where_it_could_only_see_this_host(look, cluster):
    alone = "This is the usage of a only."
    cluster.stop()
    try:
        for api in (keys_api, groups_api, tokens_api):
            assert look(api.list_all, host="a").warning == ""
            assert look(api.list_all).warning.startswith(alone)
        assert look(keys_api.KEY.show, {"id": "laptop"}).warning.startswith(alone)
        for pages in (keys_pages, groups_pages, tokens_pages):
            assert alone in text_of(look(pages.show_all))
            assert alone in text_of(look(pages.ONE.show, {"number": "1"}))
    finally:
        cluster.start()
