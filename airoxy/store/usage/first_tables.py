"""The tables of the usage log as version 1.0 made them: a step of the migrations, so never changed.

`daily` holds the sums of every request ever written. A trigger adds each row of `requests` in the
transaction that writes it; nothing is moved later. So the sums are right at every moment, whatever
is killed, a total of five million rows takes milliseconds, and deleting old rows touches no sum.
(Moving rows into the sums when they are old makes each total a scan of all that were not moved yet:
more than a second.) Counts do not change once written. A cost may (`airoxy prices
--recost`): another trigger adds the difference to `daily`.

`blocks` is a sparse index of `requests`: of every BLOCK consecutive ids, whose requests are among
them, and from when. A filter looks at the few blocks that have something for it. Against ordinary
indexes (time, key, token) it halves the cost of writing a row, because one page changes instead of
one for each key and token. With five million rows it takes 3 MB instead of 280, and finds a rare
combination of key and token in milliseconds, for which they need a third of a second.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

#: Ids in a block: one is read in a third of a millisecond.
BLOCK = 4096

REQUESTS = f"""
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
) STRICT;

CREATE TABLE blocks (
    block INTEGER NOT NULL,                -- requests.id / BLOCK
    api_key_id INTEGER NOT NULL,
    token_id INTEGER NOT NULL,             -- 0: no token
    oldest INTEGER NOT NULL,               -- no request in it is older; milliseconds
    newest INTEGER NOT NULL,               -- nor newer
    PRIMARY KEY (block, api_key_id, token_id)
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
        NEW.id / {BLOCK}, NEW.api_key_id, ifnull(NEW.token_id, 0),
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
"""
