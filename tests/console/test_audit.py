"""What is done through the console is in the audit trail, under the name of who did it."""

from __future__ import annotations

import time

import pytest

from airoxy.store.audit.trail import Actor, act_as, read_trail
from airoxy.store.console import api_tokens, users


def entries(console, kind):
    with console.opened() as db:
        return [entry for entry in read_trail(db) if entry.kind == kind]


def test_a_change_has_the_name_of_the_user_and_that_it_was_the_console(console):
    browser = console.browser("maria")
    assert browser.post("/groups", name="changed by maria").status == 303
    (entry,) = (e for e in entries(console, "group") if e.name == "changed by maria")
    assert (entry.actor, entry.via, entry.action) == ("maria", "console", "added")


def test_a_change_by_a_program_has_the_name_of_its_token(console):
    headers = console.program("deployer")
    console.ask("POST", "/api/keys", b'{"name": "of a program"}', headers)
    (entry,) = (e for e in entries(console, "key") if e.name == "of a program")
    assert (entry.actor, entry.via, entry.action) == ("deployer", "console API", "added")


def test_a_passphrase_is_set_by_its_user_and_is_not_in_the_trail(console):
    browser = console.browser("petra")
    secret = "a long sentence for petra"
    assert browser.post("/account", new=secret, again=secret).status == 303
    entry = [e for e in entries(console, "console user") if e.name == "petra"][-1]
    assert (entry.actor, entry.action) == ("petra", "passphrase set")
    assert not entry.before
    assert not entry.after


@pytest.fixture
def db(console):
    with console.opened() as db:
        act_as(db, Actor("root", 0, "console user"))
        yield db


def test_users_and_their_links_are_in_the_trail(console, db):
    now = time.time()
    user = users.add_user(db, "tracked", users.VIEWER, now)
    users.new_link(db, user, now)
    users.new_link(db, user, now + 1)
    users.set_role(db, user, users.ADMIN)
    users.set_passphrase(db, user, "x")
    users.set_passphrase(db, user, None)
    users.remove_user(db, user, now)
    found = [e for e in entries(console, "console user") if e.name == "tracked"]
    assert [e.action for e in found] == [
        "added", "login link made", "login link made", "changed", "passphrase set",
        "passphrase removed", "removed",
    ]  # fmt: skip
    assert (found[3].before, found[3].after) == ({"role": "viewer"}, {"role": "admin"})
    assert {e.actor for e in found} == {"root"}


def test_api_tokens_are_in_the_trail_without_their_secrets(console, db):
    _, secret = api_tokens.add_api_token(db, "tracked", users.ADMIN, 2_000_000_000, time.time())
    api_tokens.remove_api_token(db, "tracked", time.time())
    added, removed = (e for e in entries(console, "API token") if e.name == "tracked")
    assert added.after == {"name": "tracked", "role": "admin", "expires_at": 2_000_000_000}
    assert removed.action == "removed"
    assert secret not in str(added) + str(removed)


def test_a_login_is_no_change(console):
    before = len(entries(console, "console user"))
    console.browser("just looking")
    after = entries(console, "console user")[before:]
    assert [e.action for e in after] == ["added", "login link made"]
