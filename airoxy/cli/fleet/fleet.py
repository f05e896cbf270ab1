"""`airoxy fleet …`: several hosts that share keys, tokens, limits and usage."""

from __future__ import annotations

import os
import signal
from argparse import Namespace
from contextlib import closing

from airoxy import journal
from airoxy.cli.command import Command, Context, Group
from airoxy.cli.confirm import agreed
from airoxy.cli.doctor.finding import Check
from airoxy.cli.fleet.check import fleet
from airoxy.cli.fleet.join import ARGUMENTS, run_join
from airoxy.cli.fleet.status import member_of, run_status
from airoxy.cli.parsing.arguments import JSON, YES, argument, flag
from airoxy.errors import EXIT_FAILED


def _leave(context: Context, args: Namespace) -> int | None:
    from airoxy.fleet import join
    from airoxy.fleet.postgres import FleetError

    member, trouble = member_of(context), None
    if not agreed(context, args, f"Take this host ({member.name}) out of the fleet?"):
        context.warn("Nothing has been changed.")
        return EXIT_FAILED
    try:
        with closing(context.connect(member)) as postgres:
            join.leave(context.database, postgres, context.config.log_retention_days)
    except FleetError as error:
        if not args.force:
            raise FleetError(f"{error.message} To leave all the same: --force") from None
        join.be_alone(context.database)
        trouble = error.message
        context.warn(f"{trouble} On another host: airoxy fleet forget {member.name}")
    context.tell(
        args,
        {"name": member.name, "left": True, "trouble": trouble},
        "This host is alone, with its copy of keys and tokens.",
        "Refresh tokens work once: remove the OAuth tokens on all hosts but one.",
    )
    return None


def _forget(context: Context, args: Namespace) -> int | None:
    from airoxy.fleet.join import forget

    member = member_of(context)
    if not agreed(context, args, f"Forget {args.host}? It must not be running any more."):
        context.warn("Nothing has been changed.")
        return EXIT_FAILED
    with closing(context.connect(member)) as postgres:
        forget(postgres, args.host)
    context.tell(
        args,
        {"name": args.host, "forgotten": True},
        f"{args.host} is forgotten; its shares and leases are free, its usage stays.",
    )
    return None


def _agent(context: Context, _: Namespace) -> None:
    from airoxy.fleet.agent import Agent
    from airoxy.server.process.systemd import Notifier
    from airoxy.store.fleet.membership import membership

    config, db = context.config, context.database
    journal.set_up(config.log_level, stream=context.err)
    if membership(db) is None:
        return context.say("This host is in no fleet: sudo airoxy fleet join URL")
    notifier = Notifier(os.environ)

    def alive(text: str) -> None:
        notifier.alive()
        notifier.status(text.encode("ascii", "replace").decode())

    agent = Agent(db, context.connect, keep_days=config.log_retention_days, alive=alive)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    notifier.ready()
    agent.run()
    return None


_LEAVE = (flag("--force", "also where PostgreSQL cannot be reached"), YES, JSON)
_FORGET = (argument("host", "HOST", "its name, as `airoxy fleet status` shows it"), YES, JSON)

GROUP = Group(
    "fleet",
    "Share keys, tokens, limits and usage among several hosts",
    (
        Command(
            "join",
            "Join a fleet of hosts that meet in a PostgreSQL database",
            run_join,
            ARGUMENTS,
            ". Its first host makes it (--first). Keys and tokens that both have become one; the"
            " others of this host join the fleet, with another id or name where that is taken,"
            " which --dry-run tells before. The connection is checked by TLS unless it is a Unix"
            " socket.",
        ),
        Command("status", "Show the hosts, and how up to date this one is", run_status, (JSON,)),
        Command(
            "leave",
            "Take this host out of the fleet",
            _leave,
            _LEAVE,
            ", once everything has been sent to it. It continues alone, with its copy of keys and"
            " tokens.",
        ),
        Command(
            "forget",
            "Forget a host that is gone for good",
            _forget,
            _FORGET,
            ". Its shares of limits and its leases of refreshes are free then; what it has used"
            " stays counted.",
        ),
        Command(
            "agent",
            "Run the agent in the foreground",
            _agent,
            description=", which is what airoxy-fleet.service does: it carries rows between this"
            " host's database and the fleet's.",
        ),
    ),
)

#: For `airoxy doctor`.
CHECKS = (Check("fleet", fleet),)
