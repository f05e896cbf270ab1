"""What is removed for good is asked for at a terminal, and not with --yes or in a script."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from airoxy.cli import build_parser
from airoxy.cli.command import Context
from airoxy.store import groups
from airoxy.store.console import api_tokens, users
from tests.cli.terminal import Screen, Typed
from tests.conftest import Clock
from tests.store.seed import add_key, add_token

REMOVALS = ("api-key", "group", "token", "console user", "console token")


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock) -> Typed:
    """An installation with one of everything that can be removed, each named `old`."""
    add_key(db, "old")
    add_token(db, "old")
    groups.add_group(db, "old", clock())
    users.add_user(db, "old", users.VIEWER, clock())
    api_tokens.add_api_token(db, "old", users.VIEWER, int(clock()) + 60, clock())
    return Typed(Path(db.filename), clock)


def remove(typed: Typed, what: str, *options: str, answer: str, terminal: bool = True) -> str:
    """What was asked."""
    said = Screen(terminal)
    said.write(answer)
    said.seek(0)
    asked = Screen()
    words = build_parser().parse_args([*what.split(), "remove", "old", *options])
    context = Context(typed.config, environ={}, out=Screen(), err=asked, input=said)
    try:
        words.run(context, words)
    finally:
        context.database.close()
    return asked.getvalue()


@pytest.mark.parametrize("what", REMOVALS)
def test_a_person_is_asked_before_anything_is_removed(typed: Typed, what: str) -> None:
    assert "[y/N]" in remove(typed, what, answer="\n")
    assert "old" in typed(*what.split(), "list")
    remove(typed, what, answer="y\n")
    assert "old" not in typed(*what.split(), "list")


@pytest.mark.parametrize("what", REMOVALS)
@pytest.mark.parametrize(("options", "terminal"), [(["--yes"], True), ([], False)])
def test_nobody_is_asked_with_yes_or_without_a_terminal(
    typed: Typed, what: str, options: list[str], terminal: bool
) -> None:
    assert remove(typed, what, *options, answer="n\n", terminal=terminal) == ""
    assert "old" not in typed(*what.split(), "list")
