"""The names and notes that people give to keys, tokens and pools, as they are typed and shown."""

from __future__ import annotations

import re

from airoxy.errors import InvalidInput

NAME_LENGTH = 64
NOTE_LENGTH = 200
#: A client key, or a credential of Anthropic's.
_SECRET = re.compile(r"(sk-ant-(?=[a-z]+[\w-]{10})|\bak-(?=\w{40}))[\w-]*", re.ASCII)
#: Emoji and Persian words have these in them, which turn no line round.
_JOINERS = "\u200d\u200c"


def read_name(text: str) -> str:
    """A name: it will stand in tables and logs. Raises InvalidInput without a full stop."""
    name = text.strip()
    if not name.strip(_JOINERS) or len(name) > NAME_LENGTH or printable(name) != name:
        raise InvalidInput(f"a name is 1 to {NAME_LENGTH} printable characters")
    if _SECRET.search(name):
        raise InvalidInput("this is a secret and not a name, which everybody sees")
    return name


def read_note(text: str) -> str:
    """A note as it was typed. Raises InvalidInput without a full stop."""
    if not text or len(text) > NOTE_LENGTH or printable(text) != text:
        raise InvalidInput(f"a note is 1 to {NOTE_LENGTH} printable characters")
    if _SECRET.search(text):
        raise InvalidInput("there is a secret in this note, which everybody sees")
    return text


def without_secrets(text: str) -> str:
    """The text with only the beginning of each client key and upstream token in it."""
    return _SECRET.sub(r"\1…", text)


def printable(text: str) -> str:
    """The text on one line, without what a terminal takes for a command."""
    return "".join(each if each.isprintable() or each in _JOINERS else "?" for each in text)
