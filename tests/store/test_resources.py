"""Whose the things are that were made through airoxy."""

from __future__ import annotations

import apsw
import pytest

from airoxy.core.limits.sharing import Sharer
from airoxy.store import keys, resources, schema
from airoxy.store.limits import set_limits
from airoxy.store.resources import Resource, find_resources
from airoxy.store.schema import run
from tests.store.seed import add_key, add_token


def test_a_thing_is_known_with_its_token_and_key_as_it_was_made_first(db: apsw.Connection) -> None:
    add_token(db, "one")
    add_token(db, "two")
    add_key(db, "laptop")
    resources.remember_resource(db, "msgbatch_one", 2, 1, 5.5)
    resources.remember_resource(db, "msgbatch_one", 1, 2, 6.5)
    found = find_resources(db, ["msgbatch_one", "msgbatch_none", "msgbatch_one"])
    assert found == {"msgbatch_one": Resource(2, Sharer(1, "group"))}


@pytest.mark.parametrize("choice", ["none", "group", "all"])
def test_it_is_shared_as_its_key_shares(db: apsw.Connection, choice: str) -> None:
    add_token(db, "one")
    add_key(db, "laptop")
    resources.remember_resource(db, "file_one", 1, 1, 5)
    set_limits(db, 1, {"share_resources": choice})
    assert find_resources(db, ["file_one"])["file_one"].owner.shares == choice
    keys.remove_key(db, 1, 6)
    assert find_resources(db, ["file_one"])["file_one"].owner.shares == choice


def test_what_is_from_before_owners_is_shared_with_all(db: apsw.Connection) -> None:
    add_token(db, "one")
    schema.run(db, "INSERT INTO resources (id, token_id, created_at) VALUES ('file_old', 1, 5)")
    assert find_resources(db, ["file_old"]) == {"file_old": Resource(1, Sharer(None, "all"))}


def test_a_key_from_before_shares_all_until_that_is_set(db: apsw.Connection) -> None:
    add_key(db, "old")
    schema.run(db, "UPDATE api_keys SET share_resources = 'before'")
    assert keys.list_keys(db)[0]["share_resources"] == "all"
    assert keys.sharing_as_before(db) == ["old"]
    set_limits(db, 1, {"concurrent_requests": 1})
    assert keys.sharing_as_before(db) == ["old"]
    set_limits(db, 1, {"share_resources": "all"})
    assert keys.sharing_as_before(db) == []
    assert keys.list_keys(db)[0]["share_resources"] == "all"


@pytest.mark.parametrize(
    ("owner", "owner_shares", "key_shares", "may"),
    [
        (1, "none", "none", True),
        (2, "all", "all", True),
        (2, "all", "none", False),
        (2, "none", "all", False),
        (2, "group", "group", False),
        (2, "group", "all", False),
        (None, "all", "all", True),
        (None, "all", "group", False),
    ],
)
@pytest.mark.parametrize("groups", [(None, None), (None, 2), (2, None), (2, 3)])
def test_sharing_is_mutual(owner, owner_shares, key_shares, may, groups):
    owners, own = groups
    assert Sharer(1, key_shares, own).may_use(Sharer(owner, owner_shares, owners)) is may


@pytest.mark.parametrize("owner_shares", ["none", "group", "all"])
@pytest.mark.parametrize("key_shares", ["none", "group", "all"])
def test_keys_of_a_group_share_unless_one_of_them_shares_with_none(owner_shares, key_shares):
    may = "none" not in (owner_shares, key_shares)
    assert Sharer(1, key_shares, 2).may_use(Sharer(2, owner_shares, 2)) is may


@pytest.mark.parametrize("known", [True, False])
def test_the_results_of_a_batch_are_claimed_once(db: apsw.Connection, known: bool) -> None:
    add_token(db, "one")
    if known:
        resources.remember_resource(db, "msgbatch_one", 1, 1, 5)
    assert resources.claim_results(db, "msgbatch_one", 1, 1, 6.5, range(2)) is True
    assert resources.claim_results(db, "msgbatch_one", 1, 1, 7.5, range(2)) is False
    assert find_resources(db, ["msgbatch_one"])["msgbatch_one"].token_id == 1


def test_what_a_broken_fetch_has_not_seen_is_claimed_by_the_next(db: apsw.Connection) -> None:
    add_token(db, "one")
    assert not resources.claim_results(db, "msgbatch_one", 1, 1, 6, range(0))
    assert resources.claim_results(db, "msgbatch_one", 1, 1, 6, range(3))
    # This one began before, and has seen more: nobody can say what of that is new.
    assert not resources.claim_results(db, "msgbatch_one", 1, 1, 7, range(5))
    assert resources.claim_results(db, "msgbatch_one", 1, 1, 8, range(3, 5))
    assert not resources.claim_results(db, "msgbatch_one", 1, 1, 9, range(5, 5))


def test_results_that_1_0_has_counted_are_counted(db: apsw.Connection) -> None:
    add_token(db, "one")
    resources.remember_resource(db, "msgbatch_one", 1, 1, 5)
    run(db, "UPDATE resources SET results_counted_at = 6")
    counted = resources.counted_results(db, "msgbatch_one")
    assert not resources.claim_results(db, "msgbatch_one", 1, 1, 7, range(counted, 9))
    assert not resources.claim_results(db, "msgbatch_one", 1, 1, 7, range(9))
