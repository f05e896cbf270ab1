"""`airoxy token check`: ask Anthropic whether tokens are good."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import JSON, argument
from airoxy.errors import EXIT_FAILED
from airoxy.store import tokens

ONE = argument("id", "ID", "id or name of one (default: all)", nargs="?")
ARGUMENTS = (ONE, JSON)


def run(context: Context, args: Namespace) -> int:
    """1 if any is not good. Nothing is changed by what is found."""
    from airoxy.upstream.check import GOOD, LIMITED, UNKNOWN, TokenCheck, check_token

    db = context.database
    only = None if args.id is None else context.token_id(args.id)
    results = []
    for row in tokens.list_tokens(db, context.now()):
        if only in (None, row["id"]):
            token = tokens.load_token(db, row["id"]) if row["is_readable"] else None
            if token is None:
                found = TokenCheck(UNKNOWN, "it cannot be decrypted")
            else:
                found = check_token(context.config.upstream, token, context.environ)
            results.append((row, found))
    context.tell(
        args,
        [{"id": row["id"], "name": row["name"], **asdict(found)} for row, found in results],
        *(
            f"Token {row['id']} ({row['name']}): {found.state}; {found.message}."
            for row, found in results
        ),
    )
    return 0 if all(found.state in (GOOD, LIMITED) for _, found in results) else EXIT_FAILED
