"""The fleet's tables in PostgreSQL: the schema `airoxy`, and the steps that lead to it.

Invariant: steps are taken under an advisory lock, one host at a time, and only add. Columns of the
usage log follow those that a host has. A step that was released is never changed.
"""

from __future__ import annotations

import apsw

from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.store.fleet.usage import Column, columns

#: An advisory lock's number for changes of the tables; those of hosts are beside it.
_SCHEMA_LOCK = 0x6169726F
_TYPES = {"INTEGER": "bigint", "TEXT": "text", "REAL": "double precision", "BLOB": "bytea"}

_FIRST = """
CREATE TABLE airoxy.fleet (
    id int PRIMARY KEY CHECK (id = 1),
    schema int NOT NULL,
    version bigint NOT NULL,               -- the last that a shared row was given
    token_key text                         -- which key the tokens are encrypted with
);
INSERT INTO airoxy.fleet VALUES (1, 0, 0, NULL);

CREATE TABLE airoxy.hosts (
    host uuid PRIMARY KEY,
    name text NOT NULL,
    nonce text NOT NULL,                   -- of the agent's last start
    shipped bigint NOT NULL,               -- the last request that is here
    waiting bigint NOT NULL DEFAULT 0,     -- and how many were not, then
    keep_days int NOT NULL DEFAULT 0,      -- of detailed rows
    airoxy text NOT NULL DEFAULT '',       -- its version
    joined_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    left_at timestamptz
);

CREATE TABLE airoxy.shared (
    kind text NOT NULL,
    key text NOT NULL,
    version bigint NOT NULL,               -- in the order of commits
    row jsonb,                             -- NULL: deleted
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, key)
);
CREATE INDEX shared_versions ON airoxy.shared (version);

CREATE TABLE airoxy.requests (
    day int NOT NULL,                      -- since 1970-01-01, UTC
    host uuid NOT NULL,
    id bigint NOT NULL,
    PRIMARY KEY (day, host, id)
) PARTITION BY RANGE (day);

CREATE TABLE airoxy.daily (
    host uuid NOT NULL,
    day int NOT NULL,
    api_key_id bigint NOT NULL,
    token_id bigint NOT NULL,
    model text NOT NULL,
    group_id bigint NOT NULL,
    PRIMARY KEY (day, host, api_key_id, token_id, model, group_id)
);

CREATE TABLE airoxy.leases (               -- who refreshes a token now; only he gives it back
    token_id bigint PRIMARY KEY,
    host uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    interrupted boolean NOT NULL DEFAULT false
);
"""
_SHARES = """
CREATE TABLE airoxy.shares (               -- of limits of keys, groups and tokens
    number bigint NOT NULL,                -- the key or group, or minus the token
    measure text NOT NULL,                 -- a period of money, or another measure
    first_day int NOT NULL,                -- of the period, since 1970-01-01; 0: of none
    host uuid NOT NULL,
    share bigint NOT NULL,                 -- not less than what the host lets in by
    used bigint NOT NULL,                  -- with what is held for running requests
    demand double precision NOT NULL,      -- requests in the last seconds
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (number, measure, first_day, host)
) WITH (fillfactor = 50);
CREATE INDEX shares_asked ON airoxy.shares (number) WHERE demand > 0;
"""
_COUNTED = """
CREATE TABLE airoxy.counted (              -- results of batches, by the request that counts them
    batch text NOT NULL,
    first bigint NOT NULL,
    stop bigint NOT NULL,                  -- the result after the last
    host uuid NOT NULL,
    request bigint NOT NULL,               -- 0: before the host was in the fleet
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch, first)
);
"""
STEPS: tuple[str, ...] = (_FIRST, _SHARES, _COUNTED)


def prepare(postgres: Postgres, db: apsw.Connection) -> None:
    """Bring the tables to the present shape, with the columns that this host has. Raises
    FleetError, also where they are newer."""
    if not postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'airoxy'"):
        postgres.run("CREATE SCHEMA IF NOT EXISTS airoxy")
    with postgres.transaction():
        postgres.run("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        version = schema_version(postgres)
        refuse_newer(version)
        for number, step in enumerate(STEPS[version:], version + 1):
            postgres.run(step)
            postgres.run("UPDATE airoxy.fleet SET schema = %s", (number,))
        for table in ("requests", "daily"):
            _add_columns(postgres, table, columns(db, table))


def refuse_newer(version: int) -> None:
    """Raises FleetError where the tables have had steps that this airoxy does not know."""
    if version > len(STEPS):
        raise FleetError(
            "The fleet's PostgreSQL was set up by a newer airoxy; upgrade this host. Until then it"
            " serves on by itself."
        )


def schema_version(postgres: Postgres) -> int:
    """How many of the steps it has had."""
    if postgres.run("SELECT to_regclass('airoxy.fleet')") == [(None,)]:
        return 0
    return int(postgres.run("SELECT schema FROM airoxy.fleet")[0][0])


def _add_columns(postgres: Postgres, table: str, wanted: tuple[Column, ...]) -> None:
    found = {
        name
        for (name,) in postgres.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
            (f"airoxy.{table}",),
        )
    }
    for column in wanted:
        if column.name not in found:
            zero = " NOT NULL DEFAULT 0" if column.required and column.type == "INTEGER" else ""
            postgres.run(
                f"ALTER TABLE airoxy.{table} ADD COLUMN {column.name} {_TYPES[column.type]}{zero}"
            )


def ensure_day(postgres: Postgres, day: int) -> None:
    """A partition for the detailed rows of this day."""
    with postgres.transaction():
        postgres.run("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        postgres.run(
            f"CREATE TABLE IF NOT EXISTS airoxy.requests_{day} PARTITION OF airoxy.requests"
            f" FOR VALUES FROM ({day}) TO ({day + 1})"
        )


def days(postgres: Postgres) -> list[int]:
    """Those that have a partition."""
    rows = postgres.run(
        "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'airoxy.requests'::regclass"
    )
    return sorted(int(name.rpartition("_")[2]) for (name,) in rows)


def drop_days(postgres: Postgres, before: int) -> None:
    """What is older than any host keeps goes as a whole."""
    for day in days(postgres):
        if day < before:
            with postgres.transaction():
                postgres.run("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
                postgres.run(f"DROP TABLE IF EXISTS airoxy.requests_{day}")
