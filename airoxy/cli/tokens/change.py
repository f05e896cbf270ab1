"""`airoxy token set`, `enable`, `disable`, `toggle`, `reset` and `remove`."""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from airoxy.cli.api_keys.limits import Option, arguments, changes, to_set
from airoxy.cli.command import Context
from airoxy.cli.confirm import remove_agreed
from airoxy.cli.parsing.arguments import JSON, id_of, named
from airoxy.cli.tokens.table import show
from airoxy.core.limits.token_settings import SETTINGS
from airoxy.store import tokens
from airoxy.views.tokens import document

_HELP = {
    "note": ("TEXT", "a note about the token"),
    "priority": (
        "N",
        "of the tokens that are ready those with the highest number are used (default: 0)",
    ),
    "pool": (
        "NAME",
        "the pool that it belongs to, for client keys that may use that pool only",
    ),
    "spend_per_day": (
        "USD",
        "dollars after which the token is not used for the rest of the day",
    ),
    "spend_per_month": (
        "USD",
        "dollars after which it is not used for the rest of the month",
    ),
    "concurrent": ("N", "requests that may run with it at once"),
}
_OPTIONS = [
    Option(
        f"--{name.replace('_', '-')}",
        *_HELP[name],
        column,
        read,
        nothing=0 if name == "priority" else None,
    )
    for name, column, read in SETTINGS
]
TOKEN = id_of("token")
SETTABLE = (TOKEN, named("what to call it"), *arguments(_OPTIONS, new=False), JSON)


def run_set(context: Context, args: Namespace) -> None:
    found = to_set(context, args, changes(args, context.moment(), _OPTIONS))
    token_id = context.token_id(args.id)
    tokens.set_token(context.database, token_id, found)
    show(context, tokens.find_token(context.database, token_id, context.now()), json=args.json)


def _set_active(context: Context, args: Namespace, *, active: bool | None) -> None:
    """None: the other way round."""
    token_id = context.token_id(args.id)
    if active is None:
        tokens.toggle_token(context.database, token_id, context.now())
    else:
        tokens.set_active(context.database, token_id, active, context.now())
    row = tokens.find_token(context.database, token_id, context.now())
    state = "active" if row["is_active"] else "disabled"
    context.tell(args, document(row), f"Token {token_id} ({row['name']}) is {state} now.")


run_enable = partial(_set_active, active=True)
run_disable = partial(_set_active, active=False)
run_toggle = partial(_set_active, active=None)


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
