"""What follows from the head of a request alone.

A client sends the same head again and again on a connection, but for the length of the body. That
costs a comparison instead of a parser, since all of it is pure in the bytes of the head.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from airoxy.core.keys import KEY_LENGTH, digest, has_key, needles
from airoxy.core.request import head as request_head
from airoxy.core.request.head import CHUNKED
from airoxy.core.request.headers import Headers, credential, query_to_upstream
from airoxy.core.request.paths import (
    cost_of,
    endpoint_group,
    ids_in_path,
    ids_in_query,
    is_api,
    limit_for,
    takes_system,
)

#: Claude Code's name of a conversation, and airoxy's own for everybody else.
_SESSION, _OWN_SESSION = b"x-claude-code-session-id", b"x-airoxy-session"
_BETA, _THREADS = b"anthropic-beta", b"message-threads"

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*", re.IGNORECASE)
#: More digits are refused with the head.
_MOST_DIGITS = 18
#: The same few keys come again and again, and OpenSSL's way to a digest is long.
_digest = lru_cache(maxsize=1024)(digest)


class RequestHead:
    """A head that has passed `request_head.body_length`, whose answer is the first `length`."""

    __slots__ = (
        "_after", "_before", "_size", "client", "client_address", "cost", "digests", "expects",
        "for_page", "from_page", "group", "ids", "is_api", "is_http_1_0", "last", "length", "limit",
        "method", "path", "query", "raw", "raw_path", "session", "takes_system", "target",
        "threads", "to_upstream",
    )  # fmt: skip

    def __init__(self, head: bytes) -> None:
        """Raises InvalidInput."""
        self.length = request_head.body_length(head)
        self.raw = head
        self._remember(head)
        parsed = request_head.parse(head)
        self.method, self.raw_path, self.path, self.query, headers, *rest = parsed
        self.is_http_1_0, self.last, self.expects = rest
        keys = credential(headers)
        # Usually there is no room for a key.
        own = needles(keys) if len(self.raw_path) + len(self.query) >= KEY_LENGTH else ()
        query = query_to_upstream(self.query, own) if self.query else b""
        self.target = self.raw_path + b"?" + query if query else self.raw_path
        # A client key in the path has no business upstream either.
        self.is_api = is_api(self.raw_path) and not has_key(self.raw_path, own)
        self.cost = cost_of(self.method, self.path)
        self.group = endpoint_group(self.path)
        self.ids = ids_in_path(self.path) + ids_in_query(self.query)
        self.limit = limit_for(self.path)
        self.takes_system = takes_system(self.method, self.path)
        #: Of all keys that are offered.
        self.digests = [_digest(key) for key in keys]
        named = dict(headers)
        self.session = named.get(_SESSION) or named.get(_OWN_SESSION) or None
        #: A browser's page from another origin asks.
        self.from_page = b"origin" in named
        #: The page may read the answer; the application says so.
        self.for_page = False
        self.threads = any(name == _BETA and _THREADS in value for name, value in headers)
        #: Who has sent it, as far as the application keeps that.
        self.client: Any = None
        #: Where its client sits, once that was found.
        self.client_address: str | None = None
        #: The head for the upstream, by the type of the token (see proxy).
        self.to_upstream: dict[str, bytes] = {}

    def again(self, head: bytes) -> bool:
        """Whether `head` is this one, perhaps with another length of the body, which is `length`
        from now on."""
        if not head.startswith(self._before) or not head.endswith(self._after):
            return False
        if self.length == CHUNKED or not self._size:
            return head == self.raw
        digits = head[len(self._before) : len(head) - len(self._after)]
        if not digits.isdigit() or len(digits) > _MOST_DIGITS or len(head) < self._size:
            return False
        self.raw, self.length = head, int(digits)
        return True

    @property
    def headers(self) -> Headers:
        """Taken apart anew: hardly anybody asks, and they would be kept in memory."""
        return request_head.header_lines(self.raw)

    def _remember(self, head: bytes) -> None:
        """The parts of the head before and after the length, if it has one."""
        self._before, self._after, self._size = head, b"", 0
        if found := _LENGTH.search(head):
            end = head.index(b"\r\n", found.end())
            self._before, self._after = head[: found.end()], head[end:]
            # What lies between begins with a digit, and the two parts do not overlap.
            self._size = found.end() + len(self._after) + 1


def read_head(head: bytes, last: RequestHead | None) -> RequestHead:
    """`last`, the head before on the same connection, if this is the same one. Raises
    InvalidInput."""
    return last if last is not None and last.again(head) else RequestHead(head)
