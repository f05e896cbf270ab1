"""What an account remembers of conversations: the prompt cache, and message threads.

Invariant: what one account has read or begun, no other account knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fake_anthropic.resources import Refused

#: So many blocks before a breakpoint are tried, as Anthropic does.
_LOOK_BACK = 20
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class Block:
    """A piece of a prompt; `ttl` is for how long what ends with it is to be cached ("5m", "1h")."""

    text: str
    ttl: str

    @property
    def tokens(self) -> int:
        return len(self.text) // _BYTES_PER_TOKEN + 1


class Conversations:
    """Of all accounts; `account` tells them apart."""

    def __init__(self) -> None:
        self._cached: set[tuple[str, str, tuple[str, ...]]] = set()
        self._threads: dict[tuple[str, str], dict[str, Any]] = {}

    def asked(self, account: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The request with all that its thread has said before. Raises Refused."""
        previous = (asked.get("diagnostics") or {}).get("previous_message_id")
        thread = asked.get("thread") or {}
        if thread.get("type") == "continue":
            previous = thread["previous_message_id"]
            for field in ("system", "tools"):
                if field in asked:
                    raise Refused(400, f"{field}: may not be given with thread.type continue")
        if previous is None:
            return asked
        before = self._threads.get((account, previous))
        if before is None:
            details = {"error_code": "thread_not_found"}
            raise Refused(404, f"Message {previous} not found.", details)
        if thread.get("type") != "continue":
            return asked
        return {**before, **asked, "messages": before["messages"] + asked["messages"]}

    def answered(self, account: str, asked: dict[str, Any], message: dict[str, Any]) -> None:
        """Remember a whole request with its answer."""
        said = {"role": "assistant", "content": message["content"]}
        whole = {**asked, "messages": [*asked["messages"], said]}
        self._threads[account, message["id"]] = whole

    def usage(self, account: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What of the prompt is read from the cache, written to it, and neither."""
        blocks = list(_blocks(asked))
        texts = tuple(block.text for block in blocks)
        ends = [at for at, block in enumerate(blocks, 1) if block.ttl]
        last = ends[-1] if ends else 0
        model = asked["model"]
        tried = (at for end in reversed(ends) for at in range(end, max(0, end - _LOOK_BACK), -1))
        read = next((at for at in tried if (account, model, texts[:at]) in self._cached), 0)
        self._cached |= {(account, model, texts[:at]) for at in ends}
        written = {"5m": 0, "1h": 0}
        for at in range(read, last):
            ttl = next(block.ttl for block in blocks[at:] if block.ttl)
            written[ttl] += blocks[at].tokens
        return {
            "input_tokens": sum(block.tokens for block in blocks[max(last, read) :]),
            "cache_read_input_tokens": sum(block.tokens for block in blocks[:read]),
            "cache_creation_input_tokens": sum(written.values()),
            "cache_creation": {
                f"ephemeral_{ttl}_input_tokens": count for ttl, count in written.items()
            },
        }


def _blocks(asked: dict[str, Any]) -> Iterator[Block]:
    """In the order in which they are cached; a breakpoint of the whole request is its last one."""
    parts = [
        *asked.get("tools", []),
        *_parts("system", asked.get("system") or []),
        *(part for each in asked["messages"] for part in _parts(each["role"], each["content"])),
    ]
    for left, part in zip(reversed(range(len(parts))), parts, strict=True):
        control = part.get("cache_control") or (asked.get("cache_control") if left == 0 else None)
        text = json.dumps({k: v for k, v in part.items() if k != "cache_control"}, sort_keys=True)
        yield Block(text, control.get("ttl", "5m") if control else "")


def _parts(whose: str, content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks of a content, however it is spelled, and whose they are."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [{"role": whose, **block} for block in blocks]
