"""The next step of what is counted for the metrics, in the memory that all workers share.

Invariant: a step is taken as a whole, and once. It is written down before it is begun; where a
worker is killed in the middle, the next one that counts takes it to its end. What is written down
are the numbers as they stand afterwards, so that it does no harm to take a part of it again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping

from airoxy.server.shared_memory import Record

#: Takes the slots, by their words, of unwritten requests that are counted now.
Mark = Callable[[Iterable[int]], object]


def journal_of(numbers: int, slots: int) -> Record:
    """The layout of a journal for steps of so many numbers and slots, at the most."""
    # Each number with the word where it belongs.
    return Record(begun=1, numbers=1, slots=1, step=2 * numbers + slots)


class Journal:
    """The journal from the word `begin` on. Whoever calls has the turn."""

    def __init__(self, words: memoryview[int], begin: int, mark: Mark) -> None:
        self._words, self._begin, self._mark = words, begin, mark

    def take(self, numbers: Mapping[int, int], slots: Collection[int]) -> None:
        """Put `numbers` where they belong, in their order, and mark the requests that have these
        `slots`. Raises OverflowError for a number that has no room, and has done nothing then."""
        step = array("q", (len(numbers), len(slots), *numbers, *numbers.values(), *slots))
        begin = self._begin
        self._words[begin + 1 : begin + 1 + len(step)] = step
        self._words[begin] = 1
        self._do(numbers.items(), slots)

    def finish(self) -> None:
        """Take the step that was begun, if there is one."""
        if self._words[self._begin]:
            numbers, slots = self._words[self._begin + 1 : self._begin + 3]
            first = self._begin + 3
            step = self._words[first : first + 2 * numbers + slots].tolist()
            changes = zip(step[:numbers], step[numbers : 2 * numbers], strict=True)
            self._do(changes, step[2 * numbers :])

    def _do(self, numbers: Iterable[tuple[int, int]], slots: Iterable[int]) -> None:
        words = self._words
        for word, number in numbers:
            words[word] = number
        self._mark(slots)
        words[self._begin] = 0
