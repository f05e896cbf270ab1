"""However the bytes are cut the same is read, from nonsense nothing, and in bounded memory."""

from __future__ import annotations

import json
import tracemalloc
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.core.billing import streamed_text, usage_reader
from airoxy.core.billing.streamed_text import StreamedText, _estimated_of_block, _text_bytes
from airoxy.core.billing.usage_reader import UsageReader
from tests.core.billing.usage_samples import MESSAGE, SAMPLES, read, seen, sse


@pytest.mark.parametrize("sample", SAMPLES)
def test_bytes_one_by_one_read_the_same(sample: str) -> None:
    form, body = SAMPLES[sample]
    pieces = [body[i : i + 1] for i in range(len(body))]
    assert seen(read(form, pieces)) == seen(read(form, [body]))


@pytest.mark.parametrize("sample", SAMPLES)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_any_pieces_read_the_same(sample: str, data: st.DataObject) -> None:
    form, body = SAMPLES[sample]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert seen(read(form, pieces)) == seen(read(form, [body]))


@pytest.mark.parametrize("sample", ["a stream", "a stream that failed", "a batch's results"])
@given(tail=st.binary(max_size=40), cut=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_trailing_bytes_change_nothing(sample: str, tail: bytes, cut: int) -> None:
    form, body = SAMPLES[sample]
    assert seen(read(form, [body + tail[:cut], tail[cut:]])) == seen(read(form, [body]))


@pytest.mark.parametrize("form", ["sse", "json", "jsonl", "none"])
@given(
    st.lists(st.binary(max_size=80) | st.sampled_from([b"data: ", b'{"usage":', b"\n", b"[" * 9]))
)
@settings(deadline=None)
def test_nonsense_is_no_usage_and_no_failure(form: str, pieces: list[bytes]) -> None:
    reader = read(form, pieces)
    assert reader.parts == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["usage", "message", "model", "error", "type", "id", "iterations", "input_tokens",
             "cache_creation", "server_tool_use", "service_tier", "speed", "result"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("form", ["sse", "json", "jsonl"])
@given(value=json_values)
@settings(deadline=None)
def test_json_of_any_shape_is_no_failure(form: str, value: Any) -> None:
    text = json.dumps({"usage": value, "message": value, "error": value, "type": value})
    result = json.dumps({"result": {"message": {"usage": value, "model": value}}})
    body = {"json": text, "sse": f"data: {text}\n", "jsonl": f"{text}\n{result}\n"}[form]
    reader = read(form, [body.encode()])
    for part in reader.parts:
        assert part.model is None or type(part.model) is str
        assert type(part.input_tokens) is int
        assert part.input_tokens >= 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"<html>",
        b'{"usage":{"input_tokens":5}',
        b'\xff\xfe{"usage"',
        b'{"usage":' + b"[" * 200_000,
        b'{"usage":{"input_tokens":' + b"9" * 5000 + b"}}",
        b'{"usage":' + b'{"cache_creation":' * 900 + b"1" + b"}" * 901,
    ],
)
@pytest.mark.parametrize("form", ["sse", "json", "jsonl"])
def test_a_body_that_is_not_what_it_claims_does_no_harm(form: str, body: bytes) -> None:
    reader = read(form, [b"data: " + body + b"\n" if form == "sse" else body])
    assert reader.parts == []


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_a_line_beyond_its_bound_is_skipped_to_its_end(
    size: int, over: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_reader, "MAX_EVENT", 2000)
    head, tail = b'data: {"usage":{"input_tokens":5},"text":"', b'"}'
    line = head + b"x" * (2000 + over - len(head) - len(tail)) + tail
    body = line + b"\n\n" + sse({"usage": {"output_tokens": 1}})
    reader = read("sse", [body[i : i + size] for i in range(0, len(body), size)])
    assert [(part.input_tokens, part.output_tokens) for part in reader.parts] == [
        (0 if over else 5, 1)
    ]


@pytest.mark.parametrize("form", ["sse", "json", "jsonl"])
def test_a_body_without_end_takes_bounded_memory(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("MAX_EVENT", "MAX_RESULT_LINE", "MAX_BODY"):
        monkeypatch.setattr(usage_reader, bound, 1 << 18)
    monkeypatch.setattr(streamed_text, "LONGEST", 1 << 18)
    reader, piece = UsageReader(form), b'"usage"' * 8192
    tracemalloc.start()
    try:
        for _ in range(200):
            reader.feed(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    reader.close()
    assert peak < 1 << 20
    assert reader.parts == []


@pytest.mark.parametrize("over", [0, 1])
def test_a_body_beyond_its_bound_is_not_counted(over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(MESSAGE).encode()
    monkeypatch.setattr(usage_reader, "MAX_BODY", len(body) - over)
    assert len(read("json", [body[:50], body[50:]]).parts) == 1 - over
    assert len(read("json", [body, b"\n" * over]).parts) == 1 - over


def test_a_long_event_is_not_copied_for_every_piece_of_it() -> None:
    """Steps are counted, not seconds: the bytes that are looked at again."""
    text = StreamedText()
    copied = 0
    for _ in range(800):
        text.recent.append(b"x" * 1200)
        before = len(text.recent)
        text.settle()
        if len(text.recent) < before:
            copied += len(text.recent[0])
    assert copied < 4 * 800 * 1200


def test_the_text_of_a_long_stream_is_estimated_by_its_kinds_of_events() -> None:
    events = [
        {"type": "content_block_delta", "index": n // 50, "delta": {"type": kind, name: "é" * 7}}
        for n in range(500)
        for kind, name in (("text_delta", "text"), ("thinking_delta", "thinking"))
    ]
    body = sse({"type": "message_start", "message": {"usage": {"input_tokens": 5}}}, *events)
    for size in (1, 100, 5000, len(body)):
        reader = read("sse", [body[i : i + size] for i in range(0, len(body), size)])
        (part,) = reader.parts
        assert part.output_tokens == 1000 * 14 / 4
        assert reader.is_estimate


def test_events_that_come_together_are_estimated_as_they_are_one_by_one() -> None:
    def text(n: int) -> dict[str, object]:
        delta = {"type": "text_delta", "text": "y" * (n % 40)}
        return {"type": "content_block_delta", "index": 0, "delta": delta}

    def thinking(n: int) -> dict[str, object]:
        delta = {"type": "thinking_delta", "thinking": "x" * (n % 40)}
        return {"type": "content_block_delta", "index": 0, "delta": delta}

    alike = sse(*(text(n) for n in range(1, 400)))
    mixed = sse(*(text(n) if n % 7 else thinking(n) for n in range(1, 400)))
    for block in (alike, mixed, alike + mixed, mixed + alike, sse({"type": "ping"}) + alike):
        assert _estimated_of_block(block) == sum(map(_text_bytes, block.split(b"\n\n")))
    assert _estimated_of_block(b"") == _estimated_of_block(b"\n\n") == 0


def test_who_is_told_of_events_is_let_go_at_the_end() -> None:
    class Told:
        def __call__(self, event: bytes) -> None: ...

    told = Told()
    alive, reader = weakref.ref(told), UsageReader("sse")
    reader.tell = told
    del told
    assert alive() is not None
    reader.close()
    assert alive() is None
