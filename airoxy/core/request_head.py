"""The head of a client's request, before any parser sees it.

The law: what two readers could understand in two ways is refused, whatever the parser behind would
make of it, and the connection with it. For that is how one client's bytes get into another's
request, where a proxy stands before airoxy.
"""

from __future__ import annotations

import re

from airoxy.errors import AiroxyError, InvalidInput

#: Most bytes that a head may have, its empty line included.
LIMIT = 64 * 1024

#: RFC 9112, 3: no TRACE, which would send the token back; no CONNECT, which is for proxies.
_FIRST = re.compile(
    rb"(?!TRACE |CONNECT )[A-Z][A-Z-]{0,31} "
    rb'(?:(?:http|https)://[!-"$-.0-~]+/[!-"$-~]*|/[!-"$-~]*) HTTP/1\.([01])\r\n'
)
#: RFC 9112, 5, without line folding, which is obsolete; no control characters, and no bare LF.
_HEAD = re.compile(_FIRST.pattern + rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_DECISIVE = re.compile(
    rb"\r\n(?:(host)|(content-length)|(transfer-encoding)):([^\r]*)", re.IGNORECASE
)
_HOST = re.compile(rb"[\w.:\[\]%~!$&'()*+,;=-]*", re.ASCII)
#: 18 digits are below 2**63 for every parser.
_LENGTH = re.compile(rb"[0-9]{1,18}")

#: Of what comes in chunks, nobody knows the length before.
CHUNKED = -1


def check_beginning(data: bytes) -> None:
    """Refuse what cannot become the head of a request, as soon as it can be told."""
    if len(data) > LIMIT:
        raise too_large()
    end = data.find(b"\n") + 1
    if (end and not _FIRST.fullmatch(data, 0, end)) or not data[:1].isupper():
        raise InvalidInput("Invalid HTTP request: it does not begin with a request line.")


def body_length(head: bytes) -> int:
    """How many bytes of a body follow `head` (whose empty line is its end), or CHUNKED.

    Raises InvalidInput.
    """
    if len(head) > LIMIT:
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
    error = InvalidInput(f"The request's head is larger than {LIMIT // 1024} KiB.")
    error.status = 431
    return error
