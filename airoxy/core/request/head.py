"""The head of a client's request, before any parser sees it.

Invariant: what two readers could understand in two ways is refused, whatever the parser behind
would make of it, and the connection with it. For that is how one client's bytes get into another's
request, where a proxy stands before airoxy.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from airoxy.core.keys import MOST_ESCAPES
from airoxy.core.request.headers import Headers
from airoxy.errors import AiroxyError, InvalidInput

#: Most bytes that a head may have, its empty line included.
LIMIT = 64 * 1024
#: Most headers: as many take some 0.3 ms.
MOST_LINES = 256
#: The preface of a client that speaks HTTP/2 without asking first (RFC 9113, 3.4).
_HTTP_2 = b"PRI * HTTP/2.0\r\n"

#: RFC 9112, 3: no TRACE, which would send the token back; no CONNECT, which is for proxies.
_FIRST = re.compile(
    rb"(?!TRACE |CONNECT )[A-Z][A-Z-]{0,31} "
    rb"(?:(?:http|https)://[A-Za-z0-9_.:\[\]%~!$&'()*+,;=-]+"
    rb'/[!-"$-~]*|/[!-"$-~]*) HTTP/1\.([01])\r\n'
)
#: RFC 9112, 5, without line folding, which is obsolete; no control characters, and no bare LF.
_HEAD = re.compile(_FIRST.pattern + rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_DECISIVE = re.compile(
    rb"\r\n(?:(host)|(content-length)|(transfer-encoding)):([^\r]*)", re.IGNORECASE
)
_LINE = re.compile(rb"\r\n([^:\r]+):[ \t]*([^\r]*)")
_TARGET = re.compile(rb"([A-Z-]+) (?:https?://[^/]+)?([^ ?]*)\??([^ ]*) HTTP/1\.([01])")
#: The registered methods; any other word at this place is more likely the middle of a body.
_METHODS = frozenset(
    b"ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL"
    b" MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH"
    b" SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
_HOST = re.compile(rb"[\w.:\[\]%~!$&'()*+,;=-]*", re.ASCII)
#: 18 digits are below 2**63 for every parser.
_LENGTH = re.compile(rb"[0-9]{1,18}")

#: The length of a body in chunks, which is not known before its end.
CHUNKED = -1


class Head(NamedTuple):
    """A head that has passed: `path` is `raw_path` with its escapes undone, the names of `headers`
    are in lower case. `last`: the client sends nothing more on this connection, or cannot.
    `expects`: it may be waiting to hear that its body is welcome, whatever its expectation is: Go's
    client waits where 100-continue is any word of it."""

    method: str
    raw_path: bytes
    path: str
    query: bytes
    headers: Headers
    is_http_1_0: bool
    last: bool
    expects: bool


def parse(head: bytes) -> Head:
    """Take apart what `body_length` has let pass. Raises InvalidInput."""
    found = _TARGET.match(head)
    if found is None or found[1] not in _METHODS:
        raise InvalidInput("Invalid HTTP request: nobody knows this method.")
    method, raw_path, query, minor = found.groups()
    if raw_path.count(b"%") + query.count(b"%") > MOST_ESCAPES:
        raise InvalidInput(
            f"Invalid HTTP request: its target has more than {MOST_ESCAPES:,} escapes."
        )
    path = raw_path.decode("ascii")
    headers = header_lines(head)
    said = [value.lower() for name, value in headers if name == b"connection"]
    options = [option.strip() for value in said for option in value.split(b",")]
    return Head(
        method.decode("ascii"),
        raw_path,
        unquote(path) if "%" in path else path,
        query,
        headers,
        minor == b"0",
        minor == b"0" or b"close" in options,
        minor == b"1" and any(name == b"expect" and value for name, value in headers),
    )


def header_lines(head: bytes) -> Headers:
    """The headers of a head that has passed, names in lower case, values without blanks around."""
    return [(name.lower(), value.rstrip(b" \t")) for name, value in _LINE.findall(head)]


def check_beginning(data: bytes) -> None:
    """Refuse what cannot become the head of a request, as soon as it can be told."""
    if len(data) > LIMIT:
        raise too_large()
    if data.startswith(_HTTP_2):
        error = InvalidInput("This server speaks HTTP/1.1 and not HTTP/2 with prior knowledge.")
        error.status = 505
        raise error
    end = data.find(b"\n") + 1
    if (end and not _FIRST.fullmatch(data, 0, end)) or not data[:1].isupper():
        raise InvalidInput("Invalid HTTP request: it does not begin with a request line.")


def body_length(head: bytes) -> int:
    """How many bytes of a body follow `head` (whose empty line is its end), or CHUNKED.

    Raises InvalidInput.
    """
    if len(head) > LIMIT or head.count(b"\n") > MOST_LINES + 2:
        raise too_large()
    found = _HEAD.fullmatch(head)
    if not found:
        check_beginning(head)
        raise InvalidInput("Invalid HTTP request: a header is malformed.")
    hosts: list[bytes] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for host, length, _, value in _DECISIVE.findall(head):
        (hosts if host else lengths if length else codings).append(value.strip(b" \t"))
    if len(hosts) > 1 or not all(map(_HOST.fullmatch, hosts)):
        raise InvalidInput("Invalid HTTP request: there must be one valid Host header.")
    if not hosts and found[1] == b"1":
        raise InvalidInput("Invalid HTTP request: the Host header is missing.")
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked" or found[1] == b"0":
            raise InvalidInput("Invalid HTTP request: the Transfer-Encoding is not clear.")
        return CHUNKED
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise InvalidInput("Invalid HTTP request: the Content-Length is not clear.")
    return int(lengths[0]) if lengths else 0


def too_large() -> AiroxyError:
    error = InvalidInput(
        f"The request's head is larger than {LIMIT // 1024} KiB, or has over {MOST_LINES} headers."
    )
    error.status = 431
    return error
