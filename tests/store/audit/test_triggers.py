"""What is recorded of changes, and what is not."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw
import pytest

from airoxy.core.pool import Scope
from airoxy.core.quota import QuotaWindow
from airoxy.store import keys, leases, limits, tokens
from airoxy.store.audit.trail import SERVER, Actor, AuditEntry, act_as, read_trail
from airoxy.store.schema import open_database, run, transaction

KEY = "ak-" + "test" * 10
SECRET, REFRESH = "sk-ant-oat-test-one", "sk-ant-ort-test-one"


def add_token(db: apsw.Connection) -> int:
    return tokens.add_token(
        db, name="t", type="oauth", token=SECRET, refresh_token=REFRESH, expires_at=9, now=1
    )


def last(db: apsw.Connection) -> AuditEntry:
    return read_trail(db)[-1]


def test_what_is_added_is_recorded_with_what_it_has(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "laptop", KEY, 1)
    entry = last(db)
    assert (entry.kind, entry.subject, entry.name, entry.action) == (
        "key",
        key_id,
        "laptop",
        "added",
    )
    assert entry.before is None
    assert entry.after == {"name": "laptop", "masked": "ak-testt…test", "is_active": 1}


def test_of_a_change_both_sides_are_recorded_where_they_differ(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "laptop", KEY, 1)
    limits.set_limits(db, key_id, {"requests_per_minute": 5, "note": "first"})
    limits.set_limits(db, key_id, {"requests_per_minute": 7, "note": "first"})
    entry = last(db)
    assert entry.action == "changed"
    assert (entry.before, entry.after) == ({"requests_per_minute": 5}, {"requests_per_minute": 7})
    limits.set_limits(db, key_id, {"requests_per_minute": None})
    assert last(db).after == {"requests_per_minute": None}


def test_what_stays_as_it_is_is_no_change(db: apsw.Connection) -> None:
    key_id, token_id = keys.add_key(db, "laptop", KEY, 1), add_token(db)
    before = read_trail(db)
    limits.set_limits(db, key_id, {"name": "laptop", "note": None})
    keys.set_active(db, key_id, True)
    tokens.set_active(db, token_id, True, 2)
    tokens.set_token(db, token_id, {"priority": 0})
    assert read_trail(db) == before


def test_actions_have_their_names(db: apsw.Connection) -> None:
    key_id, token_id = keys.add_key(db, "laptop", KEY, 1), add_token(db)
    for toggle in (keys.toggle_key, keys.toggle_key):
        toggle(db, key_id)
    keys.remove_key(db, key_id, 2)
    tokens.reset_token(db, token_id, 3)
    tokens.remove_token(db, token_id, 4)
    run(db, "DELETE FROM api_keys")
    assert [(entry.kind, entry.action) for entry in read_trail(db)] == [
        ("key", "added"), ("token", "added"), ("key", "disabled"), ("key", "enabled"),
        ("key", "removed"), ("token", "reset"), ("token", "removed"), ("key", "removed"),
    ]  # fmt: skip


def test_of_what_is_removed_everything_is_recorded(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "laptop", KEY, 1)
    limits.set_limits(db, key_id, {"note": "Ada's", "requests_per_minute": 5})
    keys.remove_key(db, key_id, 2)
    entry = last(db)
    assert entry.after is None
    assert entry.before is not None
    assert entry.before["note"] == "Ada's"
    assert entry.before["requests_per_minute"] == 5


def test_what_the_server_does_while_it_works_is_not_recorded(db: apsw.Connection) -> None:
    token_id = add_token(db)
    before = read_trail(db)
    tokens.note_used(db, {token_id: 5})
    tokens.cool(db, token_id, Scope("messages", "opus"), 99, "busy", 9)
    tokens.note_quota(db, token_id, {"5h": QuotaWindow(0.5, 99)}, 3)
    assert leases.lease_refresh(db, token_id, 1, 5, 1)
    assert leases.store_refreshed(db, token_id, REFRESH, SECRET + "2", REFRESH + "2", 99, 2)
    assert leases.count_refusal(db, token_id, "no", 3, retry_at=5, final=False)
    tokens.update_login(db, REFRESH + "2", SECRET + "3", 199)
    assert read_trail(db) == before


def test_a_token_that_is_given_up_and_found_good_again_is(db: apsw.Connection) -> None:
    token_id = add_token(db)
    tokens.deactivate(db, token_id, "invalid x-api-key", SECRET, 3)
    assert last(db).action == "disabled"
    assert last(db).after == {"is_active": 0, "inactive_reason": "invalid x-api-key"}
    leases.store_refreshed(db, token_id, REFRESH, SECRET + "2", REFRESH, 99, 2)
    assert last(db).action == "enabled"
    assert not leases.count_refusal(db, token_id, "revoked", 3, retry_at=5, final=True)
    assert last(db).after == {"is_active": 0, "inactive_reason": "revoked"}


def test_no_secret_and_no_digest_is_recorded(db: apsw.Connection) -> None:
    key_id, token_id = keys.add_key(db, "laptop", KEY, 1), add_token(db)
    leases.store_refreshed(db, token_id, REFRESH, SECRET + "2", REFRESH + "2", 99, 2)
    tokens.remove_token(db, token_id, 3)
    keys.remove_key(db, key_id, 3)
    recorded = repr(run(db, "SELECT * FROM audit"))
    for secret in (KEY, SECRET, REFRESH, "digest", '"token"', "refresh_token"):
        assert secret not in recorded


def test_change_and_entry_are_one_transaction(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "laptop", KEY, 1)
    before = read_trail(db)
    with contextlib.suppress(ZeroDivisionError), transaction(db):
        keys.toggle_key(db, key_id)
        assert len(read_trail(db)) == len(before) + 1
        raise ZeroDivisionError
    assert read_trail(db) == before


def test_what_cannot_be_recorded_is_not_done(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "laptop", KEY, 1)
    run(db, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises(apsw.ConstraintError, match="full"):
        keys.toggle_key(db, key_id)
    assert keys.find_key(db, key_id)["is_active"]


def test_each_connection_says_who_it_is(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        first, second, other = (
            stack.enter_context(contextlib.closing(open_database(tmp_path / "airoxy.db")))
            for _ in range(3)
        )
        act_as(first, Actor("ada", 1000, "api-key add"))
        act_as(second, SERVER)
        key_id = keys.add_key(first, "laptop", KEY, 1)
        for db in (second, other, first):
            keys.toggle_key(db, key_id)
        act_as(first, Actor("grace", None, "console"))
        keys.toggle_key(first, key_id)
        assert [(entry.actor, entry.uid, entry.via) for entry in read_trail(other)] == [
            ("ada", 1000, "api-key add"), ("server", None, ""), ("unknown", None, ""),
            ("ada", 1000, "api-key add"), ("grace", None, "console"),
        ]  # fmt: skip


def test_a_column_that_a_later_migration_adds_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airoxy.store import migrations

    path = tmp_path / "airoxy.db"
    with contextlib.closing(open_database(path)) as db:
        key_id = keys.add_key(db, "laptop", KEY, 1)
    steps = (*migrations.MIGRATIONS, "ALTER TABLE api_keys ADD COLUMN mood TEXT")
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    with contextlib.closing(open_database(path)) as db:
        run(db, "UPDATE api_keys SET mood = 'good' WHERE id = ?", (key_id,))
        assert last(db).after == {"mood": "good"}
