"""Client keys: known by their digests, listed by their masks."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.core.keys import digest, mask
from airoxy.core.limits.sharing import BEFORE
from airoxy.core.limits.table import LIMITS, Limit
from airoxy.errors import Conflict
from airoxy.store.limits import set_limits
from airoxy.store.names import change, listed, none_such, refuse_taken
from airoxy.store.schema import among, run, transaction

#: The fields of a key as they are shown: its own, then its limits.
FIELDS = (
    *("id", "name", "masked", "is_active", "created_at", "note", "pool", "group_id"),
    "old_digests",
)
#: For how long it is remembered that a secret was one (seconds), to tell its holder.
_REMEMBERED = 30 * 86400
_COLUMNS = {
    **{name: name for name in (*FIELDS, *(limit.column for limit in LIMITS))},
    "group_name": "(SELECT g.name FROM groups AS g WHERE g.id = group_id)",
}


def add_key(
    db: apsw.Connection, name: str, key: str, now: float, changes: Mapping[str, Any] | None = None
) -> int:
    """The new key's id; `changes` are limits and what else may be set. Raises Conflict."""
    with transaction(db):
        refuse_taken(db, "api_keys", name)
        _refuse_known(db, key)
        ((key_id,),) = run(
            db,
            "INSERT INTO api_keys (name, digest, masked, created_at) VALUES (?, ?, ?, ?)"
            " RETURNING id",
            (name, digest(key), mask(key), int(now)),
        )
        if changes:
            set_limits(db, key_id, changes)
    return int(key_id)


def _refuse_known(db: apsw.Connection, key: str) -> None:
    """Raises Conflict for a secret that is or was some key's."""
    rows = run(
        db,
        "SELECT id, name, digest, old_digests FROM api_keys"
        " WHERE digest = ? OR old_digests IS NOT NULL",
        (digest(key),),
    )
    for key_id, name, current, old in rows:
        if digest(key) in (current, *(each.digest for each in _unpacked(old))):
            raise Conflict(f"That key is there already: {key_id} ({name}).")


def list_keys(db: apsw.Connection, ids: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Those not removed (of these ids), oldest first; times in Unix seconds, limits of several
    words as lists."""
    return [_told(key) for key in listed(db, "api_keys", _COLUMNS, among(ids))]


def _told(key: dict[str, Any]) -> dict[str, Any]:
    key["is_active"] = bool(key["is_active"])
    old = _unpacked(key.pop("old_digests"))
    key["old_secrets"] = [{"masked": each.masked, "until": each.until} for each in old]
    return key | unpacked(key, LIMITS)


def unpacked(row: Mapping[str, Any], limits: Iterable[Limit]) -> dict[str, Any]:
    """The limits of a row by their columns, those of several words as lists."""
    values = {limit.column: limit.unit.unpack(row[limit.column]) for limit in limits}
    return {
        column: (list(value) or None) if isinstance(value, tuple) else value
        for column, value in values.items()
    }


def find_key(db: apsw.Connection, key_id: int) -> dict[str, Any]:
    """The one with this id. Raises NotFound."""
    for key in list_keys(db, (key_id,)):
        return key
    raise none_such("api_keys", key_id)


def sharing_as_before(db: apsw.Connection) -> list[str]:
    """The names of the keys that share all that they make because they did so before 1.1."""
    rows = run(
        db,
        "SELECT name FROM api_keys WHERE share_resources = ? AND removed_at IS NULL ORDER BY id",
        (BEFORE,),
    )
    return [name for (name,) in rows]


def remove_key(db: apsw.Connection, key_id: int, now: float) -> None:
    """It stops working; its row stays as a name for its history. Raises NotFound."""
    gone = "removed_at = ?, is_active = 0, digest = NULL, old_digests = NULL"
    change(db, "api_keys", key_id, gone, (int(now),))


def toggle_key(db: apsw.Connection, key_id: int) -> bool:
    """Disable or enable; the new state. Raises NotFound."""
    return bool(change(db, "api_keys", key_id, "is_active = NOT is_active"))


def set_active(db: apsw.Connection, key_id: int, active: bool) -> None:
    """Enable or disable; one that is as wanted stays as it is. Raises NotFound."""
    if find_key(db, key_id)["is_active"] != active:
        toggle_key(db, key_id)


class OldSecret(NamedTuple):
    """A secret that a key had before it was rotated; `until` is the first Unix second at which it
    is refused."""

    digest: bytes
    masked: str
    until: int


def rotate_key(
    db: apsw.Connection, key_id: int, key: str | None, overlap: int, now: float
) -> list[OldSecret]:
    """Give it the secret `key`; None leaves it the one that it has. All that it had before are good
    for `overlap` seconds at the most, from now on. Those that are good. Raises NotFound, Conflict.
    """
    with transaction(db):
        rows = run(
            db,
            "SELECT digest, masked, old_digests FROM api_keys WHERE id = ? AND removed_at IS NULL",
            (key_id,),
        )
        if not rows:
            raise none_such("api_keys", key_id)
        current, masked, packed = rows[0]
        end = int(now) + overlap
        old = [each._replace(until=min(each.until, end)) for each in _unpacked(packed)]
        if key is not None:
            _refuse_known(db, key)
            old.append(OldSecret(current, masked, end))
            current, masked = digest(key), mask(key)
        run(
            db,
            "UPDATE api_keys SET digest = ?, masked = ?, old_digests = ? WHERE id = ?",
            (
                current,
                masked,
                _packed(each for each in old if each.until > now - _REMEMBERED),
                key_id,
            ),
        )
    return [each for each in old if each.until > now]


def _packed(old: Iterable[OldSecret]) -> str | None:
    rows = [{**each._asdict(), "digest": each.digest.hex()} for each in old]
    return json.dumps(rows, ensure_ascii=False) if rows else None


def _unpacked(text: Any) -> list[OldSecret]:
    rows = json.loads(text) if text else []
    return [OldSecret(bytes.fromhex(row["digest"]), row["masked"], row["until"]) for row in rows]


class KeyInForce(NamedTuple):
    """What the request path knows of a key."""

    id: int
    digest: bytes
    pool: str | None
    group_id: int | None
    old_secrets: list[OldSecret]


def keys_in_force(db: apsw.Connection, ids: Collection[int] | None = None) -> list[KeyInForce]:
    """Those (of these ids) that are let in."""
    rows = run(
        db,
        "SELECT id, digest, pool, group_id, old_digests FROM api_keys"
        " WHERE is_active AND removed_at IS NULL"
        f" AND {among(ids)}",
    )
    found = (KeyInForce(*row) for row in rows)
    return [key._replace(old_secrets=_unpacked(key.old_secrets)) for key in found]
