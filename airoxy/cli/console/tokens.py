"""`airoxy console token …`: the tokens of programs that use the console's API."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from airoxy.cli.command import Command, Context
from airoxy.cli.confirm import remove_agreed
from airoxy.cli.parsing.arguments import JSON, YES, argument, choice, length_argument, name_argument
from airoxy.store.console import api_tokens
from airoxy.store.console.users import ROLES, VIEWER
from airoxy.views.times import moment, span, with_times

_NINETY_DAYS = 90 * 86400


def _add(context: Context, args: Namespace) -> None:
    now = context.now()
    expires_at = int(now) + args.expires_in
    number, secret = api_tokens.add_api_token(
        context.database, args.name, args.role, expires_at, now
    )
    context.tell(
        args,
        {"id": number, "name": args.name, "token": secret},
        f"API token for {args.name} ({args.role}), shown this once:\n\n    {secret}\n",
        "The program sends it as Authorization: Bearer.",
    )


def _list(context: Context, args: Namespace) -> None:
    def expires(row: Mapping[str, Any]) -> str:
        left = row["expires_at"] - context.now()
        return f"in {span(left)}" if left > 0 else "expired"

    context.listing(
        args,
        api_tokens.list_api_tokens(context.database),
        lambda row: with_times(row, ("created_at", "expires_at")),
        {
            "NAME": itemgetter("name"),
            "ROLE": itemgetter("role"),
            "TOKEN": itemgetter("masked"),
            "CREATED": lambda row: moment(row["created_at"], context.zone),
            "EXPIRES": expires,
        },
        "No API tokens yet: airoxy console token add NAME",
    )


def _remove(context: Context, args: Namespace) -> int | None:
    db, name = context.database, args.name
    return remove_agreed(
        context, args, f"the API token {name} for good", (api_tokens.api_token_id(db, name), name),
        lambda: api_tokens.remove_api_token(db, name, context.now()),
        f"The API token {name} is removed.",
    )  # fmt: skip


_NAME = argument("name", "NAME", "the program's name", type=name_argument)
_ADD = (
    _NAME,
    JSON,
    choice(
        "--role", ROLES, "a viewer reads, an admin changes things as well (default: viewer)", VIEWER
    ),
    argument(
        "--expires-in",
        "TIME",
        "how long it works, such as 24h or 90d (default: 90d)",
        type=length_argument,
        default=_NINETY_DAYS,
    ),
)
COMMANDS = (
    Command("add", "Make a token for a program and show it once", _add, _ADD),
    Command("list", "List the tokens, masked", _list, (JSON,)),
    Command("remove", "Remove a token for good", _remove, (_NAME, JSON, YES)),
)
