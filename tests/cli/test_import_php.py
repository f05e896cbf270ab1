"""`airoxy import-php`: everything comes once, nothing is changed there, and totals are right."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.cli import build_parser, main
from airoxy.cli.command import Context
from airoxy.core.keys import digest
from airoxy.errors import InvalidInput, NotFound, StoreError
from airoxy.store import keys, leases, ledger, tokens
from airoxy.store.schema import open_database, run
from tests.cli.old_airoxy import KEY, OldAiroxy
from tests.cli.terminal import Screen
from tests.conftest import NOON, Clock

EXPIRY = 1795370400  # 2026-11-22 18:00 UTC
SUMS = ("requests", "successful", "failed", "input_tokens", "output_tokens",
        "cache_write_5m_tokens", "cache_read_tokens", "cost_nanousd")  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> OldAiroxy:
    return OldAiroxy(tmp_path / "old")


Import = Callable[..., str]


@pytest.fixture
def take(db: apsw.Connection, old: OldAiroxy, clock: Clock, tmp_path: Path) -> Import:
    """Types `import-php`, at the old installation unless it says where; gives what it printed."""
    config = tmp_path / "airoxy.yaml"

    def take(*words: object, settings: dict[str, Any] | None = None) -> str:
        config.write_text(json.dumps({"database": db.filename, **(settings or {})}))
        given = [str(word) for word in words]
        if not any(os.sep in word for word in given):
            given.append(str(old.directory))
        arguments = build_parser().parse_args(["import-php", *given])
        context = Context(config, environ={}, out=Screen(), clock=clock)
        try:
            assert not arguments.run(context, arguments)
        finally:
            if "database" in vars(context):
                context.database.close()
        return str(context.out.getvalue())  # type: ignore[attr-defined]

    return take


def totals(db: apsw.Connection, **wanted: Any) -> tuple[int, ...]:
    found = ledger.totals(db, **wanted)
    return tuple(found[name] for name in SUMS)


def of(requests: int, failed: int = 0) -> tuple[int, ...]:
    """The totals of so many requests as OldAiroxy makes them."""
    counts = (requests * n for n in (10, 20, 30, 40, 1_234_000))
    return (requests, requests - failed, failed, *counts)


# -- keys


def test_clients_keep_their_keys_and_only_the_digest_is_stored(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key("alice").key("bob", "ak-" + "Old" * 13 + "2", is_active=0)
    take()
    listed = [(row["name"], row["is_active"], row["masked"]) for row in keys.list_keys(db)]
    assert listed == [("alice", True, "ak-OldOl…Old1"), ("bob", False, "ak-OldOl…Old2")]
    assert keys.active_digests(db) == {digest(KEY): 1}
    assert KEY.encode() not in Path(db.filename).read_bytes()


def test_a_key_that_is_only_a_hash_cannot_be_taken_over_but_its_history_has_its_name(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key("alice", hashlib.sha256(b"x").hexdigest()).token().request()
    assert "Key alice: only a hash is stored there; its client needs a new key." in take()
    assert keys.list_keys(db) == []
    assert ledger.newest(db, limit=1)[0]["api_key_name"] == "alice"


def test_a_name_that_is_taken_gets_a_number(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    keys.add_key(db, "alice", "ak-another", NOON)
    tokens.add_token(db, name="console", type="api_key", token="sk-ant-api-x", refresh_token=None,
                     expires_at=None, now=NOON)  # fmt: skip
    old.key("alice").token("console")
    take()
    assert [row["name"] for row in keys.list_keys(db)] == ["alice", "alice (2)"]
    names = [row["name"] for row in tokens.list_tokens(db, NOON)]
    assert names == ["console", "console (2)"]


def test_a_key_that_is_known_already_stays_one(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    keys.add_key(db, "typed", KEY, NOON)
    old.key("alice").token().request()
    take()
    assert [row["name"] for row in keys.list_keys(db)] == ["typed"]
    assert ledger.newest(db, limit=1)[0]["api_key_name"] == "typed"


# -- tokens


def test_tokens_come_with_their_type_state_and_times(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.token("console", last_used_at="2026-11-22 11:00:00")
    old.oauth("login", refresh_fail_count=1)
    old.oauth("off", "two", is_active=0)
    old.oauth("failed", "three", is_active=0, refresh_fail_count=3)
    take()
    console, login, off, failed = tokens.list_tokens(db, NOON)
    assert (console["type"], console["expires_at"]) == ("api_key", None)
    assert console["last_used_at"] == (NOON - 3600) * 1e9
    assert (login["type"], login["expires_at"], login["refresh_failures"]) == ("oauth", EXPIRY, 1)
    assert login["is_active"]
    assert (off["is_active"], off["inactive_reason"]) == (False, None)
    assert not failed["is_active"]
    assert failed["inactive_reason"] == "refreshing failed 3 times in the PHP installation"
    secrets = run(db, "SELECT unseal(token), unseal(refresh_token) FROM tokens WHERE id = 2")
    assert secrets == [("sk-ant-oat-old-one", "sk-ant-ort-old-one")]


def test_a_token_that_is_not_anthropics_is_left_out_but_its_history_has_its_name(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token("strange", "eyJpdiI6").request()
    assert "Token strange is left out" in take()
    assert tokens.list_tokens(db, NOON) == []
    assert ledger.newest(db, limit=1)[0]["token_name"] == "strange"


def test_an_oauth_token_of_unknown_expiry_is_taken_for_expired(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.oauth(token_expires_at=None)
    take()
    assert tokens.list_tokens(db, NOON)[0]["expires_at"] == 0


def test_no_secret_is_printed(old: OldAiroxy, take: Import) -> None:
    old.key("alice").key("hash", "b" * 64).oauth().token("strange", "eyJpdiI6secret")
    printed = take()
    for secret in (KEY, "b" * 64, "sk-ant", "eyJpdiI6"):
        assert secret not in printed.replace("begins with sk-ant-", "")


# -- the account


def test_requests_come_with_everything_that_was_logged(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request("2026-11-22 10:00:00.250")
    old.request(
        "2026-11-22T11:00:00Z", api_key_id=9, access_token_id=None, model=None, is_stream=0,
        endpoint="v1/models", status_code=429, error_message="used sk-ant-api-old-one",
        estimated_cost_usd=None, duration_ms=None,
    )  # fmt: skip
    take()
    failed, good = ledger.newest(db, limit=10)
    assert good == {
        "id": 1, "requested_at": "2026-11-22T10:00:00.250Z", "api_key_id": 1,
        "api_key_name": "alice", "token_id": 1, "token_name": "console",
        "endpoint": "/v1/messages", "model": "claude-opus-5-5", "is_stream": True,
        "input_tokens": 10, "output_tokens": 20, "cache_write_5m_tokens": 30,
        "cache_write_1h_tokens": 0, "cache_read_tokens": 40, "web_search_requests": 0,
        "cost_nanousd": 1_234_000, "status_code": 200, "error_message": None,
        "ending": "complete", "attempts": 1, "ttfb_ms": None, "duration_ms": 4000,
        "request_id": None,
    }  # fmt: skip
    assert (failed["api_key_name"], failed["token_id"], failed["model"]) == (None, None, None)
    assert (failed["endpoint"], failed["is_stream"]) == ("/v1/models", False)
    assert (failed["error_message"], failed["cost_nanousd"]) == ("used sk-ant-…", 0)
    assert totals(db)[:3] == (2, 1, 1)


def test_a_request_that_never_got_an_answer_has_failed(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request(status_code=None)
    take()
    assert ledger.newest(db, limit=1)[0]["ending"] == "upstream_failed"
    assert totals(db)[:3] == (1, 0, 1)


def test_a_day_that_is_gone_from_the_log_comes_from_the_statistics(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 7, failed_requests=2).total("2026-10-01", 7)
    take()
    assert totals(db) == of(7, failed=2)
    (day,) = ledger.totals_by(db, "day")
    (token,) = ledger.totals_by(db, "token")
    (model,) = ledger.totals_by(db, "model")
    assert day["day"] == "2026-10-01"
    assert (token["token_name"], model["model"]) == ("console", "claude-opus-5-5")


def test_a_day_that_is_in_both_is_counted_once(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request().request().day(requests=2).total(requests=2)
    take()
    assert totals(db) == of(2)


def test_what_was_purged_of_a_day_is_added_to_its_requests(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request().day(requests=5).total(requests=5)
    take()
    assert totals(db) == of(5)
    assert len(ledger.newest(db, limit=10)) == 1


def test_requests_after_the_last_statistics_count(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    for _ in range(4):
        old.request()
    old.key().token().day(requests=1).total(requests=1)
    take()
    assert totals(db) == of(4)


def test_a_day_that_has_only_a_total_keeps_it(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().total("2026-10-01", 9, failed_requests=1)
    take()
    assert totals(db) == of(9, failed=1)


def test_what_the_total_has_beyond_its_parts_counts_too(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6).total("2026-10-01", 10)
    take()
    assert totals(db) == of(10)
    assert [(row["model"], row["requests"]) for row in ledger.totals_by(db, "model")] == [
        ("claude-opus-5-5", 6),
        (None, 4),
    ]


def test_a_total_that_is_older_than_its_parts_takes_nothing_away(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6).total("2026-10-01", 2)
    take()
    assert totals(db) == of(6)


def test_rows_that_are_there_twice_count_once(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().total("2026-10-01", 4).total("2026-10-01", 5)
    old.day("2026-10-01", 4, model=None).day("2026-10-01", 5, model=None)
    take()
    assert totals(db) == of(5)


def test_rounding_there_makes_no_sums_here(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    for _ in range(3):
        old.request(estimated_cost_usd=0.0000000014)
    old.key().token().day(requests=3, total_estimated_cost_usd=0.0000000042)
    take()
    assert len(run(db, "SELECT * FROM daily")) == 1
    assert totals(db)[-1] == 3


# -- twice


def state(db: apsw.Connection) -> list[list[Any]]:
    names = ("api_keys", "tokens", "requests", "daily")
    return [run(db, f"SELECT * FROM {name}") for name in names]


def furnish(old: OldAiroxy) -> None:
    old.key().token().oauth().request().request(model=None)
    old.day("2026-10-01", 6).total("2026-10-01", 10).day(requests=4).total(requests=7)


def test_a_second_time_changes_nothing(db: apsw.Connection, old: OldAiroxy, take: Import) -> None:
    furnish(old)
    take()
    before = state(db)
    printed = take()
    assert state(db) == before
    assert [line.split()[-2:] for line in printed.splitlines()[2:4]] == [["0", "1"], ["0", "2"]]


def test_an_installation_is_known_again_where_it_was_moved_to(
    db: apsw.Connection, old: OldAiroxy, take: Import, tmp_path: Path
) -> None:
    furnish(old)
    take()
    before = state(db)
    old.directory.rename(tmp_path / "backup")
    take(tmp_path / "backup")
    assert state(db) == before


def test_another_installation_is_added(
    db: apsw.Connection, old: OldAiroxy, take: Import, tmp_path: Path
) -> None:
    furnish(old)
    other = OldAiroxy(tmp_path / "other")
    other.key("carol", "ak-" + "New" * 13 + "1").token("more", "sk-ant-api-old-two").request()
    other.day("2026-10-01", 1)
    take()
    before = totals(db)
    take(other.directory)
    assert totals(db)[0] == before[0] + 2
    assert len(keys.list_keys(db)) == 2


def test_what_came_since_the_last_time_is_added(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().request("2026-11-21 10:00:00").day("2026-11-21", 3)
    take()
    assert totals(db) == of(3)
    # A day goes by there: the log of the first is purged, the second is in log and statistics.
    old.sql("DELETE FROM request_logs")
    old.request().request().day(requests=1)
    old.sql("UPDATE daily_stats SET total_requests = 4 WHERE date = '2026-11-21'")
    take()
    assert totals(db)[0] == 4 + 2


def test_a_token_that_was_deleted_there_doubles_no_day(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key().token().day("2026-10-01", 6)
    take()
    old.sql("DELETE FROM access_tokens")
    old.sql("UPDATE daily_stats SET access_token_id = NULL")
    take()
    assert totals(db) == of(6)


def test_what_was_removed_here_stays_removed(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    take()
    keys.remove_key(db, 1, NOON)
    tokens.remove_token(db, 1, NOON)
    take()
    assert keys.list_keys(db) == []
    assert [row["id"] for row in tokens.list_tokens(db, NOON)] == [2]


def test_the_pair_that_expires_later_wins(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.oauth()
    take()
    old.sql(
        "UPDATE access_tokens SET token = 'sk-ant-oat-newer', refresh_token = 'sk-ant-ort-newer',"
        " token_expires_at = '2026-11-22 20:00:00'"
    )
    assert "Token login: the newer pair has been taken over." in take()
    pair = "SELECT unseal(token), unseal(refresh_token), expires_at FROM tokens"
    assert run(db, pair) == [("sk-ant-oat-newer", "sk-ant-ort-newer", EXPIRY + 7200)]
    leases.store_refreshed(
        db, 1, "sk-ant-ort-newer", "sk-ant-oat-ours", "sk-ant-ort-ours", EXPIRY + 9999, NOON
    )
    take()
    assert run(db, pair) == [("sk-ant-oat-ours", "sk-ant-ort-ours", EXPIRY + 9999)]


# -- dry run


def test_a_dry_run_tells_and_changes_nothing(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    before = state(db)
    dry = take("--dry-run")
    assert state(db) == before
    assert "This was a dry run: nothing has been changed." in dry
    figures = dry.splitlines()[:6]
    assert take().splitlines()[:6] == figures


def test_a_dry_run_makes_no_database(old: OldAiroxy, tmp_path: Path) -> None:
    furnish(old)
    config = tmp_path / "airoxy.yaml"
    config.write_text(json.dumps({"database": str(tmp_path / "none" / "airoxy.db")}))
    (tmp_path / "none").mkdir()
    argv = ["--config", str(config), "import-php", str(old.directory), "--dry-run"]
    assert main(argv) == 0
    assert list((tmp_path / "none").iterdir()) == []


def test_what_goes_wrong_in_the_middle_leaves_nothing(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    furnish(old)
    run(
        db,
        "CREATE TRIGGER full BEFORE INSERT ON daily WHEN NEW.api_key_id = 0"
        " BEGIN SELECT RAISE(ABORT, 'as if the disk were full'); END",
    )
    before = state(db)
    with pytest.raises(apsw.ConstraintError):
        take()
    assert state(db) == before


# -- where it is


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_nothing_is_changed_there(old: OldAiroxy, take: Import, mode: str) -> None:
    furnish(old)
    old.sql(f"PRAGMA journal_mode = {mode}")
    before = hashes(old.directory)
    take()
    assert hashes(old.directory) == before


def test_it_may_be_running(db: apsw.Connection, old: OldAiroxy, take: Import) -> None:
    furnish(old)
    with closing(sqlite3.connect(old.path)) as php:
        php.execute("PRAGMA journal_mode = wal")
        php.execute("INSERT INTO api_keys (name, key) VALUES ('late', 'ak-late-enough')")
        php.commit()
        take()
    assert [row["name"] for row in keys.list_keys(db)] == ["alice", "late"]


def test_its_env_says_where_its_database_is(take: Import, tmp_path: Path) -> None:
    elsewhere = OldAiroxy(tmp_path / "elsewhere").key().path
    moved = elsewhere.rename(tmp_path / "data.sqlite3")
    installation = OldAiroxy(tmp_path / "installation", {"DB_DATABASE": f'"{moved}"'})
    assert take(installation.directory).startswith(f"{moved}:\n")


def test_a_database_can_be_named_itself(old: OldAiroxy, take: Import) -> None:
    assert take(old.key().path).startswith(f"{old.path}:\n")


def test_another_kind_of_database_is_refused(take: Import, tmp_path: Path) -> None:
    other = OldAiroxy(tmp_path / "other", {"DB_CONNECTION": "mysql"})
    with pytest.raises(InvalidInput, match="in mysql; only SQLite"):
        take(other.directory)


def test_where_there_is_nothing_it_says_so(take: Import, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="name its directory or the file"):
        take(tmp_path / "nowhere")
    strange = tmp_path / "strange.db"
    open_database(strange).close()
    with pytest.raises(StoreError, match="is not the database of a PHP airoxy"):
        take(strange)


# -- settings


def test_settings_are_shown_as_lines_for_the_file(take: Import, tmp_path: Path) -> None:
    environ = {
        "AIROXY_HOST": "127.0.0.1",
        "AIROXY_PORT": '"3900"  # behind nginx',
        "AIROXY_TOKEN_REFRESH_INTERVAL": "2",
        "AIROXY_LOG_RETENTION_DAYS": "3",
    }
    installation = OldAiroxy(tmp_path / "configured", environ)
    printed = take(installation.directory)
    assert "    host: 127.0.0.1\n    port: 3900\n" in printed
    assert "    # AIROXY_TOKEN_REFRESH_INTERVAL=2 is out of range: give" in printed
    assert "log_retention_days" not in printed
    printed = take(installation.directory, settings={"host": "127.0.0.1", "port": 3900})
    assert "port:" not in printed
