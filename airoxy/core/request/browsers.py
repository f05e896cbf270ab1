"""What lets a browser's page from another origin use this server (the Fetch standard's CORS)."""

from __future__ import annotations

from airoxy.core.request.headers import Headers

#: For each answer to a page. Never for credentials of the browser's, such as cookies: what
#: counts is the client key, which only the page itself can send.
ALLOWED: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
]
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
#: An upstream's answer may have some of its own, and of two a browser believes none.
_OURS = frozenset(name for name, _ in ALLOWED) | {b"access-control-allow-credentials"}


def preflight(headers: Headers) -> Headers | None:
    """The headers that answer a browser which asks what it may send; None if it does not ask."""
    asked = dict(headers)
    if b"access-control-request-method" not in asked:
        return None
    answer = [
        (b"access-control-allow-methods", _METHODS),
        # All that it names: a star would not mean `authorization`.
        (b"access-control-allow-headers", asked.get(b"access-control-request-headers") or b"*"),
        (b"access-control-max-age", b"7200"),
        (b"vary", b"access-control-request-headers"),
    ]
    if b"access-control-request-private-network" in asked:
        answer.append((b"access-control-allow-private-network", b"true"))
    return answer


def without_cors(headers: Headers) -> Headers:
    """`headers` less what another server says of origins."""
    return [header for header in headers if header[0] not in _OURS]
