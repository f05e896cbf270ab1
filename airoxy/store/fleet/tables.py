"""The tables of a host that is one of a fleet: a step of the migrations, so never changed once
it is released. Without a row in `fleet` the host is alone."""

from __future__ import annotations

FLEET = """
CREATE TABLE fleet (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    host TEXT NOT NULL,                    -- its UUID
    name TEXT NOT NULL,
    url TEXT NOT NULL,                     -- of PostgreSQL, without a password
    nonce TEXT NOT NULL,                   -- of the agent's last start
    next_nonce TEXT,                       -- while it is being changed
    joined_at INTEGER NOT NULL,
    left_at INTEGER,                       -- it is alone again
    first INTEGER NOT NULL DEFAULT 0,      -- requests up to this id were another host's
    synced INTEGER NOT NULL DEFAULT 0,     -- up to this id they are on the disk
    shipped INTEGER NOT NULL DEFAULT 0,    -- and in PostgreSQL
    ship_again INTEGER,                    -- from this id on, because costs were computed anew
    hosts INTEGER NOT NULL DEFAULT 1,      -- how many share its limits
    seen INTEGER NOT NULL DEFAULT 0,       -- the version of the shared rows
    contact_at REAL,                       -- when PostgreSQL was reached last
    trouble TEXT                           -- why it is not
) STRICT;
CREATE TABLE fleet_rows (                  -- shared rows as PostgreSQL had them
    kind TEXT NOT NULL,                    -- the table
    key TEXT NOT NULL,                     -- the primary key, a JSON array
    version INTEGER NOT NULL,
    row TEXT,                              -- a JSON object; NULL: it was deleted
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE fleet_outbox (                -- shared rows that were changed here
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE TABLE fleet_leases (                -- refreshes, as the agent has been asked for them
    token_id INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    state TEXT NOT NULL                    -- wanted, held, ended
) STRICT;
"""
