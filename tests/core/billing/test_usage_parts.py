"""What the fields of a usage mean: cache writes, batches, iterations with other models."""

from __future__ import annotations

import pytest

from airoxy.core.billing.usage import Usage
from tests.core.billing.usage_samples import parts_of, read, sse


@pytest.mark.parametrize("odd", ["7", 7.0, -7, True, [7], {"n": 7}, None, 10**12])
def test_a_count_of_the_wrong_type_keeps_the_earlier_one(odd: object) -> None:
    body = sse({"usage": {"input_tokens": 5}}, {"usage": {"input_tokens": odd}})
    assert [part.input_tokens for part in read("sse", [body]).parts] == [5]
    assert parts_of(input_tokens=odd) == []
    assert parts_of(cache_creation=odd, server_tool_use=odd, iterations=odd) == []


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


def test_a_top_level_newer_than_the_iterations_describes_the_last_of_them() -> None:
    body = sse(
        {"message": {"model": "m", "usage": {"iterations": ITERATIONS}}},
        {"usage": {"output_tokens": 500}},
    )
    assert [part.output_tokens for part in read("sse", [body]).parts] == [20, 500]
