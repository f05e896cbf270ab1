"""Messages without their content: what is found of the rest is what a parser finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.billing import usage_reader
from airoxy.core.billing.usage_reader import UsageReader
from airoxy.core.message import without_content
from tests.core.request.json_texts import some

USAGE = {"input_tokens": 3, "output_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 7}}
FRONT = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8"}
BACK = {"stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE}

#: Texts that look like the end of the content, or like more members.
_TEXT = st.lists(
    st.sampled_from(['"', "\\", "]", "}", ",", ':"', "a", '],"usage":{', '}],"model":"b"', "é"]),
    max_size=6,
).map("".join)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | _TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["usage", "model", "content", "type"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_NAME = st.sampled_from(["model", "usage", "type", "id", "stop_sequence", "error", "container"])
_MEMBERS = st.dictionaries(_NAME, _VALUE, max_size=4)


def compact(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_rest_of_a_message_is_found() -> None:
    message = FRONT | {"content": [{"type": "text", "text": 'say "hi", [x]'}]} | BACK
    rest = without_content(compact(message))
    assert rest is not None
    assert json.loads(rest) == FRONT | BACK


@some
@given(front=_MEMBERS, content=st.lists(_VALUE, max_size=3), back=_MEMBERS)
def test_what_is_found_is_the_messages_own(
    front: dict[str, Any], content: list[Any], back: dict[str, Any]
) -> None:
    message = front | {"content": content} | {k: v for k, v in back.items() if k not in front}
    rest = without_content(compact(message))
    try:
        found = json.loads(rest or b"")
    except ValueError:
        return  # left to the parser
    assert found == {name: message[name] for name in found}


@pytest.mark.parametrize(
    "back",
    [
        BACK,
        BACK | {"stop_sequence": "],"},
        BACK | {"usage": USAGE | {"iterations": [USAGE, USAGE]}},
        BACK | {"container": [], "more": {"usage": {"input_tokens": 999}}},
        {"stop_reason": "end_turn"},
        {},
    ],
)
def test_a_long_message_counts_as_a_short_one_does(
    back: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = compact(FRONT | {"content": [{"type": "text", "text": "x" * 5000}]} | back)
    told = []
    for limit in (4096, 1 << 30):
        monkeypatch.setattr(usage_reader, "_LONG", limit)
        reader = UsageReader("json")
        reader.feed(body)
        reader.close()
        told.append((reader.model, reader.parts))
    assert told[0] == told[1]
    assert bool(told[0][1]) == ("usage" in back)
