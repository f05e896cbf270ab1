"""`airoxy token set`, `enable`, `disable`, `toggle`, `reset` and `remove`."""

from __future__ import annotations

import datetime
from argparse import Namespace
from typing import Any

from airoxy.cli.command import Context
from airoxy.cli.confirm import remove_agreed
from airoxy.cli.parsing.arguments import JSON, argument, id_of, named
from airoxy.cli.tokens.table import show
from airoxy.config.defaults import NONE
from airoxy.core.limits.token_settings import SETTINGS
from airoxy.errors import InvalidInput
from airoxy.store import tokens
from airoxy.views.tokens import document

_WITHOUT = f"; `{NONE}` takes it away"
TOKEN = id_of("token")
SETTABLE = (
    TOKEN,
    named("what to call it"),
    argument("--note", "TEXT", "a note about the token" + _WITHOUT),
    argument(
        "--priority",
        "N",
        "of the tokens that are ready those with the highest number are used (default: 0)",
    ),
    argument(
        "--pool",
        "NAME",
        "the pool that it belongs to, for client keys that may use that pool only" + _WITHOUT,
    ),
    argument(
        "--spend-per-day",
        "USD",
        "dollars after which the token is not used for the rest of the day" + _WITHOUT,
    ),
    argument(
        "--spend-per-month",
        "USD",
        "dollars after which it is not used for the rest of the month" + _WITHOUT,
    ),
    argument("--concurrent", "N", "requests that may run with it at once" + _WITHOUT),
    JSON,
)


def run_set(context: Context, args: Namespace) -> None:
    changes = _changes(args, context.moment())
    if args.name is not None:
        changes["name"] = args.name
    if not changes:
        raise InvalidInput("Say what to change: `airoxy token set --help` lists it.")
    token_id = context.token_id(args.id)
    tokens.set_token(context.database, token_id, changes)
    show(context, tokens.find_token(context.database, token_id, context.now()), json=args.json)


def _changes(args: Namespace, now: datetime.datetime) -> dict[str, Any]:
    """What the options say, by column. Raises InvalidInput."""
    found: dict[str, Any] = {}
    for option, column, read in SETTINGS:
        text = getattr(args, option)
        if text is None:
            continue
        nothing = 0 if column == "priority" else None
        try:
            found[column] = nothing if text.strip().lower() == NONE else read(text.strip(), now)
        except InvalidInput as error:
            raise InvalidInput(f"--{option.replace('_', '-')}: {error.message}.") from None
    return found


def run_toggle(context: Context, args: Namespace) -> None:
    token_id = context.token_id(args.id)
    tokens.toggle_token(context.database, token_id, context.now())
    _say_state(context, token_id, args)


def run_enable(context: Context, args: Namespace) -> None:
    _set_active(context, args, active=True)


def run_disable(context: Context, args: Namespace) -> None:
    _set_active(context, args, active=False)


def _set_active(context: Context, args: Namespace, *, active: bool) -> None:
    token_id = context.token_id(args.id)
    tokens.set_active(context.database, token_id, active, context.now())
    _say_state(context, token_id, args)


def _say_state(context: Context, token_id: int, args: Namespace) -> None:
    row = tokens.find_token(context.database, token_id, context.now())
    state = "active" if row["is_active"] else "disabled"
    context.tell(args, document(row), f"Token {token_id} ({row['name']}) is {state} now.")


def run_reset(context: Context, args: Namespace) -> None:
    token_id = context.token_id(args.id)
    tokens.reset_token(context.database, token_id, context.now())
    row = tokens.find_token(context.database, token_id, context.now())
    told = f"Token {token_id} ({row['name']}) is active and not cooling."
    context.tell(args, document(row), told)


def run_remove(context: Context, args: Namespace) -> int | None:
    token_id = context.token_id(args.id)
    row = tokens.find_token(context.database, token_id, context.now())
    which = f"{token_id} ({row['name']})"
    return remove_agreed(
        context, args, f"token {which} for good", (token_id, row["name"]),
        lambda: tokens.remove_token(context.database, token_id, context.now()),
        f"Token {which} is removed; its history stays.",
    )  # fmt: skip
