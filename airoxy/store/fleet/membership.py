"""Whether this host is one of a fleet, and how far it and PostgreSQL agree.

Invariant: what PostgreSQL is given was on this host's disk before, so no power cut makes two
requests share an id.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw

from airoxy.store.schema import run


class Membership(NamedTuple):
    """The columns of the table `fleet`."""

    host: str
    name: str
    url: str
    nonce: str
    next_nonce: str | None
    joined_at: int
    first: int
    synced: int
    shipped: int
    ship_again: int | None
    hosts: int
    seen: int
    contact_at: float | None
    trouble: str | None
    division: int
    reported: int


_COLUMNS = ", ".join(Membership._fields)


def membership(db: apsw.Connection) -> Membership | None:
    """None where this host is alone."""
    return _read(db, "left_at IS NULL")


def name_of_host(db: apsw.Connection) -> str:
    """What the fleet calls this host; where it is alone, what it calls itself."""
    member = membership(db)
    return member.name if member else host_name()


def host_name() -> str:
    """What this host calls itself."""
    return socket.gethostname().partition(".")[0]


def last_membership(db: apsw.Connection) -> Membership | None:
    """Also one that has ended."""
    return _read(db, "TRUE")


def _read(db: apsw.Connection, which: str) -> Membership | None:
    rows = run(db, f"SELECT {_COLUMNS} FROM fleet WHERE {which}")
    return Membership(*rows[0]) if rows else None


def enter(
    db: apsw.Connection, *, host: str, name: str, url: str, nonce: str, now: float, first: int = 0
) -> None:
    """From now on it is one of a fleet."""
    run(
        db,
        "INSERT OR REPLACE INTO fleet (id, host, name, url, nonce, joined_at, first, shipped)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (host, name, url, nonce, int(now), first, first),
    )


def leave(db: apsw.Connection, now: float) -> None:
    """In the caller's transaction: it is alone, with what it has of the others. It is remembered
    who it was, so that nothing is counted twice when it comes back."""
    note(db, left_at=int(now), trouble=None)
    run(db, "UPDATE meta SET generation = generation + 1")  # its limits are its own again
    forget_rows(db)


def forget_rows(db: apsw.Connection) -> None:
    """In the caller's transaction: nothing is known of what the fleet has."""
    for table in ("fleet_rows", "fleet_outbox", "fleet_leases", "fleet_shares", "fleet_hosts"):
        run(db, f"DELETE FROM {table}")


def hosts_that_share(db: apsw.Connection) -> int:
    """How many hosts this one divides limits with, itself among them; 0 where it is alone."""
    member = membership(db)
    return member.hosts if member else 0


def note_hosts(db: apsw.Connection, hosts: int) -> None:
    """In the caller's transaction: the fleet has so many, from the next request on."""
    note(db, hosts=hosts)
    run(db, "UPDATE meta SET generation = generation + 1")


def note(db: apsw.Connection, **changes: Any) -> None:
    """Change these columns."""
    assignments = ", ".join(f"{name} = ?" for name in changes)
    run(db, f"UPDATE fleet SET {assignments}", tuple(changes.values()))


@contextlib.contextmanager
def on_disk(db: apsw.Connection) -> Iterator[None]:
    """What is committed inside is on the disk then, with everything that was before it."""
    run(db, "PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        run(db, "PRAGMA synchronous = NORMAL")


def waiting(db: apsw.Connection, member: Membership) -> int:
    """How many rows of the usage log PostgreSQL does not have."""
    ((count,),) = run(db, "SELECT count(*) FROM requests WHERE id > ?", (member.shipped,))
    return int(count)


def lag(db: apsw.Connection, now: float) -> dict[str, Any] | None:
    """How far the fleet is behind this host, for monitors; None where it is alone."""
    member = membership(db)
    if member is None:
        return None
    contact = None if member.contact_at is None else round(now - member.contact_at, 1)
    found: dict[str, Any] = {
        "host": member.name,
        "hosts": member.hosts,
        "rows_waiting": waiting(db, member),
        "seconds_since_contact": contact,
    }
    return found | ({"trouble": member.trouble} if member.trouble else {})


def may_delete(db: apsw.Connection, keep_rows: int) -> int | None:
    """Up to which id detailed rows may go: of those that were not shipped the newest `keep_rows`
    stay. None: all."""
    member = membership(db)
    if member is None:
        return None
    ((last,),) = run(db, "SELECT ifnull(max(id), 0) FROM requests")
    return max(member.shipped, int(last) - keep_rows)


def ship_again(db: apsw.Connection, first: int) -> None:
    """In the caller's transaction: rows from this id on are not what was shipped any more."""
    run(db, "UPDATE fleet SET ship_again = min(ifnull(ship_again, ?1), ?1)", (first,))
