"""Keys that get a new secret: which of their secrets are good, and until when."""

from __future__ import annotations

import apsw
import pytest

from airoxy.core.keys import digest
from airoxy.errors import Conflict, NotFound
from airoxy.store import keys
from airoxy.store.audit.trail import read_trail
from airoxy.store.limits import set_limits
from airoxy.store.schema import run
from tests.store.seed import active_digests

FIRST, SECOND, THIRD = (f"ak-{letter * 40}" for letter in "abc")
DAY = 86400


def ends(db: apsw.Connection) -> dict[bytes, int]:
    """When each old secret ends."""
    return {old.digest: old.until for key in keys.keys_in_force(db) for old in key.old_secrets}


def test_it_stays_the_same_key(db: apsw.Connection) -> None:
    key_id = keys.add_key(db, "laptop", FIRST, 1)
    set_limits(db, key_id, {"requests_per_minute": 5, "note": "Ada's"})
    before = keys.find_key(db, key_id)
    keys.rotate_key(db, key_id, SECOND, DAY, 1000)
    after = keys.find_key(db, key_id)
    assert after.pop("masked") == "ak-bbbbb…bbbb"
    assert after.pop("old_secrets") == [{"masked": before.pop("masked"), "until": 1000 + DAY}]
    assert before.pop("old_secrets") == []
    assert after == before
    assert active_digests(db) == {digest(SECOND): key_id}


def test_a_second_rotation_keeps_what_the_first_has_promised_and_no_more(db) -> None:
    keys.add_key(db, "laptop", FIRST, 1)
    keys.rotate_key(db, 1, SECOND, DAY, 1000)
    keys.rotate_key(db, 1, THIRD, 3 * DAY, 2000)
    assert ends(db) == {digest(FIRST): 1000 + DAY, digest(SECOND): 2000 + 3 * DAY}


@pytest.mark.parametrize("new", [THIRD, None], ids=["a new secret", "none"])
def test_without_overlap_every_old_secret_ends_at_once(db: apsw.Connection, new) -> None:
    keys.add_key(db, "laptop", FIRST, 1)
    keys.rotate_key(db, 1, SECOND, DAY, 1000)
    assert keys.rotate_key(db, 1, new, 0, 2000) == []
    assert set(ends(db).values()) == {2000}
    assert active_digests(db) == {digest(new or SECOND): 1}


def test_a_key_that_is_disabled_or_removed_lets_none_in(db: apsw.Connection) -> None:
    keys.add_key(db, "laptop", FIRST, 1)
    keys.rotate_key(db, 1, SECOND, DAY, 1000)
    keys.toggle_key(db, 1)
    assert keys.keys_in_force(db) == []
    keys.toggle_key(db, 1)
    assert len(ends(db)) == 1
    keys.remove_key(db, 1, 1)
    assert keys.keys_in_force(db) == []
    assert run(db, "SELECT old_digests FROM api_keys") == [(None,)]
    with pytest.raises(NotFound):
        keys.rotate_key(db, 1, THIRD, DAY, 1000)


def test_a_secret_that_a_key_had_is_no_other_keys(db: apsw.Connection) -> None:
    keys.add_key(db, "laptop", FIRST, 1)
    keys.rotate_key(db, 1, SECOND, DAY, 1000)
    for known in (FIRST, SECOND):
        with pytest.raises(Conflict, match=r"there already: 1 \(laptop\)"):
            keys.add_key(db, "other", known, 1)
        with pytest.raises(Conflict, match=r"there already: 1 \(laptop\)"):
            keys.rotate_key(db, 1, known, DAY, 1000)


def test_secrets_that_ended_long_ago_are_forgotten(db: apsw.Connection) -> None:
    keys.add_key(db, "laptop", FIRST, 1)
    keys.rotate_key(db, 1, SECOND, DAY, 0)
    keys.rotate_key(db, 1, THIRD, DAY, 31 * DAY)
    assert list(ends(db)) == [digest(SECOND)]


def test_the_audit_says_that_it_was_rotated_and_for_how_long(db: apsw.Connection) -> None:
    keys.add_key(db, "laptop", FIRST, 1)
    keys.rotate_key(db, 1, SECOND, DAY, 1000)
    entry = read_trail(db)[-1]
    assert entry.action == "rotated"
    assert entry.before == {"masked": "ak-aaaaa…aaaa", "old_secret_until": None}
    assert entry.after == {"masked": "ak-bbbbb…bbbb", "old_secret_until": 1000 + DAY}
    keys.rotate_key(db, 1, None, 0, 2000)
    assert read_trail(db)[-1].after == {"old_secret_until": 2000}
    recorded = repr(run(db, "SELECT * FROM audit"))
    assert digest(FIRST).hex() not in recorded
