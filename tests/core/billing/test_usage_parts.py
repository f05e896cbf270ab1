"""What the fields of a usage mean: cache writes, batches, iterations with other models."""

from __future__ import annotations

import json

import pytest

from airoxy.core.billing.usage import Usage, counts_of
from tests.core.billing.usage_samples import parts_of, read, sse


@pytest.mark.parametrize(
    "odd", ["7", 7.5, 1e300, float("inf"), -7, True, [7], {"n": 7}, None, 10**12]
)
def test_a_count_of_the_wrong_type_keeps_the_earlier_one(odd: object) -> None:
    body = sse({"usage": {"input_tokens": 5}}, {"usage": {"input_tokens": odd}})
    assert [part.input_tokens for part in read("sse", [body]).parts] == [5]
    assert parts_of(input_tokens=odd) == []
    assert parts_of(cache_creation=odd, server_tool_use=odd, iterations=odd) == []


def test_a_whole_number_may_have_a_decimal_point() -> None:
    (part,) = parts_of(
        input_tokens=10.0, output_tokens=1e2, server_tool_use={"web_search_requests": 2.0}
    )
    assert (part.input_tokens, part.output_tokens, part.web_search_requests) == (10, 100, 2)
    told = {"cached_tokens": 20.0}
    (part,) = parts_of(prompt_tokens=30.0, completion_tokens=5.0, prompt_tokens_details=told)
    assert (part.input_tokens, part.cache_read_tokens, part.output_tokens) == (10, 20, 5)
    assert {type(count) for count in counts_of(part)} == {int}


def test_without_the_split_cache_writes_are_of_five_minutes() -> None:
    (part,) = parts_of(cache_creation_input_tokens=50)
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (50, 0)


def test_what_the_split_leaves_out_is_of_five_minutes() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    (part,) = parts_of(cache_creation_input_tokens=50, cache_creation=split)
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (30, 20)


@pytest.mark.parametrize("sum_", [{}, {"cache_creation_input_tokens": 5}])
def test_a_split_that_says_more_than_the_sum_is_believed(sum_: dict[str, int]) -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    (part,) = parts_of(**sum_, cache_creation=split)
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (10, 20)


def test_a_delta_without_the_split_keeps_it() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    first = {"cache_creation_input_tokens": 30, "cache_creation": split}
    body = sse({"usage": first}, {"usage": {"cache_creation_input_tokens": 35}})
    (part,) = read("sse", [body]).parts
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (15, 20)


def test_batch_service_is_told_by_its_tier() -> None:
    assert parts_of(input_tokens=1, service_tier="batch")[0].batch
    assert not parts_of(input_tokens=1, service_tier="priority")[0].batch


ITERATIONS = [
    {"type": "message", "model": "claude-fable-5-1", "input_tokens": 100, "output_tokens": 20,
     "cache_creation": {"ephemeral_1h_input_tokens": 9}},
    {"type": "message", "input_tokens": 120, "output_tokens": 400,
     "server_tool_use": {"web_search_requests": 3}},
]  # fmt: skip


def test_each_iteration_is_a_part_with_its_own_model() -> None:
    parts = parts_of(
        input_tokens=120,
        output_tokens=400,
        service_tier="batch",
        inference_geo="us",
        server_tool_use={"web_search_requests": 3},
        iterations=ITERATIONS,
    )
    assert parts == [
        Usage(
            "claude-fable-5-1",
            input_tokens=100,
            output_tokens=20,
            cache_write_1h_tokens=9,
            batch=True,
            geo="us",
        ),
        Usage(
            "m",
            input_tokens=120,
            output_tokens=400,
            web_search_requests=3,
            batch=True,
            geo="us",
        ),
    ]


@pytest.mark.parametrize("iterations", [None, [], {}, [None, "x", {}, {"input_tokens": "5"}]])
def test_iterations_that_say_nothing_leave_the_top_level(iterations: object) -> None:
    assert parts_of(input_tokens=120, iterations=iterations) == [Usage("m", input_tokens=120)]


def test_the_last_iterations_of_a_stream_count() -> None:
    body = sse(
        {"message": {"model": "m", "usage": {"input_tokens": 5, "iterations": ITERATIONS[:1]}}},
        {"usage": {"output_tokens": 400, "iterations": ITERATIONS}},
    )
    parts = read("sse", [body]).parts
    assert [(part.model, part.output_tokens) for part in parts] == [
        ("claude-fable-5-1", 20),
        ("m", 400),
    ]


def test_a_later_usage_without_iterations_does_not_replace_them() -> None:
    body = sse(
        {"message": {"model": "m", "usage": {"iterations": ITERATIONS}}},
        {"usage": {"output_tokens": 500}},
    )
    assert [part.output_tokens for part in read("sse", [body]).parts] == [20, 400]


# What Anthropic does not charge


def entry(kind: str, output: int, **more: object) -> dict[str, object]:
    return {"type": kind, "input_tokens": 100, "output_tokens": output, **more}


#: The reason of the end, the output, the iterations; and of each part whether it is charged.
CHARGED = {
    "a refusal without output": ("refusal", 0, [], [False]),
    "a refusal in the middle of an answer": ("refusal", 7, [], [True]),
    "an answer": ("end_turn", 7, [], [True]),
    "max_tokens 0, which warms the cache": ("max_tokens", 0, [], [True]),
    "an attempt that declined, and the one that served": (
        "end_turn", 7, [entry("message", 0), entry("fallback_message", 7)], [False, True],
    ),
    "an attempt that broke off, and the one that served": (
        "end_turn", 7, [entry("message", 3), entry("fallback_message", 7)], [True, True],
    ),
    "two attempts that declined, and the one that served": (
        "end_turn", 7,
        [entry("message", 0), entry("fallback_message", 0), entry("fallback_message", 7)],
        [False, False, True],
    ),
    "a fallback that warms the cache": (
        "max_tokens", 0, [entry("message", 0), entry("fallback_message", 0)], [False, True],
    ),
    "attempts that all declined": (
        "refusal", 0, [entry("message", 0), entry("fallback_message", 0)], [False, False],
    ),
    "a compaction before a refusal": (
        "refusal", 0, [entry("compaction", 0), entry("message", 0)], [True, False],
    ),
    "an advisor that said nothing": (
        "end_turn", 7, [entry("message", 3), entry("advisor_message", 0), entry("message", 4)],
        [True] * 3,
    ),
    "a message without output and without a fallback": (
        "end_turn", 7, [entry("message", 0), entry("message", 7)], [True, True],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHARGED)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_charged(case: str, streamed: bool) -> None:
    reason, output, iterations, charged = CHARGED[case]
    usage = {"input_tokens": 100, "output_tokens": output, "iterations": iterations}
    if streamed:
        body = sse(
            {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 100}}},
            {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage},
            {"type": "message_stop"},
        )
        parts = read("sse", [body]).parts
    else:
        message = {"model": "m", "stop_reason": reason, "usage": usage}
        parts = read("json", [json.dumps(message).encode()]).parts
    assert [part.billed for part in parts] == charged
    assert sum(part.input_tokens for part in parts) == 100 * len(charged)


def test_searches_are_charged_with_the_attempt_that_served() -> None:
    parts = parts_of(
        server_tool_use={"web_search_requests": 2},
        iterations=[entry("message", 0), entry("fallback_message", 7), entry("message", 0)],
    )
    assert [(part.billed, part.web_search_requests) for part in parts] == [
        (False, 0), (True, 2), (False, 0)
    ]  # fmt: skip


# Chat completions


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}, (30, 0, 5)),
        (
            {"prompt_tokens": 30, "completion_tokens": 5}
            | {"prompt_tokens_details": {"cached_tokens": 20}},
            (10, 20, 5),
        ),
        ({"prompt_tokens": 30, "prompt_tokens_details": {"cached_tokens": 40}}, (30, 0, 0)),
        ({"prompt_tokens": 30, "prompt_tokens_details": {"cached_tokens": "x"}}, (30, 0, 0)),
        ({"prompt_tokens": "x", "completion_tokens": 5}, (0, 0, 5)),
    ],
)
def test_the_usage_of_a_chat_is_counted(
    usage: dict[str, object], expected: tuple[int, int, int]
) -> None:
    (part,) = parts_of(**usage)
    assert (part.input_tokens, part.cache_read_tokens, part.output_tokens) == expected


def test_the_last_chunk_of_a_chat_has_its_usage() -> None:
    chunk = {"object": "chat.completion.chunk", "model": "claude-opus-5-5", "usage": None}
    body = sse(
        {**chunk, "choices": [{"delta": {"content": "x" * 400}}]},
        {**chunk, "choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 5}},
    )
    reader = read("chat", [body])
    assert not reader.finished
    reader = read("chat", [body, b"data: [DONE]\n\n"])
    assert (reader.finished, reader.is_estimate) == (True, False)
    assert reader.parts == [Usage("claude-opus-5-5", input_tokens=30, output_tokens=5)]
