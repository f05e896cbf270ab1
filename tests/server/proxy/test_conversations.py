"""Conversations stay with one upstream token, whatever their client calls them by."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, Answer
from tests.server.pool.pooled import ONE, THREE, TWO, ask

EPHEMERAL = {"type": "ephemeral"}
BETA = {"anthropic-beta": "message-threads-2026-08-12"}


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def workers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def served(install: Any, upstream: FakeAnthropic, workers: int) -> tuple[Airoxy, str]:
    """Three tokens, before an upstream that keeps caches and threads."""
    upstream.keep_conversations()
    airoxy = install(workers=workers, tell_token=True).start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    return airoxy, airoxy.key()


def block(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text, **more}]}


def turns(
    airoxy: Airoxy, key: str, count: int = 4, opening: str = "Hello", **more: Any
) -> list[Answer]:
    """A conversation as the SDKs have it: its last message ends with the cache's breakpoint."""
    messages: list[dict[str, Any]] = []
    answers = []
    for turn in range(count):
        said = opening if not turn else f"And {turn}?"
        messages.append(block(said))
        sent = [*messages[:-1], block(said, cache_control=EPHEMERAL)]
        answers.append(ask(airoxy, key, messages=sent, **more))
        messages.append({"role": "assistant", "content": "Well."})
    return answers


def test_a_conversation_that_uses_the_cache_stays_with_one_token(served, upstream):
    airoxy, key = served
    turns(airoxy, key)
    assert len(set(upstream.tokens)) == 1


def test_conversations_spread_over_the_tokens(served, upstream):
    airoxy, key = served
    for number in range(12):
        turns(airoxy, key, 1, f"Hello {number}")
    assert len(set(upstream.tokens)) == 3


def test_a_request_without_cache_and_name_rotates(served, upstream):
    airoxy, key = served
    for _ in range(3):
        ask(airoxy, key)
    assert len(set(upstream.tokens)) == 3


CLAUDE_CODE = {"device_id": "d" * 64, "account_uuid": "", "session_id": "0b0c-11111111-2222"}


@pytest.mark.parametrize(
    "named",
    [
        {"headers": {"x-airoxy-session": "mine"}},
        {"headers": {"x-claude-code-session-id": "0b0c"}},
        {"metadata": {"user_id": json.dumps(CLAUDE_CODE)}},
    ],
)
def test_a_named_conversation_stays_with_one_token(served, upstream, named):
    airoxy, key = served
    for number in range(4):
        ask(airoxy, key, messages=[block(f"Whatever {number}")], **named)
    assert len(set(upstream.tokens)) == 1
    assert all(seen.header("x-airoxy-session") is None for seen in upstream.requests)


def test_a_person_is_no_conversation(served, upstream):
    airoxy, key = served
    for _ in range(3):
        ask(airoxy, key, metadata={"user_id": "user-7"})
    assert len(set(upstream.tokens)) == 3


def test_a_forked_session_follows_the_conversation_it_was_forked_from(served, upstream):
    airoxy, key = served
    history = [block("Hello"), {"role": "assistant", "content": "Well."}, block("And?")]
    for number in range(6):
        first = {"x-claude-code-session-id": f"session-{number}"}
        forked = {"x-claude-code-session-id": f"fork-{number}"}
        opening = [block(f"Hello {number}")]
        ask(airoxy, key, messages=opening, headers=first)
        ask(airoxy, key, messages=[*opening, *history[1:]], headers=forked)
        ask(airoxy, key, messages=[*opening, *history[1:]], headers=first)
        ask(airoxy, key, messages=[*opening, *history[1:], block("So?")], headers=forked)
    tokens = upstream.tokens
    conversations = [set(tokens[start : start + 4]) for start in range(0, 24, 4)]
    assert [len(each) for each in conversations] == [1] * 6
    assert len(set(tokens)) > 1


def test_sessions_that_begin_alike_are_no_forks(served, upstream):
    airoxy, key = served
    for number in range(12):
        session = {"x-claude-code-session-id": f"session-{number}"}
        ask(airoxy, key, messages=[block("The same words.")], headers=session)
    assert len(set(upstream.tokens)) == 3


def test_one_overload_does_not_move_a_conversation(served, upstream):
    airoxy, key = served
    first, *_ = turns(airoxy, key, 1)
    upstream.script().overloaded()
    second, *_ = turns(airoxy, key, 1)
    assert len(set(upstream.tokens)) == 1
    assert second.headers.get("x-airoxy-attempts") == "2"
    assert second.headers.get("x-airoxy-moved") is None
    assert second.headers["x-airoxy-token"] == first.headers["x-airoxy-token"]


def test_a_short_limit_does_not_move_a_conversation_even_beside_it(served, upstream):
    airoxy, key = served
    turns(airoxy, key, 1)
    upstream.script().limit(retry_after=1)
    turns(airoxy, key, 1)
    turns(airoxy, key, 1)
    assert len(set(upstream.tokens)) == 1


def test_an_overload_that_lasts_is_the_clients_answer_after_three_attempts(served, upstream):
    airoxy, key = served
    upstream.script(times=None).overloaded()
    (answer,) = turns(airoxy, key, 1)
    assert answer.status == 529
    assert answer.headers["x-airoxy-attempts"] == "3"
    assert len(upstream.tokens) == 3
    assert len(set(upstream.tokens)) == 1


def test_a_conversation_that_has_moved_is_told_so_once(served, upstream):
    airoxy, key = served
    turns(airoxy, key, 1)
    upstream.script(token=upstream.tokens[0]).limit(retry_after=60)
    (moved,) = turns(airoxy, key, 1)
    assert moved.headers["x-airoxy-moved"] == "1"
    assert upstream.tokens[-1] != upstream.tokens[0]
    (after,) = turns(airoxy, key, 1)
    assert after.headers.get("x-airoxy-moved") is None
    rows = airoxy.wait_logs(3)
    assert [row["moved"] for row in rows] == [False, True, False]
    cost = rows[1]["move_cost_nanousd"]
    assert cost > 0
    assert [row["move_cost_nanousd"] for row in rows] == [0, cost, 0]
    stats = airoxy.json("stats")
    assert (stats["moved"], stats["move_cost_nanousd"]) == (1, cost)
    assert "Conversations moved" in airoxy.cli("stats")


def test_affinity_none_lets_conversations_rotate(install, upstream):
    airoxy = install(affinity="none").start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    turns(airoxy, airoxy.key(), 3)
    assert len(set(upstream.tokens)) == 3


def begin_thread(airoxy: Airoxy, key: str, *, stream: bool) -> str:
    answer = ask(airoxy, key, stream=stream, thread={"type": "create"}, headers=BETA)
    assert answer.status == 200
    text = answer.body.decode()
    return text[text.index("msg_") :].partition('"')[0]


def go_on(airoxy: Airoxy, key: str, previous: str) -> Answer:
    thread = {"type": "continue", "previous_message_id": previous}
    return ask(airoxy, key, thread=thread, headers=BETA)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_thread_goes_on_with_the_token_that_began_it(served, upstream, stream):
    airoxy, key = served
    for _ in range(3):
        previous = begin_thread(airoxy, key, stream=stream)
        for _ in range(2):
            answer = go_on(airoxy, key, previous)
            assert answer.status == 200
            previous = json.loads(answer.body)["id"]
    assert len(set(upstream.tokens)) == 3


def test_diagnostics_go_to_the_token_of_their_message(served):
    airoxy, key = served
    for _ in range(3):
        previous = begin_thread(airoxy, key, stream=False)
        told = {"previous_message_id": previous}
        assert ask(airoxy, key, diagnostics=told, headers=BETA).status == 200


def test_a_thread_whose_token_cannot_serve_is_not_found_so_that_the_client_sends_it_all(
    served, upstream
):
    airoxy, key = served
    previous = begin_thread(airoxy, key, stream=False)
    begun = upstream.tokens[-1]
    upstream.script(token=begun).limit(retry_after=60)
    for _ in range(2):  # refused by the account, and cooling already
        answer = go_on(airoxy, key, previous)
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["type"]) == (404, "not_found_error")
        assert error["details"] == {"error_code": "thread_not_found"}
    assert upstream.tokens == [begun, begun]


def test_a_thread_of_another_key_is_not_found_and_not_asked_for(served, upstream):
    airoxy, key = served
    previous = begin_thread(airoxy, key, stream=False)
    answer = go_on(airoxy, airoxy.key("other"), previous)
    assert (answer.status, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert len(upstream.tokens) == 1
    assert go_on(airoxy, key, previous).status == 200


def test_threads_stay_where_conversations_need_not(install, upstream):
    upstream.keep_conversations()
    airoxy = install(affinity="none").start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    key = airoxy.key()
    for _ in range(3):
        previous = begin_thread(airoxy, key, stream=False)
        assert go_on(airoxy, key, previous).status == 200


def test_counting_tokens_elsewhere_is_no_move(served, upstream):
    airoxy, key = served
    headers = {"x-airoxy-session": "mine"}
    ask(airoxy, key, headers=headers)
    upstream.script(path="/v1/messages/count_tokens").limit(retry_after=60)
    body = {"model": "claude-opus-5-5", "messages": [block("Hello")]}
    path = "/v1/messages/count_tokens"
    assert airoxy.request("POST", path, body, headers, key=key).status == 200
    assert upstream.tokens[-1] != upstream.tokens[0]
    assert ask(airoxy, key, headers=headers).headers.get("x-airoxy-moved") is None


def test_a_thread_that_nobody_knows_is_left_to_the_upstream(served, upstream):
    airoxy, key = served
    answer = go_on(airoxy, key, "msg_unknown")
    assert answer.status == 404
    assert "thread_not_found" in answer.body.decode()
    assert len(upstream.tokens) == 1
