import datetime
from collections import Counter

import pytest

from airoxy.core import pool
from airoxy.core.pool import EVERYTHING, Scope, Token

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC).timestamp()
KEY = Token(1, "one", "api_key", "sk-ant-api-test-one", None, 0)


def token(number: int, expires_at: int | None = None) -> Token:
    return Token(number, f"token {number}", "api_key", f"sk-ant-api-{number}", expires_at, 0)


@pytest.mark.parametrize(
    ("model", "limits"),
    [
        ("claude-opus-4-8", "claude-opus-4"),
        ("claude-opus-4-1-20250805", "claude-opus-4"),
        ("claude-opus-4", "claude-opus-4"),
        ("claude-sonnet-4-6[1m]", "claude-sonnet-4"),
        ("claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("claude-sonnet-5-5-20261007", "claude-sonnet-5-5"),
        ("claude-opus-5-5-latest[1m]", "claude-opus-5-5"),
        ("claude-opus-40", "claude-opus-40"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("Claude-Opus-5", "claude-opus-5"),
        (None, ""),
    ],
)
def test_models_that_share_limits_are_one_class(model, limits):
    assert pool.model_class(model) == limits


def test_an_expired_a_cooling_and_a_tried_token_are_skipped():
    tokens = [token(1, int(NOW) - 1), token(2), token(3), token(4), token(5, int(NOW) + 1)]
    cooling = {2: NOW + 10, 4: NOW - 10}
    able = pool.ready(tokens, lambda t: cooling.get(t.id, 0), NOW, {3})
    assert [t.id for t in able] == [4, 5]


def test_the_least_recently_used_token_is_chosen_and_a_new_one_first():
    used = {1: 300, 2: 100, 3: 200}
    tokens = [token(1), token(2), token(3)]
    assert pool.choose(tokens, lambda t: used[t.id], None).id == 2
    assert pool.choose([*tokens, token(9)], lambda t: used.get(t.id, 0), None).id == 9


def test_of_tokens_never_used_the_first_is_chosen():
    assert pool.choose([token(1), token(2)], lambda _: 0, None).id == 1


def test_without_a_ready_token_none_is_chosen():
    assert pool.choose([], lambda _: 0, b"session") is None


def test_a_session_keeps_its_token_whatever_was_used_last_and_in_whatever_order():
    tokens = [token(n) for n in range(1, 6)]
    first = pool.choose(tokens, lambda _: 0, b"session")
    assert all(
        pool.choose(tokens[turn:] + tokens[:turn], lambda t: -t.id, b"session") == first
        for turn in range(5)
    )


def test_sessions_spread_over_all_tokens():
    tokens = [token(n) for n in range(1, 5)]
    chosen = Counter(pool.choose(tokens, lambda _: 0, b"%d" % n).id for n in range(400))
    assert all(60 < chosen[t.id] < 140 for t in tokens)


def test_only_the_sessions_of_a_lost_token_move():
    tokens = [token(n) for n in range(1, 5)]
    sessions = [b"%d" % n for n in range(100)]
    before = {s: pool.choose(tokens, lambda _: 0, s).id for s in sessions}
    after = {s: pool.choose(tokens[1:], lambda _: 0, s).id for s in sessions}
    assert all(after[s] == before[s] for s in sessions if before[s] != 1)


def test_sessions_agree_on_hosts_where_ids_and_secrets_differ_but_names_do_not():
    here = [token(n) for n in range(1, 4)]
    there = [Token(t.id + 70, t.name, t.type, t.secret + "x", None, 0) for t in here]
    for n in range(50):
        session = b"%d" % n
        a = pool.choose(here, lambda _: 0, session)
        b = pool.choose(there, lambda _: 0, session)
        assert a.name == b.name


def test_a_token_does_not_show_its_secret():
    assert KEY.secret not in repr(KEY)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (EVERYTHING, ""),
        (Scope("messages", "claude-opus-5-5"), "claude-opus-5-5"),
        (Scope("messages", ""), "messages"),
        (Scope("*", "claude-opus-4"), "claude-opus-4"),
        (Scope("count_tokens", "claude-opus-4"), "count_tokens claude-opus-4"),
        (Scope("files", ""), "files"),
        (Scope("batches"), "batches"),
    ],
)
def test_a_scope_is_told_in_a_word_or_two(scope, words):
    assert str(scope) == words
