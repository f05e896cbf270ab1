"""The head of an answer as nearly all are, read without a parser.

Invariant: what is read here means the same to httptools; what is left to it need not be unusual.
"""

from __future__ import annotations

import re
from typing import Any

from airoxy.core.request.headers import Headers

#: The length of a body that comes in chunks.
CHUNKED = -1
#: Headers, the same by their names, the length of the body or CHUNKED, and where that begins.
UsualHead = tuple[Headers, dict[bytes, bytes], int, int]

_FIRST = b"HTTP/1.1 200 OK\r\n"
_END = b"\r\n\r\n"
#: A longer head has something unusual (bytes).
_LONGEST = 8 * 1024
#: One space behind the colon and none at the end: parsers do not agree on what others mean.
_FIELD = re.compile(rb"([0-9A-Za-z_-]+): ([!-~](?:[ -~]*[!-~])?)")
_LENGTH = re.compile(rb"[0-9]{1,18}")
#: What a header that frames an answer or ends its connection must say here, or that it may not be.
_SAYS = {
    b"content-length": _LENGTH,
    b"transfer-encoding": re.compile(b"chunked"),
    b"connection": re.compile(b"keep-alive"),
    b"proxy-connection": re.compile(b"(?!)"),
    b"upgrade": re.compile(b"(?!)"),
}
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_LAST = b"\r\n0\r\n\r\n"

#: Lines that were read before: most are the same in all answers.
_known: dict[bytes, tuple[bytes, bytes]] = {}
#: So many lines are remembered, and none that is longer (bytes).
_MOST_KNOWN, _LONGEST_KNOWN = 1024, 256


def read_usual_head(data: bytes) -> UsualHead | None:
    """The head of a 200 that begins `data`; None for what the parser has to read."""
    end = data.find(_END, 0, _LONGEST)
    if end < 0 or not data.startswith(_FIRST):
        return None
    lines = data[len(_FIRST) : end].split(b"\r\n")
    headers: Any = list(map(_known.get, lines))
    if None in headers:
        headers = list(map(_read, lines))
        if None in headers:
            return None
    named: dict[bytes, bytes] = dict(headers)
    length = named.get(b"content-length")
    if len(named) != len(headers) or (length is None) is not (b"transfer-encoding" in named):
        return None
    return headers, named, CHUNKED if length is None else int(length), end + len(_END)


def only_chunk(data: bytes, start: int) -> bytes | None:
    """The body that comes in one chunk from `start` to the end of `data`; None if it does not."""
    if found := _CHUNK.match(data, start):
        begin, end = found.end(), len(data) - len(_LAST)
        if int(found[1], 16) == end - begin > 0 and data.endswith(_LAST):
            return data[begin:end]
    return None


def _read(line: bytes) -> tuple[bytes, bytes] | None:
    if line in _known:
        return _known[line]
    found = _FIELD.fullmatch(line)
    if found is None:
        return None
    name, value = found[1].lower(), found[2]
    if name in _SAYS and not _SAYS[name].fullmatch(value):
        return None
    if len(line) <= _LONGEST_KNOWN:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[line] = name, value
    return name, value
