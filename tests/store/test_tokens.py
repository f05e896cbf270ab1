"""Upstream tokens in the database."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from airoxy.core.pool import EVERYTHING, Scope, Token
from airoxy.errors import Conflict, NotFound
from airoxy.store import leases, tokens
from airoxy.store.names import find_id
from airoxy.store.schema import open_database, run
from tests.store.seed import add_login, add_token

SECOND = 10**9


def listed(db: apsw.Connection, now: float = 0) -> dict[str, object]:
    """The only token there is."""
    (row,) = tokens.list_tokens(db, now)
    return row


# Adding, listing, removing


def test_a_token_is_listed_without_its_secrets(db: apsw.Connection) -> None:
    add_login(db, "one", expires_at=50)
    row = listed(db)
    assert row["masked"] == "sk-ant-o…-one"
    assert (row["id"], row["name"], row["type"], row["expires_at"]) == (1, "one", "oauth", 50)
    assert row["is_active"] is True
    assert "test" not in repr(row)


def test_the_pool_gets_the_active_ones(db: apsw.Connection) -> None:
    add_token(db, "one")
    add_login(db, "two")
    tokens.toggle_token(db, add_token(db, "three"), 0)
    tokens.remove_token(db, add_token(db, "four"), 0)
    assert tokens.usable_tokens(db) == [
        Token(1, "one", "api_key", "sk-ant-api-test-one", None, 0),
        Token(2, "two", "oauth", "sk-ant-oat-test-two", 100, 0),
    ]


def test_a_removed_token_leaves_its_name_and_no_secret(db: apsw.Connection) -> None:
    token_id = add_login(db, "one")
    tokens.remove_token(db, token_id, 5)
    assert tokens.list_tokens(db, 0) == []
    assert run(db, "SELECT name, token, refresh_token FROM tokens") == [("one", None, None)]
    assert find_id(db, "tokens", "one", removed=True) == token_id
    assert add_login(db, "one") == token_id + 1


def test_a_removed_secret_is_not_left_in_the_file(db: apsw.Connection) -> None:
    tokens.remove_token(db, add_login(db, "one"), 5)
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"sk-ant-oat-test-one" not in Path(db.filename).read_bytes()


def test_two_tokens_cannot_have_one_name(db: apsw.Connection) -> None:
    add_token(db, "one")
    with pytest.raises(Conflict, match="A token named 'one' is there already"):
        add_login(db, "one")


def test_looking_for_a_secret_computes_its_fingerprint_once_however_many_tokens_there_are(
    db: apsw.Connection,
) -> None:
    computed: list[str | None] = []

    def fingerprint(secret: str | None) -> bytes | None:
        computed.append(secret)
        return None if secret is None else secret.encode()

    db.createscalarfunction("fingerprint", fingerprint, 1)
    works = {
        "add": lambda name: add_login(db, name),
        "find": lambda name: tokens.by_refresh_token(db, f"sk-ant-ort-test-{name}"),
        "update": lambda name: tokens.update_login(db, f"sk-ant-ort-test-{name}", "new", 200),
    }
    taken: list[dict[str, int]] = []
    for count in (3, 30):
        for number in range(count):
            add_login(db, f"{count}-{number}")
        taken.append({})
        for name, work in works.items():
            computed.clear()
            work(f"last of {count}")
            taken[-1][name] = len(computed)
    assert taken[0] == taken[1]


@pytest.mark.parametrize(
    "secrets",
    [
        {"token": "sk-ant-oat-test-one", "refresh_token": "sk-ant-ort-other"},
        {"token": "sk-ant-oat-other", "refresh_token": "sk-ant-ort-test-one"},
    ],
)
def test_a_secret_is_in_the_pool_once(db: apsw.Connection, secrets: dict[str, str]) -> None:
    add_login(db, "one")
    with pytest.raises(Conflict, match=r"there already: 1 \(one\)") as raised:
        add_token(db, "two", type="oauth", **secrets)
    assert "sk-ant" not in raised.value.message


def test_tokens_without_a_refresh_token_do_not_meet_in_that(db: apsw.Connection) -> None:
    add_token(db, "one")
    add_token(db, "two")


def test_what_is_not_there_is_said_with_the_way_to_see_what_is(db: apsw.Connection) -> None:
    tokens.remove_token(db, add_token(db, "one"), 0)
    for change in (tokens.remove_token, tokens.toggle_token, tokens.reset_token):
        with pytest.raises(NotFound, match="no token 1; `airoxy token list`"):
            change(db, 1, 0)


# Using


def test_the_latest_use_is_remembered(db: apsw.Connection) -> None:
    add_token(db, "one")
    tokens.note_used(db, {1: 50, 99: 1})
    tokens.note_used(db, {1: 40})
    assert listed(db)["last_used_at"] == 50


def test_a_refused_secret_takes_its_token_out_with_the_reason(db: apsw.Connection) -> None:
    add_login(db, "one")
    tokens.deactivate(db, 1, "said 401", "sk-ant-oat-test-one", 7.5)
    assert tokens.usable_tokens(db) == []
    assert (listed(db)["inactive_reason"], listed(db)["inactive_since"]) == ("said 401", 7)


def test_a_refusal_of_an_older_secret_is_nothing_to_the_token(db: apsw.Connection) -> None:
    add_login(db, "one")
    leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "new", "new-refresh", 200, 0)
    tokens.deactivate(db, 1, "said 401", "sk-ant-oat-test-one", 1)
    assert listed(db)["is_active"] is True


def test_the_operators_word_needs_no_reason(db: apsw.Connection) -> None:
    add_token(db, "one")
    assert tokens.toggle_token(db, 1, 5) is False
    tokens.deactivate(db, 1, "said 401", "sk-ant-api-test-one", 6)
    assert (listed(db)["inactive_reason"], listed(db)["inactive_since"]) == (None, 5)
    assert tokens.toggle_token(db, 1, 7) is True
    assert listed(db)["inactive_since"] is None


# Cooling


def test_a_cooling_holds_until_its_time(db: apsw.Connection) -> None:
    add_token(db, "one")
    tokens.cool(db, 1, Scope("messages", "claude-opus-4"), 20.5, "rate limited", 10 * SECOND)
    scope = Scope("messages", "claude-opus-4")
    assert tokens.coolings(db, 20) == [(1, scope, 20.5, "rate limited", 10 * SECOND)]
    assert listed(db, 20)["coolings"] == [
        {
            "group": "messages",
            "model_class": "claude-opus-4",
            "until": 20.5,
            "reason": "rate limited",
        }
    ]
    assert tokens.coolings(db, 20.5) == []
    assert listed(db, 21)["coolings"] == []


def test_the_latest_cooling_of_a_class_counts(db: apsw.Connection) -> None:
    add_token(db, "one")
    tokens.cool(db, 1, Scope("messages", "a"), 90, "first", 1)
    tokens.cool(db, 1, Scope("messages", "b"), 50, "other class", 1)
    tokens.cool(db, 1, Scope("messages", "a"), 40, "third", 3)
    tokens.cool(db, 1, Scope("messages", "a"), 99, "late on its way", 2)
    assert [(c.scope.model_class, c.until) for c in tokens.coolings(db, 0)] == [
        ("a", 40),
        ("b", 50),
    ]


def test_reset_clears_everything_that_keeps_a_token_away(db: apsw.Connection) -> None:
    add_login(db, "one")
    tokens.cool(db, 1, EVERYTHING, 90, "spend limit reached", 5 * SECOND)
    leases.count_refusal(db, 1, "refused", 5, retry_at=9, final=True)
    tokens.reset_token(db, 1, 10)
    row = listed(db)
    assert row["is_active"] is True
    assert (row["inactive_reason"], row["refresh_failures"], row["coolings"]) == (None, 0, [])
    assert tokens.usable_tokens(db)[0].reset_at == 10 * SECOND


def test_a_cooling_from_before_the_reset_that_comes_late_does_not_count(
    db: apsw.Connection,
) -> None:
    add_token(db, "one")
    tokens.reset_token(db, 1, 10)
    tokens.cool(db, 1, EVERYTHING, 90, "late", 9 * SECOND)
    assert tokens.coolings(db, 11) == []
    tokens.cool(db, 1, EVERYTHING, 90, "new", 11 * SECOND)
    assert len(tokens.coolings(db, 11)) == 1


def test_a_reset_counts_even_where_the_clock_was_set_back_since_the_cooling(
    db: apsw.Connection,
) -> None:
    add_token(db, "one")
    tokens.cool(db, 1, EVERYTHING, 9000, "limit", 5000 * SECOND)
    tokens.reset_token(db, 1, 10)
    assert tokens.usable_tokens(db)[0].reset_at == 5000 * SECOND


def test_a_token_that_is_gone_is_not_cooled(db: apsw.Connection) -> None:
    tokens.remove_token(db, add_token(db, "one"), 5)
    tokens.cool(db, 1, EVERYTHING, 90, "limit", 6 * SECOND)
    tokens.cool(db, 99, EVERYTHING, 90, "limit", 6 * SECOND)
    assert tokens.coolings(db, 0) == []


def test_cooling_and_deactivation_survive_a_restart(db: apsw.Connection) -> None:
    add_token(db, "one")
    tokens.cool(db, 1, EVERYTHING, 90, "limit", SECOND)
    tokens.deactivate(db, 1, "said 401", "sk-ant-api-test-one", 1)
    again = open_database(Path(db.filename))
    assert listed(again, 5) == listed(db, 5)
    assert len(tokens.coolings(again, 5)) == 1
    again.close()


# Refreshing


def test_one_at_a_time_may_refresh_a_token(db: apsw.Connection) -> None:
    add_login(db, "one")
    lease = leases.lease_refresh(db, 1, 100, 60, owner=5)
    assert lease
    assert lease.refresh_token == "sk-ant-ort-test-one"
    assert "sk-ant" not in repr(lease)
    assert leases.lease_refresh(db, 1, 159, 60, owner=6) is None
    assert leases.lease_refresh(db, 1, 160, 60, owner=6)


def test_an_api_key_cannot_be_refreshed(db: apsw.Connection) -> None:
    add_token(db, "one")
    assert leases.lease_refresh(db, 1, 100, 60, owner=5) is None


def test_a_new_pair_takes_the_place_of_the_old(db: apsw.Connection) -> None:
    add_login(db, "one")
    leases.count_refusal(db, 1, "refused", 1, retry_at=9, final=False)
    leases.lease_refresh(db, 1, 100, 60, owner=5)
    assert leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "new", "new-refresh", 500, 100.5)
    row = listed(db)
    assert (row["expires_at"], row["refreshed_at"], row["refresh_failures"]) == (500, 100, 0)
    lease = leases.lease_refresh(db, 1, 101, 60, owner=5)
    assert lease
    assert (lease.token, lease.refresh_token) == ("new", "new-refresh")


def test_a_pair_that_comes_too_late_is_not_stored(db: apsw.Connection) -> None:
    add_login(db, "one")
    assert leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "new", "new-refresh", 500, 1)
    assert not leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "old", "old-refresh", 600, 2)
    assert tokens.usable_tokens(db)[0].secret == "new"


def test_three_refusals_in_a_row_take_a_token_out(db: apsw.Connection) -> None:
    add_login(db, "one")
    assert [
        leases.count_refusal(db, 1, f"no {i}", i, retry_at=9, final=False) for i in range(3)
    ] == [
        True,
        True,
        False,
    ]
    row = listed(db)
    assert (row["refresh_failures"], row["inactive_reason"]) == (3, "no 2")


def test_success_brings_back_what_refusals_took_out(db: apsw.Connection) -> None:
    add_login(db, "one")
    leases.count_refusal(db, 1, "refused", 1, retry_at=9, final=True)
    assert leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "new", "new-refresh", 500, 2)
    assert (listed(db)["is_active"], listed(db)["inactive_reason"]) == (True, None)


def test_success_does_not_bring_back_what_the_operator_disabled(db: apsw.Connection) -> None:
    add_login(db, "one")
    tokens.toggle_token(db, 1, 1)
    assert leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "new", "new-refresh", 500, 2)
    assert listed(db)["is_active"] is False
