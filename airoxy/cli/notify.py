"""`airoxy notify …`: warnings for the operator, tried and looked after."""

from __future__ import annotations

import ssl
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from airoxy import journal
from airoxy.cli.command import Command, Context, Group
from airoxy.cli.doctor.finding import FAIL, OK, WARN, Check, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.parsing.arguments import JSON
from airoxy.cli.system.health import Own, ask_server, own_server
from airoxy.cli.system.system import is_stopped
from airoxy.config import Config
from airoxy.errors import EXIT_FAILED, AiroxyError, InvalidInput

if TYPE_CHECKING:
    from airoxy.jobs.notify.events import Surroundings

_NONE = "No way to warn you is configured: notify.mail, notify.webhook or notify.command."


def run_job(context: Context, _args: Namespace) -> int:
    """`airoxy job notify`: silent where nothing is configured."""
    from airoxy.jobs.notify.run import notify

    config = context.config
    if not config.notify.ways:
        return 0
    journal.set_up(stream=context.err)
    around, db = _surroundings(config), context.database
    directory = context.environ.get("RUNTIME_DIRECTORY")
    failed = notify(
        db, config.notify, around, context.now(), directory=Path(directory) if directory else None
    )
    return EXIT_FAILED if failed else 0


def _surroundings(config: Config) -> Surroundings:
    """What the running server says; one that does not run is not started to be asked."""
    from airoxy.jobs.notify.events import Surroundings

    own, ends, host = own_server(config.tls), None, config.first_host
    if is_stopped():
        return Surroundings()
    if own.trouble:  # only root may read the certificate, and everybody may see it
        own = _seen(own, "127.0.0.1" if host in ("::", "0.0.0.0") else host, config.port)  # noqa: S104
    if own.certificate:
        from airoxy.config.certificate import parse

        ends = parse(own.certificate).ends
    return Surroundings(ask_server(host, config.port, own).body, ends)


def _seen(own: Own, host: str, port: int) -> Own:
    with suppress(OSError, ValueError):
        pem = ssl.get_server_certificate((host, port), timeout=5)
        return replace(own, certificate=ssl.PEM_cert_to_DER_cert(pem), trouble="")
    return own


def _test(context: Context, args: Namespace) -> int:
    from airoxy.jobs.notify.events import Event
    from airoxy.jobs.notify.run import describe, told
    from airoxy.jobs.notify.ways import send

    settings = context.config.notify
    if not settings.ways:
        raise InvalidInput(_NONE)
    _ = context.database  # as its owner, like the timer's
    event = Event("test", "", "", "This is a test: airoxy's warnings reach you.")
    document = told(describe(event, context.now()))
    outcomes = {way: send(way, settings, document) for way in settings.ways}
    context.tell(
        args,
        [{"way": way, "trouble": trouble} for way, trouble in outcomes.items()],
        *(f"{way}: {trouble or 'sent'}" for way, trouble in outcomes.items()),
    )
    return EXIT_FAILED if any(outcomes.values()) else 0


def _check(installation: Installation) -> Iterator[Finding]:
    """What is configured takes the warnings."""
    from airoxy.jobs.notify.ways import SENDMAIL
    from airoxy.store import notices
    from airoxy.store.schema import open_database

    settings = installation.config.notify
    if not settings.ways:
        return
    if settings.mail and not Path(SENDMAIL).exists():
        text = f"notify.mail is configured, and there is no {SENDMAIL}."
        yield Finding(FAIL, text, "apt install a mail transport agent, such as postfix")
    if isinstance(settings.webhook, str) and installation.config.source:
        text = f"The secret address notify.webhook is in {installation.config.source}."
        if installation.config.source.stat().st_mode & 0o004:
            yield Finding(WARN, f"{text[:-1]}, which everybody may read.", "Give a file with it.")

    def look() -> list[notices.Waiting]:
        with closing(open_database(installation.database, readonly=True)) as db:
            return [each for each in notices.waiting(db) if each.tries]

    try:
        stuck = installation.as_owner(look)
    except AiroxyError:
        return  # other checks say so
    if stuck:
        ways = ", ".join(sorted({way for each in stuck for way in each.ways}))
        text = f"{len(stuck)} warnings could not be sent by {ways}: {stuck[-1].trouble}."
        yield Finding(WARN, text, "airoxy notify test")
    else:
        yield Finding(OK, f"Warnings go out by {', '.join(settings.ways)}.")


CHECKS = (Check("warnings", _check),)
GROUP = Group(
    "notify",
    "Try the warnings for the operator",
    (
        Command(
            "test",
            "Send a test warning by every configured way",
            _test,
            (JSON,),
            "Send a test warning now by notify.mail, notify.webhook and notify.command, whichever"
            " are configured, and say what became of it. The exit status is 1 if any has failed.",
        ),
    ),
)
