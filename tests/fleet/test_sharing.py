"""Keys, groups, tokens and cooldowns of one host are those of all."""

from __future__ import annotations

import math
import select
import time
from contextlib import closing

from airoxy.core.pool import Scope
from airoxy.fleet.agent import Session
from airoxy.store.groups import add_group, list_groups
from airoxy.store.keys import add_key, toggle_key
from airoxy.store.schema import open_database, run
from airoxy.store.tokens import add_token, cool
from airoxy.views.json_documents import document_of
from tests.cli.printed import unlike
from tests.fleet.conftest import eventually
from tests.fleet.test_ship import join

BODY = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}


def settled(hosts):
    """Until every agent meets the fleet."""
    for host in hosts:
        with host.airoxy.opened() as db:
            eventually(lambda db=db: run(db, "SELECT contact_at FROM fleet")[0][0])


def status(host, key):
    return host.airoxy.request("POST", "/v1/messages", BODY, key=key).status


def test_a_key_made_on_one_host_works_on_the_other_and_stops_there_when_it_is_disabled(
    hosts, upstream
):
    a, b = hosts(2, servers=True)
    settled((a, b))
    a.airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    key = a.airoxy.json("api-key", "add", "laptop")["key"]
    eventually(lambda: status(b, key) == 200)
    a.airoxy.cli("api-key", "disable", "laptop")
    eventually(lambda: status(b, key) == 401)
    assert [each["id"] for each in b.airoxy.json("api-key", "list")] == [1]


def test_others_are_told_of_a_change_and_need_not_ask(tmp_path, url):
    """Of a key, that it is disabled, and of a cooldown."""
    a, of_a = join(tmp_path / "a.db", url, first=True)
    (tmp_path / "b").mkdir()
    key = (tmp_path / "token.key").read_text()
    (tmp_path / "b" / "token.key").write_text(key)
    b, of_b = join(tmp_path / "b" / "b.db", url, "b")
    with closing(of_a), closing(of_b):
        first, other = Session(a, of_a, 3), Session(b, of_b, 3, poll=math.inf)
        other.turn()  # which asks once

        def told():
            first.turn()
            assert select.select([of_b.fileno()], [], [], 30)[0]
            other.turn()

        here = open_database(tmp_path / "a.db")  # as another process has it
        add_key(here, "laptop", "ak-told", time.time())
        told()
        assert run(b, "SELECT name, is_active FROM api_keys") == [("laptop", 1)]
        toggle_key(here, 1)
        told()
        assert run(b, "SELECT name, is_active FROM api_keys") == [("laptop", 0)]
        add_token(here, name="work", type="api_key", token="sk-ant-api03-told", refresh_token=None,
                  expires_at=None, now=time.time())  # fmt: skip
        told()
        now = time.time()
        cool(here, 1, Scope(), now + 600, "test", int(now * 1e9))
        told()
        assert run(b, "SELECT reason FROM cooldowns") == [("test",)]


def test_what_is_changed_on_both_hosts_one_after_the_other_gets_numbers_of_its_own(hosts):
    a, b = hosts(2)
    settled((a, b))
    a.airoxy.cli("api-key", "add", "one")
    eventually(lambda: len(b.airoxy.json("api-key", "list")) == 1)
    b.airoxy.cli("api-key", "add", "two")
    eventually(lambda: len(a.airoxy.json("api-key", "list")) == 2)
    for host in (a, b):
        named = {each["id"]: each["name"] for each in host.airoxy.json("api-key", "list")}
        assert named == {1: "one", 2: "two"}


def test_groups_and_limits_are_shared_too(hosts):
    a, b = hosts(2)
    settled((a, b))
    a.airoxy.cli("api-key", "add", "one", "--spend-per-day", "5")
    with a.airoxy.opened() as db:
        group = add_group(db, "team", time.time(), {"spend_per_day_nanousd": 7})
        run(db, "UPDATE api_keys SET group_id = ?", (group,))

    def arrived():
        with b.airoxy.opened() as db:
            found = [each for each in list_groups(db) if each["name"] == "team"]
        return found and found[0]["api_keys"] == ["one"] and found[0]

    assert eventually(arrived)["spend_per_day_nanousd"] == 7
    b.airoxy.cli("api-key", "set", "one", "--spend-per-day", "6")
    eventually(lambda: a.airoxy.json("api-key", "list")[0]["spend_per_day_nanousd"] == 6 * 10**9)


def test_without_postgresql_nothing_is_changed_and_requests_go_on(hosts, cluster, upstream):
    (a,) = hosts(1, servers=True)
    settled((a,))
    key = a.airoxy.json("api-key", "add", "one")["key"]
    a.airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    cluster.stop()
    try:
        for words in (("api-key", "add", "two"), ("api-key", "disable", "one")):
            refused = a.airoxy.run(*words)
            assert refused.returncode == 1
            assert "Nothing has been changed" in refused.stderr
            assert "ak-" not in refused.stdout
        assert status(a, key) == 200
        assert [each["name"] for each in a.airoxy.json("api-key", "list")] == ["one"]
    finally:
        cluster.start()


def test_what_another_host_has_changed_just_now_is_not_overwritten(hosts):
    a, b = hosts(2)
    settled((a, b))
    with b.frozen_agent():
        a.airoxy.cli("api-key", "add", "one")
        refused = b.airoxy.run("api-key", "add", "other")
        assert refused.returncode == 1
        assert "Try again" in refused.stderr
    eventually(lambda: b.airoxy.json("api-key", "list"))
    b.airoxy.cli("api-key", "add", "other")


def test_a_cooldown_on_one_host_is_heeded_on_the_other(hosts, upstream):
    a, b = hosts(2, servers=True)
    settled((a, b))
    key = a.airoxy.json("api-key", "add", "one")["key"]
    a.airoxy.cli("token", "add", "sk-ant-api03-shared", "--name", "work", "--no-check")
    eventually(lambda: status(b, key) == 200)
    now = time.time()
    with a.airoxy.opened() as db:
        cool(db, 1, Scope(), now + 600, "test", int(now * 1e9))
    eventually(lambda: status(b, key) == 429)
    a.airoxy.cli("token", "reset", "work")
    eventually(lambda: status(b, key) == 200)


def test_keys_of_a_host_that_joins_keep_what_is_theirs(install, hosts, url):
    (a,) = hosts(1)
    settled((a,))
    a.airoxy.cli("api-key", "add", "laptop")
    b = install()
    b.key("phone")
    own = b.key("laptop")
    # In the same second, even.
    made = a.airoxy.json("api-key", "list")[0]["created_at"]
    with b.opened() as db:
        db.execute("UPDATE api_keys SET created_at = unixepoch(?)", (made,))
    b.database.with_name("token.key").write_text(
        a.airoxy.database.with_name("token.key").read_text()
    )
    plan = b.cli("fleet", "join", url, "--name", "b", "--dry-run")
    assert "laptop" in plan
    dry = b.json("fleet", "join", url, "--name", "b", "--dry-run")
    assert dry["dry_run"]
    assert dry["changes"] == plan.splitlines()
    assert unlike(document_of("fleet join"), dry) == set()
    assert len(b.json("api-key", "list")) == 2
    b.cli("fleet", "join", url, "--name", "b")
    assert {each["name"] for each in b.json("api-key", "list")} == {
        "laptop", "phone", "laptop@b",
    }  # fmt: skip
    eventually(lambda: len(a.airoxy.json("api-key", "list")) == 3)
    assert own
