"""Anthropic's endpoint in OpenAI's form: a chat completion, and the chunks that stream it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any


def completion(message: dict[str, Any]) -> dict[str, Any]:
    """This message as OpenAI's clients expect it."""
    usage = message["usage"]
    prompt = usage["input_tokens"]
    text = "".join(block.get("text", "") for block in message["content"])
    return {
        "id": message["id"],
        "object": "chat.completion",
        "created": 1795348800,
        "model": message["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": text, "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": usage["output_tokens"],
            "total_tokens": prompt + usage["output_tokens"],
        },
    }


def events(whole: dict[str, Any], *, include_usage: bool) -> list[bytes]:
    """The server-sent events that stream this completion; only the last tells its usage."""
    chunks = [
        *_chunks(whole),
        *([{"choices": [], "usage": whole["usage"]}] if include_usage else []),
    ]
    common = {k: whole[k] for k in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    lines = [json.dumps(common | chunk) for chunk in chunks]
    return [f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"]]


def _chunks(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text = whole["choices"][0]["message"]["content"]
    for word in re.findall(r"\S+\s*|\s+", text):
        yield _chunk({"role": "assistant", "content": word})
    yield _chunk({}, "stop")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}
