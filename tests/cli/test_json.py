"""What `--json` prints is what the manual says, with every time as RFC 3339."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airoxy.cli import build_parser
from airoxy.cli.parsing.parser import Parser
from airoxy.config import SCHEMA
from airoxy.views.json_documents import DOCUMENTS, PRICE_TABLE
from airoxy.views.json_fields import KEY, REQUEST, TOKEN, TOTALS, JsonDocument
from tests.cli.printed import unlike
from tests.program import ROOT, Airoxy

SECRET, OAUTH, REFRESH = "sk-ant-api-test-one", "sk-ant-oat-test-one", "sk-ant-ort-test-one"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
#: Typed in this order.
COMMANDS = (
    "api-key add laptop", f"token add console {SECRET} --no-check", "api-key list",
    "api-key show laptop", "api-key show --as-command laptop",
    "api-key set laptop --note x", "api-key disable laptop",
    "api-key enable laptop", "api-key toggle laptop", "token list", "token show console",
    "token set console --spend-per-day 5", "token disable console", "token enable console",
    "token toggle console", "token reset console", "token check",
    f"token add login {OAUTH} {REFRESH} --no-check", "token refresh login", "stats", "logs",
    "audit", "api-key rotate laptop", "group add data --spend-per-day 5", "group list",
    "group show data", "group set data --note x", "api-key set laptop --group data", "export",
    "group remove data", "api-key remove laptop", "token remove console", "console user add ann",
    "console user link ann", "console user list", "console user set ann --role admin",
    "console user logout ann", "console user remove ann", "console token add ci",
    "console token list", "console token remove ci", "prices",
    "prices --recost --since 2026-11-01", "doctor", "token rotate-key",
)  # fmt: skip
BY_COMMAND = {command: each for each in DOCUMENTS for command in each.commands}
#: Those that need another host, another installation or systemd.
ELSEWHERE = {
    "fleet join", "fleet leave", "fleet forget", "fleet status", "import-php", "status",
    "notify test",
}  # fmt: skip


def times(value: object, name: str = "") -> list[object]:
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in times(each, key)]
    if isinstance(value, list):
        return [found for each in value for found in times(each, name)]
    return (
        [value]
        if (name == "at" or name.endswith(("_at", "until", "since"))) and value is not None
        else []
    )


def check(command: str, printed: object) -> None:
    rows = printed if isinstance(printed, list) else [printed]
    assert rows, command
    for row in rows:
        assert unlike(BY_COMMAND[command], row) == set(), command
    for time in times(printed):
        assert isinstance(time, str), (command, time)
        assert TIME.fullmatch(time) or command == "prices --recost", (command, time)


def test_every_field_is_described_and_every_time_is_rfc_3339(
    airoxy: Airoxy, tmp_path: Path
) -> None:
    key = airoxy.key("first")
    keys, login = tmp_path / "keys.yaml", tmp_path / "credentials.json"
    keys.write_text("keys: {second: {}}")
    login.write_text(json.dumps({"claudeAiOauth": {"accessToken": f"{OAUTH}-two",
                     "refreshToken": f"{REFRESH}-two", "expiresAt": 1795370400000}}))  # fmt: skip
    airoxy.token(SECRET + "-first", name="first")
    assert airoxy.request("POST", "/v1/messages", {"model": "claude-opus-5-5", "max_tokens": 9,
                          "messages": []}, key=key).status == 200  # fmt: skip
    airoxy.wait_logs(1)
    seen = set()
    copy = tmp_path / "copy.db"
    for typed in (*COMMANDS, f"apply {keys}", f"token auto --path {login}", f"backup {copy}"):
        command = max((c for c in BY_COMMAND if f"{typed} ".startswith(f"{c} ")), key=len)
        check(command, json.loads(airoxy.run(*typed.split(), "--json").stdout))
        seen.add(command)
    airoxy.stop()
    check("restore", airoxy.json("restore", str(copy)))
    assert seen | {"restore"} | ELSEWHERE == set(BY_COMMAND)


def test_the_settings_have_the_names_of_the_manual(airoxy: Airoxy) -> None:
    shown = airoxy.json("config", "show")
    for setting in SCHEMA:
        section, _, name = setting.key.rpartition(".")
        holder = shown[section] if section else shown
        del holder[name]
    assert [rest for rest in shown.values() if rest != {}] == []


def leaves(parser: Parser, words: str = "") -> Iterator[tuple[str, Parser]]:
    below = parser.commands_below()
    if not below:
        yield words, parser
    for word, inner in below.items():
        yield from leaves(inner, f"{words} {word}".strip())


#: What prints nothing but what it has done, to a person or to systemd, or goes on until it is
#: stopped; apt and systemctl speak for themselves.
WORDLESS = {
    "complete", "config check", "console", "fleet agent", "help", "reload", "restart", "serve",
    "setup", "start", "stop", "top", "uninstall", "update", "version",
}  # fmt: skip


def test_every_command_prints_json_and_is_described() -> None:
    found, without = set(), set()
    for command, parser in leaves(build_parser()):
        has = any("--json" in action.option_strings for action in parser._actions)
        (found if has else without).add(command)
    described = {command.partition(" --")[0] for command in BY_COMMAND}
    assert found - {"config show"} == described
    assert {command for command in without if not command.startswith("job ")} <= WORDLESS


def test_a_field_more_or_less_would_be_found() -> None:
    for document in (KEY, TOKEN, REQUEST, TOTALS):
        printed = dict(document.fields)
        assert unlike(document, printed) == set()
        assert unlike(document, {**printed, "new": 1}) == {"new"}
        assert unlike(document, dict.fromkeys(list(printed)[1:], 1)) == {next(iter(printed))}


def test_a_field_of_an_object_within_another_would_be_found() -> None:
    document = JsonDocument(("x",), {"a": "", "a.b": "", "a.c": "", "a.c.d": ""}, ("a.c",))
    assert unlike(document, {"a": []}) == unlike(document, {"a": [{"b": 1}]}) == set()
    assert unlike(document, {"a": {"b": 1, "c": {"d": 1}}}) == set()
    assert unlike(document, {"a": {"b": 1, "c": {"e": 1}}}) == {"a.c.e"}
    assert unlike(document, {"a": [{"c": None}, {"e": 1}]}) == {"a.b", "a.e"}
    assert "prices.tiers.over" in PRICE_TABLE.fields


@pytest.mark.parametrize("field", ["last_used_at", "coolings", "quota", r"timers.last_run"])
def test_the_manual_has_the_fields(field: str) -> None:
    page = (ROOT / "man" / "airoxy.1").read_text()
    assert rf"\fB{field}\fR" in page
