"""The client keys and tokens in memory, renewed when the database says that they changed.

Invariant: what a command commits holds from the next request on, and a request never waits for the
database: if it cannot be read at the moment, what was known last holds.
"""

from __future__ import annotations

import logging

import apsw

from airoxy.core.limits.table import Limits
from airoxy.core.pool import Token
from airoxy.errors import StoreError
from airoxy.store import keys, limits, resources, schema, tokens

log = logging.getLogger(__name__)


class Snapshot:
    """`keys` maps a key's digest to its id, `limits` that to what limits there are; `tokens` are
    the active ones. Call `renew` first."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._data_version = self._generation = -1
        self.keys: dict[bytes, int] = {}
        self.limits: dict[int, Limits] = {}
        self.tokens: tuple[Token, ...] = ()
        self.readable = True
        #: Why the tokens cannot be decrypted; everything but them is served then.
        self.locked: str | None = None

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
            self.keys = keys.active_digests(self._db)
            self.limits = limits.limits_in_force(self._db)
            self._read_tokens()
            # With a key that is missing, the next commit is reason enough to look for it again.
            self._generation = -1 if self.locked else generation

    def _read_tokens(self) -> None:
        try:
            self.tokens = tuple(tokens.usable_tokens(self._db))
            self.locked = None
        except StoreError as error:
            if self.locked is None:
                log.error("%s Until then no request can be forwarded.", error)
            self.tokens, self.locked = (), str(error)

    def token_of(self, resource_id: str) -> int | None:
        """The id of the token that made a batch or file, where airoxy saw it made."""
        try:
            return resources.token_of_resource(self._db, resource_id)
        except apsw.Error:
            return None
