"""`airoxy job …`: what systemd calls, for the timers and at a reload."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from airoxy import files, journal
from airoxy.cli.command import Command, Context, Group
from airoxy.cli.notify import run_job
from airoxy.errors import EXIT_FAILED, AiroxyError, InvalidInput


def _tidy_log(context: Context, _args: Namespace) -> int:
    """Also the nightly copy, if there is to be one; without it the log is tidied all the same."""
    from airoxy.jobs.backup import back_up_nightly
    from airoxy.jobs.roll_up import roll_up
    from airoxy.jobs.tidy import tidy_audit, tidy_log
    from airoxy.store.usage import days

    config, db, failed = context.config, context.database, False
    try:
        if copied := back_up_nightly(config.database, config.backup, context.today()):
            context.say(copied)
    except AiroxyError as error:
        context.warn(f"No backup: {error.message}")
        failed = True
    if forgotten := tidy_audit(db, config.audit_retention_days, context.now()):
        kept = config.audit_retention_days
        context.say(f"{forgotten:,} audit entries of more than {kept} days ago deleted.")
    now, keep_rows = context.now(), config.fleet.keep_rows
    days.settle(db, config.timezone, now)
    roll_up(db, days.today(db, now))
    tidied = tidy_log(db, config.log_retention_days, now, zone=config.timezone, keep_rows=keep_rows)
    context.say(str(tidied))
    return EXIT_FAILED if failed else 0


def _refresh_tokens(context: Context, _args: Namespace) -> int:
    """1 if any could not be renewed, so that `systemctl --failed` shows it."""
    from airoxy.jobs.refresh import refresh_tokens, report_interrupted

    journal.set_up(stream=context.err)
    report_interrupted(context.database)
    failed = 0
    for outcome in refresh_tokens(context.database, context.config.oauth, context.clock):
        context.say(f"Token {outcome.token_id} ({outcome.name}): {outcome.message}")
        failed += not outcome.renewed
    return EXIT_FAILED if failed else 0


def _pass_certificate(context: Context, _args: Namespace) -> None:
    """Read as root, who may read the key; written as the owner of the runtime directory."""
    from airoxy.cli.system.owner import become_owner
    from airoxy.config.certificate import RENEWED, read_certificate

    if not context.environ.get("RUNTIME_DIRECTORY"):
        raise InvalidInput("Only systemd runs this, for airoxy.service; try: sudo airoxy reload")
    target = Path(context.environ["RUNTIME_DIRECTORY"], RENEWED)
    certificate = read_certificate(context.config)
    become_owner(target)
    if certificate is None:
        target.unlink(missing_ok=True)
        return
    with files.written(target) as unfinished:
        unfinished.write_bytes(certificate.pem)


GROUP = Group(
    "job",
    "Run what timers and reloads run",
    (
        Command("refresh-tokens", "Renew every active OAuth token", _refresh_tokens),
        Command(
            "tidy-log",
            "Delete detailed rows that are older than log_retention_days",
            _tidy_log,
            description=" (whole days), and audit entries that are older than audit_retention_days."
            " The totals that `airoxy stats` shows keep everything. Before that, copy the database"
            " to backup.directory, if the configuration names one.",
        ),
        Command(
            "notify",
            "Send the warnings that are due",
            run_job,
            description="Look at limits, tokens, certificate and usage log, and send what is news"
            " by notify.mail, notify.webhook and notify.command; airoxy-notify.timer runs it"
            " every minute. What a way did not take is sent again, after a minute, two, four and"
            " up to an hour, for three days. The exit status is 1 if a way has failed.",
        ),
        Command(
            "pass-certificate",
            "Hand renewed certificate and key to the service",
            _pass_certificate,
            description="Hand certificate and key to the service before it reloads; only root may"
            " read them, and what systemd passed at the start is as old as that. A pair that cannot"
            " be served is refused with exit status 78, and nothing is reloaded.",
        ),
    ),
)
