"""`airoxy api-key …`: the keys that clients are given, and what each may use."""

from __future__ import annotations

import secrets
import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import Any

from airoxy.cli.api_keys import limits as cli_limits
from airoxy.cli.api_keys import rotate
from airoxy.cli.command import Command, Context, Group
from airoxy.cli.confirm import remove_agreed
from airoxy.cli.fleet.spending import see_spending
from airoxy.cli.parsing.arguments import (
    HERE,
    JSON,
    YES,
    flag,
    given_words,
    id_of,
    named,
    typed_name,
    words,
)
from airoxy.config.defaults import default_limits
from airoxy.core.keys import given_key, new_key
from airoxy.errors import InvalidInput
from airoxy.store import keys
from airoxy.store.limits import set_limits
from airoxy.views import keys as views
from airoxy.views import paste
from airoxy.views.formats import cents, dollars
from airoxy.views.times import moment, past, zoned_moment

_LIMITS = (
    "Limits apply from the next request on, to all workers together and across restarts. Days,"
    " weeks and months are those of `timezone` in the configuration, a minute is the last sixty"
    " seconds. While a request runs, the most that it can cost is reserved, so that requests at the"
    " same time exceed a limit by one request at the most. A request above a limit is answered with"
    " 429 and told when to try again, one for another model with 403, an expired key with 401. A"
    " batch counts when its results are fetched."
)


_DEFAULTS = (
    "Limits that are not named are those of defaults.limits in the configuration; `none` takes one"
    " of these away."
)


def _add(context: Context, args: Namespace) -> None:
    name, given = _name(args), "-" in given_words(args)
    changes = default_limits(context.config_of_defaults, context.moment()) | cli_limits.of_key(
        context, args
    )
    key = given_key(context.input.readline().strip()) if given else new_key(secrets.choice)
    key_id = keys.add_key(context.database, name, key, context.now(), changes)
    cli_limits.warn_of_unknown_models(context, changes)
    if args.json:
        return context.json({"id": key_id, "name": name, "key": key})
    context.say(f"Key {key_id} for {name}, shown this once:\n\n    {key}\n")
    context.say("The client sends it as x-api-key or as Authorization: Bearer.\n")
    context.say(paste.block(context.client_url, key))
    return None


def _name(args: Namespace) -> str:
    names = [word for word in (*given_words(args), args.name) if word not in ("-", None)]
    if len(names) != 1:
        raise InvalidInput("Say once whom the key is for: airoxy api-key add NAME")
    return typed_name(names[0])


def _set(context: Context, args: Namespace) -> None:
    changes = cli_limits.to_set(context, args, cli_limits.of_key(context, args))
    key_id = context.key_id(args.id)
    set_limits(context.database, key_id, changes)
    cli_limits.warn_of_unknown_models(context, changes)
    _tell(context, keys.find_key(context.database, key_id), json=args.json)


def _list(context: Context, args: Namespace) -> None:
    db, now = context.database, context.now()
    used = see_spending(context, here=args.here)
    rows = views.list_with_use(db, keys.list_keys(db), now, elsewhere=used.keys)
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "ID": lambda row: str(row["id"]),
        "NAME": itemgetter("name"),
        "GROUP": lambda row: row["group_name"] or "-",
        "KEY": itemgetter("masked"),
        "STATE": partial(_state, context),
        # Whether it has limits or not.
        "TODAY": lambda row: cents(row["spent_today_nanousd"]),
        "MONTH": lambda row: cents(row["spent_this_month_nanousd"]),
        "LAST USED": lambda row: past(row["last_used_at"], now),
        "LIMIT": partial(cli_limits.tightest, context),
    }
    if all(row["group_id"] is None for row in rows):
        del columns["GROUP"]
    context.listing(
        args, rows, views.document, columns, "No keys yet: airoxy api-key add NAME",
        right=("ID", "TODAY", "MONTH"), leave_out=("KEY", "LIMIT", "GROUP", "LAST USED"),
        cuttable={"NAME": 12, "GROUP": 8, "STATE": 10, "LIMIT": 12},
    )  # fmt: skip


def _state(context: Context, key: Mapping[str, Any]) -> str:
    state = views.state(key, context.now())
    last = max((each["until"] for each in key["old_secrets"]), default=None)
    if not last or state != "active":
        return state
    return f"{state}, old secret until {moment(last, context.zone)}"


def _show(context: Context, args: Namespace) -> None:
    key = keys.find_key(context.database, context.key_id(args.id))
    if args.as_command:
        told = ("airoxy", "api-key", "add", "--name", key["name"], *cli_limits.options(key), "-")
        return context.tell(args, {"command": shlex.join(told)}, shlex.join(told))
    used = see_spending(context, here=args.here)
    return _tell(context, key, used.keys, json=args.json)


def _tell(
    context: Context,
    key: Mapping[str, Any],
    elsewhere: Mapping[int, float] | None = None,
    *,
    json: bool,
) -> None:
    key = views.with_use(context.database, key, context.now(), elsewhere)
    if json:
        return context.json(views.document(key))
    context.facts(f"Key {key['id']}: {key['name']}", _facts(context, key))
    return cli_limits.say_meters(context, key)


def _facts(context: Context, key: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "key", key["masked"]
    yield "state", views.state(key, context.now())
    if key["old_secrets"]:
        yield "old secret", views.old_secrets(key, context.zone)
    yield "created", zoned_moment(key["created_at"], context.zone)
    yield "last used", past(key["last_used_at"], context.now())
    spent = (key[f"spent_{period}_nanousd"] for period in ("today", "this_month"))
    yield "spent", "{} today, {} this month".format(*map(dollars, spent))
    if key["note"]:
        yield "note", key["note"]
    if key["pool"]:
        yield "pool", key["pool"]
    if key["group_name"]:
        yield "group", key["group_name"]
    yield from cli_limits.facts(key, context.zone)


def _remove(context: Context, args: Namespace) -> int | None:
    key_id = context.key_id(args.id)
    name = keys.find_key(context.database, key_id)["name"]
    return remove_agreed(
        context, args, f"key {key_id} ({name}) for good", (key_id, name),
        lambda: keys.remove_key(context.database, key_id, context.now()),
        f"Key {key_id} ({name}) is removed; its history stays.",
    )  # fmt: skip


def _set_active(context: Context, args: Namespace, *, active: bool | None) -> None:
    """None: the other way round."""
    key_id = context.key_id(args.id)
    if active is None:
        keys.toggle_key(context.database, key_id)
    else:
        keys.set_active(context.database, key_id, active)
    key = keys.find_key(context.database, key_id)
    state = "active" if key["is_active"] else "disabled"
    document = views.document(views.with_use(context.database, key, context.now()))
    context.tell(args, document, f"Key {key_id} ({key['name']}) is {state} now.")


_KEY = id_of("api-key")
_FOR_WHOM = named("whom the key is for")
_ADD = (
    words(
        NAME="whom the key is for",
        KEY="- takes the key from standard input, one that another host of yours has made",
    ),
    _FOR_WHOM,
    *cli_limits.arguments(new=True),
    JSON,
)
_SHOW = (
    _KEY,
    flag(
        "--as-command",
        "show the command that adds the key to another host, where it reads the key on standard"
        " input",
    ),
    HERE,
    JSON,
)
_SET = (_KEY, _FOR_WHOM, *cli_limits.arguments(new=False), JSON)

GROUP = Group(
    "api-key",
    "Make and manage the keys that clients use",
    (
        Command("add", "Make a key and show it once", _add, _ADD, f". {_DEFAULTS} {_LIMITS}"),
        Command(
            "set",
            "Change a key's limits, note or name",
            _set,
            _SET,
            f"; what is not named stays. {_LIMITS}",
        ),
        Command(
            "rotate",
            "Give a key a new secret, while the old one still works for a time",
            rotate.run,
            rotate.ARGUMENTS,
            rotate.DESCRIPTION,
        ),
        Command("list", "List the keys, masked, with their use of a limit", _list, (HERE, JSON)),
        Command("show", "Show a key with all its limits", _show, _SHOW),
        Command("enable", "Accept a key again", partial(_set_active, active=True), (_KEY, JSON)),
        Command(
            "disable", "Stop accepting a key", partial(_set_active, active=False), (_KEY, JSON)
        ),
        Command(
            "toggle", "Disable a key, or enable it", partial(_set_active, active=None), (_KEY, JSON)
        ),
        Command("remove", "Remove a key for good", _remove, (_KEY, YES, JSON)),
    ),
)
