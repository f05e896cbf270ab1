"""Client keys, tokens and daily sums of a PHP installation, taken over once.

Invariant: no day is counted twice. The table `imports` remembers which days have come; their sums
are never added again.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

import apsw

from airoxy.core.keys import KEY_PREFIX, digest, token_type
from airoxy.errors import Conflict, InvalidInput
from airoxy.legacy_php.source import OldKey, OldToken, Sums, old_days, old_keys, old_tokens
from airoxy.store import keys, leases, tokens
from airoxy.store.schema import run, transaction

_NAME_LENGTH = 64
#: Whose sums those are whose key or token is not known.
_NOBODY = 0
_SUMS = ("requests", "failed", "input_tokens", "output_tokens", "cache_write_5m_tokens",
         "cache_read_tokens", "cost_nanousd", "cache_write_1h_tokens",
         "web_search_requests")  # fmt: skip


@dataclass
class Takeover:
    """What was taken over; `notes` are sentences about what is not as one might expect."""

    keys: int = 0
    tokens: int = 0
    days: int = 0
    notes: list[str] = field(default_factory=list)


class _DryRun(Exception):
    """Undoes the transaction."""


def take_over(
    source: apsw.Connection,
    db: apsw.Connection,
    now: float,
    *,
    dry_run: bool = False,
    force: bool = False,
) -> Takeover:
    """All of `source` (see `open_php`) into `db`, in a transaction that `dry_run` undoes. Raises
    Conflict for a second time, unless by `force` what is not here yet is to be added."""
    result = Takeover()
    with contextlib.suppress(_DryRun), transaction(db):
        if has_imported(db) and not force:
            raise Conflict(
                "A PHP installation has been taken over already. With --force its keys and tokens"
                " that are not here are added, and the days after the last one that came."
            )
        run(db, "INSERT OR IGNORE INTO imports VALUES ('php', 'run', ?, '')", (str(now),))
        key_ids = {old.id: _key(db, old, now, result) for old in old_keys(source)}
        token_ids = {old.id: _token(db, old, now, result) for old in old_tokens(source)}
        _take_days(source, db, key_ids, token_ids, result)
        if dry_run:
            raise _DryRun
    return result


def has_imported(db: apsw.Connection) -> bool:
    """Whether anything was ever taken over."""
    return bool(run(db, "SELECT 1 FROM imports LIMIT 1"))


def _key(db: apsw.Connection, old: OldKey, now: float, result: Takeover) -> int:
    """The key's id here, where it is added if it is new."""
    if known := run(db, "SELECT id FROM api_keys WHERE digest = ?", (digest(old.key),)):
        return int(known[0][0])
    name = _free_name(old.name or f"key {old.id}", {row["name"] for row in keys.list_keys(db)})
    added = keys.add_key(db, name, old.key, now)
    if not old.key.startswith(KEY_PREFIX):
        keys.remove_key(db, added, now)  # its sums keep the name
        result.notes.append(f"Key {name}: only a hash is stored there; its client needs a new key.")
        return added
    result.keys += 1
    if not old.is_active:
        keys.toggle_key(db, added)
    return added


def _token(db: apsw.Connection, old: OldToken, now: float, result: Takeover) -> int:
    """The token's id here, where it is added if it is new."""
    known = run(
        db,
        "SELECT id FROM tokens"
        " WHERE token_digest = fingerprint(?) OR refresh_digest = fingerprint(?)",
        (old.token, old.refresh_token),
    )
    if known:
        return int(known[0][0])
    taken = {row["name"] for row in tokens.list_tokens(db, now)}
    name = _free_name(old.name or f"token {old.id}", taken)
    try:
        kind, refusal = token_type(old.token), None
    except InvalidInput as error:
        kind, refusal = "api_key", error.message
    oauth = kind == "oauth"
    added = tokens.add_token(
        db,
        name=name,
        type=kind,
        token=old.token,
        refresh_token=old.refresh_token if oauth else None,
        # An unknown expiry is taken for the past; a refresh mends it.
        expires_at=(old.expires_at or 0) if oauth else None,
        now=now,
    )
    if refusal:
        tokens.remove_token(db, added, now)
        result.notes.append(f"Token {name} is left out: {refusal}")
    else:
        result.tokens += 1
        _restore_state(db, added, old, now)
    return added


def _restore_state(db: apsw.Connection, added: int, old: OldToken, now: float) -> None:
    if old.last_used_at:
        tokens.note_used(db, {added: round(old.last_used_at * 1e9)})
    if not old.is_active and old.failures >= leases.REFUSALS:
        reason = f"refreshing failed {old.failures} times in the PHP installation"
        tokens.deactivate(db, added, reason, old.token, now)
    elif not old.is_active:
        tokens.toggle_token(db, added, now)
    run(db, "UPDATE tokens SET refresh_failures = ? WHERE id = ?", (old.failures, added))


def _take_days(
    source: apsw.Connection,
    db: apsw.Connection,
    key_ids: dict[int, int],
    token_ids: dict[int, int],
    result: Takeover,
) -> None:
    """The sums of the days after the last one that came before."""
    ((last,),) = run(
        db, "SELECT ifnull(max(json_extract(ref, '$[0]')), -1) FROM imports WHERE kind = 'day'"
    )
    for day, groups in old_days(source).items():
        if day <= last:
            continue
        for (key, token, model), sums in groups.items():
            ids = (key_ids.get(key or 0, _NOBODY), token_ids.get(token or 0, _NOBODY))
            _add_sums(db, (day, *ids, model), sums)
        run(db, "INSERT INTO imports VALUES ('php', 'day', ?, '')", (json.dumps([day]),))
        result.days += 1


def _add_sums(db: apsw.Connection, group: tuple[int, int, int, str], sums: Sums) -> None:
    run(
        db,
        f"INSERT INTO daily (day, api_key_id, token_id, model, {', '.join(_SUMS)})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT DO UPDATE SET "
        + ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS),
        (*group, *sums),
    )


def _free_name(name: str, taken: Collection[str]) -> str:
    """The name as it may stand in tables, with a number behind it where there is one already."""
    name = "".join(each if each.isprintable() else " " for each in name).strip()[:_NAME_LENGTH]
    numbered = (f"{name[: _NAME_LENGTH - 6]} ({number})" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)
