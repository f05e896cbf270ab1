"""`airoxy job …`: what the timers call."""

from __future__ import annotations

from argparse import Namespace

from airoxy.cli.command import Command, Context, Group


def _tidy_log(context: Context, _args: Namespace) -> None:
    from airoxy.jobs.tidy import tidy_log

    days = context.config.log_retention_days
    context.say(str(tidy_log(context.database, days, context.now())))


GROUP = Group(
    "job",
    "Run what the timers run",
    (
        Command(
            "tidy-log",
            "Delete detailed rows that are older than log_retention_days",
            _tidy_log,
            description="Delete detailed rows that are older than log_retention_days (whole UTC "
            "days). The totals that `airoxy stats` shows keep everything.",
        ),
    ),
)
