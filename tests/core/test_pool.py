import datetime
import json
from collections import Counter

import pytest

from airoxy.core import pool
from airoxy.core.pool import ANSWER, NEXT, REFRESH, Cooling, Token, Verdict

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC).timestamp()
DECEMBER = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC).timestamp()
KEY = Token(1, "one", "api_key", "sk-ant-api-test-one", None, 0)
OAUTH = Token(2, "two", "oauth", "sk-ant-oat-test-two", int(NOW) + 60, 0)


def token(number: int, expires_at: int | None = None) -> Token:
    return Token(number, f"token {number}", "api_key", f"sk-ant-api-{number}", expires_at, 0)


def never_cooling(_: Token) -> float:
    return 0


def error(message: str, **error: object) -> bytes:
    return json.dumps({"type": "error", "error": {"message": message, **error}}).encode()


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


SPEND = error("spend", details={"error_code": pool.SPEND_LIMIT})
FOUR = "claude-opus-4"

LIMITED, SPENT = "rate limited", "spend limit reached"


def refused(said: str) -> Verdict:
    return Verdict("next", None, f"Anthropic answered 401: {said}")


def cooling(model_class: str, until: float, reason: str) -> Verdict:
    return Verdict("next", Cooling(model_class, until, reason))


OTHERS = (200, 204, 302, 400, 402, 404, 409, 413, 500, 502, 504)
VERDICTS = [
    # who, status, headers, body, refreshed -> verdict
    (KEY, 429, {b"retry-after": b"30"}, b"", cooling(FOUR, NOW + 30, LIMITED)),
    (KEY, 429, {b"retry-after": b"86400"}, b"", cooling(FOUR, NOW + 3600, LIMITED)),
    (KEY, 429, {b"retry-after": b"soon"}, b"", NEXT),
    (KEY, 429, {b"retry-after": b"0"}, b"", NEXT),
    (KEY, 429, {}, error("Error"), NEXT),
    (KEY, 429, {}, SPEND, cooling("*", DECEMBER, SPENT)),
    (KEY, 429, {b"retry-after": b"5"}, SPEND, cooling("*", DECEMBER, SPENT)),
    (KEY, 429, {}, b'"enforced_spend_limit_reached', NEXT),
    (KEY, 529, {b"retry-after": b"30"}, b"", NEXT),
    (OAUTH, 401, {}, b"", REFRESH),
    (KEY, 401, {}, error("invalid x-api-key"), refused("invalid x-api-key")),
    (KEY, 401, {}, b"<html>", refused("no reason given")),
    (KEY, 403, {}, b"", NEXT),
    (OAUTH, 403, {}, b"", NEXT),
    *((KEY, status, {}, b"", ANSWER) for status in OTHERS),
]  # fmt: skip


@pytest.mark.parametrize(("who", "status", "headers", "body", "verdict"), VERDICTS)
def test_an_answer_decides(who, status, headers, body, verdict):
    assert pool.judge(who, status, headers, body, FOUR, NOW, refreshed=False) == verdict


def test_a_401_after_the_refresh_deactivates_an_oauth_token():
    verdict = pool.judge(OAUTH, 401, {}, error("expired"), FOUR, NOW, refreshed=True)
    assert verdict == Verdict("next", None, "Anthropic answered 401: expired")


def test_an_error_message_is_one_line_of_bounded_length():
    assert pool.error_message(error("a\n b")) == "a b"
    assert len(pool.error_message(error("x" * 1000))) == 300
    assert pool.error_message(b"[" * 100_000) is None
    assert pool.error_message(b'{"error": "text"}') is None


def test_a_token_does_not_show_its_secret():
    assert KEY.secret not in repr(KEY)
