"""The ids that a request body names, of things that belong to an account."""

from __future__ import annotations

import re

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Body, Work
from airoxy.core.request.paths import ID
from airoxy.errors import InvalidInput

#: What has ids in a Messages request or a batch: files, and containers with their skills.
_MARKS = (b'"file_', b'"container')
_STEP = 128 * 1024
#: Whose each one is has to be looked up.
_MOST_IDS = 10_000
#: Longer than any id with its quotes, and than six times its key (bytes).
_OVERLAP = 2048

_VALUE = rb'"(%b)"(?![ \t\n\r]{0,99}:)'
_STRING = re.compile(_VALUE % ID.encode())
#: But for the names of a member and of a content block.
_OF_MESSAGES = re.compile(
    _VALUE % rb"(?!file_id\"|container_upload\")(?:file|container|skill)_[0-9A-Za-z_-]{1,200}"
)
#: A letter, a digit, "-" or "_" that need not be escaped.
_ESCAPE = re.compile(rb"\\u00(2[dD]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")


def may_name(body: Body) -> bool:
    """Whether a Messages request might name something; said in microseconds."""
    return any(body.rfind(mark) >= 0 for mark in _MARKS) or body.rfind(b"\\u00") >= 0


def ids_in(body: Body, *, any_kind: bool) -> Work[tuple[str, ...]]:
    """Each string of `body` that has the form of an id, once: of those that a Messages request can
    use, or of `any_kind`. Raises InvalidInput."""
    found: dict[bytes, None] = {}
    escapes = (yield from json_scan.rfind(body, b"\\u00", len(body))) >= 0
    if not any_kind and not escapes:
        for mark in _MARKS:
            if (yield from json_scan.rfind(body, mark, len(body))) >= 0:
                break
        else:
            return ()
    form = _STRING if any_kind else _OF_MESSAGES
    for start in range(0, len(body), _STEP):
        piece = bytes(body[max(0, start - _OVERLAP) : start + _STEP])
        if escapes:
            piece = _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), piece)
        yield 8 * len(piece)
        found.update((each[1], None) for each in form.finditer(piece))
        if len(found) > _MOST_IDS:
            raise InvalidInput(f"The request body names more than {_MOST_IDS:,} ids.")
    return tuple(each.decode() for each in found)
