"""What an answer says it used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airoxy.core.billing.usage import Usage
from airoxy.core.billing.usage_reader import UsageReader
from tests.core.billing.usage_samples import (
    BROKEN,
    ERROR,
    FAILED,
    MESSAGE,
    RESULTS,
    RESULTS_CUT,
    STREAM,
    STREAMED,
    read,
)


def test_a_stream_is_read() -> None:
    reader = read("sse", [STREAM])
    assert reader.parts == [STREAMED]
    assert reader.model == "claude-opus-5-5-20260901"
    assert reader.finished
    assert reader.error_message is None


def test_what_is_known_so_far_can_be_asked_at_any_time() -> None:
    reader = UsageReader("sse")
    assert (reader.parts, reader.model, reader.finished) == ([], None, False)
    reader.feed(STREAM[: STREAM.index(b"event: ping")])
    (part,) = reader.parts
    assert (part.input_tokens, part.output_tokens) == (25, 1)
    assert reader.model == "claude-opus-5-5-20260901"


def test_a_stream_that_breaks_is_counted_and_not_finished() -> None:
    reader = read("sse", [BROKEN])
    assert [(part.input_tokens, part.output_tokens) for part in reader.parts] == [(25, 14)]
    assert not reader.finished
    assert reader.error_message is None


def test_a_last_line_without_its_end_is_read() -> None:
    assert read("sse", [STREAM.rstrip(b"\n")]).finished
    assert read("jsonl", [RESULTS_CUT]).parts[0].requests == 2


def test_only_a_line_feed_ends_a_line() -> None:
    reader = read("sse", [b'data: {"usage":\r{"input_tokens":\r5}}\r\n'])
    assert [part.input_tokens for part in reader.parts] == [5]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_other_ends_of_lines_may_come_before_one_of_line_feeds(end: str) -> None:
    usage = '{"type":"message_delta","usage":{"output_tokens":9}}'
    piece = f"event: message_delta{end}data: {usage}{end}{end}data: {{}}\n\n".encode()
    assert [part.output_tokens for part in read("sse", [piece]).parts] == [9]
    text = '{"type":"content_block_delta","delta":{"type":"text_delta","text":"12345678"}}'
    piece = f"event: content_block_delta{end}data: {text}{end}{end}data: {{}}\n\n".encode()
    assert [part.output_tokens for part in read("sse", [piece, piece]).parts] == [4]


@pytest.mark.parametrize("blanks", ["", "     "])
@pytest.mark.parametrize("after", ["", "x"])
def test_a_stream_ends_with_message_stop_and_not_with_its_like(blanks: str, after: str) -> None:
    stop = f'event: message_stop\ndata: {{"type":"message_stop"{blanks}}}{after}\n\n'
    assert read("sse", [stop.encode()]).finished == (not after)


def test_an_error_event_finishes_a_stream() -> None:
    reader = read("sse", [FAILED])
    assert reader.error_message == "Overloaded"
    assert reader.finished
    assert reader.parts[0].input_tokens == 25


def test_a_message_is_read() -> None:
    reader = read("json", [json.dumps(MESSAGE).encode()])
    assert reader.parts == [
        Usage("claude-sonnet-5-5", input_tokens=3, output_tokens=4, cache_write_5m_tokens=5)
    ]
    assert (reader.model, reader.finished, reader.error_message) == (
        "claude-sonnet-5-5",
        True,
        None,
    )


def test_an_error_body_is_read() -> None:
    reader = read("json", [ERROR])
    assert reader.error_message == "model: nope"
    assert (reader.parts, reader.model, reader.finished) == ([], None, True)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "Overloaded", "type": "x"}, "Overloaded"),
        ({"type": "overloaded_error"}, "overloaded_error"),
        ({"message": None, "type": "overloaded_error"}, "overloaded_error"),
        ("Bad gateway", "Bad gateway"),
        ({"message": 5}, None),
        ({"message": "x" * 5000}, "x" * 1000),
        ({"message": "half \ud83d"}, "half ?"),
        ([], None),
    ],
)
def test_an_error_message_is_a_bounded_text_that_a_database_takes(error: Any, text: Any) -> None:
    assert read("json", [json.dumps({"error": error}).encode()]).error_message == text


def test_the_results_of_a_batch_are_added_up_by_model_at_batch_price() -> None:
    reader = read("jsonl", [RESULTS])
    assert reader.parts == [
        Usage(
            "claude-sonnet-5-5",
            input_tokens=6,
            output_tokens=8,
            cache_write_5m_tokens=10,
            batch=True,
            requests=2,
        ),
        Usage(
            "claude-haiku-4-5",
            input_tokens=3,
            output_tokens=4,
            cache_write_5m_tokens=5,
            batch=True,
        ),
    ]
    assert reader.model == "claude-sonnet-5-5"
    assert reader.finished
    assert reader.error_message is None


def test_results_are_kept_apart_where_a_price_tier_could_lie_between_them() -> None:
    prompts = [99_001, 100_000, 100_001, 101_000, 101_001]
    lines = [
        {"result": {"message": {"model": "m", "usage": {"input_tokens": prompt}}}}
        for prompt in prompts
    ]
    reader = read("jsonl", [json.dumps(line).encode() + b"\n" for line in lines])
    assert [part.input_tokens for part in reader.parts] == [199_001, 201_001, 101_001]


def test_a_large_batch_takes_little_memory() -> None:
    answer = {"model": "claude-haiku-5-5", "usage": {"input_tokens": 1, "output_tokens": 1}}
    line = json.dumps({"result": {"message": answer}}).encode() + b"\n"
    reader = read("jsonl", [line * 100] * 100)
    (part,) = reader.parts
    assert (part.input_tokens, part.requests) == (10_000, 10_000)


def test_the_id_of_a_created_batch_or_file_is_told() -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
    file = {"id": "file_1", "type": "file", "filename": "usage"}
    page = {"data": [file], "first_id": "file_1"}
    ids = [read("json", [json.dumps(doc).encode()]).resource_id for doc in (batch, file, page)]
    assert ids == ["msgbatch_1", "file_1", None]


@pytest.mark.parametrize(
    ("before", "after", "is_json"),
    [
        (b" \t\r\n", b" \t\r\n", True),
        (b"", b"\n{}", False),
        (b"", b" 1", False),
        (b"\x0b", b"", False),
        (b"", b"\xc2\xa0", False),
        (b"\xef\xbb\xbf", b"", False),
    ],
)
def test_a_body_is_json_from_end_to_end(before: bytes, after: bytes, is_json: bool) -> None:
    reader = read("json", [before + b'{"usage":{"input_tokens":5}}' + after])
    assert bool(reader.parts) == is_json


def test_counted_tokens_are_no_usage() -> None:
    assert read("json", [b'{"input_tokens":2095}']).parts == []
