"""Where the members of a JSON object lie in its text, found without parsing the text.

Invariant: exact for JSON, and bounded steps for whatever is sent. Parsing 30 MB can take seconds
and holds the interpreter all the while, in a thread too; so whatever reads a body is a `Work`: a
generator that yields about how many nanoseconds it has used since its last yield, and returns its
result. What is not JSON is noticed where it is in the way, not everywhere.

Keys, numbers and the blanks between two tokens of an object that is gone through have bounds
(thousands of bytes), so that each is one match. What exceeds them is taken for something that is
not JSON; no client writes it.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Generator, Iterator
from itertools import accumulate, islice
from typing import NamedTuple, TypeVar

from airoxy.core.request.search import memmem
from airoxy.core.request.search.known_tails import note, place_in, tail_of
from airoxy.errors import InvalidInput

T = TypeVar("T")
Body = bytes | bytearray
Work = Generator[int, None, T]

_BLANK = rb"[ \t\n\r]{0,4096}"
_OPEN = re.compile(_BLANK + rb"\{" + _BLANK + rb'(?=["}])')
#: A key, and its value where that is short; before a long one it stops, with an empty group.
_MEMBER = re.compile(
    rb'"([^"\\]{0,999}(?:\\.[^"\\]{0,999}){0,99})"' + _BLANK + b":" + _BLANK
    + rb'([^ \t\n\r"\[\]{},:]{1,4096}|"[^"\\]{0,256}"|[\[{][^"\[\]{}]{0,256}[\]}]|(?=["\[{]))',
    re.DOTALL,
)  # fmt: skip
_NEXT = re.compile(_BLANK + b"(?:," + _BLANK + rb'(?=")|(?=\}))')
_COLON = re.compile(_BLANK + b":")
_LIST_OPEN = re.compile(rb"\[" + _BLANK + rb"(?=.)", re.DOTALL)
_SHORT = re.compile(rb'[^ \t\n\r"\[\]{},:]{1,4096}|"[^"\\]{0,256}"|[\[{][^"\[\]{}]{0,256}[\]}]')
_NEXT_ELEMENT = re.compile(_BLANK + b"(?:," + _BLANK + rb"(?=[^\]])|(?=\]))")
_UNIT = re.compile(rb"\\u[0-9a-fA-F]{4}|\\[^u]|[^\\]", re.DOTALL)
_BRACKET = re.compile(rb"[][{}]")
_ONE_KIND, _TO_STEPS = bytes.maketrans(b"{}", b"[]"), bytes.maketrans(b"[]", b"\x01\xff")
_ROUNDS, _MANY = 4, 256
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_QUOTE, _CLOSING, _LIST_END = b'"}]'
_BEFORE_KEY = frozenset(b"{, \t\n\r")

_SMALLEST, _PIECE = 64, 8 * 1024  # one of nothing but brackets takes a quarter millisecond
_WINDOW = 128 * 1024  # bytes.rfind takes 0.1 ns for a byte, up to 0.8 for the nastiest text
#: What looking at a place costs, and following the members from there, in bytes that are gone
#: through meanwhile; what is tried for small bodies, too; and how many ends are hashed.
_LOOK, _ATTEMPT, _PATIENCE, _MOST_HASHES = 400, 4000, 100_000, 4
#: Estimated nanoseconds, of which half are real: with the two of a key that has limits, 30 MB take
#: 0.3 s at the most. What clients write needs half of it, where all members are gone through.
BUDGET = 300_000_000
_MEMBER_NS, _SHORT_NS, _CONTAINER_NS = 12_000, 2500, 6000  # of calls and matches, at the least
_SOON = 50_000  # what is short is told of together
_PAUSE = 500_000  # a caller's turn of the loop costs a tenth of that

#: An object or list of more is not gone through (14 µs a thousand, each time).
MOST_MEMBERS = 100_000


class TooManyMembers(InvalidInput):
    """A body would take too long to look through."""

    def __init__(self) -> None:
        super().__init__(f"The request body has more than {MOST_MEMBERS:,} members at one level.")


class TooDear(InvalidInput):
    """A body is made so that looking through it takes long."""

    def __init__(self) -> None:
        super().__init__("The request body takes too long to look through.")


class NotJson(Exception):
    """The text is no JSON object, or none that a client would write."""


class Member(NamedTuple):
    """One `"key": value`: the key as it is spelled, offsets of the value, and of what follows."""

    key: bytes
    start: int
    end: int
    next: int


def run(work: Work[T]) -> T:
    """All of the work at once."""
    try:
        while True:
            next(work)
    except StopIteration as stop:
        result: T = stop.value
        return result


def paced(work: Work[T]) -> Generator[None, None, T]:
    """The work with a pause after each half millisecond or so. Raises TooDear."""
    used, left = 0, BUDGET
    try:
        while True:
            used += next(work)
            if used > _PAUSE:
                left -= used
                if left < 0:
                    raise TooDear
                used = 0
                yield
    except StopIteration as stop:
        result: T = stop.value
        return result


class Members:
    """The members of the object that `body` is (`no_escapes`: without \\u00); else NotJson."""

    def __init__(self, body: Body, *, no_escapes: bool = False) -> None:
        opening, closing = _OPEN.match(body), body.rfind(b"}", max(0, len(body) - 4096))
        if opening is None or closing < opening.end() or body[closing + 1 :].strip(b" \t\n\r"):
            raise NotJson
        self.body = body
        self.first = opening.end()
        self.end = closing
        #: Offsets at which a member is known to begin, or the object to end.
        self._known = [self.first, self.end]
        self._has_escapes = False if no_escapes else None
        self._may_hash = _MOST_HASHES

    def find(self, name: bytes) -> Work[Member | None]:
        """The member of that name; of several the last, as JSON readers have it.

        It is looked for from the end: most bodies have few places that could be the key, and
        little to go through to be sure of one. One exception to exactness: where the key is
        found, it is not asked whether it comes again with escapes in it (`mod\\u0065l`); `walk`
        sees these too.
        """
        needle, at, patience = b'"' + name + b'"', self.end, len(self.body) + _PATIENCE
        while patience > 0:
            at = yield from rfind(self.body, needle, at)
            if at < 0:
                return (yield from self.walk(name)) if (yield from self.has_escapes()) else None
            if self.body[at - 1] in _BEFORE_KEY and _COLON.match(self.body, at + len(needle)):
                try:
                    here, gone = yield from self._at(at, name)
                except NotJson:  # Perhaps a tool's own object with a key beyond all bounds.
                    break
                if here is not None:
                    self._known.append(at)
                    return here
                patience -= gone + _ATTEMPT
            patience -= _LOOK
        return (yield from self.walk(name))

    def walk(self, name: bytes) -> Work[Member | None]:
        """The same by going through all members."""
        found, stop = yield from last_named(self.body, self.first, name, MOST_MEMBERS)
        if stop != self.end:
            raise NotJson
        return found

    def has_escapes(self) -> Work[bool]:
        """Whether a letter might be spelled as \\u0061 or the like, anywhere."""
        if self._has_escapes is None:
            self._has_escapes = (yield from holds(self.body, b"\\u00")) and (
                (yield from holds(self.body, b"\\u006")) or (yield from holds(self.body, b"\\u007"))
            )
        return self._has_escapes

    def _at(self, at: int, name: bytes) -> Work[tuple[Member | None, int]]:
        """The member whose key is at `at`, if it is one of this object; and how much was gone
        through to find that out: onwards, because the way from a key of an inner object soon ends,
        or is known; from the front if that is much nearer."""
        left = max(known for known in self._known if known <= at)
        right = min(known for known in self._known if known > at)
        is_nearer = 4 * (at - left) < right - at
        tail = None
        if self._may_hash and not is_nearer and (tail := tail_of(self.body, at, right)):
            self._may_hash -= 1
            yield tail.length // 2
            if place := place_in(tail):
                return Member(name, *(at + each for each in place)), 0
        here = yield from member(self.body, at)
        start, goal = (left, at) if is_nearer else (here.next, right)
        stop = yield from self._follow(start, goal)
        if stop != goal:
            return None, stop - min(start, at)
        if tail is not None:
            note(tail, (here.start - at, here.end - at, here.next - at))
        return here, 0

    def _follow(self, at: int, goal: int) -> Work[int]:
        while at < goal and self.body[at] != _CLOSING:
            at = (yield from member(self.body, at)).next
        return at


def member(body: Body, at: int) -> Work[Member]:
    """The member whose key begins at `at`; raises NotJson if none does."""
    if short := _short_member(body, at):
        yield _SHORT_NS + 4 * (short.next - at)
        return short
    found = _MEMBER.match(body, at)
    if found is None:
        raise NotJson
    start, end = found.span(2)
    if start == end:
        skip = _string_end if body[start] == _QUOTE else _container_end
        end = yield from skip(body, start)
    following = _NEXT.match(body, end)
    if following is None:
        raise NotJson
    yield _MEMBER_NS + 4 * (start - at + following.end() - end)
    return Member(found[1], start, end, following.end())


def _short_member(body: Body, at: int) -> Member | None:
    """The same, where one match finds its end; None where it does not."""
    found = _MEMBER.match(body, at)
    if found is None:
        return None
    start, end = found.span(2)
    following = _NEXT.match(body, end) if start < end else None
    return Member(found[1], start, end, following.end()) if following else None


def walk(members: Members, take: Callable[[Member], Work[None]]) -> Work[None]:
    """Give every member of the object to `take`. Raises TooManyMembers."""
    body, at = members.body, members.first
    left = MOST_MEMBERS
    while body[at] != _CLOSING:
        here = yield from member(body, at)
        yield from take(here)
        at = here.next
        left -= 1
        if not left:
            raise TooManyMembers
    if at != members.end:
        raise NotJson


def elements(body: Body, at: int) -> Work[list[tuple[int, int]]]:
    """Where the elements of the list at `at` lie. Raises NotJson, TooManyMembers."""
    found: list[tuple[int, int]] = []
    opening = _LIST_OPEN.match(body, at)
    if opening is None:
        raise NotJson
    at = opening.end()
    while body[at] != _LIST_END:
        start = at
        if short := _SHORT.match(body, at):
            at = short.end()
        elif skip := _SKIPS.get(body[at]):
            at = yield from skip(body, at)
        following = _NEXT_ELEMENT.match(body, at)
        if following is None or at == start:
            raise NotJson
        found.append((start, at))
        if len(found) > MOST_MEMBERS:
            raise TooManyMembers
        yield _MEMBER_NS
        at = following.end()
    return found


def last_named(
    body: Body, at: int, name: bytes, most: int = MOST_MEMBERS
) -> Work[tuple[Member | None, int]]:
    """Go through the members of the object whose first key (or closing brace) is at `at`: the last
    one called `name`, however it is spelled, and the offset of the object's closing brace."""
    found, escaped, used = None, _with_escapes(name), 0
    while body[at] != _CLOSING:
        here = _short_member(body, at) or (yield from member(body, at))
        used += _SHORT_NS + 4 * (here.start - at)
        if used > _SOON:
            yield used
            used = 0
        if here.key == name or (b"\\" in here.key and escaped.fullmatch(here.key)):
            found = here
        at = here.next
        most -= 1
        if not most:
            raise TooManyMembers
    yield used
    return found, at


def _with_escapes(name: bytes) -> re.Pattern[bytes]:
    return re.compile(b"".join(rb"(?:%c|\\u(?i:%04x))" % (letter, letter) for letter in name))


def string(body: Body, start: int, end: int, most: int) -> str | None:
    """The first `most` characters of the value at start:end; None if that is not a string."""
    if body[start] != _QUOTE:
        return None
    raw = bytes(body[start + 1 : min(end - 1, start + 1 + 12 * most)])  # \ud83d\ude00 is one
    if b"\\" not in raw:
        return raw.decode("utf-8", "replace")[:most]
    whole = b"".join(_UNIT.findall(raw)).decode("utf-8", "replace")
    try:
        decoded: str = json.loads(f'"{whole}"', strict=False)
    except ValueError:
        return None
    return decoded[:most]


def rfind(body: Body, needle: bytes, end: int) -> Work[int]:
    """`body.rfind(needle, 0, end)`."""
    while True:
        start = max(0, end - _WINDOW)
        found = body.rfind(needle, start, end)
        yield 300 + (end - max(start, found)) // 2
        if found >= 0 or start == 0:
            return found
        end = start + len(needle) - 1


def holds(body: Body, word: bytes) -> Work[bool]:
    """Whether `word` stands in it."""
    for start in range(0, len(body), _WINDOW):
        found = memmem.holds(body, word, start, start + _WINDOW + len(word) - 1)
        yield 300 + min(_WINDOW, len(body)) // 2
        if found:
            return True
    return False


def _string_end(body: Body, at: int) -> Work[int]:
    for start, piece in _pieces(body, at + 1):
        closing = piece.find(b'"')
        yield 2 * len(piece)
        if closing >= 0:
            return start + closing + 1
    raise NotJson


def _container_end(body: Body, at: int) -> Work[int]:
    """Split at its quotes, every other part of a piece is outside of strings; there brackets are
    counted."""
    depth, outside = 1, 0
    yield _CONTAINER_NS
    for start, piece in _pieces(body, at + 1):
        quotes = piece.count(b'"')
        if quotes > _MANY and not piece.translate(None, _NOT_BRACKETS):
            outside ^= quotes & 1
            yield 3 * len(piece)
            continue
        parts = piece.split(b'"')
        brackets = b"".join(parts[outside::2]).translate(_ONE_KIND, _NOT_BRACKETS)
        yield 6 * len(piece) + 60 * len(parts)
        if _may_close(brackets, depth):
            depths = list(accumulate(array("b", brackets.translate(_TO_STEPS)), initial=depth))
            yield 60 * len(depths)
            if 0 in depths:
                return start + _bracket(parts, outside, depths.index(0) - 1)
        depth += brackets.count(b"[") - brackets.count(b"]")
        outside ^= (len(parts) - 1) & 1
    raise NotJson


def _may_close(brackets: bytes, depth: int) -> bool:
    """Whether the depth might come to 0. What opens and closes at once does not count."""
    for _ in range(_ROUNDS):
        if brackets.count(b"]") < depth:
            return False
        brackets = brackets.replace(b"[]", b"")
    return brackets.count(b"]") >= depth


def _bracket(parts: list[bytes], outside: int, index: int) -> int:
    """The offset after the bracket of that index outside of strings."""
    quoted = slice(1 - outside, None, 2)
    parts[quoted] = map(bytes, map(len, parts[quoted]))  # zeros, as many
    return next(islice(_BRACKET.finditer(b'"'.join(parts)), index, None)).end()


_SKIPS = {ord('"'): _string_end, ord("["): _container_end, ord("{"): _container_end}


def _pieces(body: Body, at: int) -> Iterator[tuple[int, bytes]]:
    """The text from `at` on, with offsets, in growing pieces that leave no escape cut; escaped
    quotes and backslashes are blanked, so that every quote is a string's."""
    size = _SMALLEST
    while at < len(body):
        piece = bytes(body[at : at + size])
        if piece.rfind(b'\\"') >= 0 or piece.endswith(b"\\"):
            if piece.rfind(b"\\\\") >= 0:
                piece = piece.replace(b"\\\\", b"  ")
            piece = piece.replace(b'\\"', b"  ")
            if piece.endswith(b"\\"):
                piece = piece[:-1]
        yield at, piece
        at += max(1, len(piece))
        size = min(4 * size, _PIECE)
