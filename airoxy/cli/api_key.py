"""`airoxy api-key …`: the keys that clients are given."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser, Namespace

from airoxy.cli.command import Command, Context, Group, add_id, add_json
from airoxy.cli.show import moment, name_argument
from airoxy.core.keys import given_key, new_key
from airoxy.store import keys


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "key",
        nargs="?",
        choices=("-",),
        metavar="-",
        help="take the key on standard input, one that another host of yours has made",
    )
    parser.add_argument("--name", required=True, type=name_argument, help="whom the key is for")
    add_json(parser)


def _add(context: Context, args: Namespace) -> None:
    key = given_key(context.input.readline().strip()) if args.key else new_key(secrets.choice)
    key_id = keys.add_key(context.database, args.name, key, context.now())
    if args.json:
        return context.json({"id": key_id, "name": args.name, "key": key})
    context.say(f"Key {key_id} for {args.name}, shown this once:\n\n    {key}\n")
    context.say("The client sends it as x-api-key or as Authorization: Bearer.")
    return None


def _list(context: Context, args: Namespace) -> None:
    rows = keys.list_keys(context.database)
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
                "active" if row["is_active"] else "disabled",
                moment(row["created_at"]),
            )
            for row in rows
        ),
        ("ID", "NAME", "KEY", "STATE", "CREATED"),
        right=("ID",),
    )
    return None


def _remove(context: Context, args: Namespace) -> None:
    keys.remove_key(context.database, args.id, context.now())
    context.say(f"Key {args.id} is removed; its history stays.")


def _toggle(context: Context, args: Namespace) -> None:
    active = keys.toggle_key(context.database, args.id)
    context.say(f"Key {args.id} is {'active' if active else 'disabled'} now.")


GROUP = Group(
    "api-key",
    "Make and manage the keys that clients use",
    (
        Command("add", "Make a key and show it once", _add, _add_arguments),
        Command("list", "List the keys, masked", _list, add_json),
        Command("remove", "Remove a key for good", _remove, lambda p: add_id(p, "api-key")),
        Command("toggle", "Disable a key, or enable it", _toggle, lambda p: add_id(p, "api-key")),
    ),
)
