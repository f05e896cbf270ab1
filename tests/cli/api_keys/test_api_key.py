"""Keys as an operator makes and takes them."""

import contextlib
import re
import shlex
import time
from datetime import UTC, datetime

import pytest

from airoxy.core.keys import digest
from airoxy.store.schema import open_database
from airoxy.store.usage import requests
from tests.program import Airoxy
from tests.store.seed import append, row


@pytest.fixture
def airoxy(install) -> Airoxy:
    """Set up, but no server runs."""
    return install()


def test_a_new_key_is_shown_once_and_stored_as_a_digest_only(airoxy, upstream):
    shown = airoxy.json("api-key", "add", "--name", "laptop")
    assert shown["name"] == "laptop"
    assert re.fullmatch(r"ak-[A-Za-z0-9]{40}", shown["key"])
    listed = airoxy.cli("api-key", "list")
    assert shown["key"] not in listed
    assert f"{shown['key'][:8]}…{shown['key'][-4:]}" in listed
    stored = airoxy.database.read_bytes()
    stored += airoxy.database.with_name("airoxy.db-wal").read_bytes() if _has_wal(airoxy) else b""
    assert shown["key"].encode() not in stored
    assert digest(shown["key"]) in stored


def _has_wal(airoxy: Airoxy) -> bool:
    return airoxy.database.with_name("airoxy.db-wal").exists()


def test_without_json_a_person_is_told_how_to_use_it(airoxy):
    told = airoxy.cli("api-key", "add", "--name", "laptop")
    assert re.search(r"\bak-[A-Za-z0-9]{40}\b", told)
    assert "x-api-key" in told


def test_a_name_is_taken_once_and_free_again_after_removal(airoxy):
    first = airoxy.json("api-key", "add", "--name", "laptop")
    refused = airoxy.run("api-key", "add", "--name", "laptop")
    assert refused.returncode == 1
    assert "'laptop' is there already" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert len(airoxy.json("api-key", "list")) == 1
    airoxy.cli("api-key", "remove", str(first["id"]))
    assert airoxy.json("api-key", "add", "--name", "laptop")["id"] > first["id"]


def test_a_key_of_another_host_is_taken_on_standard_input(airoxy, install):
    key = install().key("laptop")
    taken = airoxy.json("api-key", "add", "-", "--name", "laptop", stdin=f"{key}\n")
    assert taken == {"id": 1, "name": "laptop", "key": key}
    assert digest(key) in airoxy.database.read_bytes()
    again = airoxy.run("api-key", "add", "-", "--name", "desk", stdin=key)
    assert again.returncode == 1
    assert again.stderr == "airoxy: That key is there already: 1 (laptop).\n"


@pytest.mark.parametrize("text", ["", "sk-ant-api-test-one", "ak-test", "ak-" + "x" * 39 + "é"])
def test_what_is_no_client_key_is_not_taken(airoxy, text):
    refused = airoxy.run("api-key", "add", "-", "--name", "laptop", stdin=text)
    assert refused.returncode == 2
    assert refused.stderr == "airoxy: A client key is ak- and 40 letters and digits.\n"


def test_a_key_is_shown_as_the_command_that_adds_it_to_another_host(airoxy, install):
    limits = [
        "--spend-per-day", "1234.5", "--spend-per-month", "20000", "--requests-per-minute", "1000",
        "--tokens-per-minute", "2000000", "--concurrent", "8",
        "--models", "claude-haiku-*,claude-x", "--paths", "/v1/agents*", "--expires", "2099-12-31",
        "--note", "the team's 'blue' laptop",
    ]  # fmt: skip
    made = airoxy.json("api-key", "add", "--name", "blue laptop", *limits)
    program, *words = shlex.split(airoxy.cli("api-key", "show", "1", "--as-command"))
    assert program == "airoxy"
    other = install()
    assert other.json(*words, stdin=made["key"])["key"] == made["key"]
    [here], [there] = airoxy.json("api-key", "list"), other.json("api-key", "list")
    assert {**here, "created_at": 0} == {**there, "created_at": 0}


def test_a_key_without_limits_is_shown_as_a_short_command(airoxy):
    airoxy.key("laptop")
    told = airoxy.cli("api-key", "show", "1", "--as-command")
    assert told == "airoxy api-key add --name laptop -\n"
    assert airoxy.json("api-key", "show", "1", "--as-command") == {"command": told.strip()}


@pytest.mark.parametrize("command", ["remove", "toggle"])
def test_an_id_that_is_not_there_is_named_and_where_to_look(airoxy, command):
    refused = airoxy.run("api-key", command, "7")
    assert refused.returncode == 1
    assert refused.stderr == "airoxy: There is no key 7; `airoxy api-key list` shows them.\n"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 65])
def test_a_name_that_no_table_could_show_is_refused(airoxy, name):
    refused = airoxy.run("api-key", "add", "--name", name)
    assert refused.returncode == 2
    assert "printable characters" in refused.stderr


def test_toggle_says_what_holds_now(airoxy):
    key = str(airoxy.json("api-key", "add", "--name", "laptop")["id"])
    assert "disabled now" in airoxy.cli("api-key", "toggle", key)
    assert "disabled" in airoxy.cli("api-key", "list")
    assert "active now" in airoxy.cli("api-key", "toggle", key)


def test_the_older_spelling_is_the_same_command(airoxy):
    added = airoxy.json("api-key:add", "--name", "laptop")
    assert airoxy.json("api-key:list")[0]["id"] == added["id"]


def test_an_empty_list_says_what_to_do_and_is_an_empty_array(airoxy):
    assert "airoxy api-key add" in airoxy.cli("api-key", "list")
    assert airoxy.json("api-key", "list") == []


# Limits

EVERYTHING = (
    "--spend-per-day", "$5", "--spend-per-week", "20", "--spend-per-month", "99.999999999",
    "--requests-per-minute", "60", "--from", "192.0.2.0/24, 2001:db8::7",
    "--tokens-per-minute", "100000", "--concurrent", "4", "--note", "the build machines'",
    "--models", "claude-haiku-*, claude-sonnet-5", "--paths", "/v1/agents*, /v1/skills",
    "--expires", "2099-12-31",
)  # fmt: skip
LIMITS = {
    "spend_per_day_nanousd": 5 * 10**9,
    "spend_per_week_nanousd": 20 * 10**9,
    "spend_per_month_nanousd": 99_999_999_999,
    "requests_per_minute": 60,
    "tokens_per_minute": 100_000,
    "concurrent_requests": 4,
    "note": "the build machines'",
    "models": ["claude-haiku-*", "claude-sonnet-5"],
    "paths": ["/v1/agents*", "/v1/skills"],
    "from_networks": ["192.0.2.0/24", "2001:db8::7/128"],
    "expires_at": "2100-01-01T00:00:00Z",  # the end of that day
}
USE = {
    "spent_today_nanousd": 0,
    "spent_this_week_nanousd": 0,
    "spent_this_month_nanousd": 0,
    "requests_last_minute": 0,
    "tokens_last_minute": 0,
}


def limits_of(row: dict) -> dict:
    return {name: row[name] for name in LIMITS}


@pytest.fixture
def key(airoxy) -> str:
    """The id of a key without limits."""
    return str(airoxy.json("api-key", "add", "--name", "laptop")["id"])


def test_limits_may_be_given_with_a_new_key(airoxy):
    airoxy.cli("api-key", "add", "--name", "laptop", *EVERYTHING)
    [listed] = airoxy.json("api-key", "list")
    assert limits_of(listed) == LIMITS
    assert {name: listed[name] for name in USE} == USE
    assert airoxy.json("api-key", "show", "1") == listed


def test_a_limit_is_changed_without_the_others_and_taken_away(airoxy, key):
    assert limits_of(airoxy.json("api-key", "show", key)) == dict.fromkeys(LIMITS)
    airoxy.cli("api-key", "set", key, *EVERYTHING)
    airoxy.cli("api-key", "set", key, "--concurrent", "9", "--models", "none", "--name", "desk")
    shown = airoxy.json("api-key", "show", key)
    assert limits_of(shown) == LIMITS | {"concurrent_requests": 9, "models": None}
    assert shown["name"] == "desk"
    for option in EVERYTHING[::2]:
        airoxy.cli("api-key", "set", key, option, "none")
    assert limits_of(airoxy.json("api-key", "show", key)) == dict.fromkeys(LIMITS)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--spend-per-day", "-3", "less than nothing"),
        ("--spend-per-day", "0", "0 would let nothing through"),
        ("--spend-per-day", "0.0000000001", "nine decimals"),
        ("--spend-per-month", "much", "'much' is no amount of dollars; write it like 5 or 2.50."),
        ("--spend-per-month", "1e3", "no amount"),
        ("--spend-per-month", "", "no amount"),
        ("--requests-per-minute", "-1", "less than nothing"),
        ("--requests-per-minute", "0", "airoxy api-key toggle"),
        ("--requests-per-minute", "1.5", "no whole number"),
        ("--tokens-per-minute", "9999999999", "leave the limit out"),
        ("--concurrent", "few", "'few' is no whole number"),
        ("--models", ",", "no model's name"),
        ("--models", "claude haiku;", "no model's name"),
        ("--from", "192.0.2.1/24", "no network; write it like 192.0.2.0/24"),
        ("--from", "home", "no network"),
        ("--paths", "/v1", "no path of the API"),
        ("--paths", "agents", "no path of the API; write it like /v1/agents*."),
        ("--paths", "/v1/a;b", "no path of the API"),
        ("--expires", "2020-01-01", "2020-01-01 is past"),
        ("--expires", "soon", "'soon' is no date; write it like 2026-12-31, or 30d."),
        ("--expires", "2026-02-30", "no date"),
        ("--expires", "0001-01-01T00:00+23:59", "is past"),
        ("--expires", "9999-12-31", "no date"),
        ("--note", "", "printable characters"),
        ("--note", "a\nb", "printable characters"),
        ("--note", "x" * 201, "printable characters"),
    ],
)
def test_what_cannot_be_meant_is_named_and_changes_nothing(airoxy, key, option, value, told):
    refused = airoxy.run("api-key", "set", key, "--concurrent", "5", f"{option}={value}")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"airoxy: {option}: ")
    assert told in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert limits_of(airoxy.json("api-key", "show", key)) == dict.fromkeys(LIMITS)
    added = airoxy.run("api-key", "add", "--name", "other", f"{option}={value}")
    assert added.returncode == 2
    assert len(airoxy.json("api-key", "list")) == 1


def test_an_amount_below_nothing_needs_no_equals_sign_to_be_refused(airoxy, key):
    refused = airoxy.run("api-key", "set", key, "--spend-per-day", "-3")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_key_shares_with_none_whom_its_group_or_all(airoxy, key):
    def shares():
        return airoxy.json("api-key", "show", key)["share_resources"]

    assert shares() == "group"
    for choice in ("none", "all", "group"):
        airoxy.cli("api-key", "set", key, "--share-resources", choice)
        assert shares() == choice
    refused = airoxy.run("api-key", "set", key, "--share-resources", "some")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "'some' is none of none, group, all" in refused.stderr
    assert "--share-resources" not in airoxy.cli("api-key", "show", key, "--as-command")


def test_a_moment_may_be_in_any_zone(airoxy, key):
    airoxy.cli("api-key", "set", key, "--expires", "2099-12-31T18:00")
    in_utc = airoxy.json("api-key", "show", key)["expires_at"]
    airoxy.cli("api-key", "set", key, "--expires", "2099-12-31T19:00+01:00")
    assert airoxy.json("api-key", "show", key)["expires_at"] == in_utc == "2099-12-31T18:00:00Z"


@pytest.mark.parametrize("day", ["2099-12-31", "20991231", "2099-W53-4"])
def test_a_day_is_the_keys_last_however_it_is_written(airoxy, key, day):
    airoxy.cli("api-key", "set", key, "--expires", day)
    assert airoxy.json("api-key", "show", key)["expires_at"] == LIMITS["expires_at"]


def test_to_set_nothing_is_a_mistake(airoxy, key):
    refused = airoxy.run("api-key", "set", key)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--help" in refused.stderr


@pytest.mark.parametrize("command", [("set", "7", "--concurrent", "1"), ("show", "7")])
def test_limits_of_nobody_are_not_there(airoxy, command):
    refused = airoxy.run("api-key", *command)
    assert refused.returncode == 1
    assert "There is no key 7" in refused.stderr


def test_a_name_that_another_key_has_is_refused(airoxy, key):
    airoxy.cli("api-key", "add", "--name", "other")
    refused = airoxy.run("api-key", "set", key, "--name", "other", "--note", "lost")
    assert refused.returncode == 1
    assert "'other'" in refused.stderr
    assert airoxy.json("api-key", "show", key)["note"] is None


def test_use_is_shown_against_the_limits(airoxy, key):
    airoxy.cli("api-key", "add", "--name", "free")
    airoxy.cli("api-key", "set", key, *EVERYTHING)
    now = time.time()
    with contextlib.closing(open_database(airoxy.database)) as db:
        append(
            db,
            row(cost_nanousd=4 * 10**9)._replace(
                requested_at_ms=int(now * 1000), duration_ms=0, api_key_id=int(key)
            ),
        )
    listed = airoxy.cli("api-key", "list")
    assert "████████    80%  $4.00 of $5.00 today" in listed
    assert listed.splitlines()[2].endswith("  -")  # the other key has no limit
    shown = airoxy.cli("api-key", "show", key)
    for line in (
        r"Key 1: laptop",
        r"  state +active",
        r"  expires +2100-01-01 00:00 UTC",
        r"  note +the build machines'",
        r"  models +claude-haiku-\*, claude-sonnet-5",
        r"  from +192\.0\.2\.0/24, 2001:db8::7/128",
        r"  paths +/v1/agents\*, /v1/skills",
        r"  concurrent +4 requests at the most",
        r"today +\$4\.00 +\$5\.00 +80%  █+▎?",
        r"this week +\$4\.00 +\$20\.00 +20%  █+",
        r"this month +\$4\.00 +\$99\.999999999 +4%  ▉|█",
        r"requests a minute +1 +60 +2%  ▍",
        r"tokens a minute +100 +100,000 +0%  ▏",
    ):
        assert re.search(f"^{line}", shown, re.MULTILINE), (line, shown)


def test_a_new_key_has_the_limits_of_the_configuration_unless_it_is_given_others(airoxy):
    limits = {"spend_per_month": 50, "models": ["claude-haiku-*", "claude-sonnet-5-5"]}
    airoxy.write_config(defaults={"limits": limits | {"expires": "30d", "concurrent": 8}})
    airoxy.cli("api-key", "add", "laptop", "--spend-per-month", "7.50", "--concurrent", "none")
    shown = airoxy.json("api-key", "show", "laptop")
    assert shown["spend_per_month_nanousd"] == 7_500_000_000
    assert shown["models"] == limits["models"]
    assert shown["concurrent_requests"] is None
    assert shown["expires_at"] > shown["created_at"]
    airoxy.cli("api-key", "add", "tablet")
    assert airoxy.json("api-key", "show", "tablet")["spend_per_month_nanousd"] == 50 * 10**9


def test_every_key_is_listed_with_what_it_has_spent_and_its_last_use(airoxy, key):
    """With limits and without, and after its detailed rows are gone."""
    for name in ("busy", "old", "idle"):
        airoxy.cli("api-key", "add", name)
    now = time.time()
    month_ago = int(now * 1000) - 40 * 86_400_000
    with contextlib.closing(open_database(airoxy.database)) as db:
        for number, at, cost in ((2, int(now * 1000) - 1000, 12_345 * 10**6), (3, month_ago, 5)):
            append(db, row(cost_nanousd=cost)._replace(requested_at_ms=at, api_key_id=number))
        requests.delete_slice(db, datetime.now(UTC).date(), 100)
    head, _, busy, old, idle = airoxy.cli("api-key", "list").splitlines()
    assert head.split()[-5:] == ["TODAY", "MONTH", "LAST", "USED", "LIMIT"]
    assert re.search(r"busy .*active +\$12\.3[45] +\$12\.3[45]  \d+s ago", busy)
    assert re.search(r"old .*active +\$0\.00 +\$0\.00  (39|40)d", old)
    assert re.search(r"idle .*active +\$0\.00 +\$0\.00  never", idle)
    shown = airoxy.cli("api-key", "show", "busy")
    assert re.search(r"  spent +\$12\.3[45] today, \$12\.3[45] this month", shown)
    assert re.search(r"  last used +\d+s ago", shown)
    assert airoxy.json("api-key", "show", "idle")["last_used_at"] is None
    assert re.fullmatch(r"[0-9T:.-]+Z", airoxy.json("api-key", "show", "busy")["last_used_at"])
