"""With which other client keys a key shares what it has made: files, batches, sessions."""

from __future__ import annotations

NONE, GROUP, ALL = "none", "group", "all"
CHOICES = (NONE, GROUP, ALL)
#: In the database: a key that was there before there was a choice, and shares as it did then.
BEFORE = "before"


def choice(stored: str | None) -> str:
    """The choice that is in force; None is the default."""
    return ALL if stored == BEFORE else stored or GROUP


def may_use(owner: int | None, owner_shares: str, key: int, key_shares: str) -> bool:
    """Whether a key may use what `owner` has made; None made it before owners were remembered.

    Sharing is mutual: a key that shares with none does not see what others have made, either.
    """
    return owner == key or (owner_shares == ALL and key_shares == ALL)
