"""The client keys and tokens in memory, renewed when the database says that they changed.

Invariant: what a command commits holds from the next request on, and a request never waits for the
database: if it cannot be read at the moment, what was known last holds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence

import apsw

from airoxy.core.limits.table import Limits
from airoxy.core.pool import Scope, Token
from airoxy.errors import StoreError
from airoxy.store import keys, limits, schema, tokens
from airoxy.store.resources import Resource, counted_results, find_resources

log = logging.getLogger(__name__)


class Snapshot:
    """`keys` maps a key's digest to its id, `limits` and `pools` that to its limits and its pool;
    `tokens` are the active ones, by id. Call `renew` first.

    `watch` is called with the id of each token that has changed and the token itself, or None where
    it is not active any more.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._data_version = self._generation = self._last_change = -1
        self._digests: dict[int, bytes] = {}
        self.keys: dict[bytes, int] = {}
        self.limits: dict[int, Limits] = {}
        self.pools: dict[int, str] = {}
        self.tokens: dict[int, Token] = {}
        self.watch: Callable[[int, Token | None], None] = lambda *_: None
        self.readable = True
        #: Why the tokens cannot be decrypted; everything but them is served then.
        self.locked: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it was ever read."""
        return self._data_version >= 0

    def renew(self) -> None:
        """Two microseconds where nothing was committed; our own log rows cost one look more."""
        try:
            version = schema.data_version(self._db)
            if version != self._data_version:
                self._look()
                self._data_version = version
            self.readable = True
        except (apsw.Error, StoreError) as error:
            if self.readable:
                log.error("The database cannot be read: %s", error)
            self.readable = False

    def _look(self) -> None:
        generation = schema.generation(self._db)
        if generation != self._generation:
            with schema.snapshot(self._db):
                self._read_changes()
            # With a key that is missing, the next commit is reason enough to look for it again.
            self._generation = -1 if self.locked else generation

    def _read_changes(self) -> None:
        """Only what has changed is read, since thousands of tokens take a while to decrypt."""
        if self._last_change < 0 or self.locked:
            last = schema.last_change(self._db)
            self._read_keys(None)
            self._read_tokens(None)
        else:
            last, changed = schema.changes_since(self._db, self._last_change)
            self._read_keys(changed["api_keys"])
            self._read_tokens(changed["tokens"])
        self._last_change = last

    def _read_keys(self, ids: Collection[int] | None) -> None:
        found = keys.keys_in_force(self._db, ids)
        limited = limits.limits_in_force(self._db, ids)
        for key_id in tuple(self._digests) if ids is None else ids:
            self.keys.pop(self._digests.pop(key_id, b""), None)
            self.limits.pop(key_id, None)
            self.pools.pop(key_id, None)
        for key in found:
            self._digests[key.id] = key.digest
            self.keys[key.digest] = key.id
            if key.pool is not None:
                self.pools[key.id] = key.pool
        self.limits.update(limited)

    def _read_tokens(self, ids: Collection[int] | None) -> None:
        try:
            found = {token.id: token for token in tokens.usable_tokens(self._db, ids)}
            self.locked = None
        except StoreError as error:
            if self.locked is None:
                log.error("%s Until then no request can be forwarded.", error)
            ids, found, self.locked = None, {}, str(error)
        for token_id in {*self.tokens, *found} if ids is None else ids:
            token = found.get(token_id)
            if token is None:
                self.tokens.pop(token_id, None)
            else:
                self.tokens[token_id] = token
            self.watch(token_id, token)

    def cooling_scopes(self) -> set[Scope]:
        """What some token is cooling down for, as far as the database says."""
        try:
            return {cooling.scope for cooling in tokens.coolings(self._db, time.time())}
        except apsw.Error:
            return set()

    def counted_results(self, batch_id: str) -> int:
        """How many results of a batch have been counted."""
        try:
            return counted_results(self._db, batch_id)
        except apsw.Error:
            return 0

    def resources(self, ids: Sequence[str]) -> dict[str, Resource]:
        """Whose the things with these ids are, where airoxy saw them made."""
        try:
            return find_resources(self._db, ids)
        except apsw.Error:
            return {}
