"""Client keys in the database."""

from __future__ import annotations

import apsw
import pytest

from airoxy.core.keys import digest
from airoxy.errors import Conflict, NotFound
from airoxy.store import keys
from airoxy.store.names import find_id
from airoxy.store.schema import run
from tests.store.seed import active_digests

KEY = "ak-" + "test" * 10


def test_a_key_is_listed_by_its_mask_and_known_by_its_digest(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "one", KEY, 7.5)
    (listed,) = keys.list_keys(db)
    known = {name: value for name, value in listed.items() if value is not None}
    assert known == {
        "id": 1, "name": "one", "masked": "ak-testt…test", "is_active": True, "created_at": 7,
        "share_resources": "group", "old_secrets": [],
    }  # fmt: skip
    assert active_digests(db) == {digest(KEY): key_id}


def test_the_key_itself_is_nowhere_in_the_database(db: apsw.Connection) -> None:
    keys.add_key(db, "one", KEY, 0)
    assert KEY not in repr(run(db, "SELECT * FROM api_keys"))


def test_a_disabled_key_is_not_let_in(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "one", KEY, 0)
    assert keys.toggle_key(db, key_id) is False
    assert active_digests(db) == {}
    assert keys.list_keys(db)[0]["is_active"] is False
    assert keys.toggle_key(db, key_id) is True
    assert active_digests(db) == {digest(KEY): key_id}


def test_a_removed_key_is_gone_and_its_name_free(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "one", KEY, 0)
    keys.remove_key(db, key_id, 1)
    assert active_digests(db) == {}
    assert keys.list_keys(db) == []
    assert run(db, "SELECT name, digest FROM api_keys") == [("one", None)]
    assert keys.add_key(db, "one", KEY, 2) == key_id + 1


def test_an_id_is_never_given_again(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "one", KEY, 0)
    run(db, "DELETE FROM api_keys")
    assert keys.add_key(db, "two", KEY, 0) > key_id


def test_two_keys_cannot_have_one_name(db: apsw.Connection) -> None:
    keys.add_key(db, "one", KEY, 0)
    with pytest.raises(Conflict, match="A key named 'one' is there already"):
        keys.add_key(db, "one", KEY + "x", 0)


def test_what_is_not_there_is_said_with_the_way_to_see_what_is(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "one", KEY, 0)
    keys.remove_key(db, key_id, 0)
    with pytest.raises(NotFound, match="no key 1; `airoxy api-key list`"):
        keys.toggle_key(db, key_id)
    with pytest.raises(NotFound):
        keys.remove_key(db, key_id, 0)


def test_a_removed_key_still_has_a_history(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "one", KEY, 0)
    keys.remove_key(db, key_id, 0)
    assert find_id(db, "api_keys", "one", removed=True) == key_id
