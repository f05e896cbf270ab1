"""The client keys, groups and tokens in memory, renewed when the database says that they changed.

Invariant: what a command commits holds from the next request on, and a request never waits for the
database: if it cannot be read at the moment, what was known last holds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import apsw

from airoxy.core.limits.division import HostShare
from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM, Holder, KeyLimits, of_key
from airoxy.core.limits.shares import share_of_token
from airoxy.core.limits.sharing import ALL, GROUP, Sharer
from airoxy.core.limits.table import Limits
from airoxy.core.pool import Scope, Token
from airoxy.errors import StoreError
from airoxy.store import keys, limits, schema, tokens
from airoxy.store.fleet.membership import hosts_that_share, lag
from airoxy.store.fleet.shares import shares_of_tokens
from airoxy.store.groups import limits_of_groups
from airoxy.store.resources import Resource, counted_results, find_resources
from airoxy.store.tokens import StoredCooldown

log = logging.getLogger(__name__)


class Snapshot:
    """`keys` maps a key's digest to its id; `limits`, `groups` and `pools` that to the limits that
    hold for it, its group's id and its pool. `old_keys` maps the digest of a secret that a key had
    before to its id and the Unix time at which it ends. `tokens` are the active ones, by id. Call
    `renew` first.

    `watch` is called with the id of each token that has changed and the token itself, or None where
    it is not active any more.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._data_version = self._generation = self._last_change = -1
        self._hosts = 0
        self._shares: dict[int, dict[str, HostShare]] = {}
        self._digests: dict[int, bytes] = {}
        self._old_digests: dict[int, list[bytes]] = {}
        self.keys: dict[bytes, int] = {}
        self.old_keys: dict[bytes, tuple[int, int]] = {}
        self._own_limits: dict[int, Limits] = {}
        self._group_limits: dict[int, Holder] = {}
        self.limits: dict[int, KeyLimits] = {}
        #: The numbers of keys and groups of which more is counted than before; whoever counts them
        #: takes them out.
        self.gained: set[int] = set()
        self.groups: dict[int, int] = {}
        self.pools: dict[int, str] = {}
        self.tokens: dict[int, Token] = {}
        self.watch: Callable[[int, Token | None], None] = lambda *_: None
        #: Called with each cooldown of tokens that cool down because another host says so.
        self.cooled: Callable[[StoredCooldown], None] = lambda _: None
        #: Another one whenever something may have changed.
        self.version = 0
        self.readable = True
        #: Why the tokens cannot be decrypted; everything but them is served then.
        self.locked: str | None = None

    @property
    def hosts(self) -> int:
        """How many there are in the fleet of this one; 0 where it is alone."""
        return self._hosts

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
        self.version += 1
        hosts = hosts_that_share(self._db)
        divided = self._divided_anew(hosts)
        if self._last_change < 0 or self.locked or hosts != self._hosts:
            self._hosts = hosts
            last = schema.last_change(self._db)
            self._group_limits = limits_of_groups(self._db)
            self._read_keys(None)
            self._read_tokens(None)
        else:
            last, changed = schema.changes_since(self._db, self._last_change)
            self._read_keys(changed["api_keys"])
            if changed["groups"]:
                before, self._group_limits = self._group_limits, limits_of_groups(self._db)
                for group_id, holder in self._group_limits.items():
                    known = before.get(group_id)
                    self._note_gain(holder.number, known and known.limits, holder.limits)
                self._combine_limits(self._members(changed["groups"]))
            self._read_tokens({*changed["tokens"], *divided})
            if changed["cooldowns"]:
                self._read_cooldowns(changed["cooldowns"])
        self._last_change = last

    def _read_cooldowns(self, ids: Collection[int]) -> None:
        for cooldown in tokens.coolings(self._db, time.time()):
            if cooldown.token_id in ids:
                self.cooled(cooldown)

    def _read_keys(self, ids: Collection[int] | None) -> None:
        found = keys.keys_in_force(self._db, ids)
        limited = limits.limits_in_force(self._db, ids)
        if ids is not None:
            for key_id, gained in limited.items():
                self._note_gain(key_id, self._own_limits.get(key_id), gained)
        for key_id in tuple(self._digests) if ids is None else ids:
            self.keys.pop(self._digests.pop(key_id, b""), None)
            for digest in self._old_digests.pop(key_id, ()):
                self.old_keys.pop(digest, None)
            for known in (self._own_limits, self.limits, self.groups, self.pools):
                known.pop(key_id, None)
        for key in found:
            self._digests[key.id] = key.digest
            self.keys[key.digest] = key.id
            if key.old_secrets:
                self._old_digests[key.id] = [old.digest for old in key.old_secrets]
                self.old_keys |= {old.digest: (key.id, old.until) for old in key.old_secrets}
            if key.pool is not None:
                self.pools[key.id] = key.pool
            if key.group_id is not None:
                self.groups[key.id] = key.group_id
        self._own_limits.update(limited)
        self._combine_limits([key.id for key in found])

    def _note_gain(self, number: int, before: Limits | None, now: Limits) -> None:
        if any(
            is_new and not was for is_new, was in zip(_counted(now), _counted(before), strict=True)
        ):
            self.gained.add(number)

    def _members(self, groups: Collection[int]) -> list[int]:
        """The keys in these groups."""
        if EVERYBODY in groups:
            return list(self._digests)
        return [key_id for key_id, group_id in self.groups.items() if group_id in groups]

    def _combine_limits(self, key_ids: Collection[int]) -> None:
        """Put together what holds for each of these keys."""
        for key_id in key_ids:
            own = self._own_limits.get(key_id)
            combined = KeyLimits.of(
                None if own is None else of_key(key_id, own),
                self._of_group(self.groups.get(key_id, 0)),
                self._of_group(EVERYBODY),
            )
            if combined is None:
                self.limits.pop(key_id, None)
            else:
                self.limits[key_id] = combined

    def _of_group(self, group_id: int) -> Holder | None:
        return self._group_limits.get(group_id)

    def is_limited(self, number: int) -> bool:
        """Whether the key, the group (their numbers as Holders) or the token (its negative id) is
        one of those whose use is counted."""
        if number < 0:
            return -number in self.tokens
        return number in self._own_limits or number - GROUPS_FROM in self._group_limits

    def sharer(self, key_id: int) -> Sharer:
        """With whom the key shares what it makes."""
        own = self._own_limits.get(key_id)
        shares = GROUP if own is None else own.share_resources
        return Sharer(key_id, shares, self.groups.get(key_id))

    def has_owners(self) -> bool:
        """Whether some key has things of its own."""
        return any(self.sharer(key_id).shares != ALL for key_id in self._digests)

    def _divided_anew(self, hosts: int) -> set[int]:
        """The tokens of whose limits this host has another share than before."""
        before, self._shares = self._shares, shares_of_tokens(self._db) if hosts else {}
        now = self._shares
        return {each for each in before.keys() | now.keys() if before.get(each) != now.get(each)}

    def _read_tokens(self, ids: Collection[int] | None) -> None:
        try:
            usable = tokens.usable_tokens(self._db, ids)
            found = {
                token.id: share_of_token(token, self._hosts, self._shares.get(token.id, {}))
                for token in usable
            }
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

    def fleet(self) -> dict[str, Any] | None:
        """How far the fleet is behind this host; None where it is alone."""
        try:
            return lag(self._db, time.time())
        except apsw.Error:
            return None

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


def _counted(limits: Limits | None) -> tuple[bool, bool]:
    """Whether requests of whoever has these limits are counted, and whether their tokens are."""
    if limits is None:
        return False, False
    return limits.metered, limits.spend or limits.tokens_per_minute is not None
