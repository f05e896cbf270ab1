"""`airoxy token refresh`: renew OAuth tokens now."""

from __future__ import annotations

from argparse import Namespace

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import JSON, argument
from airoxy.cli.tokens.check import ONE
from airoxy.errors import EXIT_FAILED
from airoxy.store import leases, tokens

ARGUMENTS = (ONE, argument("--id", "ID", "the same", dest="only"), JSON)


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
    context.tell(
        args,
        [
            {"id": each.token_id, "name": each.name, "renewed": each.renewed,
             "message": each.message}
            for each in outcomes
        ],
        *(
            f"Token {row['id']} ({row['name']}): skipped, an API key does not expire"
            for row in skipped
        ),
        *(f"Token {each.token_id} ({each.name}): {each.message}" for each in outcomes),
    )  # fmt: skip
    return 0 if all(outcome.renewed for outcome in outcomes) else EXIT_FAILED
