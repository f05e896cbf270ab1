"""Which upstream token has served a conversation, or made a message of a thread, in the last hour;
shared by all workers.

Nothing is allocated: an entry gives way to the next one with the same place. What is lost so, or
with a restart, costs a conversation its cache at most.
"""

from __future__ import annotations

from hashlib import blake2b

from airoxy.server.shared_memory import Record, Region, SharedMemory

PLACES = 32_768
#: Anthropic keeps caches and threads no longer (seconds).
LIFETIME = 3600.0

_ENTRY = Record(name=1, token_id=1, used_at=1)
REGION = Region("recent_tokens", Record(entries=PLACES * _ENTRY))


class RecentTokens:
    """Names are any bytes; times are Unix seconds."""

    def __init__(self, memory: SharedMemory) -> None:
        self._words = memory.words(REGION)

    def get(self, name: bytes, now: float) -> int | None:
        """The id of the token, if it was noted within the last hour."""
        words, number = self._words, _number(name)
        entry = number % PLACES * _ENTRY.size
        if words[entry] != number or not 0 <= now - words[entry + 2] < LIFETIME:
            return None
        return words[entry + 1]

    def note(self, name: bytes, token_id: int, now: float) -> None:
        """From now on the name is that token's."""
        words, number = self._words, _number(name)
        entry = number % PLACES * _ENTRY.size
        words[entry] = 0  # another worker must not read half of it
        words[entry + 1] = token_id
        words[entry + 2] = int(now)
        words[entry] = number


def _number(name: bytes) -> int:
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little", signed=True) or 1
