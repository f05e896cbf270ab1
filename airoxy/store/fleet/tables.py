"""The tables of a host that is one of a fleet: steps of the migrations, so never changed once
they are released. Without a row in `fleet` the host is alone."""

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

SHARES = """
CREATE TABLE fleet_shares (                -- what this host may use of a limit
    number INTEGER NOT NULL,               -- the key or group, or minus the token
    measure TEXT NOT NULL,                 -- a period of money, or another measure
    most INTEGER NOT NULL,                 -- of the limit ...
    of INTEGER NOT NULL,
    others INTEGER NOT NULL,               -- what the other hosts had used, in the period that
    first_day INTEGER NOT NULL,            -- ... began on this day
    PRIMARY KEY (number, measure)
) STRICT, WITHOUT ROWID;
CREATE TABLE fleet_held (                  -- what the server's memory has of them
    number INTEGER PRIMARY KEY,
    held INTEGER NOT NULL,                 -- nano-dollars that are not in the sums yet
    asked INTEGER NOT NULL,                -- requests that have asked for admission
    requests INTEGER NOT NULL,             -- in the last minute
    tokens INTEGER NOT NULL,               -- with what running requests may use
    running INTEGER NOT NULL
) STRICT;
CREATE TABLE fleet_token_spending (        -- what the server's memory knows of upstream tokens
    number INTEGER NOT NULL,               -- minus the token
    measure TEXT NOT NULL,                 -- the period
    first_day INTEGER NOT NULL,            -- ... and its first day
    nanousd INTEGER NOT NULL,              -- spent in it, with what is not in the sums yet
    PRIMARY KEY (number, measure)
) STRICT, WITHOUT ROWID;
ALTER TABLE fleet ADD COLUMN division INTEGER NOT NULL DEFAULT 0;   -- +1 where a share shrinks
ALTER TABLE fleet ADD COLUMN reported INTEGER NOT NULL DEFAULT -1;  -- fleet_held knows of that one
"""

CLAIMS = """
CREATE TABLE fleet_claims (                -- results of batches that the fleet may have counted
    request INTEGER PRIMARY KEY,           -- which has counted them here
    batch TEXT NOT NULL,
    first INTEGER NOT NULL,                -- from this result on
    stop INTEGER NOT NULL                  -- to before this one
) STRICT;
"""

HOSTS = """
CREATE TABLE fleet_hosts (                 -- as the agent saw them last
    name TEXT PRIMARY KEY,
    airoxy TEXT NOT NULL,                  -- its version
    waiting INTEGER NOT NULL,              -- rows that the fleet does not have
    seen_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""

SETTLED = """
CREATE TABLE fleet_settled (               -- claims that the fleet has decided; for the server
    request INTEGER PRIMARY KEY,
    is_given INTEGER NOT NULL,             -- else what it has counted was taken back
    token_id INTEGER,
    cost_nanousd INTEGER NOT NULL          -- ... which was so much
) STRICT;
"""
