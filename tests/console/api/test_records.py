"""Prices and the configuration over the API, as the commands have them."""

from __future__ import annotations

import json

from airoxy.store.usage.requests import append
from airoxy.views.json_documents import RECOST
from tests.cli.printed import unlike
from tests.console.running import log_row


def test_prices_are_applied_again_or_only_tried(program):
    with program.console.opened() as db:
        append(db, [log_row()])
    since = {"since": "2020-01-01"}
    tried = program("POST", "/api/prices/recost", {**since, "dry_run": True}).json()
    assert unlike(RECOST, tried) == set()
    assert (tried["dry_run"], tried["rows"]) == (True, 1)
    assert program("POST", "/api/prices/recost", since).json()["dry_run"] is False
    for body in ({}, {"since": "soon"}, {"since": 5}, {**since, "dry_run": "yes"}):
        assert program("POST", "/api/prices/recost", body).status == 400, body


def test_the_configuration_is_that_of_the_command(program):
    shown = program("GET", "/api/config").json()
    assert shown["port"] == program.console.settings["port"]
    assert shown["console"]["listen"] == program.console.settings["console"]["listen"]


def test_mistakes_in_the_file_are_named_while_the_console_runs_on(program):
    path = program.console.config
    assert program("GET", "/api/config/check").json() == {"file": str(path), "mistakes": []}
    text = path.read_text()
    try:
        path.write_text(json.dumps({"port": "x", "hots": "y"}))
        mistakes = program("GET", "/api/config/check").json()["mistakes"]
    finally:
        path.write_text(text)
    assert len(mistakes) >= 2
    assert any("hots" in line for line in mistakes)


def test_an_address_that_is_a_secret_is_not_shown(make_console):
    secret = "https://hooks.example.com/of-nobody-else"
    console = make_console(notify={"webhook": secret}).start()
    shown = console.ask("GET", "/api/config", headers=console.program("reader"))
    assert shown.status == 200
    assert "of-nobody-else" not in shown.text
    assert "hooks.example.com" in shown.text


def test_the_changes_of_the_group_of_all_keys_are_its_own(program):
    program("PATCH", "/api/groups/all", {"spend_per_day_nanousd": 10**12}, if_match="*")
    program.key("another's change")
    found = program("GET", "/api/audit?group=all").json()
    assert [(each["kind"], each["name"], each["action"]) for each in found] == [
        ("group", "all", "changed")
    ]
