PRAGMA application_id = 1634300527;
PRAGMA user_version = 5;
BEGIN TRANSACTION;
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    digest BLOB UNIQUE,                    -- SHA-256; NULL once removed
    masked TEXT NOT NULL,
    is_active INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,           -- Unix seconds, like every time without a unit
    removed_at INTEGER
, spend_per_day_nanousd INTEGER, spend_per_month_nanousd INTEGER, requests_per_minute INTEGER, tokens_per_minute INTEGER, concurrent_requests INTEGER, models TEXT, expires_at INTEGER, note TEXT) STRICT;
INSERT INTO "api_keys" VALUES(1,'laptop',X'E35939384B0946AEB05361EF982CBB21D481202BADAFAC9AA02EAE0EEABAF3B8','…',1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "api_keys" VALUES(2,'ci',X'6CE01BAF02A7647F7051FB8DD894AD37F7CF2E0DEF251CDDAB3BFBC6AD6FCEB0','…',1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE blocks (
    block INTEGER NOT NULL,                -- requests.id / BLOCK
    api_key_id INTEGER NOT NULL,
    token_id INTEGER NOT NULL,             -- 0: no token
    oldest INTEGER NOT NULL,               -- no request in it is older; milliseconds
    newest INTEGER NOT NULL,               -- nor newer
    PRIMARY KEY (block, api_key_id, token_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "blocks" VALUES(0,1,1,1795348800000,1795348800000);
INSERT INTO "blocks" VALUES(0,2,2,1795348800000,1795348800000);
CREATE TABLE cooldowns (
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    model_class TEXT NOT NULL,
    until REAL NOT NULL,
    reason TEXT NOT NULL,
    set_at INTEGER NOT NULL,               -- nanoseconds
    PRIMARY KEY (token_id, model_class)
) STRICT, WITHOUT ROWID;
CREATE TABLE daily (
    day INTEGER NOT NULL,                  -- days since 1970-01-01, UTC
    api_key_id INTEGER NOT NULL,
    token_id INTEGER NOT NULL,             -- 0: no token
    model TEXT NOT NULL,                   -- '': no model
    requests INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    web_search_requests INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL,
    PRIMARY KEY (day, api_key_id, token_id, model)
) STRICT, WITHOUT ROWID;
INSERT INTO "daily" VALUES(20779,1,1,'claude-opus-5-5',1,0,10,20,30,40,50,1,1000000);
INSERT INTO "daily" VALUES(20779,2,2,'claude-haiku-5-5',1,0,10,20,30,40,50,1,1000000);
CREATE TABLE imports (
    source TEXT NOT NULL,                  -- the installation
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,                     -- what it is there
    taken TEXT NOT NULL,                   -- what became of it here
    PRIMARY KEY (source, kind, ref)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO "meta" VALUES(1,4);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    requested_at INTEGER NOT NULL,         -- milliseconds
    api_key_id INTEGER NOT NULL,
    token_id INTEGER,
    endpoint TEXT NOT NULL,
    model TEXT,
    is_stream INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    web_search_requests INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL,
    status_code INTEGER NOT NULL,
    error_message TEXT,
    ending TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    ttfb_ms INTEGER,
    duration_ms INTEGER NOT NULL,
    request_id TEXT
, basis TEXT DEFAULT '') STRICT;
INSERT INTO "requests" VALUES(1,1795348800000,1,1,'/v1/messages','claude-opus-5-5',1,10,20,30,40,50,1,1000000,200,NULL,'complete',1,300,4000,'req_test',NULL);
INSERT INTO "requests" VALUES(2,1795348800000,2,2,'/v1/messages','claude-haiku-5-5',1,10,20,30,40,50,1,1000000,200,NULL,'complete',1,300,4000,'req_test',NULL);
CREATE TABLE resources (
    id TEXT NOT NULL PRIMARY KEY,
    token_id INTEGER REFERENCES tokens (id),
    created_at INTEGER NOT NULL,
    results_counted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE token_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name BLOB,                             -- which key it is; NULL as long as nothing is sealed
    handed_on TEXT                         -- it, sealed under its predecessor, while it is changed
) STRICT;
INSERT INTO "token_key" VALUES(1,X'27863CAF88E294D00C797C34429ECDAE',NULL);
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
, masked TEXT, token_digest BLOB, refresh_digest BLOB) STRICT;
INSERT INTO "tokens" VALUES(1,'work','api_key','sealed:lLqY8Csp3cCSSTrEc8Pd1HrnIF65CQKZB8n8m68U9ON1s12lRbqYUVUAYCcqjVR4',NULL,NULL,1,NULL,NULL,NULL,0,0,NULL,NULL,NULL,0,NULL,0,NULL,'sk-ant-a…work',X'99DDBCAFDAF47114A6E421813BCAA4A09791C77CBD547522BCC6DB65D9BF1D0C',NULL);
INSERT INTO "tokens" VALUES(2,'login','oauth','sealed:TfiPZBjTMqWtyVEjwBQEzEoqMYeLH1JVC3+F8ql9DI8zHIi6K9jB44TxmwVHq5mBKA==','sealed:RMtRhazmUAIjPdCm6z6kRGDNtaFWHu5PyS11Sko3PBLN+XjYe3Pg+IICTkfeI5RAyw==',100,1,NULL,NULL,NULL,0,0,NULL,NULL,NULL,0,NULL,0,NULL,'sk-ant-o…ogin',X'A84371BA917DDB8C9ADA688A6E1EF6510A6FB4F6DB922AFB372D1DBD6E870809',X'19B2DC83296CBA0D30E98DBF9297FB61CE44208305EADB018F9B7D11446C54E7');
CREATE UNIQUE INDEX api_key_names ON api_keys (name) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX token_names ON tokens (name) WHERE removed_at IS NULL;
CREATE TRIGGER api_keys_added AFTER INSERT ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER api_keys_changed AFTER UPDATE OF digest, is_active, removed_at ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER tokens_added AFTER INSERT ON tokens
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER tokens_deleted AFTER DELETE ON tokens
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER tokens_changed AFTER UPDATE OF name, type, token, expires_at, is_active, reset_at, removed_at ON tokens
BEGIN UPDATE meta SET generation = generation + 1; END;
CREATE TRIGGER requests_written AFTER INSERT ON requests
BEGIN
    INSERT INTO daily VALUES (
        NEW.requested_at / 86400000, NEW.api_key_id,
        ifnull(NEW.token_id, 0), ifnull(NEW.model, ''),
        1, NEW.status_code >= 400 OR NEW.ending = 'upstream_failed',
        NEW.input_tokens, NEW.output_tokens,
        NEW.cache_write_5m_tokens, NEW.cache_write_1h_tokens, NEW.cache_read_tokens,
        NEW.web_search_requests, NEW.cost_nanousd
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + 1,
        failed = failed + excluded.failed,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
        cache_write_1h_tokens = cache_write_1h_tokens + excluded.cache_write_1h_tokens,
        cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
        web_search_requests = web_search_requests + excluded.web_search_requests,
        cost_nanousd = cost_nanousd + excluded.cost_nanousd;
    INSERT INTO blocks VALUES (
        NEW.id / 4096, NEW.api_key_id, ifnull(NEW.token_id, 0),
        NEW.requested_at, NEW.requested_at
    )
    ON CONFLICT DO UPDATE SET
        oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest)
    WHERE excluded.oldest < oldest OR excluded.newest > newest;
END;
CREATE VIEW request_log AS
SELECT
    r.id,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.requested_at / 1000.0, 'unixepoch') AS requested_at,
    r.api_key_id, k.name AS api_key_name, r.token_id, t.name AS token_name,
    r.endpoint, r.model, r.is_stream,
    r.input_tokens, r.output_tokens,
    r.cache_write_5m_tokens, r.cache_write_1h_tokens, r.cache_read_tokens,
    r.web_search_requests, r.cost_nanousd,
    r.status_code, r.error_message, r.ending, r.attempts,
    r.ttfb_ms, r.duration_ms, r.request_id
FROM requests AS r
LEFT JOIN api_keys AS k ON k.id = r.api_key_id
LEFT JOIN tokens AS t ON t.id = r.token_id;
CREATE TRIGGER requests_recosted AFTER UPDATE OF cost_nanousd ON requests
BEGIN
    UPDATE daily SET cost_nanousd = cost_nanousd + NEW.cost_nanousd - OLD.cost_nanousd
    WHERE day = NEW.requested_at / 86400000 AND api_key_id = NEW.api_key_id
        AND token_id = ifnull(NEW.token_id, 0) AND model = ifnull(NEW.model, '');
END;
CREATE TRIGGER api_keys_limited AFTER UPDATE OF spend_per_day_nanousd, spend_per_month_nanousd,
    requests_per_minute, tokens_per_minute, concurrent_requests, models, expires_at ON api_keys
BEGIN UPDATE meta SET generation = generation + 1; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('api_keys',2);
INSERT INTO "sqlite_sequence" VALUES('tokens',2);
INSERT INTO "sqlite_sequence" VALUES('requests',2);
COMMIT;
