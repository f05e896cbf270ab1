"""Text as YAML, written so that nothing in it hides or is taken for something else."""

from __future__ import annotations

import re

#: What needs no quotes: neither a number nor a date, and none of the words that mean something.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./@+-]*", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"})
_ESCAPED = {'"': '\\"', "\\": "\\\\"}


def quoted_yaml(text: str) -> str:
    """A scalar; in quotes where that is safer, with codes for what does not show."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return f'"{"".join(map(_shown, text))}"'


def _shown(letter: str) -> str:
    if letter in _ESCAPED:
        return _ESCAPED[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
