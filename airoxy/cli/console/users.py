"""`airoxy console user …`: who may log in to the console."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from airoxy.cli.command import Command, Context
from airoxy.cli.confirm import remove_agreed
from airoxy.cli.parsing.arguments import JSON, YES, argument, choice, flag, name_argument
from airoxy.errors import ConfigError, InvalidInput
from airoxy.store.console import users
from airoxy.store.schema import transaction
from airoxy.views.times import moment, past, with_times


def _add(context: Context, args: Namespace) -> None:
    with transaction(context.database):
        user = users.add_user(context.database, args.name, args.role, context.now())
        secret = users.new_link(context.database, user, context.now())
    _tell_link(context, args, user, secret)


def _link(context: Context, args: Namespace) -> None:
    user = users.user_id(context.database, args.name)
    _tell_link(context, args, user, users.new_link(context.database, user, context.now()))


def _tell_link(context: Context, args: Namespace, user: int, secret: str) -> None:
    link = f"{_address(context)}/link/{secret}"
    context.tell(
        args,
        {"id": user, "name": args.name, "link": link},
        f"{args.name} logs in with this link, once, within 15 minutes:\n\n    {link}",
    )


def _address(context: Context) -> str:
    """Where a browser reaches the console, as far as a configuration with mistakes tells."""
    from airoxy.config import make_config

    try:
        return context.config.console.addresses[0]
    except ConfigError:
        return make_config().console.addresses[0]


def _list(context: Context, args: Namespace) -> None:
    context.listing(
        args,
        users.list_users(context.database),
        _document,
        {
            "NAME": itemgetter("name"),
            "ROLE": itemgetter("role"),
            "PASSPHRASE": lambda row: "yes" if row["has_passphrase"] else "by links",
            "CREATED": lambda row: moment(row["created_at"], context.zone),
            "LAST LOGIN": lambda row: past(row["last_login_at"], context.now()),
        },
        "No users yet: airoxy console user add NAME --role admin",
    )


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return with_times(row, ("created_at", "last_login_at"))


def _set(context: Context, args: Namespace) -> None:
    if not (args.role or args.no_passphrase):
        raise InvalidInput("Say what to change: `airoxy console user set --help` lists it.")
    db = context.database
    user = users.user_id(db, args.name)
    if args.role:
        users.set_role(db, user, args.role)
    if args.no_passphrase:
        users.set_passphrase(db, user, None)
    if args.json:
        (row,) = (row for row in users.list_users(db) if row["id"] == user)
        return context.json(_document(row))
    return context.say(f"{args.name} is changed.")


def _remove(context: Context, args: Namespace) -> int | None:
    user, name = users.user_id(context.database, args.name), args.name
    return remove_agreed(
        context, args, f"the user {name} for good", (user, name),
        lambda: users.remove_user(context.database, user, context.now()),
        f"{name} is removed, and logged out everywhere.",
    )  # fmt: skip


def _end(context: Context, args: Namespace) -> None:
    from airoxy.store.console.sessions import end_others

    user = users.user_id(context.database, args.name)
    end_others(context.database, user, None)
    document = {"id": user, "name": args.name, "logged_out": True}
    context.tell(args, document, f"{args.name} is logged out everywhere.")


_NAME = argument("name", "NAME", "the user's name", type=name_argument)
_ADD = (
    _NAME,
    JSON,
    choice(
        "--role",
        users.ROLES,
        "a viewer looks, an admin changes things as well (default: viewer)",
        users.VIEWER,
    ),
)
_SET = (
    _NAME,
    JSON,
    choice("--role", users.ROLES, "what the user may do"),
    flag("--no-passphrase", "take the passphrase away; links go on"),
)
COMMANDS = (
    Command(
        "add",
        "Add a user and print a link that logs in once",
        _add,
        _ADD,
        ", within 15 minutes. After that the user can set a passphrase, or goes on with links.",
    ),
    Command("link", "Print a new login link for a user", _link, (_NAME, JSON)),
    Command("list", "List the users", _list, (JSON,)),
    Command("set", "Change what a user may do", _set, _SET),
    Command("logout", "End all sessions of a user", _end, (_NAME, JSON)),
    Command("remove", "Remove a user for good", _remove, (_NAME, JSON, YES)),
)
