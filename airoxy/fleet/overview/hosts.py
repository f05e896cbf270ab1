"""What PostgreSQL has of the fleet's hosts, and of how limits are divided among them."""

from __future__ import annotations

from typing import Any

import apsw

from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet import shared
from airoxy.store.fleet.membership import Membership, waiting
from airoxy.store.fleet.shares import DIVIDED
from airoxy.store.names import all_names, named
from airoxy.views.times import with_times

Rows = list[dict[str, Any]]


def shares(postgres: Postgres) -> Rows:
    """How each limit is divided now: `limit` is its name in JSON, which says the unit; of
    `key_id`, `group_id` and `token_id` two are None."""
    rows = postgres.run(
        "SELECT s.number, s.measure, h.name, s.share, s.used FROM airoxy.shares AS s"
        " JOIN airoxy.hosts AS h ON h.host = s.host AND h.left_at IS NULL"
        " WHERE s.first_day = (SELECT max(n.first_day) FROM airoxy.shares AS n"
        " WHERE n.number = s.number AND n.measure = s.measure)"
        " ORDER BY s.number, s.measure, h.name"
    )
    return [
        {
            "key_id": number if 0 < number < GROUPS_FROM else None,
            "group_id": number - GROUPS_FROM if number > GROUPS_FROM else None,
            "token_id": -number if number < 0 else None,
            "limit": DIVIDED[measure].column,
            "host": name,
            "share": share,
            "used": used,
        }
        for number, measure, name, share, used in rows
        if measure in DIVIDED  # a newer airoxy may have more
    ]


def whose(db: apsw.Connection, found: Rows) -> list[str]:
    """As people read it, whose limit is divided in each of these rows of `shares`."""
    kinds = (
        ("key_id", "", all_names(db, "api_keys")),
        ("group_id", "group ", all_names(db, "groups")),
        ("token_id", "token ", all_names(db, "tokens")),
    )
    return [
        kind + names.get(row[column], "?")
        for row in found
        for column, kind, names in kinds
        if row[column] is not None
    ]


def hosts(postgres: Postgres) -> Rows:
    """Those of the fleet, by name; times are Unix seconds by PostgreSQL's clock."""
    names = ("host", "name", "airoxy", "shipped", "waiting", "joined_at", "seen_at", "ago")
    rows = postgres.run(
        "SELECT host::text, name, airoxy, shipped, waiting,"
        " extract(epoch FROM joined_at)::float8, extract(epoch FROM seen_at)::float8,"
        " extract(epoch FROM now() - seen_at)::float8"
        " FROM airoxy.hosts WHERE left_at IS NULL ORDER BY name"
    )
    return named(names, rows)


def here(db: apsw.Connection, member: Membership, trouble: str | None = None) -> dict[str, Any]:
    """This host; `trouble` is that of whoever has just asked PostgreSQL."""
    return {
        "name": member.name,
        "host": member.host,
        "rows_waiting": waiting(db, member),
        "changes_waiting": shared.waiting(db),
        "contact_at": member.contact_at,
        "trouble": member.trouble or trouble,
    }


def document(this: dict[str, Any], found: Rows, divided: Rows) -> dict[str, Any]:
    """The status of a fleet in JSON."""
    return {
        "here": with_times(this, ("contact_at",)),
        "hosts": [with_times(row, ("joined_at", "seen_at")) for row in found],
        "shares": divided,
    }
