"""`airoxy complete`: words for the shells' completion."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import argument
from airoxy.errors import AiroxyError
from airoxy.store import groups, keys, tokens
from airoxy.store.console import api_tokens, users

#: What a shell takes for one word.
_WORD = re.compile(r"[\w.@+-]+")


Rows = Iterable[Mapping[str, Any]]
Words = Callable[[Context], Iterator[str]]


def _known(rows: Callable[[Context], Rows], *, by_id: bool = True) -> Words:
    """The names; for one that a shell does not take for one word the id, if that will do."""

    def words(context: Context) -> Iterator[str]:
        for row in rows(context):
            if _WORD.fullmatch(row["name"]):
                yield row["name"]
            elif by_id:
                yield str(row["id"])

    return words


def _models(context: Context) -> Iterator[str]:
    yield from dict.fromkeys(name for name, _ in context.config.pricing.prices)


def _months(context: Context) -> Iterator[str]:
    """Those of the last two years."""
    today = context.today()
    for back in range(24):
        year, month = divmod(today.year * 12 + today.month - 1 - back, 12)
        yield f"{year}-{month + 1:02}"


KINDS: dict[str, Words] = {
    "keys": _known(lambda context: keys.list_keys(context.database)),
    "groups": _known(lambda context: groups.list_groups(context.database)),
    "tokens": _known(lambda context: tokens.list_tokens(context.database, context.now())),
    "models": _models,
    "months": _months,
    "users": _known(lambda context: users.list_users(context.database), by_id=False),
    "api-tokens": _known(lambda context: api_tokens.list_api_tokens(context.database), by_id=False),
}


def _run(context: Context, args: argparse.Namespace) -> None:
    """Silent where there is nothing to offer, or nothing that may be read."""
    with suppress(AiroxyError):
        for word in KINDS[args.kind](context):
            context.say(word)


_KIND = argument("kind", "KIND", ", ".join(KINDS), choices=tuple(KINDS))
COMMANDS = (Command("complete", "Print words for the completion of a shell", _run, (_KIND,)),)
