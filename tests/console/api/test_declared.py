"""Keys and groups declared over the API: what is exported is applied, and nothing else happens."""

from __future__ import annotations

import contextlib

import pytest

from airoxy.console.api.operation import etag_of
from airoxy.store.audit.trail import read_trail
from airoxy.store.console.users import VIEWER
from tests.console.running import Program, Reply, beside

FILE = """
groups:
  data: {spend_per_month: 500}
keys:
  laptop: {group: data, spend_per_day: 5, models: [claude-haiku-*]}
  ci: {}
"""


@pytest.fixture
def fresh(make_console) -> Program:
    console = make_console().start()
    return Program(console, console.program("declarer"))


def applied(program: Program, text: str, query: str = "", **headers: str) -> Reply:
    """What is answered to this YAML."""
    sent = {"content-type": "application/yaml", **headers}
    path = f"/api/apply{query}"
    return program.console.ask("POST", path, text.encode(), program.headers | sent)


def test_a_file_is_applied_once_and_what_is_there_is_exported(fresh):
    before = fresh("GET", "/api/export")
    assert before.json() == {"groups": {}, "keys": {}}
    dry = applied(fresh, FILE, "?dry_run=true").json()
    assert (dry["dry_run"], dry["changed"], dry["keys"]) == (True, True, {})
    assert fresh("GET", "/api/export").json() == before.json()
    done = applied(fresh, FILE).json()
    assert {(each["action"], each["kind"], each["name"]) for each in done["changes"]} == {
        ("add", "group", "data"), ("add", "key", "laptop"), ("add", "key", "ci"),
    }  # fmt: skip
    assert set(done["keys"]) == {"laptop", "ci"}
    assert all(secret.startswith("ak-") for secret in done["keys"].values())
    after = fresh("GET", "/api/export")
    assert after.json()["keys"]["laptop"]["models"] == ["claude-haiku-*"]
    assert not [secret for secret in done["keys"].values() if secret in after.text]
    assert after.headers["etag"] != before.headers["etag"]
    for again in (applied(fresh, FILE), fresh("POST", "/api/apply", after.json())):
        assert (again.json()["changed"], again.json()["keys"]) == (False, {})


def test_the_exported_yaml_is_what_the_command_writes_and_apply_takes(install, tmp_path):
    airoxy = install()
    console = beside(airoxy, tmp_path / "console")
    with contextlib.closing(console.start()):
        program = Program(console, console.program("declarer"))
        applied(program, FILE)
        exported = program("GET", "/api/export?format=yaml")
        assert exported.headers["content-type"] == "application/yaml"
        assert exported.text == airoxy.cli("export")
        assert program("GET", "/api/export").json() == airoxy.json("export")
        assert applied(program, exported.text, "?prune=true").json()["changed"] is False
        assert program("GET", "/api/export?format=toml").status == 400


def test_what_is_not_declared_stays_unless_it_is_pruned(fresh):
    applied(fresh, FILE)
    body = {"keys": {"ci": {"note": '日本 \N{GRINNING FACE} / \\ "'}}}
    kept = fresh("POST", "/api/apply", body).json()
    assert kept["others"] == ["key laptop", "group data"]
    assert fresh("GET", "/api/export").json()["keys"]["ci"]["note"] == body["keys"]["ci"]["note"]
    gone = fresh("POST", "/api/apply?prune=1", body).json()
    assert [(each["action"], each["name"]) for each in gone["changes"]] == [("remove", "laptop")]
    assert set(fresh("GET", "/api/export").json()["keys"]) == {"ci"}


def test_nothing_is_applied_to_another_state_than_the_one_that_was_read(fresh):
    etag = fresh("GET", "/api/export").headers["etag"]
    fresh.key("meanwhile")
    assert applied(fresh, FILE, **{"if-match": etag}).status == 412
    assert set(fresh("GET", "/api/export").json()["keys"]) == {"meanwhile"}
    now = fresh("GET", "/api/export")
    assert now.headers["etag"] == f'"{etag_of(now.json())}"'
    assert applied(fresh, FILE, **{"if-match": now.headers["etag"]}).status == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("keys:\n  a: {spend_per_day: much}\n  b: {colour: 1}",
         ("body:2: keys.a.spend_per_day", "body:3: keys.b.colour")),
        ("keys:\n  a: {group: nobody}", ("body:2: keys.a.group: there is no group nobody",)),
        ("- a", ("is not a mapping",)), ("keys: [", ("body:2: is not YAML",)),
        (" ", ("JSON object",)),
        ("[" * 100, ("nested too deeply",)), ("{a: &x [*x]}", ("there is no such field",)),
    ],
)  # fmt: skip
def test_all_mistakes_are_named_with_their_lines_and_nothing_is_done(fresh, body, detail):
    answer = applied(fresh, body)
    assert answer.status == 400
    assert [each for each in detail if each not in answer.json()["detail"]] == []
    assert fresh("GET", "/api/export").json()["keys"] == {}


def test_mistakes_in_json_have_no_line(fresh):
    wrong = fresh("POST", "/api/apply", {"keys": {"a": {"spend_per_day": -1}}})
    assert (wrong.status, wrong.json()["detail"][:26]) == (400, "body: keys.a.spend_per_day")
    for body in ([], "keys", 5):
        assert fresh("POST", "/api/apply", body).status == 400
    half = fresh.console.ask("POST", "/api/apply", b'{"keys": {"\\ud83d": {}}}', fresh.headers)
    assert half.status == 400


def test_only_an_admin_applies_and_the_audit_names_who_did(fresh):
    looks = Program(fresh.console, fresh.console.program("looks", VIEWER))
    assert applied(looks, FILE).status == 403
    assert looks("GET", "/api/export").status == 200
    applied(fresh, FILE)
    with fresh.console.opened() as db:
        found = {(e.actor, e.via, e.action, e.name) for e in read_trail(db)}
    assert ("declarer", "console API", "added", "laptop") in found


def test_only_what_takes_yaml_reads_it(fresh):
    sent = fresh.headers | {"content-type": "application/yaml"}
    assert fresh.console.ask("POST", "/api/keys", b"name: x", sent).status == 415
    plain = applied(fresh, FILE, **{"content-type": "text/plain"})
    assert (plain.status, "application/yaml" in plain.json()["detail"]) == (415, True)


def test_hundreds_of_keys_are_applied_at_once(fresh):
    fields = {"spend_per_day": 5, "requests_per_minute": 60, "models": ["claude-haiku-*"]}
    body = {"keys": {f"laptop-{number:04}": fields for number in range(300)}}
    done = fresh("POST", "/api/apply", body)
    assert (done.status, len(done.json()["keys"])) == (200, 300)
    assert fresh("POST", "/api/apply", body).json()["changed"] is False
    large = fresh.headers | {"content-length": "600000"}
    assert fresh.console.ask("POST", "/api/apply", b"{", large).status == 413
