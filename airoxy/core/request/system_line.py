"""The line with which a client of a subscription says who it is, put into `system` where it lacks.

Invariant: what the client sent keeps its bytes and their order; a request that says already who it
is, and one that continues a message thread, stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from functools import lru_cache
from typing import NamedTuple

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Body, Member, Members, NotJson, Work

#: Claude Code's note on billing, which has to stay the first block.
_NOTE = ("x-anthropic-billing-header:",)
_TEXT_BLOCK = b'{"type":"text","text":'

_BLANK = rb"[ \t\n\r]{0,4096}"
_LIST = re.compile(rb"\[" + _BLANK + rb"(?:(\])|(\{)" + _BLANK + rb'(?=["}]))?')
_NEXT_BLOCK = re.compile(rb"\}" + _BLANK + b"," + _BLANK + rb"\{" + _BLANK + rb'(?=["}])')
_OBJECT = re.compile(rb"\{" + _BLANK + rb'(?=["}])')
_COPIED = 256 * 1024


#: What a client may say of itself; the first line is put in where none of them is.
Lines = tuple[str, ...]


class _Edit(NamedTuple):
    """`new` takes the place of what is at start:end."""

    start: int
    end: int
    new: bytes


def splice(body: Body, lines: Lines, *, no_escapes: bool = False) -> Body:
    """`body` with the line as a text block of `system`: the first one, or the first one behind
    the notes on billing.

    The same object if the block there begins with one of the lines already, if the request
    continues a message thread (which has its `system` already), or if there is nothing to put it
    into (no JSON object, or a `system` that the API will refuse). No other byte is changed: a
    string becomes a block's text as it is spelled. Of several `system` the last is meant.
    `no_escapes` says that \\u00 is not in it.
    """
    return json_scan.run(_splice(body, lines, no_escapes=no_escapes))


def splice_steps(
    body: Body, lines: Lines, *, no_escapes: bool = False
) -> Generator[None, None, Body]:
    """The same with pauses."""
    return json_scan.paced(_splice(body, lines, no_escapes=no_escapes))


def _splice(body: Body, lines: Lines, *, no_escapes: bool) -> Work[Body]:
    try:
        members = Members(body, no_escapes=no_escapes)
        has_escapes = yield from members.has_escapes()
        find = members.walk if has_escapes else members.find
        if has_escapes or (yield from json_scan.holds(body, b'"thread"')):
            if (yield from _continues(body, (yield from find(b"thread")))):
                return body
        edits = yield from _edits(members, (yield from find(b"system")), lines)
    except NotJson:
        return body
    return (yield from _edited(body, edits)) if edits else body


def _continues(body: Body, thread: Member | None) -> Work[bool]:
    """Whether this is the `thread` of a request that continues one."""
    opening = thread and _OBJECT.match(body, thread.start)
    if not opening:
        return False
    kind, _ = yield from json_scan.last_named(body, opening.end(), b"type")
    return kind is not None and json_scan.string(body, kind.start, kind.end, 9) == "continue"


def _edits(members: Members, system: Member | None, lines: Lines) -> Work[list[_Edit]]:
    body = members.body
    block = _block(lines[0])
    if system is None:
        comma = b"" if members.first == members.end else b","
        return [_Edit(members.first, members.first, b'"system":[' + block + b"]" + comma)]
    start, end = system.start, system.end
    if body.startswith(b"[", start):
        return (yield from _list_edits(body, start, block, lines))
    if body.startswith((b'""', b"null"), start):  # The API refuses an empty text block.
        return [_Edit(start, end, b"[" + block + b"]")]
    if not body.startswith(b'"', start) or _begins(body, system, lines):
        return []
    if _begins(body, system, _NOTE):
        closing = b"}," + block + b"]"
        return [_Edit(start, start, b"[" + _TEXT_BLOCK), _Edit(end, end, closing)]
    return [_Edit(start, start, b"[" + block + b"," + _TEXT_BLOCK), _Edit(end, end, b"}]")]


@lru_cache(maxsize=8)
def _block(line: str) -> bytes:
    return json.dumps({"type": "text", "text": line}, separators=(",", ":")).encode()


def _list_edits(body: Body, start: int, block: bytes, lines: Lines) -> Work[list[_Edit]]:
    opening = _LIST.match(body, start)
    empty, first = opening.groups() if opening else (None, None)
    edit = _Edit(start + 1, start + 1, block if empty else block + b",")
    following = opening if first else None
    while following:
        text, closing = yield from json_scan.last_named(body, following.end(), b"text")
        if text and _begins(body, text, lines):
            return []
        if text is None or not _begins(body, text, _NOTE):
            break
        edit = _Edit(closing + 1, closing + 1, b"," + block)
        following = _NEXT_BLOCK.match(body, closing)
    return [edit]


def _begins(body: Body, member: Member, lines: tuple[str, ...]) -> bool:
    """Whether the value is a string that begins with one of these."""
    text = json_scan.string(body, member.start, member.end, max(map(len, lines)))
    return text is not None and text.startswith(lines)


def _edited(body: Body, edits: list[_Edit]) -> Work[Body]:
    # It grows as it is filled: making 30 MB of memory at once takes longer than a step may.
    edited, at = bytearray(), 0
    with memoryview(body) as view:
        for start, end, new in (*edits, _Edit(len(body), len(body), b"")):
            for piece in range(at, start, _COPIED):
                edited += view[piece : min(start, piece + _COPIED)]
                yield _COPIED // 4
            edited += new
            at = end
    return edited
