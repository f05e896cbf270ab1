"""Which tokens have limits of their own, and that what is spent with these is counted, from when on
they have them."""

from __future__ import annotations

import time

import apsw

from airoxy.core.pool import Token
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.pool.spent import SpentByTokens, Writing
from airoxy.server.writer import Writer
from airoxy.store import token_spending
from airoxy.store.usage.requests import Row


class LimitedTokens:
    """Invariant: of a token in `ids` the cost of each request that ends is counted. What ended
    before is in the database or waits to be written: it is read behind that."""

    def __init__(self, snapshot: Snapshot, spent: SpentByTokens, writer: Writer) -> None:
        self._snapshot, self._spent, self._writer = snapshot, spent, writer
        self.ids: set[int] = set()
        #: Of which version of the snapshot there are tokens that will be counted, if some will.
        self._awaited: int | None = None

    def changed(self, token_id: int, token: Token | None) -> None:
        """The snapshot has another token, or None, under this id."""
        if token is None or token.limits is None:
            self.ids.discard(token_id)
        elif token_id not in self.ids:
            self.ids.add(token_id)
            # Once for all tokens of a version, but behind the rows that came since the last one.
            if self._awaited != self._snapshot.version:
                self._awaited = self._snapshot.version
                self.count_anew()

    def count_anew(self) -> None:
        """What tokens with limits have spent; behind the rows that wait to be written, so that
        they are in the sums."""
        if self.ids:
            self._writer.do(self.count_spent)

    def count_spent(self, db: apsw.Connection) -> None:
        """Read what the tokens with limits have spent until now."""
        self._awaited = None
        now = time.time()
        spent = token_spending.spent(db, now)
        for token in list(self._snapshot.tokens.values()):
            if token.limits is not None and token.id in spent:
                self._spent.begin_with(token.id, now, *spent[token.id])

    def add(self, token_id: int, nanousd: int, came: float) -> None:
        """A request with this token, which came at this Unix time, has cost so much more."""
        self._spent.add(token_id, nanousd, time.time(), came)

    def writing(self, row: Row, nanousd: int, came: float) -> Writing:
        """What the transaction has to call that writes the row of a request that was added."""
        return Writing(self._spent, row.token_id or 0, nanousd, came)

    def forget_dead(self) -> None:
        """What workers that were killed have counted is about to be written by this one."""
        for token_id in self.ids:
            self._spent.forget_dead(token_id)
