"""`airoxy console user` and `token`: who may use the console, typed on a command line."""

from __future__ import annotations

import re
import time

import pytest

from airoxy.store.console import api_tokens, users


@pytest.fixture
def airoxy(install):
    """An installation whose server does not run."""
    return install(console={"listen": ["127.0.0.1:4001"]})


def test_a_user_is_added_with_a_link_that_lets_in_once(airoxy):
    told = airoxy.cli("console", "user", "add", "maria", "--role", "admin")
    (secret,) = re.findall(r"http://127\.0\.0\.1:4001/link/(\S+)", told)
    with airoxy.opened() as db:
        assert users.use_link(db, secret, time.time()).name == "maria"
        assert users.use_link(db, secret, time.time()) is None
    assert "maria" in airoxy.cli("console", "user", "list")
    (row,) = airoxy.json("console", "user", "list")
    assert (row["name"], row["role"], row["has_passphrase"]) == ("maria", "admin", False)


def test_a_new_link_takes_the_place_of_the_old_one(airoxy):
    first = airoxy.json("console", "user", "add", "maria")["link"].rpartition("/")[2]
    second = airoxy.json("console", "user", "link", "maria")["link"].rpartition("/")[2]
    with airoxy.opened() as db:
        assert users.linked_user(db, first, time.time()) is None
        assert users.linked_user(db, second, time.time()).role == users.VIEWER


def test_a_user_is_changed_logged_out_and_removed(airoxy):
    airoxy.cli("console", "user", "add", "maria")
    changed = airoxy.json("console", "user", "set", "maria", "--role", "admin")
    assert changed["role"] == "admin"
    assert "logged out" in airoxy.cli("console", "user", "logout", "maria")
    assert airoxy.json("console", "user", "remove", "maria")["removed"] is True
    assert airoxy.json("console", "user", "list") == []


def test_a_change_of_nothing_asks_what_to_change(airoxy):
    airoxy.cli("console", "user", "add", "maria")
    refused = airoxy.run("console", "user", "set", "maria")
    assert refused.returncode == 2
    assert refused.stderr.startswith("airoxy: Say what to change")


def test_a_passphrase_is_taken_away_by_a_command(airoxy):
    with airoxy.opened() as db:
        users.set_passphrase(db, users.add_user(db, "maria", users.VIEWER, 0), "kept")
    changed = airoxy.json("console", "user", "set", "maria", "--no-passphrase")
    assert (changed["role"], changed["has_passphrase"]) == ("viewer", False)


def test_a_programs_token_is_shown_once_and_removed(airoxy):
    secret = airoxy.json("console", "token", "add", "grafana", "--expires-in", "7d")["token"]
    listed = airoxy.cli("console", "token", "list")
    assert "grafana" in listed
    assert secret not in listed
    with airoxy.opened() as db:
        assert api_tokens.find_api_token(db, secret, time.time()).name == "grafana"
        assert api_tokens.find_api_token(db, secret, time.time() + 7 * 86400 + 1) is None
    airoxy.cli("console", "token", "remove", "grafana")
    with airoxy.opened() as db:
        assert api_tokens.find_api_token(db, secret, time.time()) is None
