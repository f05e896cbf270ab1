"""Client keys in what a request says beside its body, in whatever place and spelling.

A body is passed on as it is: a key that a client writes into it goes to Anthropic.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from airoxy.core.keys import KEY_LENGTH, KEY_PREFIX

#: What makes a text search of a key: its random part, as it is and in Base64.
Needles = tuple[bytes, ...]

_PREFIX = KEY_PREFIX.encode()
_RANDOM = b"[A-Za-z0-9]{%d}" % KEY_LENGTH
_KEY = re.compile(rb"(?<![A-Za-z0-9])%b%b(?![A-Za-z0-9])" % (_PREFIX, _RANDOM))
_OFFERED = re.compile(KEY_PREFIX + _RANDOM.decode())
#: Whoever reads a text may undo its escapes more than once.
_LEVELS = 8
#: With more of them a text takes a millisecond and more; no client has so many.
MOST_ESCAPES = 1000


def needles(offered: Iterable[str]) -> Needles:
    """What the keys that a request offers are found by."""
    return tuple(each for key in offered if _OFFERED.fullmatch(key) for each in _spellings(key))


def has_key(text: bytes, own: Needles = ()) -> bool:
    """Whether something of the form of a client key stands in `text` by itself, or one of the
    request's own keys, whatever it stands in."""
    for _ in range(_LEVELS):
        for each in own:
            if each in text:
                return True
        if _PREFIX in text and _KEY.search(text):
            return True
        if not 0 < text.count(b"%") <= MOST_ESCAPES:
            return False
        text, escaped = unquote_to_bytes(text), text
        if text == escaped:
            return False
    return False


@lru_cache(maxsize=1024)
def _spellings(key: str) -> Needles:
    """In Base64 a text is spelled in one of three ways, by where it begins; the characters at both
    ends depend on what is around it."""
    random = key[len(KEY_PREFIX) :].encode()
    shifted = (b64encode(b"." * before + random) for before in range(3))
    return random, *(each[4:-4] for each in shifted)
