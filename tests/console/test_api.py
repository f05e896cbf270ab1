"""The admin API: the same numbers and names as the commands print, and what it refuses."""

from __future__ import annotations

import json
import re
import time

import pytest

from airoxy.console import api
from airoxy.console.api.openapi import openapi
from airoxy.core.keys import new_key
from airoxy.store.audit.trail import read_trail
from airoxy.store.console.users import VIEWER
from airoxy.store.keys import add_key
from airoxy.store.usage.requests import append
from tests.cli.printed import unlike
from tests.console.running import SECRET, Program, log_row


def test_a_key_is_made_shown_changed_and_removed(program):
    fields = {"spend_per_day_nanousd": 5_000_000_000, "models": ["claude-haiku-*"]}
    made = program("POST", "/api/keys", {"name": "ci", "note": "for tests", **fields})
    assert made.status == 201
    assert made.json()["key"].startswith("ak-")
    assert made.headers["location"] == f"/api/keys/{made.json()['id']}"
    shown = program("GET", "/api/keys/ci")
    assert shown.json()["spend_per_day_nanousd"] == 5_000_000_000
    assert shown.json()["models"] == ["claude-haiku-*"]
    assert made.json()["key"] not in shown.text
    etag = shown.headers["etag"]
    changed = program("PATCH", "/api/keys/ci", {"spend_per_day_nanousd": None}, if_match=etag)
    assert changed.json()["spend_per_day_nanousd"] is None
    assert changed.json()["models"] == ["claude-haiku-*"]
    removed = program("DELETE", "/api/keys/ci")
    assert removed.json() == {"id": made.json()["id"], "name": "ci", "removed": True}
    assert program("GET", "/api/keys/ci").status == 404


def test_two_admins_do_not_overwrite_each_other(program):
    program.key("both")
    etag = program("GET", "/api/keys/both").headers["etag"]
    assert program("PATCH", "/api/keys/both", {"note": "one"}, if_match=etag).status == 200
    late = program("PATCH", "/api/keys/both", {"note": "two"}, if_match=etag)
    assert late.status == 412
    assert late.headers["content-type"] == "application/problem+json"
    assert program("DELETE", "/api/keys/both", if_match=etag).status == 412
    assert program("GET", "/api/keys/both").json()["note"] == "one"
    assert program("PATCH", "/api/keys/both", {"note": "x"}).status == 428
    assert program("PATCH", "/api/keys/both", {"note": "x"}, if_match="*").status == 200


def test_an_action_that_names_a_state_is_not_done_in_another(program):
    program.key("acted")
    program.token("acted")
    program.console.user("acted")
    for path, verbs in (
        ("/api/keys/acted", ("enable", "disable", "toggle", "rotate")),
        ("/api/tokens/acted", ("enable", "disable", "toggle", "reset", "refresh")),
        ("/api/console/users/acted", ("link", "logout")),
    ):
        before = program("GET", path)
        for verb in verbs:
            answer = program("POST", f"{path}/{verb}", if_match='"of another state"')
            assert answer.status == 412, (path, verb)
        assert program("GET", path).headers["etag"] == before.headers["etag"]
        for verb in ("disable", "enable") if "users" not in path else ("logout",):
            etag = program("GET", path).headers["etag"]
            assert program("POST", f"{path}/{verb}", if_match=etag).status == 200


def test_the_answer_to_an_action_has_the_etag_of_the_new_state(program):
    program.key("chained")
    etag = program("GET", "/api/keys/chained").headers["etag"]
    for verb in ("disable", "rotate", "toggle"):
        answer = program("POST", f"/api/keys/chained/{verb}", if_match=etag)
        assert answer.status == 200
        assert answer.headers["etag"] != etag
        etag = answer.headers["etag"]
    assert program("GET", "/api/keys/chained").headers["etag"] == etag


def test_use_of_a_key_changes_no_etag(program):
    number = program.key("used")
    etag = program("GET", "/api/keys/used").headers["etag"]
    with program.console.opened() as db:
        append(db, [log_row(api_key_id=number)])
    assert program("GET", "/api/keys/used").headers["etag"] == etag


def test_a_key_is_disabled_enabled_toggled_and_rotated(program):
    program.key("states")
    active = [
        program("POST", f"/api/keys/states/{verb}").json()["is_active"]
        for verb in ("disable", "disable", "enable", "toggle", "toggle")
    ]
    assert active == [False, False, True, False, True]
    rotated = program("POST", "/api/keys/states/rotate", {"overlap_seconds": 60}).json()
    assert rotated["key"].startswith("ak-")
    assert len(rotated["old_secrets"]) == 1
    assert program("POST", "/api/keys/states/rotate", {"overlap_seconds": -1}).status == 400


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (None, "has to be a JSON object"), ([], "has to be a JSON object"), ({}, "name is missing"),
        ({"name": ""}, "name"), ({"name": 5}, "name has to be text"), ({"name": "x\n"}, ""),
        ({"name": "x" * 65}, "1 to 64"), ({"name": "n1", "wrong": 1}, "There is no field wrong"),
        ({"name": "n2", "spend_per_day_nanousd": -1}, "no amount"),
        ({"name": "n3", "spend_per_day_nanousd": True}, "cannot be meant"),
        ({"name": "n4", "requests_per_minute": "many"}, "no whole number"),
        ({"name": "n5", "models": [5]}, "list of texts"), ({"name": "n6", "group": "none"}, ""),
        ({"name": "n7", "expires_at": "2020-01-01"}, "past"), ({"name": "n8", "note": {}}, "note"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_problem_and_makes_no_key(program, body, detail):
    before = len(program("GET", "/api/keys").json())
    answer = program("POST", "/api/keys", body)
    if answer.status == 201:  # a name is taken without the space around it, as by the command
        assert body == {"name": "x\n"}
        return
    assert answer.status in (400, 404)
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert detail in problem["detail"]
    assert len(program("GET", "/api/keys").json()) == before


def test_a_name_that_is_taken_is_a_conflict(program):
    program.key("taken")
    assert program("POST", "/api/keys", {"name": "taken"}).status == 409


def test_a_token_is_shown_without_its_secret_and_changed(program):
    number = program.token("masked")
    answers = [
        program("GET", "/api/tokens"), program("GET", "/api/tokens/masked"),
        program("PATCH", "/api/tokens/masked", {"priority": 5, "pool": "team"}, if_match="*"),
        program("POST", "/api/tokens/masked/disable"), program("POST", "/api/tokens/masked/enable"),
        program("POST", "/api/tokens/masked/reset"), program("GET", "/api/audit"),
    ]  # fmt: skip
    assert [answer.status for answer in answers] == [200] * 7
    assert not [answer for answer in answers if SECRET in answer.text]
    shown = program("GET", f"/api/tokens/{number}").json()
    assert (shown["priority"], shown["pool"]) == (5, "team")
    assert program("DELETE", "/api/tokens/masked").json()["removed"] is True


def test_a_token_is_added_and_never_comes_back(program):
    secret = SECRET + "added"
    made = program("POST", "/api/tokens", {"name": "new", "token": secret, "check": False})
    assert made.status == 201
    assert secret not in made.text
    again = program("POST", "/api/tokens", {"name": "newer", "token": secret, "check": False})
    assert again.status == 409
    assert secret not in again.text
    wrong = program("POST", "/api/tokens", {"name": "odd", "token": "nothing", "check": False})
    assert wrong.status == 400
    oauth = {"name": "o", "token": "sk-ant-oat01-x", "check": False}
    assert program("POST", "/api/tokens", oauth).status == 400


def test_documents_have_the_fields_that_the_manual_describes(program):
    program.key("described")
    program.token("described")
    program("POST", "/api/groups", {"name": "described"})
    program.console.user("described")
    with program.console.opened() as db:
        append(db, [log_row()])
    for each in api.OPERATIONS:
        if each.path == "/api/fleet":
            continue  # tests/fleet has one
        if each.method == "GET" and each.document and each.status == 200:
            answer = program("GET", re.sub("{.*}", "described", each.path)).json()
            if "{id}" in each.path and "logs" in each.path:
                continue
            found = answer[0] if each.is_list else answer
            assert unlike(each.document, found) == set(), each.path


def test_the_log_is_found_by_every_filter_and_read_in_pages(program):
    with program.console.opened() as db:
        key = add_key(db, "filtered", new_key(lambda a: a[7]), time.time())
        rows = [log_row(api_key_id=key, request_id=f"req_{n}", model=f"model-{n % 2}",
                        status_code=529 if n == 3 else 200) for n in range(10)]  # fmt: skip
        append(db, rows)
    ask = "/api/logs?key=filtered"
    first = program("GET", f"{ask}&limit=4").json()
    rest = program("GET", f"{ask}&before={first[-1]['id']}").json()
    assert [row["request_id"] for row in first + rest] == [f"req_{n}" for n in range(9, -1, -1)]
    assert len(program("GET", f"{ask}&model=model-1").json()) == 5
    assert [row["request_id"] for row in program("GET", f"{ask}&status=5xx").json()] == ["req_3"]
    assert len(program("GET", f"{ask}&failed=true").json()) == 1
    assert len(program("GET", f"{ask}&request=req_7&since=1h").json()) == 1
    assert program("GET", f"{ask}&until=1h").json() == []
    one = program("GET", f"/api/logs/{first[0]['id']}").json()
    assert one == first[0]
    for wrong in ("status=9", "limit=0", "limit=x", "before=x", "since=soon", "key=nobody"):
        assert program("GET", f"/api/logs?{wrong}").status in (400, 404), wrong
    assert program("GET", "/api/logs/999999999").status == 404


def test_stats_reports_prices_and_audit_are_told(program):
    number = program.key("told")
    with program.console.opened() as db:
        append(db, [log_row(api_key_id=number, cost_nanousd=7)])
    assert program("GET", "/api/stats?key=told").json()[0]["cost_nanousd"] == 7
    assert program("GET", "/api/stats?key=told&by=model").json()[0]["model"] == "m"
    assert program("GET", "/api/stats?by=color").status == 400
    report = program("GET", "/api/report").json()
    assert "told" in {key["api_key_name"] for key in report["keys"]}
    page = program("GET", "/api/report?format=html")
    assert page.headers["content-disposition"].startswith("attachment")
    assert page.headers["content-security-policy"].startswith("sandbox")
    assert program("GET", "/api/report?format=csv").text.startswith("month,")
    assert program("GET", "/api/report?month=2026-13").status == 400
    assert "prices" in program("GET", "/api/prices").json()
    entry = program("GET", "/api/audit?limit=1").json()[0]
    assert (entry["actor"], entry["via"]) == ("program", "console API")
    with program.console.opened() as db:
        assert read_trail(db, limit=1)[0].actor == "program"
    assert f"program (console API): key {number} (told) added" in program.console.told


def test_health_and_the_doctor_answer_without_a_server(program):
    assert program("GET", "/api/health").json()["status_code"] is None
    checks = {finding["check"] for finding in program("GET", "/api/doctor").json()}
    assert {"database", "keys", "tokens"} <= checks


def test_a_viewers_token_reads_and_changes_nothing(console):
    viewer = Program(console, console.program("looks", VIEWER))
    assert viewer("GET", "/api/keys").status == 200
    for each in api.OPERATIONS:
        if each.method != "GET":
            answer = viewer(each.method, each.path.replace("{id}", "1"), {})
            assert answer.status == 403, each.path


def test_a_token_that_has_expired_was_removed_or_is_none_lets_nobody_in(console):
    for shown in ("", "Bearer", "Bearer aa-nothing", "Basic eDp5", "Bearer " + "x" * 5000):
        answer = console.ask("GET", "/api/keys", headers={"authorization": shown})
        assert answer.status == 401


def test_a_session_uses_the_api_with_its_csrf_token(console):
    browser = console.browser("scripted")
    headers = {"cookie": browser.cookie, "origin": console.origin}
    body = json.dumps({"name": "from a page"}).encode()
    assert console.ask("POST", "/api/keys", body, headers).status == 403
    made = console.ask("POST", "/api/keys", body, headers | {"x-csrf-token": browser.csrf})
    assert made.status == 201


def test_an_api_token_opens_no_page(console):
    assert console.ask("GET", "/", headers=console.program("pages")).status == 303


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 5000, b'{"name": NaN'])
def test_what_is_not_json_is_refused(program, body):
    answer = program.console.ask("POST", "/api/keys", body, program.headers)
    assert answer.status == 400


def test_no_answer_can_be_split_by_what_is_asked_for(program):
    for path in ("/api/keys/%0d%0ax:%20y", "/api/logs?key=%0d%0ax:%20y", "/%0d%0ax"):
        answer = program("GET", path)
        assert answer.status in (303, 404)
        assert "x" not in answer.headers


def test_openapi_describes_exactly_the_routes(program):
    document = program("GET", "/api/openapi.json").json()
    assert document == json.loads(json.dumps(openapi(api.OPERATIONS)))
    described = {(m.upper(), p) for p, ms in document["paths"].items() for m in ms}
    routed = {(m, route.path) for route in api.ROUTES for m in route.handlers}
    assert described == routed == {(each.method, each.path) for each in api.OPERATIONS}
    ids = [o["operationId"] for ms in document["paths"].values() for o in ms.values()]
    assert len(ids) == len(set(ids))


def test_every_answer_is_one_that_openapi_has(program):
    paths = program("GET", "/api/openapi.json").json()["paths"]
    strange = [None, {}, [], {"name": "\u202e<script>"}, {"check": False, "token": "\x00"}, 5]
    for path, methods in paths.items():
        for method, operation in methods.items():
            for number, body in enumerate(strange):
                asked = path.replace("{id}", ("0", "-1", "%00", "é".encode().hex())[number % 4])
                answer = program(method.upper(), asked, body)
                told = operation["responses"].get(str(answer.status))
                assert told is not None, (method, path, body, answer)
                kind = answer.headers["content-type"].partition(";")[0]
                assert kind in told["content"], (method, path, answer)
