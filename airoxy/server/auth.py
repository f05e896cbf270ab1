"""Who is asking: the client key of a request, looked up in the snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from airoxy.errors import Unauthorized
from airoxy.server.snapshot import Snapshot


def authenticate(digests: Iterable[bytes], snapshot: Snapshot) -> int:
    """The id of the client key; one valid key among those sent is enough. Raises Unauthorized.

    Keys are compared by their SHA-256, so the time a look-up takes tells nothing about a key.
    """
    for digest in digests:
        key_id = snapshot.keys.get(digest)
        if key_id is not None:
            return key_id
    raise Unauthorized("Invalid API key")
