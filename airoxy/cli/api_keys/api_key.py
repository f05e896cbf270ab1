"""`airoxy api-key …`: the keys that clients are given, and what each may use."""

from __future__ import annotations

import secrets
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from airoxy.cli.api_keys import limits as cli_limits
from airoxy.cli.command import Command, Context, Group, add_id, add_json
from airoxy.cli.formats import bar
from airoxy.cli.show import moment, name_argument
from airoxy.core.keys import given_key, new_key
from airoxy.errors import InvalidInput
from airoxy.store import keys
from airoxy.store.limits import set_limits
from airoxy.store.schema import transaction

#: How wide a full limit is drawn, in a list and for one key.
_SHORT_BAR, _LONG_BAR = 10, 24

_LIMITS = (
    "Limits apply from the next request on, to all workers together and across restarts. Days and"
    " months are in UTC, a minute is the last sixty seconds. While a request runs, the most that it"
    " can cost is held, so that requests at the same time exceed a limit by one request at the"
    " most. A request above a limit is answered with 429 and told when to try again, one for"
    " another model with 403, an expired key with 401. A batch counts when its results are fetched."
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "key",
        nargs="?",
        choices=("-",),
        metavar="-",
        help="take the key on standard input, one that another host of yours has made",
    )
    parser.add_argument("--name", required=True, type=name_argument, help="whom the key is for")
    cli_limits.add_arguments(parser, new=True)
    add_json(parser)


def _add(context: Context, args: Namespace) -> None:
    changes = cli_limits.changes(args, context.now())
    key = given_key(context.input.readline().strip()) if args.key else new_key(secrets.choice)
    db = context.database
    with transaction(db):
        key_id = keys.add_key(db, args.name, key, context.now())
        if changes:
            set_limits(db, key_id, changes)
    if args.json:
        return context.json({"id": key_id, "name": args.name, "key": key})
    context.say(f"Key {key_id} for {args.name}, shown this once:\n\n    {key}\n")
    context.say("The client sends it as x-api-key or as Authorization: Bearer.")
    return None


def _set_arguments(parser: ArgumentParser) -> None:
    add_id(parser, "api-key")
    parser.add_argument("--name", type=name_argument, help="whom the key is for")
    cli_limits.add_arguments(parser, new=False)


def _set(context: Context, args: Namespace) -> None:
    changes = cli_limits.changes(args, context.now())
    if args.name is not None:
        changes["name"] = args.name
    if not changes:
        raise InvalidInput("Say what to change: `airoxy api-key set --help` lists it.")
    set_limits(context.database, args.id, changes)
    _tell(context, keys.find_key(context.database, args.id))


def _list(context: Context, args: Namespace) -> None:
    db, now = context.database, context.now()
    rows = [cli_limits.with_use(db, key, now) for key in keys.list_keys(db)]
    if args.json:
        return context.json(rows)
    if not rows:
        return context.say("No keys yet: airoxy api-key add --name NAME")
    context.table(
        (
            (
                str(row["id"]),
                row["name"],
                row["masked"],
                cli_limits.state(row, now),
                moment(row["created_at"]),
                _tightest(context, row),
            )
            for row in rows
        ),
        ("ID", "NAME", "KEY", "STATE", "CREATED", "LIMIT"),
        right=("ID",),
    )
    return None


def _tightest(context: Context, key: Mapping[str, Any]) -> str:
    """The limit of which most is used."""
    found = max(cli_limits.meters(key), key=lambda meter: meter.share, default=None)
    if found is None:
        return "-"
    drawn = bar(min(1, found.share), _SHORT_BAR, context.out)
    return f"{drawn:<{_SHORT_BAR}} {found.share:>4.0%}  {found.used} of {found.limit} {found.name}"


def _show(context: Context, args: Namespace) -> None:
    key = keys.find_key(context.database, args.id)
    if args.as_command:
        words = ("airoxy", "api-key", "add", "--name", key["name"], *cli_limits.options(key), "-")
        return context.say(shlex.join(words))
    if args.json:
        return context.json(cli_limits.with_use(context.database, key, context.now()))
    return _tell(context, key)


def _tell(context: Context, key: Mapping[str, Any]) -> None:
    key = cli_limits.with_use(context.database, key, context.now())
    context.say(f"Key {key['id']}: {key['name']}")
    for name, text in _facts(key, context.now()):
        context.say(f"  {name:<12}{text}")
    found = cli_limits.meters(key)
    if not found:
        return
    context.say()
    context.table(
        (
            (name, used, limit, f"{share:.0%}", bar(min(1, share), _LONG_BAR, context.out))
            for name, used, limit, share in found
        ),
        ("LIMIT", "USED", "OF", "SHARE", ""),
        right=("USED", "OF", "SHARE"),
    )


def _facts(key: Mapping[str, Any], now: float) -> Iterator[tuple[str, str]]:
    yield "key", key["masked"]
    yield "state", cli_limits.state(key, now)
    yield "created", f"{moment(key['created_at'])} UTC"
    if key["note"]:
        yield "note", key["note"]
    yield from cli_limits.facts(key)


def _remove(context: Context, args: Namespace) -> None:
    keys.remove_key(context.database, args.id, context.now())
    context.say(f"Key {args.id} is removed; its history stays.")


def _toggle(context: Context, args: Namespace) -> None:
    active = keys.toggle_key(context.database, args.id)
    context.say(f"Key {args.id} is {'active' if active else 'disabled'} now.")


def _show_arguments(parser: ArgumentParser) -> None:
    add_id(parser, "api-key")
    parser.add_argument(
        "--as-command",
        action="store_true",
        help="show the command that adds the key to another host, where it reads the key on"
        " standard input",
    )
    add_json(parser)


GROUP = Group(
    "api-key",
    "Make and manage the keys that clients use",
    (
        Command(
            "add",
            "Make a key and show it once",
            _add,
            _add_arguments,
            f"Make a key and show it once. {_LIMITS}",
        ),
        Command(
            "set",
            "Change a key's limits, note or name",
            _set,
            _set_arguments,
            f"Change a key's limits, note or name; what is not named stays. {_LIMITS}",
        ),
        Command("list", "List the keys, masked, with their use of a limit", _list, add_json),
        Command("show", "Show a key with all its limits", _show, _show_arguments),
        Command("remove", "Remove a key for good", _remove, lambda p: add_id(p, "api-key")),
        Command("toggle", "Disable a key, or enable it", _toggle, lambda p: add_id(p, "api-key")),
    ),
)
