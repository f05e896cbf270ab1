"""The names and notes that people give to keys, tokens and pools, as they are typed."""

from __future__ import annotations

from airoxy.errors import InvalidInput

NAME_LENGTH = 64
NOTE_LENGTH = 200


def read_name(text: str) -> str:
    """A name: it will stand in tables and logs. Raises InvalidInput without a full stop."""
    name = text.strip()
    # Emoji are joined by what is not printable.
    if not name or len(name) > NAME_LENGTH or not name.replace("\u200d", "").isprintable():
        raise InvalidInput(f"a name is 1 to {NAME_LENGTH} printable characters")
    return name


def read_note(text: str) -> str:
    """A note as it was typed. Raises InvalidInput without a full stop."""
    if not text or len(text) > NOTE_LENGTH or not text.isprintable():
        raise InvalidInput(f"a note is 1 to {NOTE_LENGTH} printable characters")
    return text
