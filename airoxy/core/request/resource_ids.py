"""The ids that a request body names, of things that belong to an account."""

from __future__ import annotations

import re

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Body, TooDear, Work
from airoxy.core.request.paths import ID
from airoxy.core.request.search.memmem import SHORT, holds
from airoxy.errors import InvalidInput

#: What has ids in a Messages request or a batch: files, and containers with their skills.
_MARKS = (b'"file_', b'"container')
_STEP = 32 * 1024
#: With more escaped letters it is gone through in smaller steps; each takes a microsecond.
_MANY_ESCAPES, _SMALL_STEP = 500, 4 * 1024
#: So many places of ids are looked at, be they the same.
_MOST_PLACES = 300_000
#: Whose each one is has to be looked up.
_MOST_IDS = 10_000
#: Longer than any id with its quotes, and than six times its key (bytes).
_OVERLAP = 2048

#: How characters begin that may be escaped without need.
ESCAPE = b"\\u00"
#: A letter, a digit, "-" or "_" that need not be escaped.
_ESCAPE = re.compile(rb"\\u00(2[dD]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_ESCAPED = tuple(b"\\u00%d" % digit for digit in range(2, 8))
_VALUE = rb'"(%b)"(?![ \t\n\r]{0,99}:)'
_STRING = re.compile(_VALUE % ID.encode())
#: But for the names of a member and of a content block.
_OF_MESSAGES = re.compile(
    _VALUE % rb"(?!file_id\"|container_upload\")(?:file|container|skill)_[0-9A-Za-z_-]{1,200}"
)


def may_name(body: Body) -> bool:
    """Whether a Messages request might name something; said in microseconds."""
    if len(body) < SHORT:
        find = body.rfind
        return find(_MARKS[0]) >= 0 or find(_MARKS[1]) >= 0 or find(ESCAPE) >= 0
    return any(holds(body, mark, 0, len(body)) for mark in (*_MARKS, ESCAPE))


def ids_in(body: Body, *, any_kind: bool, escapes: bool | None = None) -> Work[tuple[str, ...]]:
    """Each string of `body` that has the form of an id, once: of those that a Messages request can
    use, or of `any_kind`. `escapes`: whether it has an ESCAPE, if that is known. Raises
    InvalidInput."""
    found: dict[bytes, None] = {}
    if escapes is None:
        escapes = yield from json_scan.holds(body, ESCAPE)
    if not any_kind and not escapes:
        for mark in _MARKS:
            if (yield from json_scan.holds(body, mark)):
                break
        else:
            return ()
    form = _STRING if any_kind else _OF_MESSAGES
    places = 0
    start = 0
    while start < len(body):
        step = _SMALL_STEP if escapes and _has_many_escapes(body, start) else _STEP
        piece = bytes(body[max(0, start - _OVERLAP) : start + step])
        start += step
        if escapes:
            piece, count = _unescaped(piece)
            places += count
            yield 600 * count
        ids = form.findall(piece)
        found.update(dict.fromkeys(ids))
        places += len(ids)
        yield (8 if escapes else 4) * len(piece) + 300 * len(ids)
        if places > _MOST_PLACES:
            raise TooDear
        if len(found) > _MOST_IDS:
            raise InvalidInput(f"The request body names more than {_MOST_IDS:,} ids.")
    return tuple(each.decode() for each in found)


def _has_many_escapes(body: Body, start: int) -> bool:
    counts = (body.count(mark, start, start + _STEP) for mark in _ESCAPED)
    return sum(counts) > _MANY_ESCAPES


def _unescaped(piece: bytes) -> tuple[bytes, int]:
    """With the characters of ids that were escaped; and how many they were."""
    return _ESCAPE.subn(_character, piece)


def _character(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))
