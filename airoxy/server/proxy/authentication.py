"""Who is asking: the client key of a request, looked up in the snapshot."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace

from airoxy.core.limits.holders import KeyLimits
from airoxy.core.limits.units import moment
from airoxy.errors import NotReady, Unauthorized
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.turns import TurnsOfKey

_NO_KEY: tuple[int | None, int] = (None, 0)


@dataclass(slots=True)
class Client:
    """Who is asking, by the snapshot of this `version`."""

    key_id: int
    limits: KeyLimits | None
    group_id: int | None
    pool: str | None
    #: Where it sits, if that is logged.
    address: str | None
    share: TurnsOfKey
    version: int


def authenticate(
    digests: Iterable[bytes],
    snapshot: Snapshot,
    now: float,
    zone: datetime.tzinfo = datetime.UTC,
) -> tuple[int, KeyLimits | None]:
    """The id of the client key, and its limits if it has any; one valid key among those sent is
    enough. Raises Unauthorized, or NotReady where the keys were never read.

    Keys are compared by their SHA-256, so the time a look-up takes tells nothing about a key.
    """
    refusal: Unauthorized | None = None
    for digest in digests:
        key_id = snapshot.keys.get(digest)
        if key_id is None:
            key_id, until = snapshot.old_keys.get(digest, _NO_KEY)
            if key_id is None:
                continue
            if now >= until:
                refusal = Unauthorized(
                    f"This API key was replaced by a new one, and ended at {moment(until)}",
                    expired=True,
                )
                continue
        limits = snapshot.limits.get(key_id)
        if limits is None or limits.expires_at is None or now < limits.expires_at:
            return key_id, limits
        expiry = moment(limits.expires_at, zone)
        refusal = Unauthorized(f"This API key expired at {expiry}", expired=True)
    if not snapshot.complete:
        raise NotReady
    raise refusal or Unauthorized("Invalid API key")


def holds_on(
    digests: Iterable[bytes], snapshot: Snapshot, key_id: int, limits: KeyLimits | None
) -> bool:
    """Whether `authenticate` will give this key for as long as the snapshot does not change:
    neither the key nor the secret that was shown ends by itself."""
    ends = limits is not None and limits.expires_at is not None
    return not ends and key_id in map(snapshot.keys.get, digests)


def moved(client: Client, digests: Iterable[bytes], snapshot: Snapshot) -> Client:
    """The same client when its body has come, which may have taken minutes: with the pool that its
    key has by now, since the one before may be without tokens. What else it may do is as it was
    when the request came: a command changes that from the next request on."""
    key_id = client.key_id
    if client.version == snapshot.version or key_id not in map(snapshot.keys.get, digests):
        return client
    return replace(client, pool=snapshot.pools.get(key_id))
