"""Reading the audit trail, and forgetting it."""

from __future__ import annotations

import apsw

from airoxy.jobs.tidy import tidy_audit
from airoxy.store import keys, tokens
from airoxy.store.audit.trail import Actor, act_as, read_trail, take_recorded
from airoxy.store.schema import run
from tests.conftest import NOON

DAY = 86400


def fill(db: apsw.Connection, count: int) -> list[int]:
    """Keys, each added a day after the one before, the last one at noon."""
    made = [keys.add_key(db, f"key-{n}", f"ak-{n:040}", 1) for n in range(count)]
    run(db, "UPDATE audit SET at = 1000 * (? + ? * (id - ?))", (int(NOON), DAY, count))
    return made


def names(db: apsw.Connection, **which: object) -> list[str]:
    return [entry.name for entry in read_trail(db, **which)]  # type: ignore[arg-type]


def test_entries_are_in_the_order_of_time(db: apsw.Connection) -> None:
    fill(db, 4)
    assert names(db) == ["key-0", "key-1", "key-2", "key-3"]
    assert names(db, limit=2) == ["key-2", "key-3"]
    assert names(db, since=NOON - DAY) == ["key-2", "key-3"]
    assert names(db, until=NOON - DAY) == ["key-0", "key-1"]
    assert names(db, since=NOON - 2 * DAY, until=NOON) == ["key-1", "key-2"]


def test_entries_are_found_by_what_they_are_about(db: apsw.Connection) -> None:
    _, second = fill(db, 2)
    token_id = tokens.add_token(
        db, name="pool", type="api_key", token="sk-ant-api-test", refresh_token=None,
        expires_at=None, now=1,
    )  # fmt: skip
    keys.remove_key(db, second, 2)
    assert names(db, subjects={"key": second}) == ["key-1", "key-1"]
    assert names(db, subjects={"token": token_id}) == ["pool"]
    assert names(db, subjects={"token": token_id, "key": 1}) == ["key-0", "pool"]


def test_what_was_recorded_is_taken_once(db: apsw.Connection) -> None:
    keys.add_key(db, "before", "ak-" + "a" * 40, 1)
    act_as(db, Actor("ada"))
    keys.add_key(db, "after", "ak-" + "b" * 40, 1)
    assert [entry.name for entry in take_recorded(db)] == ["after"]
    assert take_recorded(db) == []


def test_entries_are_kept_for_so_many_days(db: apsw.Connection) -> None:
    fill(db, 500)
    assert tidy_audit(db, 365, NOON, pause=lambda _: None) == 134
    assert len(read_trail(db)) == 366
    assert tidy_audit(db, 365, NOON, pause=lambda _: None) == 0
