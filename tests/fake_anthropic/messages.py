"""What a model would say: messages, and the events that stream them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

TEXT = "Hello! This is the fake Anthropic speaking."

USAGE: dict[str, Any] = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 12,
    "service_tier": "standard",
    "inference_geo": "global",
}


def message(
    number: int,
    model: str,
    *,
    text: str | None = TEXT,
    tool: tuple[str, dict[str, Any]] | None = None,
    usage: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An assistant's message; `usage` replaces single fields of the usual one."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    if tool:
        name, given = tool
        content.append(
            {"type": "tool_use", "id": f"toolu_{number:024d}", "name": name, "input": given}
        )
    return {
        "id": f"msg_{number:024d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": USAGE | (usage or {}),
    } | ({"container": container} if container else {})


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event, framed as Anthropic does."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {data['type']}\ndata: {text}\n\n".encode()


def events(whole: dict[str, Any]) -> list[bytes]:
    """The events that stream this message, in Anthropic's order."""
    return [event(data) for data in _events(whole)]


def _events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    opening = {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    yield {"type": "message_start", "message": whole | opening}
    for index, block in enumerate(whole["content"]):
        empty, deltas = _parts(block)
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
        "usage": {k: v for k, v in whole["usage"].items() if k in CUMULATIVE},
    }
    yield {"type": "message_stop"}


#: What a message_delta repeats, with the counts so far.
CUMULATIVE = frozenset(
    {
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "server_tool_use",
    }
)


def _parts(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block starts, and the deltas that fill it."""
    if block["type"] == "tool_use":
        given = json.dumps(block["input"])
        halves = ["", given[: len(given) // 2], given[len(given) // 2 :]]
        return {"input": {}}, [{"type": "input_json_delta", "partial_json": h} for h in halves]
    words = re.findall(r"\S+\s*|\s+", block["text"])
    return {"text": ""}, [{"type": "text_delta", "text": word} for word in words]
