"""Keys, tokens and the account of a PHP installation taken over, once, however often it is done.

The law: the same key, token, request or sum never comes twice, even where it was removed here or
has gone there in the meantime.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

import apsw

from airoxy.core.keys import KEY_PREFIX, digest, token_type
from airoxy.errors import InvalidInput
from airoxy.legacy_php.history import take_history
from airoxy.legacy_php.imports import Imports
from airoxy.legacy_php.source import OldKey, OldToken, old_keys, old_tokens
from airoxy.store import keys, leases, tokens
from airoxy.store.schema import run, transaction

_NAME_LENGTH = 64


@dataclass
class Taken:
    """How many came, and how many were known or had come before."""

    new: int = 0
    known: int = 0


@dataclass
class Report:
    """What was taken over; `notes` are sentences about what is not as one might expect."""

    keys: Taken = field(default_factory=Taken)
    tokens: Taken = field(default_factory=Taken)
    requests: int = 0
    sums: int = 0
    notes: list[str] = field(default_factory=list)


class _OnlyTold(Exception):
    """Undoes the transaction."""


def take_over(
    source: apsw.Connection, db: apsw.Connection, now: float, *, dry_run: bool = False
) -> Report:
    """All of `source` (see `php.open_php`) into `db`, in a transaction that `dry_run` undoes."""
    with contextlib.suppress(_OnlyTold), transaction(db):
        takeover = _Takeover(source, db, now)
        takeover.run()
        if dry_run:
            raise _OnlyTold
    return takeover.report


class _Takeover:
    def __init__(self, source: apsw.Connection, db: apsw.Connection, now: float) -> None:
        self._source, self._db, self._now = source, db, now
        self.report = Report()
        self._imports = Imports(db, [digest(old.key).hex() for old in old_keys(source)])
        self._keys: dict[int, int] = {}
        self._tokens: dict[int, int] = {}

    def run(self) -> None:
        for key in old_keys(self._source):
            self._keys[key.id] = self._key(key)
        for token in old_tokens(self._source):
            self._tokens[token.id] = self._token(token)
        history = take_history(self._source, self._db, self._imports, self._keys, self._tokens)
        self.report.requests, self.report.sums = history.requests, history.sums
        if history.undated:
            self._note(f"{history.undated} requests in the log have no time and are left out.")

    def _key(self, old: OldKey) -> int:
        """Its id here."""
        reference = digest(old.key).hex()
        found = self._imports.find("key", reference) or _id(
            self._db, "SELECT id FROM api_keys WHERE digest = ?", digest(old.key)
        )
        self.report.keys.known += found is not None
        number = self._add_key(old) if found is None else int(found)
        self._imports.remember("key", reference, str(number))
        return number

    def _add_key(self, old: OldKey) -> int:
        taken = {row["name"] for row in keys.list_keys(self._db)}
        name = _free(old.name or f"key {old.id}", taken)
        added = keys.add_key(self._db, name, old.key, self._now)
        if not old.key.startswith(KEY_PREFIX):
            # Its history keeps the name.
            keys.remove_key(self._db, added, self._now)
            self._note(f"Key {name}: only a hash is stored there; its client needs a new key.")
            return added
        self.report.keys.new += 1
        if not old.is_active:
            keys.toggle_key(self._db, added)
        return added

    def _token(self, old: OldToken) -> int:
        """Its id here."""
        found = self._imports.find("token", str(old.id)) or _id(
            self._db,
            "SELECT id FROM tokens"
            " WHERE token_digest = fingerprint(?) OR refresh_digest = fingerprint(?)",
            old.token,
            old.refresh_token,
        )
        self.report.tokens.known += found is not None
        number = self._add_token(old) if found is None else int(found)
        self._imports.remember("token", str(old.id), str(number))
        if found is not None:
            self._renew(number, old)
        return number

    def _add_token(self, old: OldToken) -> int:
        taken = {row["name"] for row in tokens.list_tokens(self._db, self._now)}
        name = _free(old.name or f"token {old.id}", taken)
        try:
            kind, refusal = token_type(old.token), None
        except InvalidInput as error:
            kind, refusal = "api_key", error.message
        oauth = kind == "oauth"
        added = tokens.add_token(
            self._db,
            name=name,
            type=kind,
            token=old.token,
            refresh_token=old.refresh_token if oauth else None,
            # Of an unknown expiry nothing is believed; a refresh mends it.
            expires_at=(old.expires_at or 0) if oauth else None,
            now=self._now,
        )
        if refusal:
            tokens.remove_token(self._db, added, self._now)
            self._note(f"Token {name} is left out: {refusal}")
            return added
        self.report.tokens.new += 1
        self._restore_state(added, old)
        return added

    def _restore_state(self, added: int, old: OldToken) -> None:
        if old.last_used_at:
            tokens.note_used(self._db, {added: round(old.last_used_at * 1e9)})
        if not old.is_active and old.failures >= leases.REFUSALS:
            reason = f"refreshing failed {old.failures} times in the PHP installation"
            tokens.deactivate(self._db, added, reason, old.token, self._now)
        elif not old.is_active:
            tokens.toggle_token(self._db, added, self._now)
        run(self._db, "UPDATE tokens SET refresh_failures = ? WHERE id = ?", (old.failures, added))

    def _renew(self, token_id: int, old: OldToken) -> None:
        """Both installations may have refreshed it since: the pair that expires later is alive."""
        ((name, refresh, expires),) = run(
            self._db,
            "SELECT name, unseal(refresh_token), expires_at FROM tokens WHERE id = ?",
            (token_id,),
        )
        if not refresh or not old.refresh_token or (old.expires_at or 0) <= (expires or 0):
            return
        secrets = (refresh, old.token, old.refresh_token, old.expires_at or 0)
        if leases.store_refreshed(self._db, token_id, *secrets, self._now):
            self._note(f"Token {name}: the newer pair has been taken over.")

    def _note(self, text: str) -> None:
        self.report.notes.append(text)


def _id(db: apsw.Connection, sql: str, *values: str | bytes | None) -> str | None:
    found = run(db, sql, values)
    return str(found[0][0]) if found else None


def _free(name: str, taken: Collection[str]) -> str:
    """The name as it may stand in tables, with a number behind it where there is one already."""
    name = "".join(each if each.isprintable() else " " for each in name).strip()[:_NAME_LENGTH]
    if name not in taken:
        return name
    numbered = (f"{name[: _NAME_LENGTH - 6]} ({number})" for number in count(2))
    return next(each for each in numbered if each not in taken)
