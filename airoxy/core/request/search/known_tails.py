"""Where a member lies in the end of a body that has come before: what a client sends after its
messages, tools above all, is the same in each request of a conversation.

Invariant: of the texts there are only hashes, by Python's secret key: no part of a body outlives
its request.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

Body = bytes | bytearray

#: A shorter end is gone through at once; hashing takes 0.3 ns a byte, where that takes 5 and more.
_SHORTEST, _LONGEST = 2 * 1024, 512 * 1024
_MOST = 512


class Tail(NamedTuple):
    """A text that begins with a member's key."""

    length: int
    hash: int


#: From the key's first character on: where the value begins and ends, and what follows begins.
_Place = tuple[int, int, int]

_places: OrderedDict[Tail, _Place] = OrderedDict()


def tail_of(body: Body, at: int, goal: int) -> Tail | None:
    """That of the text from the key at `at` to the character at `goal`; None if it is not worth
    it."""
    if not _SHORTEST <= goal - at <= _LONGEST:
        return None
    with memoryview(body) as view:
        return Tail(goal - at, hash(bytes(view[at : goal + 1])))


def place_in(tail: Tail) -> _Place | None:
    """Of the member with which the text begins, from which others lead to its last character."""
    place = _places.get(tail)
    if place is not None:
        _places.move_to_end(tail)
    return place


def note(tail: Tail, place: _Place) -> None:
    """Remember it; what was not asked for the longest time gives way."""
    _places[tail] = place
    if len(_places) > _MOST:
        _places.popitem(last=False)
