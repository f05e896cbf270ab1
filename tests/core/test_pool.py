import datetime

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
