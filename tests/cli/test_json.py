"""What `--json` prints is what the manual says, with every time as RFC 3339."""

from __future__ import annotations

import json
import re

import pytest

from airoxy.cli import build_parser
from airoxy.views.json_fields import DOCUMENTS, KEY, REQUEST, TOKEN, TOTALS, unlike
from tests.program import ROOT, Airoxy

SECRET, OAUTH, REFRESH = "sk-ant-api-test-one", "sk-ant-oat-test-one", "sk-ant-ort-test-one"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
#: Typed in this order.
COMMANDS = (
    "api-key add laptop", f"token add console {SECRET} --no-check", "api-key list",
    "api-key show laptop", "api-key set laptop --note x", "api-key disable laptop",
    "api-key enable laptop", "api-key toggle laptop", "token list", "token show console",
    "token set console --spend-per-day 5", "token disable console", "token enable console",
    "token toggle console", "token reset console", "token check",
    f"token add login {OAUTH} {REFRESH} --no-check", "token refresh login", "stats", "logs",
    "audit", "api-key rotate laptop", "group add data --spend-per-day 5", "group list",
    "group show data", "group set data --note x", "api-key set laptop --group data",
    "group remove data", "api-key remove laptop", "token remove console",
)  # fmt: skip
BY_COMMAND = {command: each for each in DOCUMENTS for command in each.commands}


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


def test_every_field_is_described_and_every_time_is_rfc_3339(airoxy: Airoxy, tmp_path) -> None:
    key = airoxy.key("first")
    keys = tmp_path / "keys.yaml"
    keys.write_text("keys: {second: {}}")
    airoxy.token(SECRET + "-first", name="first")
    assert airoxy.request("POST", "/v1/messages", {"model": "claude-opus-5-5", "max_tokens": 9,
                          "messages": []}, key=key).status == 200  # fmt: skip
    airoxy.wait_logs(1)
    for typed in (*COMMANDS, f"apply {keys}", f"backup {tmp_path}/copy.db", "doctor"):
        done = airoxy.run(*typed.split(), "--json")
        printed = json.loads(done.stdout)
        command = next(c for c in BY_COMMAND if typed == c or typed.startswith(f"{c} "))
        rows = printed if isinstance(printed, list) else [printed]
        assert rows, typed
        for row in rows:
            assert unlike(BY_COMMAND[command], row) == set(), typed
        for time in times(printed):
            assert isinstance(time, str), (typed, time)
            assert TIME.fullmatch(time), (typed, time)


def test_every_command_that_prints_json_is_described_or_has_a_shape_of_its_own() -> None:
    """Those are described where they are used."""
    own = {"config show", "export", "prices", "status", "token auto"}
    found = set()
    for group, parser in build_parser().commands_below().items():
        for command, below in (parser.commands_below() or {"": parser}).items():
            if any("--json" in action.option_strings for action in below._actions):
                found.add(f"{group} {command}".strip())
    assert found - own == set(BY_COMMAND)


def test_a_field_more_or_less_would_be_found() -> None:
    for document in (KEY, TOKEN, REQUEST, TOTALS):
        printed = dict(document.fields)
        assert unlike(document, printed) == set()
        assert unlike(document, {**printed, "new": 1}) == {"new"}
        assert unlike(document, dict.fromkeys(list(printed)[1:], 1)) == {next(iter(printed))}


@pytest.mark.parametrize("field", ["last_used_at", "coolings", "quota"])
def test_the_manual_has_the_fields(field: str) -> None:
    page = (ROOT / "man" / "airoxy.1").read_text()
    assert rf"\fB{field}\fR" in page
