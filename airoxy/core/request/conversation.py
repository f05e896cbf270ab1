"""Which conversation a Messages request belongs to, as far as its body tells, without reading all
of it.

What is found only decides which upstream token is asked. So these are looks at the beginning and
the end of a body, which cost microseconds, and not readings of it.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import NamedTuple

from airoxy.core.request.search.memmem import holds

Body = bytes | bytearray

#: Of a longer body only so much is looked at from either end (bytes): what is searched for mostly
#: stands in WINDOW, and elsewhere where tools or a system prompt of some length stand around it.
WINDOW, _REACH = 8 * 1024, 64 * 1024
#: Of a first message longer than the first number only the first text is read, and of that the
#: second number (bytes).
_MESSAGE, _TEXT = 16 * 1024, 2 * 1024

#: Offset before which the first answer begins in a body that has one, even behind many tools.
_HISTORY = 256 * 1024
#: Offset before which the messages of a body begin, even behind tools and a system prompt.
_LONGEST_PROMPT = 1024 * 1024

_CACHE = b'"cache_control"'
_SHORT = 2 * 1024
_RARE = b"_"
_RARE_AT = _CACHE.index(_RARE)
#: Checking one occurrence of the letter takes as long as searching so many bytes for the word. The
#: first checks are made in any case.
_SAVED_BY, _AFFORDED = 1024, 2 * 1024
_USER = b'"user_id"'
#: Claude Code's form of `metadata.user_id`: JSON in a string.
_USER_SESSION = re.compile(
    rb'\s{0,9}:\s{0,9}"\{(?:[^"\\]|\\.){0,1000}?\\"session_id\\"\s{0,9}:'
    rb'\s{0,9}\\"([0-9A-Za-z_-]{8,128})\\"'
)
_MESSAGES, _LIST = b'"messages"', re.compile(rb"\s{0,99}:\s{0,99}\[\s{0,99}(?=\{)")
_TEXT_MEMBER = re.compile(rb'"(?:text|content)"\s{0,99}:\s{0,99}"(?!")')
_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_ROLE, _ASSISTANT = b'"assistant"', re.compile(rb"\s{0,9}[,}]")

_THREAD, _DIAGNOSTICS = b'"thread"', b'"diagnostics"'
_OBJECT = re.compile(
    rb"\s{0,99}:\s{0,99}\{(?:[^{}]{0,400}"
    rb'"previous_message_id"\s{0,99}:\s{0,99}"(msg_[0-9A-Za-z_-]{1,200})")?'
)
_MESSAGE_ID = re.compile(rb'"id"\s{0,9}:\s{0,9}"(msg_[0-9A-Za-z_-]{1,200})"')

_decode = json.JSONDecoder().raw_decode


class Thread(NamedTuple):
    """A request of a message thread. `previous` is the message that it continues, or asks about:
    only the account that has made that message knows it."""

    previous: bytes | None


def tells_nothing(body: Body) -> bool:
    """Whether a short body has neither `session_in` nor `conversation_of`, found out in a fifth of
    their time."""
    return len(body) <= _SHORT and body.find(_USER) < 0 and body.find(_CACHE) < 0


def session_in(body: Body) -> bytes | None:
    """The session in Claude Code's `metadata.user_id`; other programs put a person there."""
    for part in _windows(body, WINDOW):
        if found := _member(part, _USER, _USER_SESSION):
            return found[1]
    return None


def conversation_of(body: Body, key_id: int, model_class: str) -> bytes | None:
    """The same for all turns of a conversation that uses the prompt cache: a hash over client key,
    model class and the text of the first user message, which no client changes."""
    if not uses_cache(body):
        return None
    return opening_of(body, key_id, model_class)


def opening_of(body: Body, key_id: int, model_class: str) -> bytes | None:
    """The hash alone, of any request with messages."""
    text = _first_message(body)
    if not text:
        return None
    return blake2b(b"%d\0%b\0%b" % (key_id, model_class.encode(), text), digest_size=16).digest()


def uses_cache(body: Body) -> bool:
    """Whether some part of it is to be cached: near its end, as in most bodies, near its beginning,
    or before its messages, as after a long system prompt."""
    last = len(body) - WINDOW
    if _caches(body, max(0, last), len(body)):
        return True
    if last <= 0:
        return False
    far = len(body) - _REACH
    if far <= _REACH:
        return _caches(body, 0, last)
    if _caches(body, 0, _REACH) or _caches(body, far, last):
        return True
    messages = body.find(_MESSAGES, _REACH, _LONGEST_PROMPT)
    return messages >= 0 and _caches(body, messages - WINDOW, messages)


def _caches(body: Body, start: int, end: int) -> bool:
    """Whether `cache_control` begins there, or reaches into it. A letter is found thirty times as
    fast as a word, so where its `_` is rare, as in prose, that is what is looked for."""
    if end - start < _SAVED_BY * 2:
        return body.find(_CACHE, start, end + len(_CACHE)) >= 0
    at, price = body.find(_RARE, start, end), start - _AFFORDED
    while at >= 0:
        if body.startswith(_CACHE, max(0, at - _RARE_AT)):
            return True
        price += _SAVED_BY
        if price > at:
            return holds(body, _CACHE, at, end + len(_CACHE))
        at = body.find(_RARE, at + 1, end)
    return False


def has_history(body: Body) -> bool:
    """Whether the model has answered before. Asked once for a session, so more is looked at."""
    return _member(body[:_HISTORY], _ROLE, _ASSISTANT) is not None


def thread_in(body: Body) -> Thread | None:
    """What the body says of a message thread (beta message-threads-2026-08-12)."""
    for part in _windows(body, _REACH):
        if found := _member(part, _THREAD, _OBJECT):
            return Thread(found[1])
        if (found := _member(part, _DIAGNOSTICS, _OBJECT)) and found[1]:
            return Thread(found[1])
    return None


def message_id_in(beginning: bytes) -> bytes | None:
    """The id of the message that an answer begins with, plain or streamed."""
    found = _MESSAGE_ID.search(beginning)
    return found[1] if found else None


def _member(part: Body, name: bytes, value: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """The first place where `name` is followed by `value`; inside of strings, where quotes are
    escaped, it is not looked for."""
    at = part.find(name)
    while at >= 0:
        if part[at - 1 : at] != b"\\" and (found := value.match(part, at + len(name))):
            return found
        at = part.find(name, at + 1)
    return None


def _windows(body: Body, size: int) -> tuple[Body, ...]:
    if len(body) <= 2 * size:
        return (body,)
    return (body[:size], body[-size:])


def _first_message(body: Body) -> bytes:
    """The text of the first message, or the beginning of it."""
    found = _member(body, _MESSAGES, _LIST)
    if found is None:
        return b""
    window = body[found.end() : found.end() + _MESSAGE]
    try:
        message, _ = _decode(window.decode("latin-1"))
    except (ValueError, RecursionError):  # it is longer
        member = _TEXT_MEMBER.search(window)
        text = member and _STRING.match(window, member.end(), member.end() + _TEXT)
        return text[0] if text else b""
    return _texts(message.get("content")).encode("latin-1", "replace")


def _texts(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    blocks = (block.get("text") for block in content if isinstance(block, dict))
    return "\0".join(text for text in blocks if isinstance(text, str))
