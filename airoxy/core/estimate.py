"""The most that a request can use, read from it before it is sent; and the models of a batch.

The estimate is an upper one, and cheap. Text has two bytes or more for each token, whatever the
language; so has nearly everything that is written as JSON. Not included is what the body only
names: images and documents by URL or by the id of a file, and what server tools find.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Body, Members, NotJson, Work

#: No text has more tokens than one in so many bytes.
BYTES_PER_TOKEN = 2
#: No model writes more; who asks for more is refused by the API.
_MOST_TOKENS = 10_000_000
#: A number, or a word such as "fast" (bytes).
_SHORT = 64

#: A key `model`, however it is spelled.
_KEY = re.compile(rb'"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"')
#: What follows it: no value, as it was none but a string, or one that is a string or is not. Blanks
#: and strings have bounds, so that each is one match; what exceeds them is not clear.
_VALUE = re.compile(
    rb"[ \t\n\r]{0,256}(?:[,}\]]|"
    rb':[ \t\n\r]{0,256}(?:("(?:[^"\\]|\\.){0,400}")|[^ \t\n\r"]))',
    re.DOTALL,
)
#: More than the longest key, and the longest key with its value (bytes).
_LONGEST_KEY, _LONGEST_PAIR = 32, 2048
_LONGEST_MODEL = 200
_CLOSING = ord("}")


class Estimate(NamedTuple):
    """Tokens; `fast` is whether the dearer service is asked for."""

    input_tokens: int = 0
    output_tokens: int = 0
    fast: bool = False

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def read_estimate(body: Body) -> Work[Estimate]:
    """What the Messages request `body` asks for."""
    most, fast = 0, False
    try:
        members = Members(body)
        most = _tokens((yield from _value(members, b"max_tokens")))
        fast = (yield from _value(members, b"speed")) == "fast"
    except NotJson:
        pass
    return Estimate(-(-len(body) // BYTES_PER_TOKEN), most, fast)


def read_models(body: Body) -> Work[list[str | None]]:
    """Each `model` of the object that `body` is, None for one that is no string; of several, nobody
    knows which the API takes. None of what is no object."""
    found: list[str | None] = []
    try:
        members = Members(body)
        at = members.first
        while body[at] != _CLOSING:
            here = yield from json_scan.member(body, at)
            if _KEY.fullmatch(b'"' + here.key + b'"'):
                found.append(json_scan.string(body, here.start, here.end, _LONGEST_MODEL))
            at = here.next
    except NotJson:
        return []
    return found


class ModelScan:
    """Finds the models of a batch in its pieces, wherever they are cut: the string of every `model`
    at any depth, since to know the depth is to parse it all. What a tool calls so is among them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str | None]:
        """Those that are complete now; None for one that is not clear."""
        data = self._rest + piece
        found: list[str | None] = []
        for key in _KEY.finditer(data):
            value = _VALUE.match(data, key.end())
            if value is None and len(data) - key.start() < _LONGEST_PAIR:
                self._rest = data[key.start() :]
                return found
            if value is None:
                found.append(None)
            elif value[1]:
                found.append(json_scan.string(data, *value.span(1), _LONGEST_MODEL))
        self._rest = data[-_LONGEST_KEY:]
        return found


def _value(members: Members, name: bytes) -> Work[Any]:
    member = yield from members.find(name)
    if member is None or member.end - member.start > _SHORT:
        return None
    try:
        return json.loads(bytes(members.body[member.start : member.end]))
    except ValueError:
        return None


def _tokens(value: object) -> int:
    """Of what is no such number the API makes an error, which costs nothing."""
    if not isinstance(value, int | float) or not value > 0:
        return 0
    return int(min(value, _MOST_TOKENS))
