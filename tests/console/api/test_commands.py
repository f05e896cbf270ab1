"""What the command line can do, the API can do: but for what the guide leaves to the commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from airoxy.cli import build_parser
from airoxy.console.api import OPERATIONS
from tests.program import ROOT

#: Those that have no document of their own in the API, with where it has what they tell.
ELSEWHERE = {"config show": "/api/config", "config check": "/api/config/check",
             "version": "/api/openapi.json"}  # fmt: skip
#: Those that are for no person.
INNER = re.compile(r"complete|help|serve|fleet agent|job .*")


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[str]:
    inner = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(words)
    for action in inner:
        for name, below in action.choices.items():
            yield from commands(below, (*words, name))


def test_every_command_is_an_operation_or_named_as_one_of_the_host() -> None:
    guide = (ROOT / "docs/console.md").read_text()
    section = guide.partition("### What only the commands do\n")[2].partition("\n#")[0]
    left = set(re.findall(r"`([a-z][a-z -]*)`", section))
    told = {name for each in OPERATIONS if each.document for name in each.document.commands}
    known = {name for name in commands(build_parser()) if not INNER.fullmatch(name)}
    assert known - told - set(ELSEWHERE) == left
    assert set(ELSEWHERE.values()) <= {each.path for each in OPERATIONS}
