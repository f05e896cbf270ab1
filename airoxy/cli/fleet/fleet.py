"""`airoxy fleet …`: several hosts that share keys, tokens, limits and usage."""

from __future__ import annotations

import os
import signal
import socket
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airoxy.cli.command import Command, Context, Group, add_json
from airoxy.cli.confirm import add_yes, agreed
from airoxy.cli.doctor.finding import Check
from airoxy.cli.fleet.check import fleet
from airoxy.cli.fleet.texts import amount
from airoxy.cli.parsing.arguments import name_argument
from airoxy.core.limits.table import LIMITS
from airoxy.errors import EXIT_FAILED, AiroxyError, InvalidInput
from airoxy.views.times import past, span, with_times

if TYPE_CHECKING:
    from airoxy.cli.system.health import Own
    from airoxy.fleet.postgres import Postgres
    from airoxy.store.fleet.membership import Membership


def _join_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "url", metavar="URL", nargs="?",
        help="postgresql://USER@HOST/DATABASE, without a password (default: fleet.database)",
    )  # fmt: skip
    parser.add_argument(
        "--first", action="store_true", help="make the fleet; this is its first host"
    )
    parser.add_argument(
        "--name", type=name_argument, help="what the fleet calls this host (default: its host name)"
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE",
        help="where the password is; it is kept beside the database",
    )  # fmt: skip
    parser.add_argument(
        "--token-key", type=Path, metavar="FILE",
        help="where the key of the fleet's tokens is, as 64 digits",
    )  # fmt: skip
    parser.add_argument(
        "--anew", action="store_true",
        help="join as another host, where the database is a copy of one that was in the fleet",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    add_json(parser)


def _join(context: Context, args: Namespace) -> None:
    from airoxy.cli.system.health import own_server
    from airoxy.fleet import join
    from airoxy.fleet.postgres import PASSWORD_FILE, checked_url, connected, read_password
    from airoxy.store.fleet.membership import last_membership

    # Read with the rights of who types it.
    password, key = _first_line(args.password_file), _key(args.token_key)
    own = own_server(context.config.tls)
    db = context.database
    before = last_membership(db)
    url = args.url or context.config.fleet.database or (before.url if before else None)
    if url is None:
        raise InvalidInput("Say where the fleet meets: airoxy fleet join postgresql://…")
    url = checked_url(url)
    password = password or read_password(context.database_path, None)
    with connected(url, password) as postgres:
        entry = join.Entry(
            db, postgres, url, args.name or _host_name(), first=args.first, anew=args.anew, key=key,
            own_key=context.system_key, running=lambda: _answers(context, own),
        )  # fmt: skip
        entry.prepare()
        lines = [line for each in entry.merges for line in each.lines()]
        if args.dry_run:
            return _tell_plan(context, args, entry.name, lines)
        if args.password_file is not None and password is not None:
            _keep(context.database_path.with_name(PASSWORD_FILE), password)
        entry.carry_out(context.config.log_retention_days)
    if args.json:
        return context.json({"name": entry.name, "dry_run": False, "changes": lines})
    for line in lines:
        context.say(line)
    context.say(f"This host is in the fleet as {entry.name}.")
    context.say("Its agent has to run: sudo systemctl enable --now airoxy-fleet")
    return None


def _tell_plan(context: Context, args: Namespace, name: str, lines: list[str]) -> None:
    if args.json:
        return context.json({"name": name, "dry_run": True, "changes": lines})
    for line in lines or ["Nothing of this host's own would change."]:
        context.say(line)
    return None


def _answers(context: Context, own: Own) -> bool:
    """Whether this host's server runs."""
    from airoxy.cli.system.health import ask_server

    config = context.config
    return ask_server((config.hosts or ("::",))[0], config.port, own).status is not None


def _first_line(path: Path | None) -> str | None:
    return None if path is None else _text(path).rstrip("\n")


def _key(path: Path | None) -> bytes | None:
    from airoxy.store.key_file import parse_key

    if path is None:
        return None
    key = parse_key(_text(path))
    if key is None:
        raise InvalidInput(f"{path} is no key: 64 hexadecimal digits.")
    return key


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from None


def _keep(path: Path, text: str) -> None:
    from airoxy import files

    with files.written(path) as unfinished:
        unfinished.write_text(text + "\n")


def _host_name() -> str:
    return socket.gethostname().partition(".")[0]


def _member(context: Context) -> Membership:
    from airoxy.store.fleet.membership import membership

    member = membership(context.database)
    if member is None:
        raise AiroxyError("This host is in no fleet: sudo airoxy fleet join URL")
    return member


@contextmanager
def _met(context: Context, member: Membership) -> Iterator[Postgres]:
    from airoxy.fleet.postgres import connected, read_password

    credentials = context.environ.get("CREDENTIALS_DIRECTORY")
    password = read_password(context.database_path, credentials)
    with connected(context.config.fleet.database or member.url, password) as postgres:
        yield postgres


def _status(context: Context, args: Namespace) -> int | None:
    """1 where PostgreSQL cannot be reached."""
    from airoxy.fleet.overview.hosts import hosts, shares
    from airoxy.store.fleet import shared
    from airoxy.store.fleet.membership import waiting

    member = _member(context)
    here: dict[str, Any] = {
        "name": member.name,
        "host": member.host,
        "rows_waiting": waiting(context.database, member),
        "changes_waiting": shared.waiting(context.database),
        "contact_at": member.contact_at,
        "trouble": member.trouble,
    }
    try:
        with _met(context, member) as postgres:
            found, divided = hosts(postgres), shares(postgres)
    except AiroxyError as error:
        found, divided, here["trouble"] = [], [], here["trouble"] or error.message
    if args.json:
        rows = [with_times(row, ("joined_at", "seen_at")) for row in found]
        here = with_times(here, ("contact_at",))
        context.json({"here": here, "hosts": rows, "shares": divided})
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
    from airoxy.store import groups, keys

    names = keys.names(context.database), groups.names(context.database)
    options = {limit.column: limit.option.removeprefix("--") for limit in LIMITS}
    context.say()
    context.table(
        (
            (
                names[0].get(row["key_id"], "") or f"group {names[1].get(row['group_id'], '?')}",
                options[row["limit"]],
                row["host"],
                *(amount(row["limit"], row[name]) for name in ("share", "used")),
            )
            for row in divided
        ),
        ("LIMIT OF", "LIMIT", "HOST", "SHARE", "USED"),
        right=("SHARE", "USED"),
    )


def _leave_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--force", action="store_true", help="also where PostgreSQL cannot be reached"
    )
    add_yes(parser)
    add_json(parser)


def _leave(context: Context, args: Namespace) -> int | None:
    from airoxy.fleet import join
    from airoxy.fleet.postgres import FleetError

    member, trouble = _member(context), None
    if not agreed(context, args, f"Take this host ({member.name}) out of the fleet?"):
        context.warn("Nothing has been changed.")
        return EXIT_FAILED
    try:
        with _met(context, member) as postgres:
            join.leave(context.database, postgres, context.config.log_retention_days)
    except FleetError as error:
        if not args.force:
            raise FleetError(f"{error.message} To leave all the same: --force") from None
        join.be_alone(context.database)
        trouble = error.message
        context.warn(f"{trouble} On another host: airoxy fleet forget {member.name}")
    if args.json:
        context.json({"name": member.name, "left": True, "trouble": trouble})
        return None
    context.say("This host is alone, with its copy of keys and tokens.")
    context.say("Refresh tokens work once: remove the OAuth tokens on all hosts but one.")
    return None


def _forget_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="its name, as `airoxy fleet status` shows it")
    add_yes(parser)
    add_json(parser)


def _forget(context: Context, args: Namespace) -> int | None:
    from airoxy.fleet.join import forget

    member = _member(context)
    if not agreed(context, args, f"Forget {args.host}? It must not be running any more."):
        context.warn("Nothing has been changed.")
        return EXIT_FAILED
    with _met(context, member) as postgres:
        forget(postgres, args.host)
    if args.json:
        context.json({"name": args.host, "forgotten": True})
    else:
        context.say(f"{args.host} is forgotten; its shares and leases are free, its usage stays.")
    return None


def _agent(context: Context, _: Namespace) -> None:
    from airoxy import journal
    from airoxy.fleet.agent import Agent, connector
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

    credentials = context.environ.get("CREDENTIALS_DIRECTORY")
    connect = connector(context.database_path, credentials, config.fleet.database)
    agent = Agent(db, connect, keep_days=config.log_retention_days, alive=alive)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    notifier.ready()
    agent.run()
    return None


GROUP = Group(
    "fleet",
    "Share keys, tokens, limits and usage among several hosts",
    (
        Command(
            "join",
            "Join a fleet of hosts that meet in a PostgreSQL database",
            _join,
            _join_arguments,
            "Join a fleet of hosts that meet in a PostgreSQL database. Its first host makes it"
            " (--first). Keys and tokens that both have become one; the others of this host join"
            " the fleet, with another id or name where that is taken, which --dry-run tells before."
            " The connection is checked by TLS unless it is a Unix socket.",
        ),
        Command("status", "Show the hosts, and how up to date this one is", _status, add_json),
        Command(
            "leave",
            "Take this host out of the fleet",
            _leave,
            _leave_arguments,
            "Take this host out of the fleet, once everything has been sent to it. It continues"
            " alone, with its copy of keys and tokens.",
        ),
        Command(
            "forget",
            "Forget a host that is gone for good",
            _forget,
            _forget_arguments,
            "Forget a host that is gone for good. Its shares of limits and its leases of"
            " refreshes are free then; what it has used stays counted.",
        ),
        Command(
            "agent",
            "Run the agent in the foreground",
            _agent,
            description="Run the agent in the foreground, which is what airoxy-fleet.service does:"
            " it carries rows between this host's database and the fleet's.",
        ),
    ),
)

#: For `airoxy doctor`.
CHECKS = (Check("fleet", fleet),)
