"""Client keys and tokens of the older installation."""

from __future__ import annotations

import hashlib
from pathlib import Path

import apsw

from airoxy.core.keys import digest
from airoxy.store import keys, tokens
from airoxy.store.schema import run
from airoxy.store.usage import requests
from tests.conftest import NOON
from tests.legacy_php.old_airoxy import KEY, OldAiroxy
from tests.legacy_php.totals import Import
from tests.store.seed import active_digests

EXPIRY = 1795370400  # 2026-11-22 18:00 UTC


def test_clients_keep_their_keys_and_only_the_digest_is_stored(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key("alice").key("bob", "ak-" + "Old" * 13 + "2", is_active=0)
    take()
    listed = [(row["name"], row["is_active"], row["masked"]) for row in keys.list_keys(db)]
    assert listed == [("alice", True, "ak-OldOl…Old1"), ("bob", False, "ak-OldOl…Old2")]
    assert active_digests(db) == {digest(KEY): 1}
    assert KEY.encode() not in Path(db.filename).read_bytes()


def test_a_key_that_is_only_a_hash_cannot_be_taken_over_but_its_history_has_its_name(
    db: apsw.Connection, old: OldAiroxy, take: Import
) -> None:
    old.key("alice", hashlib.sha256(b"x").hexdigest()).token().request()
    assert "Key alice: only a hash is stored there; its client needs a new key." in take()
    assert keys.list_keys(db) == []
    assert requests.totals_by(db, "key")[0]["api_key_name"] == "alice"


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
    assert requests.totals_by(db, "key")[0]["api_key_name"] == "typed"


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
    assert requests.totals_by(db, "token")[0]["token_name"] == "strange"


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
