"""When each upstream token was last used, for what it is cooling down, and whether it has just been
deactivated, shared by all workers.

Invariant: the pool chooses by this memory; the database only outlives it. A token's slot follows
from its id, so that no worker waits for another to allocate one.
"""

from __future__ import annotations

import contextlib
import threading
from array import array
from collections.abc import Collection, Mapping
from functools import lru_cache
from hashlib import blake2b

from airoxy.core.pool import EVERY_CLASS, EVERY_GROUP, Scope, Token
from airoxy.core.quota import families
from airoxy.server.shared_memory import Record, Region, SharedMemory
from airoxy.store.tokens import StoredCooldown

SLOTS = 4096
#: Scopes (endpoint group and model class) for which a token can cool down at once; the cooldown
#: that ends first gives way.
_COOLDOWNS = 16
#: Families of models for which a token can be spared at once.
_SPARED = 4
#: How long a deactivation holds before it is written to the database, and after that (nanoseconds):
#: by then every worker has read it.
_UNWRITTEN, _WRITTEN = 86_400 * 10**9, 10**9

# Times are Unix nanoseconds.
_ENTRY = Record(scope=1, until=1, set_at=1)
_SPARING = Record(family=1, until=1)
_SLOT = Record(
    token_id=1,
    last_used=1,
    inactive_secret=1,
    inactive_since=1,
    inactive_until=1,
    spared=_SPARED * _SPARING,
    cooldowns=_COOLDOWNS * _ENTRY,
)
_STATE = Record(
    latest_use=1, latest_cooldown=1, latest_inactive=1, latest_spare=1, slots=SLOTS * _SLOT
)
REGION = Region("token_state", _STATE, locks={"choice": 1})

_LATEST_USE, _LATEST_COOLDOWN = _STATE.at["latest_use"], _STATE.at["latest_cooldown"]
_LATEST_INACTIVE = _STATE.at["latest_inactive"]
_LATEST_SPARE, _SPARINGS = _STATE.at["latest_spare"], _SLOT.at["spared"]
_FIRST_SLOT, _SIZE = _STATE.at["slots"], _SLOT.size
_LAST_USED, _ENTRIES = _SLOT.at["last_used"], _SLOT.at["cooldowns"]
_SECRET, _SINCE, _INACTIVE = (_SLOT.at[f"inactive_{name}"] for name in ("secret", "since", "until"))
_UNTIL, _SET_AT = _ENTRY.at["until"], _ENTRY.at["set_at"]
_EMPTY = memoryview(bytes(_SLOT.size * 8)).cast("q")


class TokenState:
    """`shared` says that other workers choose from `memory` too."""

    def __init__(self, memory: SharedMemory, *, shared: bool = False) -> None:
        self._words = memory.words(REGION)
        self._lock = memory.lock(REGION, "choice")
        #: Choosing a token and marking it used is one step for all workers (microseconds).
        self.choice: contextlib.AbstractContextManager[object] = (
            self._lock if shared else threading.RLock()
        )

    def last_used(self, token: Token) -> int:
        """Unix nanoseconds, 0 for never."""
        words, token_id = self._words, token.id
        base = _FIRST_SLOT + token_id % SLOTS * _SIZE  # as _base(), without a call
        return words[base + _LAST_USED] if words[base] == token_id else 0

    def mark_used(self, token_id: int, now_ns: int) -> int:
        """Remember the use; the answer is later than every earlier one, whatever the clock does: a
        token that was used before it was set back would be passed over until it is that late again.
        """
        used = self.next_use(now_ns)
        self.note_use(token_id, used)
        return used

    def next_use(self, now_ns: int) -> int:
        """What `mark_used` would answer."""
        latest = self._words[_LATEST_USE]
        return now_ns if now_ns > latest else latest + 1

    def note_use(self, token_id: int, used: int) -> None:
        """Remember the use, which is what `next_use` has told."""
        words = self._words
        words[_LATEST_USE] = used
        base = _FIRST_SLOT + token_id % SLOTS * _SIZE  # as _slot(), without a call
        if words[base] != token_id:
            self._slot(token_id)
        words[base + _LAST_USED] = used

    def recall(self, token_id: int, used_ns: int) -> None:
        """What the database remembers of the last use; this memory may know better."""
        with self._lock:
            last_used = self._slot(token_id) + _LAST_USED
            self._words[last_used] = max(used_ns, self._words[last_used])
            self._words[_LATEST_USE] = max(used_ns, self._words[_LATEST_USE])

    def is_quiet(self, now_ns: int) -> bool:
        """Whether, as nearly always, no token cools down, is spared or was just deactivated."""
        words = self._words
        return (
            words[_LATEST_COOLDOWN] <= now_ns
            and words[_LATEST_SPARE] <= now_ns
            and words[_LATEST_INACTIVE] <= now_ns
        )

    def is_free(self, scope: Scope, now_ns: int, token: Token) -> bool:
        """Whether nothing keeps the token from requests of this scope, by one look. It errs on the
        side of False: a reset of the token, or its new secret, may have undone what is noted."""
        words, base = self._words, _base(token.id)
        if words[base] != token.id:
            return True
        if words[base + _INACTIVE] > now_ns:
            return False
        if (
            words[_LATEST_SPARE] > now_ns
            and self.spare_until(token, scope.model_class) > now_ns / 1e9
        ):
            return False
        scopes = _scopes(scope.group, scope.model_class)
        for entry in _entries(base):
            noted = words[entry]
            if not noted:
                break
            if noted in scopes and words[entry + _UNTIL] > now_ns:
                return False
        return True

    def any_cools(self, now: float) -> bool:
        """Whether a look at the cooldowns is worth it: nearly always, there is none."""
        return self._words[_LATEST_COOLDOWN] > now * 1e9

    def cooling_until(self, token: Token, model_class: str, group: str = EVERY_GROUP) -> float:
        """When the token is ready for these, in Unix seconds; 0 if it is."""
        words, base = self._words, _base(token.id)
        if words[base] != token.id or not words[base + _ENTRIES]:
            return 0.0  # it has never cooled down
        until = 0
        scopes = _scopes(group, model_class)
        for entry in _entries(base):
            scope = words[entry]
            if not scope:
                break
            if scope in scopes and words[entry + _SET_AT] > token.reset_at:
                until = max(until, words[entry + _UNTIL])
        return until / 1e9

    def cool(
        self,
        token_id: int,
        model_class: str,
        until: float,
        set_at_ns: int,
        group: str = EVERY_GROUP,
    ) -> None:
        """The token cools down for these until the Unix second `until`."""
        scope, until_ns = _scopes(group, model_class)[0], int(until * 1e9)
        # Another worker may look for a place at the same moment.
        with self._lock:
            words, entries = self._words, _entries(self._slot(token_id))
            entry = next(
                (each for each in entries if words[each] in (0, scope)),
                min(entries, key=lambda each: words[each + _UNTIL]),
            )
            words[_LATEST_COOLDOWN] = max(until_ns, words[_LATEST_COOLDOWN])
            words[entry + _UNTIL] = until_ns
            words[entry + _SET_AT] = set_at_ns
            words[entry] = scope  # last: from now on it is read

    def cool_as_stored(self, cooldown: StoredCooldown) -> None:
        """As the database remembers it."""
        group, model_class = cooldown.scope
        self.cool(cooldown.token_id, model_class, cooldown.until, cooldown.set_at_ns, group=group)

    def spare(self, token_id: int, until: Mapping[str, float]) -> None:
        """For these families of models the token is only used when no other is ready, until such a
        Unix second."""
        words, base = self._words, _base(token_id)
        place = slice(base + _SPARINGS, base + _SPARINGS + _SPARED * _SPARING.size)
        spared = [0] * (_SPARED * _SPARING.size)
        latest = sorted(until.items(), key=lambda each: each[1], reverse=True)[:_SPARED]
        for number, (family, end) in enumerate(latest):
            spared[2 * number : 2 * number + 2] = _number(family), int(end * 1e9)
        if words[base] == token_id and words[place].tolist() == spared:
            return
        with self._lock:
            self._slot(token_id)
            words[place] = array("q", spared)
            words[_LATEST_SPARE] = max(*spared[1::2], words[_LATEST_SPARE])

    def any_spared(self, now: float) -> bool:
        """Whether there may be a token that is spared."""
        return self._words[_LATEST_SPARE] > now * 1e9

    def spare_until(self, token: Token, model_class: str) -> float:
        """See `spare`; 0 if it is not spared."""
        words, base = self._words, _base(token.id)
        if words[base] != token.id:
            return 0.0
        spared = words[base + _SPARINGS : base + _SPARINGS + _SPARED * _SPARING.size].tolist()
        mine = _families(model_class)
        untils = zip(spared[::2], spared[1::2], strict=True)
        return max((until for family, until in untils if family in mine), default=0) / 1e9

    def deactivate(self, token: Token, now_ns: int) -> None:
        """No worker uses the token any more, unless it gets a new secret or is reset."""
        with self._lock:
            words, base = self._words, self._slot(token.id)
            words[base + _INACTIVE] = until = now_ns + _UNWRITTEN
            words[base + _SINCE] = now_ns
            words[base + _SECRET] = _number(token.secret)
            words[_LATEST_INACTIVE] = max(until, words[_LATEST_INACTIVE])

    def deactivation_written(self, token: Token, now_ns: int) -> None:
        """From now on the database says whether the token is active."""
        with self._lock:
            base = self._slot(token.id)
            if self._words[base + _SECRET] == _number(token.secret):
                self._words[base + _INACTIVE] = now_ns + _WRITTEN

    def active(self, tokens: Collection[Token], now_ns: int) -> Collection[Token]:
        """Those that are not deactivated; the database may not know it yet."""
        if self._words[_LATEST_INACTIVE] <= now_ns:  # nearly always
            return tokens
        return [token for token in tokens if not self._is_inactive(token, now_ns)]

    def inactive_until(self, token: Token, now_ns: int) -> float:
        """Until when (Unix seconds) the token is deactivated, as far as the database may not know
        it yet; 0 if it is not."""
        if self._words[_LATEST_INACTIVE] <= now_ns or not self._is_inactive(token, now_ns):
            return 0.0
        return self._words[_base(token.id) + _INACTIVE] / 1e9

    def _is_inactive(self, token: Token, now_ns: int) -> bool:
        words, base = self._words, _base(token.id)
        return (
            words[base + _INACTIVE] > now_ns
            and words[base] == token.id
            and words[base + _SINCE] > token.reset_at
            and words[base + _SECRET] == _number(token.secret)
        )

    def _slot(self, token_id: int) -> int:
        """The first word of the token's slot, emptied if it was another token's."""
        words, base = self._words, _base(token_id)
        if words[base] != token_id:
            words[base : base + _SIZE] = _EMPTY
            words[base] = token_id
        return base


def _base(token_id: int) -> int:
    return _FIRST_SLOT + token_id % SLOTS * _SIZE


def _entries(base: int) -> range:
    return range(base + _ENTRIES, base + _SIZE, _ENTRY.size)


@lru_cache(maxsize=1000)  # model names come from clients
def _scopes(group: str, model_class: str) -> tuple[int, ...]:
    """The numbers of this scope, and of the wider ones that include it."""
    groups, classes = (group, EVERY_GROUP), (model_class, EVERY_CLASS)
    return tuple(_number(f"{each}\0{name}") for each in groups for name in classes)


@lru_cache(maxsize=1000)  # model names come from clients
def _families(model_class: str) -> frozenset[int]:
    return frozenset(map(_number, families(model_class)))


def _number(text: str) -> int:
    """A word for a text; 0 is none."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1
