"""Plain usage: where it is read at once it is what the rules make of it, to the last field."""

from __future__ import annotations

import json
import random

import pytest

from airoxy.core.billing.message_usage import MAX_COUNT, MessageUsage
from airoxy.core.billing.plain_usage import plain_usage
from airoxy.core.billing.usage import Usage
from airoxy.core.billing.usage_reader import UsageReader

#: As Anthropic answers.
PLAIN = {
    "model": "claude-sonnet-4-5-20250929",
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 21,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 4000,
        "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 7,
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
        "inference_geo": "us",
    },
}
_ODD = (
    None,
    True,
    -1,
    1.5,
    10.0,
    1e300,
    "7",
    [],
    {},
    MAX_COUNT,
    MAX_COUNT + 1,
    "é",
    "x" * 300,
    {"id": "c"},
)


def _by_the_rules(message) -> list[Usage]:
    reader = MessageUsage()
    reader.read(message)
    return reader.parts()


def test_an_answer_of_anthropics_is_plain():
    usage = plain_usage(PLAIN)
    assert [usage] == _by_the_rules(PLAIN)
    assert usage == Usage(PLAIN["model"], 21, 7, 70, 30, 4000, 2, geo="us")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "completion"},
        {"model": None},
        {"model": ""},
        {"stop_reason": "refusal"},
        {"error": {"message": "No."}},
        {"container": {"id": "container_01"}},
        {"usage": None},
        {"usage": {}},
        {"usage": {"output_tokens": -1}},
        {"usage": {"output_tokens": 1, "input_tokens": True}},
        {"usage": {"output_tokens": 1, "input_tokens": MAX_COUNT + 1}},
        {"usage": {"output_tokens": 1, "iterations": [{"type": "message", "output_tokens": 1}]}},
        {"usage": {"output_tokens": 1, "prompt_tokens": 1}},
    ],
)
def test_what_needs_the_rules_is_left_to_them(change):
    assert plain_usage(PLAIN | change) is None


def test_whatever_stands_in_a_message_it_is_what_the_rules_make_of_it():
    chance, plain = random.Random(11), 0
    for _ in range(20_000):
        message = {**PLAIN, "usage": {**PLAIN["usage"]}}
        groups = ("cache_creation", "server_tool_use")
        message["usage"] |= {name: {**PLAIN["usage"][name]} for name in groups}
        places = [message, message["usage"], *(message["usage"][name] for name in groups)]
        for _ in range(chance.randrange(4)):
            place = chance.choice(places)
            name = chance.choice([*place, "speed", "container", "error", "iterations"])
            if chance.random() < 0.4:
                place.pop(name, None)
            else:
                place[name] = chance.choice(_ODD)
        usage = plain_usage(message)
        if usage is not None:
            plain += 1
            assert [usage] == _by_the_rules(message), message
    assert plain > 5000


#: The same as a stream.
_START = {"type": "message_start", "message": {**PLAIN, "stop_reason": None}}
_DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 90, "input_tokens": 21},
}
_STOP = {"type": "message_stop"}


def _bytes_of(*events) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


def _known(reader):
    """All that is known of an answer; asking for it is what reads every event by the rules."""
    usage = reader.model, reader.parts, reader.is_estimate, reader.container_id
    return *usage, reader.error_message, reader.finished, reader.is_whole


@pytest.mark.parametrize("ends_at_once", [False, True])
def test_a_stream_of_anthropics_is_plain(ends_at_once):
    reader = UsageReader("sse")
    reader.feed(_bytes_of(_START))
    if ends_at_once:
        reader.feed(_bytes_of(_DELTA, _STOP))
    else:
        reader.feed(_bytes_of(_DELTA))
        reader.feed(_bytes_of(_STOP))
    assert reader.is_whole
    assert reader.close_plain() == Usage(PLAIN["model"], 21, 90, 70, 30, 4000, 2, geo="us")


@pytest.mark.parametrize(
    "events",
    [
        [_START, _DELTA],
        [_START, _STOP],
        [_DELTA, _STOP],
        [_START, _START, _DELTA, _STOP],
        [_START, _DELTA, _DELTA, _STOP],
        [_START, _DELTA, _STOP, {"type": "error", "error": {"message": "No."}}],
        [_START, {"type": "error", "error": {"message": "No."}}, _DELTA, _STOP],
        [_START, {**_DELTA, "delta": {"stop_reason": None}}, _STOP],
        [_START, {**_DELTA, "delta": {"stop_reason": "refusal"}}, _STOP],
        [_START, {**_DELTA, "delta": {"stop_reason": "x", "container": {"id": "c"}}}, _STOP],
        [_START, {**_DELTA, "usage": {"cache_creation": {"ephemeral_5m_input_tokens": 1}}}, _STOP],
        [_START, {**_DELTA, "usage": {"inference_geo": None}}, _STOP],
    ],
)
def test_a_stream_that_needs_the_rules_is_left_to_them(events):
    reader = UsageReader("sse")
    for event in events:
        reader.feed(_bytes_of(event))
    assert reader.close_plain() is None


def test_a_stream_with_half_an_event_behind_its_end_is_left_to_the_rules():
    reader = UsageReader("sse")
    reader.feed(_bytes_of(_START, _DELTA))
    reader.feed(_bytes_of(_STOP))
    reader.feed(_bytes_of({"type": "error", "error": {"message": "No."}})[:-2])
    assert reader.close_plain() is None
    reader.close()
    assert reader.error_message == "No."


def test_whatever_stands_in_a_stream_it_is_what_the_rules_make_of_it():
    chance, plain = random.Random(12), 0
    for _ in range(4_000):
        events = json.loads(json.dumps([_START, _DELTA, _STOP]))
        message, usage = events[0]["message"], events[0]["message"]["usage"]
        groups = usage["cache_creation"], usage["server_tool_use"]
        last, delta = events[1]["usage"], events[1]["delta"]
        places = [events[0], message, usage, *groups, events[1], last, delta]
        names = sorted({name for place in places for name in place} - {"type", "message", "delta"})
        for _ in range(chance.randrange(4)):
            place = chance.choice(places)
            name = chance.choice([*names, "speed", "container", "error", "iterations"])
            if chance.random() < 0.4:
                place.pop(name, None)
            else:
                place[name] = chance.choice(_ODD)
        if chance.random() < 0.1:
            chance.shuffle(events)
        quiet, asked = UsageReader("sse"), UsageReader("sse")
        for event in events:
            asked.feed(_bytes_of(event))
            _known(asked)
        if chance.random() < 0.3:
            quiet.feed(_bytes_of(*events))
        else:
            for event in events:
                quiet.feed(_bytes_of(event))
        assert (quiet.finished, quiet.is_whole) == (asked.finished, asked.is_whole), events
        usage = quiet.close_plain()
        asked.close()
        if usage is None:
            quiet.close()
            assert _known(quiet) == _known(asked), events
        else:
            plain += 1
            told = usage.model, [usage], False, None, None, True, True
            assert _known(asked) == told, events
    assert plain > 800
