"""Tokens changed, shown and removed by the command."""

from __future__ import annotations

import io
import json
from pathlib import Path

import apsw
import pytest

from airoxy.cli import build_parser
from airoxy.cli.command import Context
from airoxy.core.pool import EVERYTHING
from airoxy.errors import AiroxyError
from airoxy.store import tokens
from airoxy.store.schema import run
from tests.cli.terminal import Screen, Typed
from tests.conftest import NOON, Clock


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock) -> Typed:
    for name in ("console", "other"):
        tokens.add_token(db, name=name, type="api_key", token=f"sk-ant-api-test-{name}",
                         refresh_token=None, expires_at=None, now=NOON)  # fmt: skip
    return Typed(Path(db.filename), clock)


def test_everything_that_can_be_set_is_shown(typed: Typed) -> None:
    told = typed.json(
        "token", "set", "console", "--name", "main", "--note", "Ann's", "--priority", "5",
        "--pool", "research", "--spend-per-day", "2.50", "--spend-per-month", "40",
        "--concurrent", "3",
    )  # fmt: skip
    expected = {
        "id": 1, "name": "main", "note": "Ann's", "priority": 5, "pool": "research",
        "spend_per_day_nanousd": 2_500_000_000, "spend_per_month_nanousd": 40_000_000_000,
        "concurrent_requests": 3, "created_at": "2026-11-22T12:00:00Z", "last_used_at": None,
    }  # fmt: skip
    assert told.items() >= expected.items()
    assert typed.json("token", "show", "main") == told
    assert typed.json("token", "list")[0] == told
    shown = typed("token", "show", "1")
    for text in ("Token 1: main", "$2.50", "$40.00", "research", "Ann's", "2026-11-22 12:00 UTC"):
        assert text in shown
    assert "research" in typed("token", "list")


def test_what_is_not_named_stays_and_none_takes_away(typed: Typed) -> None:
    typed("token", "set", "1", "--pool", "research", "--concurrent", "3", "--priority", "-2")
    told = typed.json("token", "set", "1", "--pool", "none", "--priority", "none")
    assert (told["pool"], told["priority"], told["concurrent_requests"]) == (None, 0, 3)


@pytest.mark.parametrize(
    "words",
    [
        (), ("--priority", "high"), ("--priority", "1e3"), ("--priority", "9" * 30),
        ("--spend-per-day", "0"), ("--spend-per-month", "a lot"), ("--concurrent", "0"),
        ("--pool", ""), ("--note", "x" * 201), ("--name", "other"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    db: apsw.Connection, typed: Typed, words: tuple[str, ...]
) -> None:
    before = run(db, "SELECT * FROM tokens")
    with pytest.raises(AiroxyError):
        typed("token", "set", "1", *words)
    assert run(db, "SELECT * FROM tokens") == before


def test_enable_and_disable_can_be_said_twice(typed: Typed) -> None:
    for command, active in (("disable", False), ("disable", False), ("enable", True)):
        assert typed.json("token", command, "console")["is_active"] is active
    assert typed("token", "enable", "console") == "Token 1 (console) is active now.\n"


def test_a_token_that_airoxy_has_given_up_is_enabled(db: apsw.Connection, typed: Typed) -> None:
    tokens.deactivate(db, 1, "Anthropic answered 401", "sk-ant-api-test-console", NOON)
    told = typed.json("token", "enable", "console")
    assert (told["is_active"], told["inactive_reason"]) == (True, None)


@pytest.mark.parametrize("answer", ["y\n", "n\n", "\n", ""])
@pytest.mark.parametrize("group", ["token", "api-key"])
def test_a_person_is_asked_by_name_before_something_is_removed(
    db: apsw.Connection, typed: Typed, clock: Clock, group: str, answer: str
) -> None:
    typed("api-key", "add", "laptop")
    context = Context(typed.config, environ={}, out=Screen(), err=Screen(), clock=clock)
    context.input = Screen(terminal=True)
    context.input.write(answer)
    context.input.seek(0)
    arguments = build_parser().parse_args([group, "remove", "1"])
    status = arguments.run(context, arguments)
    context.database.close()
    asked = context.err.getvalue()  # type: ignore[attr-defined]
    assert ("(laptop)" if group == "api-key" else "(console)") in asked
    table = group.replace("-", "_").replace("token", "tokens").replace("api_key", "api_keys")
    ((removed,),) = run(db, f"SELECT removed_at IS NOT NULL FROM {table} WHERE id = 1")
    assert (bool(removed), bool(status)) == (answer == "y\n", answer != "y\n")


def test_a_script_is_not_asked(typed: Typed) -> None:
    told = json.loads(typed("token", "remove", "console", "--json"))
    assert told == {"id": 1, "name": "console", "removed": True}
    assert [row["name"] for row in typed.json("token", "list")] == ["other"]


def test_keys_have_a_pool_too(typed: Typed) -> None:
    typed("api-key", "add", "laptop", "--pool", "research")
    assert typed.json("api-key", "show", "laptop")["pool"] == "research"
    assert "research" in typed("api-key", "show", "laptop")
    assert typed.json("api-key", "set", "laptop", "--pool", "none")["pool"] is None
    for command, active in (("disable", False), ("disable", False), ("enable", True)):
        assert typed.json("api-key", command, "laptop")["is_active"] is active


def test_a_key_given_by_another_host_has_its_name_before_or_behind(
    typed: Typed, clock: Clock
) -> None:
    for number, words in enumerate((("desk", "-"), ("--name", "lap", "-"))):
        key = "ak-" + str(number) * 40
        context = Context(typed.config, environ={}, out=Screen(), clock=clock)
        context.input = io.StringIO(key + "\n")
        arguments = build_parser().parse_args(["api-key", "add", *words, "--json"])
        arguments.run(context, arguments)
        context.database.close()
        assert json.loads(context.out.getvalue())["key"] == key  # type: ignore[attr-defined]
    for words in ((), ("one", "--name", "two")):
        with pytest.raises(AiroxyError, match="Say once whom the key is for"):
            typed("api-key", "add", *words)


def test_the_list_fits_the_terminal_and_the_state_is_the_last_to_go(
    db: apsw.Connection, typed: Typed
) -> None:
    typed("token", "set", "2", "--name", "n" * 60, "--note", "why " * 20, "--pool", "research")
    tokens.cool(db, 2, EVERYTHING, NOON + 2460, "credit balance is too low", int(NOON * 1e9))
    for width in (60, 80, 200):
        screen = Screen(terminal=True)
        head, _, cooling = typed("token", "list", screen=screen, COLUMNS=str(width)).splitlines()
        assert max(len(head), len(cooling)) <= width
        assert "cooling 41m" in cooling
        assert ("TOKEN" in head, "NOTE" in head) == (
            (True, True) if width == 200 else (False, False)
        )
    assert "n" * 60 in typed("token", "list")
