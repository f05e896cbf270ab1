"""How often each upstream token was refused in a row in words that say nothing of it, shared by all
workers."""

from __future__ import annotations

from airoxy.server.shared_memory import Record, Region, SharedMemory

SLOTS = 4096

_SLOT = Record(token_id=1, refusals=1)
REGION = Region("refusals", Record(slots=SLOTS * _SLOT))


class Refusals:
    """Two workers that count at the same moment may count one refusal too few."""

    def __init__(self, memory: SharedMemory) -> None:
        self._words = memory.words(REGION)

    def count(self, token_id: int) -> int:
        """One more; how many there are in a row."""
        words, base = self._words, token_id % SLOTS * _SLOT.size
        if words[base] != token_id:
            words[base], words[base + 1] = token_id, 0
        words[base + 1] += 1
        return words[base + 1]

    def clear(self, token_id: int) -> None:
        """The token has served a request, or was reset."""
        words, base = self._words, token_id % SLOTS * _SLOT.size
        if words[base + 1] and words[base] == token_id:
            words[base + 1] = 0
