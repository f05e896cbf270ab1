"""`airoxy group …`: groups of client keys, and what the keys of one may use together."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import Any

from airoxy.cli.api_keys import limits as cli_limits
from airoxy.cli.command import Command, Context, Group
from airoxy.cli.confirm import agreed
from airoxy.cli.fleet.spending import see_spending
from airoxy.cli.parsing.arguments import HERE, JSON, YES, argument, id_of, name_argument, named
from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.limits.table import GROUP_LIMITS
from airoxy.errors import EXIT_FAILED
from airoxy.store import groups
from airoxy.views import groups as views
from airoxy.views.formats import cents
from airoxy.views.times import zoned_moment

#: So many of a group's keys are named at once.
_NAMED = 20

_LIMITS = (
    "A group's limits are one maximum for all its keys together; they hold from the next request"
    " on, beside those that a key has of its own. A request counts for the group that its key is in"
    " when it comes. Every key is in the built-in group `all` besides: `airoxy group set all"
    " --spend-per-month 500` limits what is spent in all."
)


def _add(context: Context, args: Namespace) -> None:
    changes = cli_limits.changes(args, context.moment(), cli_limits.OF_GROUPS)
    group_id = groups.add_group(context.database, args.name, context.now(), changes)
    cli_limits.warn_of_unknown_models(context, changes)
    context.tell(
        args,
        {"id": group_id, "name": args.name},
        f"Group {group_id} ({args.name}) is there now. To put a key into it:\n",
        f"    airoxy api-key set KEY --group {group_id}",
    )


def _set(context: Context, args: Namespace) -> None:
    changes = cli_limits.changes(args, context.moment(), cli_limits.OF_GROUPS)
    changes = cli_limits.to_set(context, args, changes)
    group_id = context.group_id(args.id)
    groups.set_group(context.database, group_id, changes)
    cli_limits.warn_of_unknown_models(context, changes)
    _tell(context, groups.find_group(context.database, group_id), json=args.json)


def _list(context: Context, args: Namespace) -> None:
    db, now = context.database, context.now()
    see_spending(context, here=args.here, totals=True)
    rows = [views.with_use(db, group, now) for group in groups.list_groups(db)]
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "ID": lambda row: str(row["id"]),
        "NAME": itemgetter("name"),
        "KEYS": lambda row: f"{len(row['api_keys']):,}",
        "TODAY": lambda row: cents(row["spent_today_nanousd"]),
        "MONTH": lambda row: cents(row["spent_this_month_nanousd"]),
        "LIMIT": partial(cli_limits.tightest, context),
    }
    right = ("ID", "KEYS", "TODAY", "MONTH")
    context.listing(args, rows, views.document, columns, right=right)


def _show(context: Context, args: Namespace) -> None:
    group = groups.find_group(context.database, context.group_id(args.id))
    see_spending(context, here=args.here, totals=True)
    _tell(context, group, json=args.json)


def _tell(context: Context, group: Mapping[str, Any], *, json: bool) -> None:
    group = views.with_use(context.database, group, context.now())
    if json:
        return context.json(views.document(group))
    context.facts(f"Group {group['id']}: {group['name']}", _facts(context, group))
    return cli_limits.say_meters(context, group)


def _facts(context: Context, group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    members = group["api_keys"]
    if group["id"] == EVERYBODY:
        yield "keys", f"all ({len(members):,})"
    else:
        more = f" and {len(members) - _NAMED:,} more" if len(members) > _NAMED else ""
        yield "keys", ", ".join(members[:_NAMED]) + more or "none yet"
    yield "created", zoned_moment(group["created_at"], context.zone)
    if group["note"]:
        yield "note", group["note"]
    yield (
        "spent",
        (
            f"{cents(group['spent_today_nanousd'])} today,"
            f" {cents(group['spent_this_week_nanousd'])} this week,"
            f" {cents(group['spent_this_month_nanousd'])} this month,"
            f" {cents(group['spent_total_nanousd'])} in total"
        ),
    )
    yield from cli_limits.facts(group, context.zone, GROUP_LIMITS)


def _remove(context: Context, args: Namespace) -> int | None:
    group = groups.find_group(context.database, context.group_id(args.id))
    group_id, members = group["id"], group["api_keys"]
    which = f"{group_id} ({group['name']})"
    if group_id != EVERYBODY and not agreed(
        context, args, f"Remove group {which}, with its limits for {_keys(members)}?"
    ):
        context.warn("Nothing has been removed.")
        return EXIT_FAILED
    groups.remove_group(context.database, group_id, context.now())
    left = [f"In no group any more: {', '.join(members)}"] if members else []
    context.tell(
        args,
        {"id": group_id, "name": group["name"], "removed": True},
        f"Group {which} is removed; its history stays.",
        *left,
    )
    return None


def _keys(members: list[str]) -> str:
    return f"{len(members):,} key{'' if len(members) == 1 else 's'}"


_CALLED = "what the group is called"
_GROUP = id_of("group")
_ADD = (
    argument("name", "NAME", _CALLED, type=name_argument),
    *cli_limits.arguments(cli_limits.OF_GROUPS, new=True),
    JSON,
)
_SET = (_GROUP, named(_CALLED), *cli_limits.arguments(cli_limits.OF_GROUPS, new=False), JSON)

GROUP = Group(
    "group",
    "Make and manage groups of client keys",
    (
        Command("add", "Make a group", _add, _ADD, f". {_LIMITS}"),
        Command(
            "set",
            "Change a group's limits, note or name",
            _set,
            _SET,
            f"; what is not named stays. {_LIMITS}",
        ),
        Command("list", "List the groups, with what they have spent", _list, (HERE, JSON)),
        Command(
            "show", "Show a group with its keys and all its limits", _show, (_GROUP, HERE, JSON)
        ),
        Command(
            "remove",
            "Remove a group for good",
            _remove,
            (_GROUP, YES, JSON),
            ". Its keys stay, in no group; its history stays under its name.",
        ),
    ),
)
