"""`airoxy complete`: words for the shells' completion."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import argument
from airoxy.errors import AiroxyError
from airoxy.store import groups, keys, tokens
from airoxy.store.console import api_tokens, users

#: What a shell takes for one word.
_WORD = re.compile(r"[\w.@+-]+")


def _keys(context: Context) -> Iterator[str]:
    yield from _names({row["id"]: row["name"] for row in keys.list_keys(context.database)})


def _tokens(context: Context) -> Iterator[str]:
    rows = tokens.list_tokens(context.database, context.now())
    yield from _names({row["id"]: row["name"] for row in rows})


def _groups(context: Context) -> Iterator[str]:
    yield from _names({row["id"]: row["name"] for row in groups.list_groups(context.database)})


def _users(context: Context) -> Iterator[str]:
    yield from filter(_WORD.fullmatch, (row["name"] for row in users.list_users(context.database)))


def _api_tokens(context: Context) -> Iterator[str]:
    rows = api_tokens.list_api_tokens(context.database)
    yield from filter(_WORD.fullmatch, (row["name"] for row in rows))


def _names(names: dict[int, str]) -> Iterator[str]:
    for number, name in names.items():
        yield name if _WORD.fullmatch(name) else str(number)


def _models(context: Context) -> Iterator[str]:
    yield from dict.fromkeys(name for name, _ in context.config.pricing.prices)


def _months(context: Context) -> Iterator[str]:
    """Those of the last two years."""
    today = context.today()
    for back in range(24):
        year, month = divmod(today.year * 12 + today.month - 1 - back, 12)
        yield f"{year}-{month + 1:02}"


KINDS: dict[str, Callable[[Context], Iterator[str]]] = {
    "keys": _keys, "groups": _groups, "tokens": _tokens, "models": _models, "months": _months,
    "users": _users, "api-tokens": _api_tokens,
}  # fmt: skip


def _run(context: Context, args: argparse.Namespace) -> None:
    """Silent where there is nothing to offer, or nothing that may be read."""
    with suppress(AiroxyError):
        for word in KINDS[args.kind](context):
            context.say(word)


_KIND = argument("kind", "KIND", ", ".join(KINDS), choices=tuple(KINDS))
COMMANDS = (Command("complete", "Print words for the completion of a shell", _run, (_KIND,)),)
