"""What the client keys with limits have used and hold right now, shared by all workers.

Invariant: what one worker takes all others see at once, and what it holds ends with it. The counts
of the last minute are common to all. What is held (for requests that run, and for costs that are
not in the database yet) stands in the columns of a worker's place. A place belongs to whoever has
its lock, which the kernel takes back from a process that is killed; then its columns count no more.
"""

from __future__ import annotations

from collections.abc import Callable

from airoxy.core.limits.measures import MINUTE
from airoxy.errors import AiroxyError
from airoxy.server.shared_memory import FileLock, Record, Region, SharedMemory
from airoxy.store.fleet.shares import InMemory

#: Keys with limits that have been used since the service started.
SLOTS = 4096
#: Workers that can run at once: those of a few reloads together.
PLACES = 256

# A key's slot: how many requests have asked, the latest second, requests and tokens of each second
# by its number modulo 60, and by place the running requests, what is held for them, and what was
# counted and is not written; of upstream tokens that of even days, and of odd ones.
_KEY = Record(
    asked=1,
    latest_second=1,
    requests=MINUTE,
    tokens=MINUTE,
    running=PLACES,
    held=PLACES,
    tokens_held=PLACES,
    unwritten=PLACES,
    unwritten_even=PLACES,
    unwritten_odd=PLACES,
)
_LIMITS = Record(slots_used=1, places_used=1, key_ids=SLOTS, slots=SLOTS * _KEY)
REGION = Region("limits", _LIMITS, locks={"turn": 1, "place": PLACES, "report": 1})

_USED, _PEOPLED = _LIMITS.at["slots_used"], _LIMITS.at["places_used"]
_IDS, _FIRST, _SLOT = _LIMITS.at["key_ids"], _LIMITS.at["slots"], _KEY.size
_ASKED = _KEY.at["asked"]
_LATEST, _REQUESTS, _TOKENS = (_KEY.at[name] for name in ("latest_second", "requests", "tokens"))
_RUNNING, _HELD = _KEY.at["running"], _KEY.at["held"]
_TOKENS_HELD, _UNWRITTEN = _KEY.at["tokens_held"], _KEY.at["unwritten"]
_OF_DAYS = (_KEY.at["unwritten_even"], _KEY.at["unwritten_odd"])
_HELD_COLUMNS = (_RUNNING, _HELD, _TOKENS_HELD, _UNWRITTEN)
_COLUMNS = (*_HELD_COLUMNS, *_OF_DAYS)
_EMPTY = memoryview(bytes(_SLOT * 8)).cast("q")


class LimitCounters:
    """What this worker, and all that share `memory`, count and hold."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._words = memory.words(REGION)
        self._known: dict[int, int] = {}
        self._closed = False
        self._turn = memory.lock(REGION, "turn")
        with self.turn():
            self._place = self._settle_in()

    def turn(self) -> FileLock:
        """Looking and taking is one step for all workers (microseconds)."""
        return self._turn

    def find(self, key_id: int) -> int | None:
        """The key's slot, if it has one."""
        slot = self._known.get(key_id)
        if slot is not None and self._words[_IDS + slot] == key_id:
            return slot
        ids = self._words[_IDS : _IDS + self._words[_USED]].tolist()
        if key_id not in ids:
            return None
        slot = self._known[key_id] = ids.index(key_id)
        return slot

    def add(self, key_id: int, is_limited: Callable[[int], bool]) -> int:
        """A new, empty slot; where there is none any more, that of a key without limits."""
        words = self._words
        slot = words[_USED]
        if slot == SLOTS:
            ids = words[_IDS : _IDS + SLOTS].tolist()
            slot = next((n for n, other in enumerate(ids) if not is_limited(other)), SLOTS)
        if slot == SLOTS:
            raise AiroxyError(f"airoxy keeps the limits of {SLOTS} client keys, and has more.")
        base = _FIRST + slot * _SLOT
        words[_IDS + slot] = 0  # else a kill leaves it to its key, without what that holds
        words[base : base + _SLOT] = _EMPTY
        words[_IDS + slot] = key_id
        words[_USED] = max(words[_USED], slot + 1)
        self._known[key_id] = slot
        return slot

    def find_or_add(self, number: int) -> int:
        """The slot of a token, by its negative id: those without limits are asked for no more."""
        slot = self.find(number)
        return self.add(number, lambda _: True) if slot is None else slot

    # What is counted

    def requests(self, slot: int, second: int) -> list[int]:
        """Of each second of the minute that ends with this one."""
        return self._minute(slot, _REQUESTS, second)

    def tokens(self, slot: int, second: int) -> list[int]:
        return self._minute(slot, _TOKENS, second)

    def count(self, slot: int, second: int, requests: int = 0, tokens: int = 0) -> None:
        """Count them in this second."""
        at = self._advance(slot, second) % MINUTE
        base = _FIRST + slot * _SLOT + at
        self._words[base + _REQUESTS] += requests
        self._words[base + _TOKENS] += tokens

    def recall(self, slot: int, now: int, second: int, requests: int, tokens: int) -> None:
        """There were at least so many in this second of the minute that ends with `now`."""
        latest = self._advance(slot, now)
        if latest - MINUTE < second <= latest:
            base = _FIRST + slot * _SLOT + second % MINUTE
            for at, count in ((base + _REQUESTS, requests), (base + _TOKENS, tokens)):
                self._words[at] = max(count, self._words[at])

    def ask(self, slot: int, requests: int = 1) -> None:
        """Count requests that ask for admission, whether or not they get it."""
        self._words[_FIRST + slot * _SLOT + _ASKED] += requests

    # What is held

    def running(self, slot: int) -> int:
        return self._sum(slot, _RUNNING)

    def held(self, slot: int) -> int:
        """Nano-dollars."""
        return self._sum(slot, _HELD)

    def tokens_held(self, slot: int) -> int:
        return self._sum(slot, _TOKENS_HELD)

    def unwritten(self, slot: int) -> int:
        """Nano-dollars that were counted, and are not in the database."""
        return self._sum(slot, _UNWRITTEN)

    def hold(
        self,
        slot: int,
        key_id: int,
        *,
        running: int = 0,
        nanousd: int = 0,
        tokens: int = 0,
        unwritten: int = 0,
    ) -> None:
        """So much more, or less where it is negative, is held by this worker for the key. Of a slot
        that is another key's by now, or of a worker that ends, nothing is left to give back."""
        if self._closed or self._words[_IDS + slot] != key_id:
            return
        base = _FIRST + slot * _SLOT + self._place
        for column, change in zip(
            _HELD_COLUMNS, (running, nanousd, tokens, unwritten), strict=True
        ):
            self._words[base + column] += change

    def unwritten_of_day(self, slot: int, day: int) -> int:
        """What requests of this day with an upstream token have cost that is not in the database
        (nano-dollars)."""
        return self._sum(slot, _OF_DAYS[day % 2])

    def hold_of_day(self, slot: int, number: int, day: int, nanousd: int) -> None:
        """So much more, or less, of it has to be written by this worker. Of its threads one at a
        time may call this."""
        if not self._closed and self._words[_IDS + slot] == number:
            at = _FIRST + slot * _SLOT + _OF_DAYS[day % 2] + self._place
            # Of a slot that was another's meanwhile nothing is left.
            self._words[at] = max(0, self._words[at] + nanousd)

    def forget_dead(self, slot: int) -> bool:
        """Take out what the dead hold; whether there was anything."""
        base, found = _FIRST + slot * _SLOT, False
        for place in range(self._words[_PEOPLED]):
            mine = [base + column + place for column in _COLUMNS]
            if any(self._words[at] for at in mine) and self._is_dead(place):
                found = True
                for at in mine:
                    self._words[at] = 0
        return found

    def may_report(self) -> bool:
        """Whether this is the worker that reports `totals`; another one does when it ends."""
        return self._memory.lock(REGION, "report").try_acquire()

    def used_slots(self) -> int:
        """How many slots are somebody's, or were."""
        return self._words[_USED]

    def totals(self, slots: range, second: int) -> dict[int, InMemory]:
        """What the keys, groups and tokens in these slots have used and hold."""
        found = {}
        ids = self._words[_IDS + slots.start : _IDS + slots.stop].tolist()
        for slot, number in zip(slots, ids, strict=True):
            if not number:
                continue
            base = _FIRST + slot * _SLOT
            if any(self._sum(slot, column) for column in _COLUMNS):
                self.forget_dead(slot)
            recent = self._words[base + _LATEST] > second - MINUTE
            found[number] = InMemory(
                self.held(slot) + self.unwritten(slot),
                self._words[base + _ASKED],
                sum(self.requests(slot, second)) if recent else 0,
                (sum(self.tokens(slot, second)) if recent else 0) + self.tokens_held(slot),
                self.running(slot),
            )
        return found

    def close(self) -> None:
        """From now on nothing is given back: the memory goes."""
        self._closed = True

    # Places

    def _settle_in(self) -> int:
        """Lock a place, and clear it of what its former owner held."""
        for place in range(PLACES):
            if not self._place_lock(place).try_acquire():
                continue
            words = self._words
            words[_PEOPLED] = max(words[_PEOPLED], place + 1)
            for slot in range(words[_USED]):
                for column in _COLUMNS:
                    words[_FIRST + slot * _SLOT + column + place] = 0
            return place
        raise AiroxyError(f"More than {PLACES} workers are running; restart airoxy.")

    def _is_dead(self, place: int) -> bool:
        lock = self._place_lock(place)
        if place == self._place or not lock.try_acquire():
            return False
        lock.release()
        return True

    def _place_lock(self, place: int) -> FileLock:
        return self._memory.lock(REGION, "place", place)

    # Seconds

    def _advance(self, slot: int, second: int) -> int:
        """Empty what is over a minute old; the second to count in. While a clock is set back by
        less than a minute time stands still, by more it begins anew."""
        base = _FIRST + slot * _SLOT
        latest = self._words[base + _LATEST]
        if latest - MINUTE < second <= latest:
            return latest
        gone = range(latest + 1, second + 1) if latest < second < latest + MINUTE else range(MINUTE)
        for each in gone:
            self._words[base + _REQUESTS + each % MINUTE] = 0
            self._words[base + _TOKENS + each % MINUTE] = 0
        self._words[base + _LATEST] = second
        return second

    def _minute(self, slot: int, ring: int, second: int) -> list[int]:
        at = self._advance(slot, second) % MINUTE + 1
        base = _FIRST + slot * _SLOT + ring
        counts = self._words[base : base + MINUTE].tolist()
        return counts[at:] + counts[:at]

    def _sum(self, slot: int, column: int) -> int:
        base = _FIRST + slot * _SLOT + column
        return sum(self._words[base : base + self._words[_PEOPLED]])
