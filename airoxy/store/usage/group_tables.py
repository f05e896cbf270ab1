"""The tables of groups of client keys as version 1.1 made them: a step of the migrations.

The first group is that of all keys, in which no key has to be put. `spending` has what the spenders
have cost by day: a group (its id with GROUPS_FROM added), or a key whose spending is limited in
total. Rows come by triggers (see `airoxy.store.usage.triggers`), and only for spenders. A limit
that is NULL is none.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

GROUPS = """
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    note TEXT,
    created_at INTEGER NOT NULL,
    removed_at INTEGER,
    spend_per_day_nanousd INTEGER,
    spend_per_week_nanousd INTEGER,
    spend_per_month_nanousd INTEGER,
    spend_total_nanousd INTEGER,
    requests_per_minute INTEGER,
    tokens_per_minute INTEGER,
    concurrent_requests INTEGER,
    models TEXT,
    paths TEXT,
    from_networks TEXT
) STRICT;
CREATE UNIQUE INDEX group_names ON groups (name) WHERE removed_at IS NULL;
INSERT INTO groups (id, name, created_at) VALUES (1, 'all', strftime('%s', 'now'));

ALTER TABLE api_keys ADD COLUMN group_id INTEGER REFERENCES groups (id);
ALTER TABLE api_keys ADD COLUMN spend_total_nanousd INTEGER;
ALTER TABLE requests ADD COLUMN group_id INTEGER;

CREATE TABLE daily_by_group (
    day INTEGER NOT NULL,                  -- days since 1970-01-01
    api_key_id INTEGER NOT NULL,
    token_id INTEGER NOT NULL,             -- 0: no token
    model TEXT NOT NULL,                   -- '': no model
    group_id INTEGER NOT NULL DEFAULT 0,   -- 0: no group
    requests INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    web_search_requests INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL,
    estimated INTEGER NOT NULL DEFAULT 0,
    uncounted INTEGER NOT NULL DEFAULT 0,
    moved INTEGER NOT NULL DEFAULT 0,
    move_cost_nanousd INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, api_key_id, token_id, model, group_id)
) STRICT, WITHOUT ROWID;
INSERT INTO daily_by_group
SELECT day, api_key_id, token_id, model, 0, requests, failed, input_tokens, output_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, web_search_requests,
    cost_nanousd, estimated, uncounted, moved, move_cost_nanousd
FROM daily;
DROP TRIGGER requests_written;
DROP TRIGGER requests_recosted;
DROP TRIGGER requests_uncounted;
DROP TABLE daily;
ALTER TABLE daily_by_group RENAME TO daily;

CREATE TABLE spenders (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE spending (
    spender INTEGER NOT NULL,
    day INTEGER NOT NULL,                  -- as in daily
    cost_nanousd INTEGER NOT NULL,
    PRIMARY KEY (spender, day)
) STRICT, WITHOUT ROWID;
""" + "".join(
    f"""
CREATE TRIGGER groups_{event.lower()} AFTER {event} ON groups
BEGIN
    UPDATE meta SET generation = generation + 1;
    INSERT OR REPLACE INTO changes (kind, changed) VALUES ('groups', {row}.id);
END;
"""
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)
