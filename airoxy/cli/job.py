"""`airoxy job …`: what the timers call."""

from __future__ import annotations

from argparse import Namespace

from airoxy.cli.command import Command, Context, Group
from airoxy.errors import EXIT_FAILED


def _tidy_log(context: Context, _args: Namespace) -> None:
    from airoxy.jobs.tidy import tidy_log

    days = context.config.log_retention_days
    context.say(str(tidy_log(context.database, days, context.now())))


def _refresh_tokens(context: Context, _args: Namespace) -> int:
    """1 if any could not be renewed, so that `systemctl --failed` shows it."""
    from airoxy.jobs.refresh import refresh_tokens, report_interrupted

    report_interrupted(context.database)
    failed = 0
    for outcome in refresh_tokens(context.database, context.config.oauth, context.clock):
        context.say(f"Token {outcome.token_id} ({outcome.name}): {outcome.told}")
        failed += not outcome.renewed
    return EXIT_FAILED if failed else 0


GROUP = Group(
    "job",
    "Run what the timers run",
    (
        Command("refresh-tokens", "Renew every active OAuth token", _refresh_tokens),
        Command(
            "tidy-log",
            "Delete detailed rows that are older than log_retention_days",
            _tidy_log,
            description="Delete detailed rows that are older than log_retention_days (whole UTC "
            "days). The totals that `airoxy stats` shows keep everything.",
        ),
    ),
)
