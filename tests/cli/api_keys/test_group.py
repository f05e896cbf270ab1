"""Groups of client keys as an operator makes them, fills them and takes them away."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest

from airoxy.cli import build_parser
from airoxy.cli.command import Context
from airoxy.errors import AiroxyError
from airoxy.store import groups, limits
from tests.cli.terminal import Screen, Typed
from tests.conftest import NOON, Clock
from tests.store.seed import add_key, append, row

MARKUP = "<b>=1+1</b>"


@pytest.fixture
def typed(db: apsw.Connection, tmp_path: Path, clock: Clock) -> Typed:
    """At an airoxy with two keys, of which the second is in the group `data`."""
    for name in ("laptop", "notebook"):
        add_key(db, name)
    given = {"spend_per_day_nanousd": 5_000_000_000, "note": "cost centre 7"}
    limits.set_limits(db, 2, {"group_id": groups.add_group(db, "data", NOON, given)})
    return Typed(tmp_path / "airoxy.db", clock)


def test_a_group_is_shown_with_its_keys_limits_and_what_is_used_of_them(typed, db):
    append(db, row(api_key_id=2, group_id=2, cost_nanousd=1_250_000_000))
    shown = typed("group", "show", "data")
    assert "notebook" in shown
    assert "cost centre 7" in shown
    assert "$1.25" in shown
    assert "25%" in shown
    found = typed.json("group", "show", "2")
    assert found["api_keys"] == ["notebook"]
    assert found["spend_per_day_nanousd"] == 5_000_000_000
    assert found["spent_total_nanousd"] == found["spent_today_nanousd"] == 1_250_000_000
    assert [each["name"] for each in typed.json("group", "list")] == ["all", "data"]


def test_a_key_goes_into_a_group_when_it_is_made_and_out_of_it_again(typed, db):
    typed("api-key", "add", "tablet", "--group", "2")
    assert typed.json("api-key", "show", "tablet")["group_name"] == "data"
    assert "data" in typed("api-key", "list")
    told = typed("api-key", "show", "tablet", "--as-command")
    assert told == "airoxy api-key add --name tablet --group data -\n"
    assert typed.json("api-key", "set", "tablet", "--group", "none")["group_id"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("api-key add x --group dat", "did you mean data?"),
        ("api-key set laptop --group all", "every key is in the group of all keys"),
        ("group add data", "'data' is there already"),
        ("group add None", "No group can be named 'None'"),
        ("group set all --name every", "keeps its name"),
        ("group remove all", "cannot be removed"),
        ("group set data", "Say what to change"),
        ("group set data --spend-per-day 0", "--spend-per-day: 0 would let nothing through"),
        ("group show 9", "There is no group 9"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(typed, words, told):
    with pytest.raises(AiroxyError, match=told) as refused:
        typed(*words.split())
    assert len(refused.value.message.splitlines()) == 1
    assert [each["name"] for each in typed.json("api-key", "list")] == ["laptop", "notebook"]


def test_a_group_that_is_removed_lets_its_keys_go_and_keeps_its_history(typed, db):
    append(db, row(api_key_id=2, group_id=2))
    told = typed("group", "remove", "data")
    assert "In no group any more: notebook" in told
    assert typed.json("api-key", "show", "notebook")["group_id"] is None
    (group,) = typed.json("stats", "--by", "group")
    assert (group["group_name"], group["requests"]) == ("data", 1)
    assert typed.json("stats", "--group", "data")["requests"] == 1
    assert len(typed.json("logs", "--group", "data")) == 1


def test_a_person_is_asked_before_a_group_is_removed(typed):
    screen = Screen(terminal=True)
    screen.write("n\n")
    screen.seek(0)
    asked = Screen()
    context = Context(typed.config, environ={}, out=Screen(), err=asked, input=screen)
    arguments = build_parser().parse_args(["group", "remove", "data"])
    assert arguments.run(context, arguments) == 1
    assert "Remove group 2 (data), with its limits for 1 key?" in asked.getvalue()
    assert len(typed.json("group", "list")) == 2


def test_figures_are_divided_by_group_and_narrowed_to_one(typed, db):
    append(
        db,
        row(cost_nanousd=1),
        row(api_key_id=2, group_id=2, cost_nanousd=2),
        row(api_key_id=1, group_id=2, cost_nanousd=4),
    )
    by_group = typed.json("stats", "--by", "group")
    assert [(each["group_name"], each["cost_nanousd"]) for each in by_group] == [
        ("data", 6),
        (None, 1),
    ]
    by_key = typed.json("stats", "--by", "key", "--group", "data")
    assert {each["api_key_name"]: each["cost_nanousd"] for each in by_key} == {
        "laptop": 4, "notebook": 2,
    }  # fmt: skip
    assert typed.json("stats", "--group", "all")["cost_nanousd"] == 7
    by_hour = typed.json("stats", "--by", "hour", "--group", "data")
    assert [each["cost_nanousd"] for each in by_hour] == [6]
    assert len(typed.json("logs", "--group", "data")) == 2
    assert len(typed.json("logs", "--group", "all")) == 3
    cached = typed.json("stats", "--cache", "--group", "data")
    assert cached["requests"] == 2
    assert "data" in typed("logs", "--wide").splitlines()[1]


def test_names_that_look_like_something_else_stay_what_they_are(typed, db):
    typed("group", "set", "data", "--name", MARKUP)
    append(db, row(api_key_id=2, group_id=2))
    for words in (("group", "list"), ("stats", "--by", "group"), ("api-key", "list")):
        assert MARKUP in typed(*words)


@pytest.mark.parametrize("name", ["\u202eatad", "da\x1b[31mta", "da\nta", "", "x" * 65])
def test_a_name_has_nothing_in_it_that_nobody_sees(typed, capsys, name):
    with pytest.raises(SystemExit):
        typed("group", "add", name)
    assert "a name is 1 to 64 printable characters" in capsys.readouterr().err


def test_shells_are_offered_the_groups(typed, db):
    assert typed("complete", "groups").split() == ["all", "data"]


def test_the_audit_has_who_changed_a_group_and_what(typed, db):
    typed("group", "set", "data", "--spend-per-day", "7")
    typed("group", "remove", "data")
    entries = typed.json("audit", "--group", "data")
    assert {entry["kind"] for entry in entries} == {"group"}
    assert {"added", "changed", "removed"} <= {entry["action"] for entry in entries}
    assert "7000000000" in json.dumps(entries)
