"""What has been taken over from older installations, so that nothing of it comes twice.

The law: it is written in the transaction of what it remembers. An installation is known again by
its client keys, wherever its directory is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

import apsw

from airoxy.legacy_php.source import Counts
from airoxy.store.schema import run

#: Day, token there, model ("": none).
Group = tuple[int, "int | None", str]


class Imports:
    """Of one installation, which has client keys with these digests."""

    def __init__(self, db: apsw.Connection, digests: Sequence[str]) -> None:
        self._db = db
        found = run(
            db,
            "SELECT source FROM imports WHERE kind = 'key'"
            " AND ref IN (SELECT value FROM json_each(?)) LIMIT 1",
            (json.dumps(digests),),
        )
        self._source = found[0][0] if found else (*digests, "without keys")[0]

    def find(self, kind: str, ref: str) -> str | None:
        """What `ref` there became here."""
        found = run(
            self._db,
            "SELECT taken FROM imports WHERE source = ? AND kind = ? AND ref = ?",
            (self._source, kind, ref),
        )
        return found[0][0] if found else None

    def remember(self, kind: str, ref: str, taken: str) -> None:
        """Instead of what was remembered of `ref`."""
        run(
            self._db,
            "INSERT INTO imports VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET taken = excluded.taken",
            (self._source, kind, ref, taken),
        )

    def counted(self) -> dict[Group, Counts]:
        """What has been added to our sums."""
        rows = run(
            self._db,
            "SELECT ref, taken FROM imports WHERE source = ? AND kind = 'day'",
            (self._source,),
        )
        known: dict[Group, Counts] = defaultdict(Counts)
        for ref, taken in rows:
            day, token, model = json.loads(ref)
            known[day, token, model] = Counts(*json.loads(taken))
        return known

    def remember_counted(self, counted: Mapping[Group, Counts]) -> None:
        for group, counts in counted.items():
            self.remember("day", json.dumps(group), json.dumps(counts))


def has_imported(db: apsw.Connection) -> bool:
    """Whether anything was ever taken over."""
    return bool(run(db, "SELECT 1 FROM imports LIMIT 1"))
