"""Words for the completion of a shell."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from airoxy.store import keys, tokens
from airoxy.store.console import api_tokens, users
from tests.cli.terminal import Typed
from tests.conftest import NOON, Clock
from tests.program import Airoxy


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock) -> Typed:
    return Typed(Path(db.filename), clock)


def test_names_are_offered_and_ids_where_a_shell_would_take_a_name_apart(
    db: apsw.Connection, typed: Typed
) -> None:
    for number, name in enumerate(("laptop", "日本", "two words", "$(reboot)")):
        keys.add_key(db, name, f"ak-{number}", NOON)
    tokens.add_token(db, name="console", type="api_key", token="sk-ant-api-x", refresh_token=None,
                     expires_at=None, now=NOON)  # fmt: skip
    assert typed("complete", "keys").split() == ["laptop", "日本", "3", "4"]
    assert typed("complete", "tokens") == "console\n"


def test_users_and_programs_of_the_console_are_offered_where_a_shell_takes_the_name(
    db: apsw.Connection, typed: Typed
) -> None:
    for name in ("maria", "two words"):
        users.add_user(db, name, users.VIEWER, NOON)
        api_tokens.add_api_token(db, name, users.VIEWER, int(NOON) + 60, NOON)
    assert typed("complete", "users") == "maria\n"
    assert typed("complete", "api-tokens") == "maria\n"


def test_models_are_those_with_a_price_and_months_the_last_ones(typed: Typed) -> None:
    assert "claude-haiku-4-5" in typed("complete", "models").split()
    months = typed("complete", "months").split()
    assert (months[0], months[10], months[11], len(months)) == ("2026-11", "2026-01", "2025-12", 24)


def test_where_nothing_can_be_read_nothing_is_said(install) -> None:
    airoxy: Airoxy = install()
    airoxy.config.write_text("database: [\n")
    done = airoxy.run("complete", "keys")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_model_that_nobody_knows_is_warned_of(install) -> None:
    airoxy: Airoxy = install()
    done = airoxy.run("api-key", "add", "one", "--models", "claude-hiaku-4-5,claude-haiku-*")
    assert done.returncode == 0
    assert "matches claude-hiaku-4-5; did you mean claude-haiku-4-5?" in done.stderr
    assert done.stderr.count("Warning") == 1
    done = airoxy.run("api-key", "set", "one", "--models", "claude-opus-4-5-20251101,claude-*")
    assert done.stderr == ""


def test_a_key_may_expire_after_a_length_of_time(typed: Typed) -> None:
    typed("api-key", "add", "one", "--expires", "30d")
    assert typed.json("api-key", "show", "one")["expires_at"] == "2026-12-22T12:00:00Z"
