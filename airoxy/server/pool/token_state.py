"""When each upstream token was last used and for what it is cooling down, shared by all workers.

Invariant: the pool chooses by this memory; the database only outlives it. A token's slot follows
from its id, so that no worker waits for another to allocate one.
"""

from __future__ import annotations

import contextlib
from hashlib import blake2b

from airoxy.core.pool import EVERY_CLASS, Token
from airoxy.server.shared_memory import Record, Region, SharedMemory

SLOTS = 4096
#: Model classes for which a token can cool down at once; the cooldown that ends first gives way.
_COOLDOWNS = 10

# Times are Unix nanoseconds.
_ENTRY = Record(model_class=1, until=1, set_at=1)
_SLOT = Record(token_id=1, last_used=1, cooldowns=_COOLDOWNS * _ENTRY)
_STATE = Record(latest_use=1, latest_cooldown=1, slots=SLOTS * _SLOT)
REGION = Region("token_state", _STATE, locks={"choice": 1})

_LATEST_USE, _LATEST_COOLDOWN = _STATE.at["latest_use"], _STATE.at["latest_cooldown"]
_FIRST_SLOT = _STATE.at["slots"]
_LAST_USED, _ENTRIES = _SLOT.at["last_used"], _SLOT.at["cooldowns"]
_UNTIL, _SET_AT = _ENTRY.at["until"], _ENTRY.at["set_at"]
_EMPTY = memoryview(bytes(_SLOT.size * 8)).cast("q")


class TokenState:
    """`shared` says that other workers choose from `memory` too."""

    def __init__(self, memory: SharedMemory, *, shared: bool = False) -> None:
        self._words = memory.words(REGION)
        self._lock = memory.lock(REGION, "choice")
        self._choice = self._lock if shared else contextlib.nullcontext()

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Choosing a token and marking it used is one step for all workers (microseconds)."""
        return self._choice

    def last_used(self, token: Token) -> int:
        """Unix nanoseconds, 0 for never."""
        base = _base(token.id)
        return self._words[base + _LAST_USED] if self._words[base] == token.id else 0

    def mark_used(self, token_id: int, now_ns: int) -> int:
        """Remember the use; the answer is later than every earlier one, whatever the clock does: a
        token that was used before it was set back would be passed over until it is that late again.
        """
        words = self._words
        used = words[_LATEST_USE] = max(now_ns, words[_LATEST_USE] + 1)
        words[self._slot(token_id) + _LAST_USED] = used
        return used

    def recall(self, token_id: int, used_ns: int) -> None:
        """What the database remembers of the last use; this memory may know better."""
        with self._lock:
            last_used = self._slot(token_id) + _LAST_USED
            self._words[last_used] = max(used_ns, self._words[last_used])
            self._words[_LATEST_USE] = max(used_ns, self._words[_LATEST_USE])

    def any_cools(self, now: float) -> bool:
        """Whether a look at the cooldowns is worth it: nearly always, there is none."""
        return self._words[_LATEST_COOLDOWN] > now * 1e9

    def cooling_until(self, token: Token, model_class: str) -> float:
        """When the token is ready for `model_class`, in Unix seconds; 0 if it is."""
        words, base = self._words, _base(token.id)
        if words[base] != token.id or not words[base + _ENTRIES]:
            return 0.0  # it has never cooled down
        until = 0
        asked = _code(model_class)
        for entry in _entries(base):
            code = words[entry]
            if not code:
                break
            if code in (asked, _EVERY) and words[entry + _SET_AT] > token.reset_at:
                until = max(until, words[entry + _UNTIL])
        return until / 1e9

    def cool(self, token_id: int, model_class: str, until: float, set_at_ns: int) -> None:
        """The token cools down for `model_class` until the Unix second `until`."""
        code, until_ns = _code(model_class), int(until * 1e9)
        # Another worker may look for a place at the same moment.
        with self._lock:
            words, entries = self._words, _entries(self._slot(token_id))
            entry = next(
                (each for each in entries if words[each] in (0, code)),
                min(entries, key=lambda each: words[each + _UNTIL]),
            )
            words[_LATEST_COOLDOWN] = max(until_ns, words[_LATEST_COOLDOWN])
            words[entry + _UNTIL] = until_ns
            words[entry + _SET_AT] = set_at_ns
            words[entry] = code  # last: from now on it is read

    def _slot(self, token_id: int) -> int:
        """The first word of the token's slot, emptied if it was another token's."""
        base = _base(token_id)
        if self._words[base] != token_id:
            self._words[base : base + _SLOT.size] = _EMPTY
            self._words[base] = token_id
        return base


def _base(token_id: int) -> int:
    return _FIRST_SLOT + token_id % SLOTS * _SLOT.size


def _entries(base: int) -> range:
    return range(base + _ENTRIES, base + _SLOT.size, _ENTRY.size)


def _code(model_class: str) -> int:
    """A number for a name; 0 is none."""
    code = _codes.get(model_class)
    if code is None:
        if len(_codes) >= 1000:  # model names come from clients: keep the table bounded
            _codes.clear()
        digest = blake2b(model_class.encode(), digest_size=8).digest()
        code = _codes[model_class] = int.from_bytes(digest, "little", signed=True) or 1
    return code


_codes: dict[str, int] = {}
_EVERY = _code(EVERY_CLASS)
