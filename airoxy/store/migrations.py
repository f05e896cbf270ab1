"""The shape of the database, as the ordered steps that lead to it.

Invariant: a step that was released is never changed, a new one is appended; `user_version` counts
the steps a database has had. They use the functions of `airoxy.store.encryption`.

Names stay when keys and tokens go: a removed one keeps its row without its secrets, so that
history has a name for it, its id is never given again, and its name is free.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from airoxy.store.console.tables import CONSOLE
from airoxy.store.fleet.tables import CLAIMS, FLEET, HOSTS, SETTLED, SHARES
from airoxy.store.usage.first_tables import REQUESTS
from airoxy.store.usage.group_tables import GROUPS
from airoxy.store.usage.rollups.tables import HORIZON

_KEYS_AND_TOKENS = """
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    digest BLOB UNIQUE,                    -- SHA-256; NULL once removed
    masked TEXT NOT NULL,
    is_active INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,           -- Unix seconds, like every time without a unit
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX api_key_names ON api_keys (name) WHERE removed_at IS NULL;

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('api_key', 'oauth')),
    token TEXT,                            -- NULL once removed
    refresh_token TEXT,
    expires_at INTEGER,
    is_active INTEGER NOT NULL DEFAULT 1,
    inactive_reason TEXT,                  -- NULL where an operator disabled it
    inactive_since INTEGER,
    last_used_at INTEGER,                  -- nanoseconds
    reset_at INTEGER NOT NULL DEFAULT 0,   -- nanoseconds; older coolings do not count
    refresh_failures INTEGER NOT NULL DEFAULT 0,
    refreshing_until REAL,                 -- the lease of who refreshes it now
    refreshing_by INTEGER,                 -- its process id
    retry_refresh_at REAL,                 -- after so many tries that came to nothing
    refresh_pauses INTEGER NOT NULL DEFAULT 0,
    refreshed_at INTEGER,
    created_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX token_names ON tokens (name) WHERE removed_at IS NULL;

CREATE TABLE cooldowns (
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    model_class TEXT NOT NULL,
    until REAL NOT NULL,
    reason TEXT NOT NULL,
    set_at INTEGER NOT NULL,               -- nanoseconds
    PRIMARY KEY (token_id, model_class)
) STRICT, WITHOUT ROWID;

-- Batches and files, and the token whose account they are in.
CREATE TABLE resources (
    id TEXT NOT NULL PRIMARY KEY,
    token_id INTEGER REFERENCES tokens (id),
    created_at INTEGER NOT NULL,
    results_counted_at INTEGER
) STRICT, WITHOUT ROWID;
"""

# What the request path keeps in memory is read again when this number has risen.
_GENERATION = """
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0);
""" + "".join(
    f"""
CREATE TRIGGER {table}_{name} AFTER {event} ON {table}
BEGIN UPDATE meta SET generation = generation + 1; END;
"""
    for table, columns in (
        ("api_keys", "digest, is_active, removed_at"),
        ("tokens", "name, type, token, expires_at, is_active, reset_at, removed_at"),
    )
    for name, event in (
        ("added", "INSERT"),
        ("deleted", "DELETE"),
        ("changed", f"UPDATE OF {columns}"),
    )
)

# What a cost was computed from, where the row does not say it all; see
# `airoxy.core.billing.cost_inputs`. Rows from before have the default, which is that
# nobody knows; new ones always say.
_BASIS = """
ALTER TABLE requests ADD COLUMN basis TEXT DEFAULT '';

CREATE TRIGGER requests_recosted AFTER UPDATE OF cost_nanousd ON requests
BEGIN
    UPDATE daily SET cost_nanousd = cost_nanousd + NEW.cost_nanousd - OLD.cost_nanousd
    WHERE day = NEW.requested_at / 86400000 AND api_key_id = NEW.api_key_id
        AND token_id = ifnull(NEW.token_id, 0) AND model = ifnull(NEW.model, '');
END;
"""

# Tokens are sealed from here on (see `airoxy.store.encryption`).
_SEALED = """
ALTER TABLE tokens ADD COLUMN masked TEXT;          -- NULL once removed, like the next two
ALTER TABLE tokens ADD COLUMN token_digest BLOB;    -- keyed; finds an equal token
ALTER TABLE tokens ADD COLUMN refresh_digest BLOB;

CREATE TABLE token_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name BLOB,                             -- which key it is; NULL as long as nothing is sealed
    handed_on TEXT                         -- it, sealed under its predecessor, while it is changed
) STRICT;
INSERT INTO token_key VALUES (1, NULL, NULL);

UPDATE tokens SET
    masked = masked(token),
    token_digest = fingerprint(token), refresh_digest = fingerprint(refresh_token),
    token = seal(token), refresh_token = seal(refresh_token)
WHERE token IS NOT NULL;
"""

# What was taken over from older installations (see `airoxy.legacy_php.takeover`). Who took
# one over with an airoxy that made the table when it wanted it has it already.
_IMPORTS = """
CREATE TABLE IF NOT EXISTS imports (
    source TEXT NOT NULL,                  -- the installation
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,                     -- what it is there
    taken TEXT NOT NULL,                   -- what became of it here
    PRIMARY KEY (source, kind, ref)
) STRICT, WITHOUT ROWID;
"""

# What a client key may use; NULL is no limit.
_LIMITS = """
ALTER TABLE api_keys ADD COLUMN spend_per_day_nanousd INTEGER;
ALTER TABLE api_keys ADD COLUMN spend_per_month_nanousd INTEGER;
ALTER TABLE api_keys ADD COLUMN requests_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN tokens_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN concurrent_requests INTEGER;
ALTER TABLE api_keys ADD COLUMN models TEXT;        -- globs with a space between them
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER; -- the first second at which it is refused
ALTER TABLE api_keys ADD COLUMN note TEXT;

CREATE TRIGGER api_keys_limited AFTER UPDATE OF spend_per_day_nanousd, spend_per_month_nanousd,
    requests_per_minute, tokens_per_minute, concurrent_requests, models, expires_at ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;
"""

# What was counted on airoxy's own estimate, and what cannot be counted at all. From here on the
# triggers and the view are derived from the columns (see `airoxy.store.usage.triggers`), and a
# model's name enters the sums when Anthropic has charged for it: clients make names up.
_USAGE_MARKS = """
ALTER TABLE requests ADD COLUMN is_estimate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN uncounted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE daily ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE daily ADD COLUMN uncounted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN results_counted INTEGER; -- lines; NULL: none, or by 1.0 all

CREATE TABLE charged_models (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO charged_models SELECT DISTINCT model FROM daily
WHERE model <> '' AND input_tokens + output_tokens + cache_write_5m_tokens
    + cache_write_1h_tokens + cache_read_tokens > 0;
"""

# Which tokens are preferred, for whom they are, and what they may be used for; NULL is no pool and
# no limit. `changes` has a row for each key and token, with a higher id after each change, so that
# the request path reads only what has changed.
_TOKEN_SETTINGS = (
    """
ALTER TABLE tokens ADD COLUMN note TEXT;
ALTER TABLE tokens ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN pool TEXT;
ALTER TABLE tokens ADD COLUMN spend_per_day_nanousd INTEGER;
ALTER TABLE tokens ADD COLUMN spend_per_month_nanousd INTEGER;
ALTER TABLE tokens ADD COLUMN concurrent_requests INTEGER;
ALTER TABLE api_keys ADD COLUMN pool TEXT;

CREATE TRIGGER tokens_set AFTER UPDATE OF priority, pool, spend_per_day_nanousd,
    spend_per_month_nanousd, concurrent_requests ON tokens
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER api_keys_set AFTER UPDATE OF pool ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;

CREATE TABLE quota_windows (               -- of subscriptions, as the last answer had them
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    name TEXT NOT NULL,                    -- 5h, 7d, 7d_opus
    used REAL NOT NULL,                    -- a share, 1 is all of it
    resets_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,                    -- the table
    changed INTEGER NOT NULL,              -- the row in it
    UNIQUE (kind, changed)
) STRICT;
"""
    + "".join(
        f"""
CREATE TRIGGER {table}_change_{event.lower()} AFTER {event} ON {table}
BEGIN INSERT OR REPLACE INTO changes (kind, changed) VALUES ('{table}', {row}.id); END;
"""
        for table in ("api_keys", "tokens")
        for event, row in (("INSERT", "NEW"), ("DELETE", "OLD"))
    )
    + """
CREATE TRIGGER api_keys_change_update AFTER UPDATE ON api_keys
BEGIN INSERT OR REPLACE INTO changes (kind, changed) VALUES ('api_keys', NEW.id); END;
CREATE TRIGGER tokens_change_update AFTER UPDATE OF name, type, token, expires_at, is_active,
    reset_at, removed_at, priority, pool, spend_per_day_nanousd, spend_per_month_nanousd,
    concurrent_requests ON tokens
BEGIN INSERT OR REPLACE INTO changes (kind, changed) VALUES ('tokens', NEW.id); END;
"""
)


def usage_column(name: str) -> str:
    """The step that adds a field of `airoxy.core.billing.usage`."""
    return "".join(
        f"ALTER TABLE {table} ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0;\n"
        for table in ("requests", "daily")
    )


# What else a key may reach. Keys change seldom, so any change of one is looked at.
_PATHS = """
ALTER TABLE api_keys ADD COLUMN paths TEXT;         -- globs with a space between them

DROP TRIGGER api_keys_changed;
DROP TRIGGER api_keys_limited;
CREATE TRIGGER api_keys_changed AFTER UPDATE ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;
"""

# A cooldown is of one endpoint group; those from before are of all.
_COOLDOWN_GROUPS = """
ALTER TABLE cooldowns RENAME TO cooldowns_of_all;
CREATE TABLE cooldowns (
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    endpoint_group TEXT NOT NULL,
    model_class TEXT NOT NULL,
    until REAL NOT NULL,
    reason TEXT NOT NULL,
    set_at INTEGER NOT NULL,               -- nanoseconds
    PRIMARY KEY (token_id, endpoint_group, model_class)
) STRICT, WITHOUT ROWID;
INSERT INTO cooldowns
SELECT token_id, '*', model_class, until, reason, set_at FROM cooldowns_of_all;
DROP TABLE cooldowns_of_all;
"""

# Whose a thing is that was made in an account. Keys that are there already go on sharing all of
# theirs, as they did, until an operator says otherwise.
_OWNERS = """
ALTER TABLE resources ADD COLUMN api_key_id INTEGER;        -- NULL: made before this column
ALTER TABLE api_keys ADD COLUMN share_resources TEXT;       -- NULL: the default
UPDATE api_keys SET share_resources = 'before';
"""
# Conversations that changed their account, and what that cost: what the cache wrote anew for what
# it could have read.
_MOVES = """
ALTER TABLE requests ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN move_cost_nanousd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE daily ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE daily ADD COLUMN move_cost_nanousd INTEGER NOT NULL DEFAULT 0;
"""

# One more limit of client keys.
_SPEND_PER_WEEK = "ALTER TABLE api_keys ADD COLUMN spend_per_week_nanousd INTEGER;"
# And one: networks with a space between them.
_FROM_NETWORKS = "ALTER TABLE api_keys ADD COLUMN from_networks TEXT;"

# From when on (Unix time) the days of the sums are how many seconds ahead of UTC's; see
# `airoxy.store.usage.days`.
_DAY_OFFSETS = """
CREATE TABLE day_offsets (since INTEGER PRIMARY KEY, seconds INTEGER NOT NULL) STRICT;
INSERT INTO day_offsets VALUES (0, 0);
"""

_CLIENT_ADDRESS = "ALTER TABLE requests ADD COLUMN client_address TEXT;"

# Who has changed keys and tokens, and how. From here on triggers write it, which are derived from
# the columns (see `airoxy.store.audit`).
_AUDIT = """
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,                   -- milliseconds
    actor TEXT NOT NULL DEFAULT 'unknown', -- by another program than airoxy
    uid INTEGER,
    via TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL,
    subject INTEGER NOT NULL,
    name TEXT NOT NULL,
    action TEXT NOT NULL,
    before TEXT,                           -- JSON, by column
    after TEXT
) STRICT;
CREATE INDEX audit_subjects ON audit (kind, subject);
"""

# When the refresh token was sent for which no answer is known.
_REFRESH_ASKED = "ALTER TABLE tokens ADD COLUMN refresh_asked_at REAL;"

# The secrets that a key had before it was rotated: digest, masked and until, as a JSON array.
_OLD_DIGESTS = "ALTER TABLE api_keys ADD COLUMN old_digests TEXT;"

# What the operator was warned of (see `airoxy.store.notices`).
_NOTICES = """
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    period TEXT NOT NULL,                  -- an event is told once in it
    at INTEGER NOT NULL,
    document TEXT NOT NULL,                -- JSON
    waiting TEXT NOT NULL,                 -- ways that have not taken it, with a space between
    tries INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER NOT NULL DEFAULT 0,
    trouble TEXT,                          -- why the last try came to nothing
    UNIQUE (event, period)
) STRICT;
CREATE TABLE lasting (event TEXT NOT NULL PRIMARY KEY, since INTEGER NOT NULL) STRICT;
"""

# The masks of Anthropic's tokens tell them apart; those whose key is not here keep the old ones.
_MASKS = "UPDATE tokens SET masked = masked(token) WHERE masked IS NOT NULL AND key_fits();"

# Requests that failed are few, and are what is looked for: without them one of a million is found
# by reading all rows. Those that succeeded are not in it. Its condition is that of
# `store.usage.filter.FAILED`.
_FAILED = """
CREATE INDEX requests_failed ON requests (id)
WHERE status_code >= 400 OR ending IN ('upstream_failed', 'worker_killed');
"""

#: Step n brings `user_version` to n.
MIGRATIONS: tuple[str, ...] = (
    _KEYS_AND_TOKENS + _GENERATION + REQUESTS,
    _BASIS,
    _SEALED,
    _IMPORTS,
    _LIMITS,
    _USAGE_MARKS,
    _PATHS,
    _COOLDOWN_GROUPS,
    _TOKEN_SETTINGS,
    _OWNERS,
    _MOVES,
    _SPEND_PER_WEEK,
    _FROM_NETWORKS,
    _CLIENT_ADDRESS,
    _AUDIT,
    _REFRESH_ASKED,
    GROUPS,
    FLEET,
    _OLD_DIGESTS,
    _DAY_OFFSETS,
    CONSOLE,
    _NOTICES,
    _MASKS,
    SHARES,
    CLAIMS,
    HOSTS,
    _FAILED,
    HORIZON,
    SETTLED,
)
#: In a database of an earlier version, and in copies of it, the tokens are in plain text.
SEALED_SINCE = MIGRATIONS.index(_SEALED) + 1
#: From this version on the triggers and the view of the usage log are derived from its columns.
DERIVED_SINCE = MIGRATIONS.index(_USAGE_MARKS) + 1
#: From this version on there are triggers that record changes.
AUDITED_SINCE = MIGRATIONS.index(_AUDIT) + 1
