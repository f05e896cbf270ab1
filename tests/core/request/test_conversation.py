"""What a body tells of its conversation, at a glance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airoxy.core.request.conversation import (
    WINDOW,
    Thread,
    conversation_of,
    has_history,
    message_id_in,
    opening_of,
    session_in,
    tells_nothing,
    thread_in,
    uses_cache,
)

CACHED = {"cache_control": {"type": "ephemeral"}}
SESSION = {"user_id": json.dumps({"device_id": "d", "session_id": "11111111-2222"})}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def body(*messages: Any, indent: int | None = None, **members: Any) -> bytes:
    document = {"model": "claude-opus-5-5", **members}
    document["messages"] = [
        {"role": "assistant" if n % 2 else "user", "content": said}
        for n, said in enumerate(messages)
    ]
    return json.dumps(document, indent=indent).encode()


def hashed(sent: bytes) -> bytes | None:
    return conversation_of(sent, 1, "claude-opus-5-5")


LONG = "A long document. " * 5000


@pytest.mark.parametrize(
    "opening", ["Hello", 'Grüße "mit" \\ Zeichen\n', LONG], ids=["short", "odd", "long"]
)
@pytest.mark.parametrize("indent", [None, 2])
def test_all_turns_of_a_conversation_have_one_hash(opening, indent):
    first = body([text(opening, **CACHED)], indent=indent)
    second = body([text(opening)], "Well.", [text("And?", **CACHED)], indent=indent)
    later = body(
        [text(opening)], "Well.", "And?", "So.", [text("x" * 9000, **CACHED)], indent=indent
    )
    assert hashed(first) is not None
    assert hashed(first) == hashed(second) == hashed(later)


def _tools(size: int, **last: Any) -> list[dict[str, Any]]:
    tools = [{"name": f"tool_{n}", "description": "z" * 1000} for n in range(size // 1000)]
    return [*tools, {"name": "last", **last}]


_BOOK = [text("Answer from the book."), text("b" * 700_000, **CACHED)]
_TURNS = [{"role": role, "content": "x" * 9_000} for role in ("user", "assistant") * 5]


@pytest.mark.parametrize(
    "document",
    [
        # Anthropic's Python SDK, and what is built on it, sends the members in this order.
        {"messages": _TURNS, "system": [text("s" * 5_000, **CACHED)], "tools": _tools(40_000)},
        {"messages": _TURNS, "system": "s" * 9_000, "tools": _tools(40_000, **CACHED)},
        {"messages": _TURNS, **CACHED, "system": "s" * 9_000, "tools": _tools(40_000)},
        # Its TypeScript SDK sends them as the program has them.
        {"system": [text("s" * 20_000, **CACHED)], "messages": _TURNS, "tools": _tools(20_000)},
        {"tools": _tools(50_000, **CACHED), "system": "s" * 9_000, "messages": _TURNS},
        {"system": _BOOK, "messages": _TURNS},
        {"system": _BOOK, "messages": _TURNS, "tools": _tools(100_000)},
        {"tools": _tools(100_000), "system": [text("s", **CACHED)], "messages": _TURNS},
    ],
)
def test_a_cache_is_found_wherever_clients_put_it(document):
    sent = json.dumps({"model": "claude-opus-5-5", "max_tokens": 1} | document)
    assert hashed(sent.encode()) == hashed(body("x" * 9_000, **CACHED))
    assert hashed(sent.replace("cache_control", "cash_control").encode()) is None


@pytest.mark.parametrize("size", [0, 5_000, 9_000, 60_000, 100_000, 127_000, 150_000])
@pytest.mark.parametrize("letters", ["x", "x_", "x" * 300 + "_", "x" * 3000 + "_"])
def test_a_cache_is_found_in_the_prompt_and_at_the_end_whatever_stands_around_it(size, letters):
    filled = (letters * (size // len(letters) + 1))[:size]
    for before in (0, size // 3, size // 2, size - 9_000, size):
        at = min(max(0, before), 60_000)
        front, back = filled[:at], filled[at:]
        for system, content in (([text(front, **CACHED)], back), (filled, [text("", **CACHED)])):
            sent = json.dumps({"system": system, "messages": [{"content": content}]}).encode()
            assert uses_cache(sent)
            assert not uses_cache(sent.replace(b"cache_control", b"cache-control"))
            assert not uses_cache(sent.replace(b"cache_control", b"cache_controls"))


@pytest.mark.parametrize("sent", [b"_", b'cache_control"', b'"cache_contro', b'_"cache_'])
def test_a_part_of_the_word_is_no_cache(sent):
    assert not uses_cache(sent)
    assert not uses_cache(sent + b"x" * 100_000)
    assert not uses_cache(b"x" * 100_000 + sent)


def test_a_string_and_a_block_of_the_same_words_are_one_opening():
    assert hashed(body("Hello", system=[text("s", **CACHED)])) == hashed(
        body([text("Hello", **CACHED)])
    )


def test_the_hash_is_of_key_model_class_and_first_message():
    sent = body([text("Hello", **CACHED)])
    others = [
        conversation_of(sent, 2, "claude-opus-5-5"),
        conversation_of(sent, 1, "claude-haiku-5-5"),
        hashed(body([text("Hello!", **CACHED)])),
        hashed(body([text("Hello"), text("you", **CACHED)])),
    ]
    assert len({hashed(sent), *others}) == 5


@pytest.mark.parametrize(
    "sent",
    [
        body([text("Hello")]),
        body('I wrote "cache_control" in my code.'),
        body([{"type": "image", **CACHED}]),
        json.dumps({"messages": [], **CACHED}).encode(),
        b"",
        b"{",
        b'"cache_control""messages":[{',
        b"\xff" * 5000,
    ],
)
def test_without_a_cache_or_a_first_text_there_is_no_conversation(sent):
    assert hashed(sent) is None


def test_what_stands_before_the_messages_is_not_taken_for_them():
    system = [text('They say "messages": [{"role": "user", "content": "x"}]', **CACHED)]
    assert hashed(body("Hello", system=system)) == hashed(body("Hello", **CACHED))


def test_claude_codes_session_is_found_at_either_end_of_a_large_body():
    filling = ["y" * WINDOW, "z" * 2 * WINDOW]
    assert session_in(body(*filling, metadata=SESSION)) == b"11111111-2222"
    behind = body(*filling)[:-1] + b', "metadata": ' + json.dumps(SESSION).encode() + b"}"
    assert session_in(behind) == b"11111111-2222"


@pytest.mark.parametrize(
    "user", ["user-7", "", "session_id", json.dumps({"session": "1"}), '{"session_id": 5}']
)
def test_any_other_user_is_no_session(user):
    assert session_in(body("Hello", metadata={"user_id": user})) is None
    assert session_in(body(json.dumps({"metadata": SESSION}))) is None


def test_a_body_with_an_answer_has_a_history():
    assert has_history(body("Hello", "Well.", "And?"))
    assert has_history(body("Hello" * WINDOW, "Well.", "And?" * WINDOW))
    assert not has_history(body("Hello"))
    assert not has_history(body('"role": "assistant",'))


@pytest.mark.parametrize(
    ("members", "thread"),
    [
        ({"thread": {"type": "create"}}, Thread(None)),
        (
            {"thread": {"type": "continue", "previous_message_id": "msg_1"}},
            Thread(b"msg_1"),
        ),
        ({"diagnostics": {"previous_message_id": "msg_1"}}, Thread(b"msg_1")),
        ({"diagnostics": {}}, None),
        ({"system": 'Say "thread": {"type": "create"}'}, None),
        ({}, None),
    ],
)
def test_a_thread_is_found(members, thread):
    for indent in (None, 2):
        assert thread_in(body("Hello", indent=indent, **members)) == thread


def test_a_thread_is_found_before_many_tools():
    sent = {"messages": _TURNS, "thread": {"type": "create"}, "tools": _tools(40_000)}
    assert thread_in(json.dumps(sent).encode()) == Thread(None)


def test_the_id_of_a_message_is_found_in_an_answer_of_either_kind():
    assert message_id_in(b'{"id":"msg_01abc","type":"message"') == b"msg_01abc"
    event = b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01abc",'
    assert message_id_in(event) == b"msg_01abc"
    assert message_id_in(b'{"id":"msgbatch_1"') is None


def test_a_body_of_brackets_costs_no_recursion():
    assert opening_of(b'{"messages":[{"content":' + b"[" * 100_000, 1, "") is None


@pytest.mark.parametrize("opening", ["Hello", "A short document. " * 100, LONG])
@pytest.mark.parametrize("cache", [{}, CACHED])
@pytest.mark.parametrize("metadata", [{}, SESSION, {"user_id": "a person"}])
def test_a_body_that_tells_nothing_has_neither_session_nor_cache(opening, cache, metadata):
    sent = body([text(opening, **cache)], metadata=metadata)
    found = session_in(sent) or hashed(sent)
    if tells_nothing(sent):
        assert found is None
    assert tells_nothing(sent) == (not cache and not metadata and opening is not LONG)
