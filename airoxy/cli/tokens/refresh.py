"""`airoxy token refresh`: renew OAuth tokens now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from airoxy.cli.command import Context, add_json
from airoxy.errors import EXIT_FAILED
from airoxy.store import leases, tokens


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="id or name of one (default: all)")
    parser.add_argument("--id", dest="only", metavar="ID", help="the same")
    add_json(parser)


def run(context: Context, args: Namespace) -> int:
    """1 if any could not be renewed."""
    from airoxy.jobs.refresh import refresh_token, refresh_tokens

    db, oauth = context.database, context.config.oauth
    rows = tokens.list_tokens(db, context.now())
    wanted = args.id or args.only
    if wanted is None:
        outcomes = list(refresh_tokens(db, oauth, context.clock))
    else:
        token_id = context.token_id(wanted)
        rows = [row for row in rows if row["id"] == token_id]
        states = leases.refreshing(db, token_id)
        outcomes = [refresh_token(db, s.id, s.token, oauth, context.clock) for s in states]
    skipped = [row for row in rows if row["type"] == "api_key"]
    if args.json:
        context.json(
            [
                {"id": each.token_id, "name": each.name, "renewed": each.renewed,
                 "message": each.message}
                for each in outcomes
            ]
        )  # fmt: skip
    else:
        for row in skipped:
            context.say(f"Token {row['id']} ({row['name']}): skipped, an API key does not expire")
        for outcome in outcomes:
            context.say(f"Token {outcome.token_id} ({outcome.name}): {outcome.message}")
    return 0 if all(outcome.renewed for outcome in outcomes) else EXIT_FAILED
