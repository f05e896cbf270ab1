"""With which other client keys a key shares what it has made: files, batches, sessions."""

from __future__ import annotations

from typing import NamedTuple

NONE, GROUP, ALL = "none", "group", "all"
CHOICES = (NONE, GROUP, ALL)
#: In the database: a key that was there before there was a choice, and shares as it did then.
BEFORE = "before"


class Sharer(NamedTuple):
    """A client key and with whom it shares; no key is that of what was made before keys were
    remembered."""

    key_id: int | None
    shares: str = GROUP
    group_id: int | None = None

    def may_use(self, owner: Sharer) -> bool:
        """Whether this key may use what `owner` has made. Sharing is mutual: a key that shares with
        none does not see what others have made, either."""
        if owner.key_id == self.key_id or owner.shares == self.shares == ALL:
            return True
        same_group = owner.group_id is not None and owner.group_id == self.group_id
        return same_group and NONE not in (owner.shares, self.shares)


def choice(stored: str | None) -> str:
    """The choice that is in force; None is the default."""
    return ALL if stored == BEFORE else stored or GROUP
