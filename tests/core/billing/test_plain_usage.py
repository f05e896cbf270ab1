"""Plain usage: where it is read at once it is what the rules make of it, to the last field."""

from __future__ import annotations

import random

import pytest

from airoxy.core.billing.message_usage import MAX_COUNT, MessageUsage
from airoxy.core.billing.plain_usage import plain_usage
from airoxy.core.billing.usage import Usage

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
