"""What the request path keeps in memory follows the database, and reads only what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.core.keys import digest
from airoxy.core.pool import Token
from airoxy.server.pool.snapshot import Snapshot
from airoxy.store import keys, tokens
from airoxy.store.limits import set_limits
from airoxy.store.schema import open_database, run


def add(db: apsw.Connection, name: str) -> int:
    return tokens.add_token(db, name=name, type="api_key", token=f"sk-ant-api-test-{name}",
                            refresh_token=None, expires_at=None, now=0)  # fmt: skip


@pytest.fixture
def reader(db: apsw.Connection) -> Iterator[apsw.Connection]:
    """Another connection, as the server has one."""
    with closing(open_database(Path(db.filename))) as reader:
        yield reader


def whole(db: apsw.Connection) -> Snapshot:
    """A new one, that reads everything."""
    snapshot = Snapshot(db)
    snapshot.renew()
    return snapshot


def same(one: Snapshot, other: Snapshot) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("keys", "old_keys", "limits", "pools", "tokens")
    )


def test_it_follows_every_change(db: apsw.Connection, reader: apsw.Connection) -> None:
    snapshot = whole(reader)
    changes = [
        lambda: keys.add_key(db, "one", "ak-one", 0),
        lambda: keys.add_key(db, "two", "ak-two", 0),
        lambda: set_limits(db, 1, {"requests_per_minute": 5, "pool": "red"}),
        lambda: set_limits(db, 1, {"requests_per_minute": None, "pool": None}),
        lambda: keys.rotate_key(db, 2, "ak-two-new", 60, 0),
        lambda: keys.rotate_key(db, 2, "ak-two-newer", 60, 0),
        lambda: keys.toggle_key(db, 2),
        lambda: keys.toggle_key(db, 2),
        lambda: keys.rotate_key(db, 2, None, 0, 0),
        lambda: keys.remove_key(db, 1, 0),
        lambda: add(db, "one"),
        lambda: add(db, "two"),
        lambda: tokens.set_token(db, 1, {"priority": 5, "pool": "red"}),
        lambda: tokens.toggle_token(db, 2, 0),
        lambda: tokens.reset_token(db, 2, 5),
        lambda: tokens.remove_token(db, 1, 0),
        lambda: run(db, "DELETE FROM api_keys"),
        lambda: run(db, "DELETE FROM tokens"),
    ]
    for change in changes:
        change()
        snapshot.renew()
        assert same(snapshot, whole(reader))
    assert not snapshot.keys
    assert not snapshot.tokens


def test_several_changes_at_once_are_seen_together(
    db: apsw.Connection, reader: apsw.Connection
) -> None:
    snapshot = whole(reader)
    seen: dict[int, Token | None] = {}
    snapshot.watch = seen.__setitem__
    for name in ("one", "two", "three"):
        add(db, name)
    tokens.set_token(db, 2, {"priority": 5})
    tokens.remove_token(db, 3, 0)
    snapshot.renew()
    assert same(snapshot, whole(reader))
    assert {number: token and token.priority for number, token in seen.items()} == {
        1: 0, 2: 5, 3: None,
    }  # fmt: skip


def test_a_key_that_is_changed_for_another_does_not_work_any_more(
    db: apsw.Connection, reader: apsw.Connection
) -> None:
    keys.add_key(db, "one", "ak-old", 0)
    snapshot = whole(reader)
    run(db, "UPDATE api_keys SET digest = ?", (digest("ak-new"),))
    snapshot.renew()
    assert snapshot.keys == {digest("ak-new"): 1}


@pytest.mark.parametrize("change", ["token", "key"])
def test_of_many_keys_and_tokens_only_what_changed_is_read(
    db: apsw.Connection, reader: apsw.Connection, change: str
) -> None:
    for number in range(30):
        add(db, f"token-{number}")
        keys.add_key(db, f"key-{number}", f"ak-{number}", 0)
    decrypted = []
    snapshot = whole(reader)

    def unseal(sealed: str | None) -> str | None:
        decrypted.append(sealed)
        return "sk-ant-api-test"

    reader.createscalarfunction("unseal", unseal, 1)
    if change == "token":
        tokens.set_token(db, 7, {"priority": 5})
    else:
        keys.toggle_key(db, 7)
    snapshot.renew()
    assert len(decrypted) == (1 if change == "token" else 0)
    assert snapshot.tokens[7].priority == (5 if change == "token" else 0)
    assert len(snapshot.keys) == (30 if change == "token" else 29)


def test_a_change_of_what_requests_do_not_need_is_not_read(
    db: apsw.Connection, reader: apsw.Connection
) -> None:
    add(db, "one")
    snapshot = whole(reader)
    seen: list[int] = []
    snapshot.watch = lambda number, _: seen.append(number)
    tokens.note_used(db, {1: 5})
    tokens.set_token(db, 1, {"note": "x"})
    snapshot.renew()
    assert seen == []


UP_TO_COUNT = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
MANY_KEYS = (
    "INSERT INTO api_keys (name, digest, masked, created_at)"
    " SELECT 'key-' || n, CAST('digest-' || n AS BLOB), 'ak-', 0"
)
MANY_TOKENS = (
    "INSERT INTO tokens (name, type, token, created_at, masked, token_digest)"
    " SELECT 'token-' || n, 'api_key', seal('sk-ant-api-test-' || n), 0, 'sk-', CAST(n AS BLOB)"
)


def steps(db: apsw.Connection, work: Callable[[], None]) -> int:
    """How many instructions SQLite takes for it."""
    taken = 0

    def step() -> bool:
        nonlocal taken
        taken += 1
        return False

    db.setprogresshandler(step, 1)
    try:
        work()
    finally:
        db.setprogresshandler(None)
    return taken


def test_a_change_costs_no_more_with_ten_thousand_keys_and_two_thousand_tokens_than_with_five(
    tmp_path: Path,
) -> None:
    taken = []
    for count_of_keys, count_of_tokens in ((5, 5), (10_000, 2_000)):
        path = tmp_path / f"{count_of_keys}.db"
        with closing(open_database(path)) as db, closing(open_database(path)) as reader:
            for statement, count in ((MANY_KEYS, count_of_keys), (MANY_TOKENS, count_of_tokens)):
                run(db, f"{UP_TO_COUNT} {statement} FROM n", (count,))
            snapshot = whole(reader)
            assert (len(snapshot.keys), len(snapshot.tokens)) == (count_of_keys, count_of_tokens)
            for change in (
                lambda db=db: keys.toggle_key(db, 3),
                lambda db=db: tokens.set_token(db, 3, {"priority": 5}),
            ):
                change()
                taken.append(steps(reader, snapshot.renew))
            assert len(snapshot.keys) == count_of_keys - 1
            assert snapshot.tokens[3].priority == 5
    few, many = taken[:2], taken[2:]
    assert min(few) > 10
    assert all(more <= 2 * less for less, more in zip(few, many, strict=True)), taken
