"""Who is asking: the client key of a request, looked up in the snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from airoxy.core.headers import credential
from airoxy.core.keys import digest
from airoxy.errors import Unauthorized
from airoxy.server.snapshot import Snapshot

#: The same few keys come again and again, and OpenSSL's way to a digest is long.
_digest = lru_cache(maxsize=1024)(digest)


def authenticate(headers: Iterable[tuple[bytes, bytes]], snapshot: Snapshot) -> int:
    """The id of the client key; one valid key among those sent is enough. Raises Unauthorized.

    Keys are compared by their SHA-256, so the time a look-up takes tells nothing about a key.
    """
    for key in credential(headers):
        key_id = snapshot.keys.get(_digest(key))
        if key_id is not None:
            return key_id
    raise Unauthorized("Invalid API key")
