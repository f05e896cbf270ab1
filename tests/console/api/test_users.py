"""Users and tokens of the console over its API: for admins alone."""

from __future__ import annotations

from airoxy.store.audit.trail import read_trail
from airoxy.store.console.users import VIEWER
from tests.console.running import Browser

USERS, TOKENS = "/api/console/users", "/api/console/tokens"


def test_a_user_is_added_logs_in_becomes_an_admin_and_is_removed(program):
    made = program("POST", USERS, {"name": "ada"})
    assert made.status == 201
    link = made.json()["link"].removeprefix(program.console.origin)
    browser = Browser(program.console)
    assert browser.post(link).status == 303
    shown = program("GET", f"{USERS}/ada")
    assert shown.json()["role"] == "viewer"
    changed = program("PATCH", f"{USERS}/ada", {"role": "admin"}, if_match=shown.headers["etag"])
    assert changed.json()["role"] == "admin"
    late = program("PATCH", f"{USERS}/ada", {"role": "viewer"}, if_match=shown.headers["etag"])
    assert late.status == 412
    assert program("POST", f"{USERS}/ada/logout").json()["logged_out"] is True
    assert browser.get("/").status == 303
    again = program("POST", f"{USERS}/ada/link").json()["link"]
    assert program("DELETE", f"{USERS}/ada").json()["removed"] is True
    fresh = Browser(program.console)
    assert fresh.post(again.removeprefix(program.console.origin)).status == 410


def test_what_is_done_to_users_is_in_the_audit_trail(program):
    program("POST", USERS, {"name": "watched"})
    with program.console.opened() as db:
        found = [e for e in read_trail(db) if e.name == "watched"]
    assert [(e.actor, e.via, e.action) for e in found] == [
        ("program", "console API", "added"), ("program", "console API", "login link made"),
    ]  # fmt: skip


def test_an_api_token_is_made_works_and_is_removed(program):
    made = program("POST", TOKENS, {"name": "bot", "role": "viewer", "expires_in_days": 1}).json()
    headers = {"authorization": f"Bearer {made['token']}"}
    assert program.console.ask("GET", "/api/keys", headers=headers).status == 200
    assert made["token"] not in program("GET", TOKENS).text
    assert program("DELETE", f"{TOKENS}/bot").json()["removed"] is True
    assert program.console.ask("GET", "/api/keys", headers=headers).status == 401


def test_a_viewer_does_not_even_see_who_may_use_the_console(program):
    headers = program.console.program("curious", VIEWER)
    for path in (USERS, f"{USERS}/x", TOKENS, "/api/config", "/api/config/check"):
        assert program.console.ask("GET", path, headers=headers).status == 403
        assert program.console.ask("HEAD", path, headers=headers).status == 403


def test_an_admin_cannot_lock_themselves_out(console, program):
    browser = console.browser("grace")
    headers = {"cookie": browser.cookie, "origin": console.origin, "x-csrf-token": browser.csrf}
    path = f"{USERS}/grace"
    assert console.ask("DELETE", path, headers=headers).status == 409
    demoted = console.ask("PATCH", path, b'{"role": "viewer"}', headers | {"if-match": "*"})
    assert demoted.status == 409
    assert program("DELETE", path).status == 200


def test_what_is_no_user_and_no_token_is_a_problem(program):
    for body in ({}, {"name": ""}, {"name": "x", "role": "root"}, {"name": "x", "role": []}):
        assert program("POST", USERS, body).status == 400, body
        assert program("POST", TOKENS, body).status == 400, body
    for days in (0, -1, True, "9", 10**9):
        assert program("POST", TOKENS, {"name": "x", "expires_in_days": days}).status == 400
    assert program("PATCH", f"{USERS}/nobody", {}, if_match="*").status == 404
