"""The tables of the console: the SQL of their migration."""

from __future__ import annotations

# Who may use the console. Of secrets there are SHA-256 digests; NULL once removed.
CONSOLE = """
CREATE TABLE console_users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'admin')),
    passphrase TEXT,                       -- scrypt; NULL: logs in by links only
    created_at INTEGER NOT NULL,
    last_login_at INTEGER,
    link_made_at INTEGER,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX console_user_names ON console_users (name) WHERE removed_at IS NULL;

CREATE TABLE console_links (
    digest BLOB NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES console_users (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE console_sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES console_users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT;

CREATE TABLE console_api_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'admin')),
    digest BLOB UNIQUE,
    masked TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX console_api_token_names ON console_api_tokens (name) WHERE removed_at IS NULL;
"""
