"""This host's membership in a fleet, and the PostgreSQL in which the fleet meets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airoxy.cli.command import Context
from airoxy.errors import AiroxyError

if TYPE_CHECKING:
    from airoxy.fleet.postgres import Postgres
    from airoxy.store.fleet.membership import Membership


def member_of(context: Context) -> Membership:
    """This host as one of its fleet. Raises AiroxyError where it is in none."""
    from airoxy.store.fleet.membership import membership

    member = membership(context.database)
    if member is None:
        raise AiroxyError("This host is in no fleet: sudo airoxy fleet join URL")
    return member


@contextmanager
def met(context: Context, member: Membership) -> Iterator[Postgres]:
    """A connection to the PostgreSQL of this member's fleet. Raises AiroxyError."""
    from airoxy.fleet.postgres import connected, read_password

    credentials = context.environ.get("CREDENTIALS_DIRECTORY")
    password = read_password(context.database_path, credentials)
    with connected(context.config.fleet.database or member.url, password) as postgres:
        yield postgres
