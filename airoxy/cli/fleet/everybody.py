"""Commands that tell of all hosts of a fleet, unless only this one is meant."""

from __future__ import annotations

from argparse import ArgumentParser

from airoxy.cli.command import Context
from airoxy.errors import AiroxyError


def add_here(parser: ArgumentParser) -> None:
    parser.add_argument("--here", action="store_true", help="of a fleet only this host")


def see_everybody(context: Context, *, here: bool) -> None:
    """Where this host is one of a fleet, have the database tell of all hosts."""
    from airoxy.store.fleet.membership import membership

    db = context.database
    member = None if here else membership(db)
    if member is None:
        return
    from airoxy.fleet.agent import connector
    from airoxy.fleet.everybody import show_everybody

    credentials = context.environ.get("CREDENTIALS_DIRECTORY")
    connect = connector(context.database_path, credentials, context.config.fleet.database)
    try:
        postgres = connect(member)
        try:
            show_everybody(db, postgres, member)
        finally:
            postgres.close()
    except AiroxyError as error:
        context.warn(f"airoxy: This is the usage of this host only. {error.message}")
