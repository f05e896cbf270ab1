"""Finds the models that a text of JSON names, at any depth and in pieces of any size."""

from __future__ import annotations

import json
import re

from airoxy.core.request import json_scan

_LONGEST_MODEL = 200
#: What stands for models that nobody names, where the API may choose others.
ANY = "any that the API chooses"


def _spelled(word: bytes) -> bytes:
    """A pattern for `word` with any of its letters escaped."""
    return b"".join(rb"(?:%c|\\u(?i:%04x))" % (letter, letter) for letter in word)


#: The keys `model` and `fallbacks`, however they are spelled.
_KEY = re.compile(b'"(?:' + _spelled(b"model") + b"|(" + _spelled(b"fallbacks") + b'))"')
#: What follows it: no value, as it was none but a string, or one that is a string, a list, or
#: something else. Blanks and strings have bounds, so that each is one match; what exceeds them is
#: not clear.
_VALUE = re.compile(
    rb"[ \t\n\r]{0,256}(?:[,}\]]|"
    rb':[ \t\n\r]{0,256}(?:("(?:[^"\\]|\\.){0,400}")|(\[)|[^ \t\n\r"]))',
    re.DOTALL,
)
#: More than the longest key, and the longest key with its value (bytes).
_LONGEST_KEY, _LONGEST_PAIR = 64, 2048
#: More than most lists, and than the longest (bytes).
_USUAL_LIST, _LONGEST_LIST = 256, 16 * 1024
#: Stands for the end of a list that has not come.
_NOT_YET = -1
_decoder = json.JSONDecoder()


class ModelScan:
    """The string of every `model` at any depth, since to know the depth is to parse it all; what a
    tool calls so is among them. ANY for a string of `fallbacks`; a list of them is not clear, where
    it has more than objects with a `model`."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str | None]:
        """Those that are complete now; None for one that is not clear."""
        data = self._rest + piece
        found: list[str | None] = []
        list_end = 0
        for key in _KEY.finditer(data):
            value = _VALUE.match(data, key.end())
            if value is None and len(data) - key.start() < _LONGEST_PAIR:
                self._rest = data[key.start() :]
                return found
            if value is None:
                found.append(None)
            elif value[1]:
                model = json_scan.string(data, *value.span(1), _LONGEST_MODEL)
                found.append(ANY if key[1] else model)
            elif key[1] and value[2]:
                # A list within such a list is not clear, nor is one behind what is not, so that
                # nothing is parsed twice.
                end = _end_of_fallbacks(data, value.start(2)) if key.start() >= list_end else None
                if end == _NOT_YET:
                    self._rest = data[key.start() :]
                    return found
                if end is None:
                    found.append(None)
                list_end = len(data) if end is None else end
        self._rest = data[-_LONGEST_KEY:]
        return found


def _end_of_fallbacks(data: bytes, start: int) -> int | None:
    """Where the list ends that begins at `start`; None if not all models in it are to be found."""
    for longest in (_USUAL_LIST, _LONGEST_LIST):
        text = data[start : start + longest].decode("latin-1")
        try:
            fallbacks, length = _decoder.raw_decode(text)
        except (ValueError, RecursionError):
            continue
        if all(isinstance(each, dict) and isinstance(each.get("model"), str) for each in fallbacks):
            return start + length
        return None
    return None if len(text) == _LONGEST_LIST else _NOT_YET
