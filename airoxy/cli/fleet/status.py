"""`airoxy fleet status`: the hosts of a fleet, what waits for it, and who holds which share."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airoxy.cli.command import Context
from airoxy.cli.fleet.texts import amount
from airoxy.core.limits.table import LIMITS
from airoxy.errors import EXIT_FAILED, AiroxyError
from airoxy.views.times import past, span

if TYPE_CHECKING:
    from airoxy.store.fleet.membership import Membership


def member_of(context: Context) -> Membership:
    """This host as one of its fleet. Raises AiroxyError where it is in none."""
    from airoxy.store.fleet.membership import membership

    member = membership(context.database)
    if member is None:
        raise AiroxyError("This host is in no fleet: sudo airoxy fleet join URL")
    return member


def run_status(context: Context, args: Namespace) -> int | None:
    """1 where PostgreSQL cannot be reached."""
    from airoxy.fleet.overview import hosts

    member, trouble = member_of(context), None
    try:
        with closing(context.connect(member)) as postgres:
            found, divided = hosts.hosts(postgres), hosts.shares(postgres)
    except AiroxyError as error:
        found, divided, trouble = [], [], error.message
    here = hosts.here(context.database, member, trouble)
    if args.json:
        context.json(hosts.document(here, found, divided))
    else:
        _show(context, here, found)
        _show_shares(context, divided)
    return None if found else EXIT_FAILED


def _show(context: Context, here: dict[str, Any], found: list[dict[str, Any]]) -> None:
    context.say(f"This host is {here['name']}.")
    context.say(
        f"  waiting      {here['rows_waiting']:,} rows, {here['changes_waiting']:,} changes"
    )
    context.say(f"  last contact {past(here['contact_at'], context.now())}")
    if here["trouble"]:
        context.say(f"  trouble      {here['trouble']}")
    if not found:
        return
    context.say()
    context.table(
        (
            (row["name"], row["airoxy"], f"{span(max(0.0, row['ago']))} ago", f"{row['waiting']:,}")
            for row in found
        ),
        ("HOST", "AIROXY", "SEEN", "WAITING"),
        right=("WAITING",),
    )


def _show_shares(context: Context, divided: list[dict[str, Any]]) -> None:
    if not divided:
        return
    from airoxy.fleet.overview.hosts import whose

    options = {limit.column: limit.option.removeprefix("--") for limit in LIMITS}
    context.say()
    context.table(
        (
            (
                of,
                options[row["limit"]],
                row["host"],
                *(amount(row["limit"], row[name]) for name in ("share", "used")),
            )
            for of, row in zip(whose(context.database, divided), divided, strict=True)
        ),
        ("LIMIT OF", "LIMIT", "HOST", "SHARE", "USED"),
        right=("SHARE", "USED"),
    )
