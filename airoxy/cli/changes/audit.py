"""`airoxy audit`: who has changed what in keys and tokens, and when."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import apsw

from airoxy import journal
from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import JSON, argument, limit
from airoxy.store.audit.trail import read_trail, take_recorded
from airoxy.views.changes import by, document, in_words, line, visible
from airoxy.views.times import rfc3339, typed_moment

_DESCRIPTION = (
    "Show who has changed keys, groups, tokens and the console's users, when, and what they were"
    " before: by commands, by the console, by `apply`, and by the server, which deactivates tokens"
    " that Anthropic refuses. What"
    " changes by itself (last use, refreshes, cooldowns) is not recorded, and no secret is. BY has"
    " the name of the user, with sudo that of who called it, and what made the change. Entries are"
    " kept for audit_retention_days; each is a line in the journal as well (journalctl -t airoxy)."
)


def _run(context: Context, args: Namespace) -> None:
    now = context.now()
    entries = read_trail(
        context.database,
        since=typed_moment(args.since, now, "--since", context.zone) if args.since else None,
        until=typed_moment(args.until, now, "--until", context.zone) if args.until else None,
        subjects=_subjects(context, args),
        limit=args.limit,
    )
    context.listing(
        args,
        entries,
        document,
        {
            "TIME": lambda entry: str(rfc3339(entry.at // 1000, context.zone)),
            "BY": by,
            "WHAT": lambda entry: f"{entry.kind} {entry.subject}",
            "NAME": lambda entry: visible(entry.name),
            "ACTION": attrgetter("action"),
            "CHANGE": lambda entry: in_words(entry.action, entry.before, entry.after) or "-",
        },
        "No change has been recorded.",
    )


def _subjects(context: Context, args: Namespace) -> dict[str, int]:
    find = {"key": context.key_id, "group": context.group_id, "token": context.token_id}
    given = {kind: getattr(args, kind) for kind in find}
    return {kind: find[kind](text, removed=True) for kind, text in given.items() if text}


def tell_journal(db: apsw.Connection, address: Path = journal.SYSLOG) -> None:
    """What `db` has changed, a line each."""
    with suppress(apsw.Error):
        if entries := take_recorded(db):
            journal.send(map(line, entries), address)


_ARGUMENTS = (
    limit("how many, the newest"),
    argument("--since", "TIME", "only from then on (30d ago, 2026-11-22T17:30, 17:30)"),
    argument("--until", "TIME", "only those before then"),
    argument("--key", "ID", "only those of this client key (id or name)"),
    argument("--group", "ID", "only those of this group (id or name)"),
    argument("--token", "ID", "only those of this token (id or name)"),
    JSON,
)
COMMANDS = (Command("audit", "Show who has changed what", _run, _ARGUMENTS, _DESCRIPTION),)
