"""What the keys of a group may use together, and all keys in all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from airoxy.cli.api_keys.limits import OF_GROUPS
from airoxy.core.limits.holders import EVERYBODY
from airoxy.server.proxy.proxy import SNAPSHOT_TTL
from airoxy.store import groups
from airoxy.store.limits import set_limits
from airoxy.store.schema import open_database
from tests.program import Airoxy
from tests.server.limits.asking import (
    COST,
    ask,
    count,
    dollars,
    limited,
    read_options,
    refused,
    waiting,
)

#: The first group of a test has this id; 1 is that of all keys.
DATA = 2
MANY = 200


def add_group(airoxy: Airoxy, name: str, *options: str) -> int:
    with airoxy.opened() as db:
        return groups.add_group(db, name, time.time(), read_options(options, OF_GROUPS))


def set_group(airoxy: Airoxy, group_id: int, *options: str) -> None:
    """As `airoxy group set` does it; what it changes holds when this returns."""
    with closing(open_database(airoxy.database)) as db:
        groups.set_group(db, group_id, read_options(options, OF_GROUPS))
    time.sleep(SNAPSHOT_TTL)


def put(airoxy: Airoxy, key_id: int, group_id: int | None) -> None:
    """As `airoxy api-key set --group` does it."""
    with closing(open_database(airoxy.database)) as db:
        set_limits(db, key_id, {"group_id": group_id})
    time.sleep(SNAPSHOT_TTL)


def grouped(airoxy: Airoxy, *options: str, keys: int = 2) -> list[str]:
    """The keys of a group with these limits; their ids are 1 and so on."""
    add_group(airoxy, "data", *options)
    made = [limited(airoxy) for _ in range(keys)]
    for key_id in range(1, keys + 1):
        put(airoxy, key_id, DATA)
    return made


def burst(airoxy: Airoxy, keys: Sequence[str], number: int) -> int:
    """So many requests at once, by these keys in turn; how many were served."""
    with ThreadPoolExecutor(number) as pool:
        answers = list(pool.map(lambda n: ask(airoxy, keys[n % len(keys)]), range(number)))
    assert count(answers, 200) + count(answers, 429) == number
    return count(answers, 200)


@pytest.mark.parametrize("group", [DATA, EVERYBODY])
def test_a_burst_of_a_groups_keys_ends_within_one_request_of_its_limit(airoxy, upstream, group):
    keys = grouped(airoxy, keys=3)
    set_group(airoxy, group, "--spend-per-month", dollars(20 * COST))
    served = burst(airoxy, keys, MANY)
    assert 1 <= served <= 21
    while any(ask(airoxy, key).status == 200 for key in keys):
        served = len(upstream.messages)
    assert len(upstream.messages) in (20, 21)
    told, _ = refused(ask(airoxy, keys[0]), "billing_error")
    whose = "The group data" if group == DATA else "The group of all API keys"
    assert told.startswith(f"{whose} has spent its limit of")
    deadline = time.monotonic() + 60
    while [row["status_code"] for row in airoxy.wait_logs(0)].count(200) < len(upstream.messages):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with airoxy.opened() as db:
        assert db.cursor().execute("SELECT sum(cost_nanousd) FROM spending").fetchall() == [
            (len(upstream.messages) * COST * (1 if group == DATA else 2),)
        ]


def test_the_group_of_all_keys_is_for_those_of_any_group_and_of_none(airoxy):
    (member,) = grouped(airoxy, keys=1)
    other = limited(airoxy)
    set_group(airoxy, EVERYBODY, "--requests-per-minute", "2")
    assert [ask(airoxy, key).status for key in (member, other)] == [200, 200]
    for key in (member, other):
        told, wait = refused(ask(airoxy, key), "rate_limit_error")
        assert told.startswith("The group of all API keys has reached its limit of 2 requests")
        assert 0 < wait <= 60


def test_a_key_has_its_own_limits_beside_its_groups(airoxy):
    own = limited(airoxy, "--spend-per-day", dollars(COST))
    other = limited(airoxy)
    add_group(airoxy, "data", "--spend-per-day", dollars(3 * COST))
    for key_id in (1, 2):
        put(airoxy, key_id, DATA)
    assert ask(airoxy, own).status == 200
    told, _ = refused(ask(airoxy, own), "billing_error")
    assert told.startswith("This API key has spent its limit")
    assert [ask(airoxy, other).status for _ in range(2)] == [200, 200]
    told, _ = refused(ask(airoxy, other), "billing_error")
    assert told.startswith("The group data has spent its limit")


def test_changes_of_groups_hold_from_the_next_request_on(airoxy):
    first, second = grouped(airoxy)
    assert ask(airoxy, first).status == 200
    airoxy.wait_logs(1)
    airoxy.cli("group", "set", "data", "--spend-per-day", dollars(COST))
    refused(ask(airoxy, second), "billing_error")
    airoxy.cli("api-key", "set", "2", "--group", "none")
    assert ask(airoxy, second).status == 200
    airoxy.wait_logs(3)  # the minute begins with what the log has
    airoxy.cli("group", "set", "all", "--requests-per-minute", "1")
    refused(ask(airoxy, second), "rate_limit_error")
    airoxy.cli("group", "set", "all", "--requests-per-minute", "none")
    assert ask(airoxy, second).status == 200
    refused(ask(airoxy, first), "billing_error")
    airoxy.cli("group", "remove", "data")
    assert ask(airoxy, first).status == 200


def test_a_request_belongs_to_the_group_that_its_key_was_in_when_it_came(airoxy, held):
    key, other = grouped(airoxy, "--concurrent", "1")
    web = add_group(airoxy, "web", "--concurrent", "1")
    with waiting(airoxy, key, 1, held) as answers:
        put(airoxy, 1, web)
        told, _ = refused(ask(airoxy, other), "rate_limit_error")
        assert "The group data" in told
        held.open()
        assert answers[0].result().status == 200
    assert ask(airoxy, key).status == 200
    rows = [row for row in airoxy.wait_logs(3) if row["status_code"] == 200]
    assert {row["api_key_id"] for row in rows} == {1}
    assert sorted(row["group_name"] for row in rows) == ["data", "web"]


def test_a_restart_forgets_nothing_of_a_group(airoxy):
    keys = grouped(airoxy, "--spend-per-week", dollars(2 * COST), "--requests-per-minute", "9")
    assert [ask(airoxy, key).status for key in keys] == [200, 200]
    airoxy.stop()
    airoxy.start()
    refused(ask(airoxy, keys[0]), "billing_error")
    set_group(airoxy, DATA, "--spend-per-week", "none", "--requests-per-minute", "2")
    refused(ask(airoxy, keys[1]), "rate_limit_error")


@pytest.mark.parametrize("whose", ["key", "group"])
def test_nobody_is_told_to_come_back_when_a_limit_in_total_is_spent(airoxy, whose):
    options = ("--spend-total", dollars(COST))
    key = limited(airoxy, *options) if whose == "key" else grouped(airoxy, *options)[0]
    assert ask(airoxy, key).status == 200
    answer = ask(airoxy, key)
    assert answer.status == 429
    assert "has spent its limit of $0.00034 in total." in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] is None
    assert answer.headers["x-should-retry"] == "false"


def test_a_model_must_be_allowed_to_the_key_and_to_its_group(airoxy):
    add_group(airoxy, "data", "--models", "claude-haiku-*")
    key = limited(airoxy, "--models", "claude-*-4-5")
    put(airoxy, 1, DATA)
    assert ask(airoxy, key, model="claude-haiku-4-5").status == 200
    for model, whose in (("claude-haiku-3", "This API key"), ("claude-opus-4-5", "The group data")):
        answer = ask(airoxy, key, model=model)
        assert answer.status == 403
        assert answer.json()["error"]["message"].startswith(f"{whose} may not use the model")


def test_a_client_must_be_in_the_networks_of_the_key_and_of_its_group(airoxy):
    key = limited(airoxy, "--from", "127.0.0.0/8")
    add_group(airoxy, "data", "--from", "192.0.2.0/24")
    assert ask(airoxy, key).status == 200
    put(airoxy, 1, DATA)
    assert ask(airoxy, key).status == 403
    set_group(airoxy, DATA, "--from", "127.0.0.1,192.0.2.0/24")
    assert ask(airoxy, key).status == 200


def test_with_money_limited_a_path_is_open_that_the_key_or_its_group_names(airoxy):
    (key,) = grouped(airoxy, "--spend-per-day", "5", keys=1)
    assert airoxy.request("POST", "/v1/agents", {}, key=key).status == 403
    set_group(airoxy, DATA, "--paths", "/v1/agents*")
    assert airoxy.request("POST", "/v1/agents", {}, key=key).status != 403


def test_what_a_killed_airoxy_held_for_a_group_is_free_again(airoxy, upstream):
    keys = grouped(airoxy, "--spend-per-day", dollars(2 * COST), "--concurrent", "1")
    held = upstream.script(path="/v1/messages").hold()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, airoxy, keys[0])
        held.wait_arrived()
        airoxy.kill()
        assert asking.exception() is not None
    held.open()
    airoxy.start()
    assert [ask(airoxy, key).status for key in keys] == [200, 200]
    refused(ask(airoxy, keys[0]), "billing_error")
