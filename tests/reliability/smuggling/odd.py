"""Requests that can be read in two ways, and pieces of such; KEY is a client's."""

from __future__ import annotations

#: Sent right behind each odd request; nobody may take it for one.
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nhost: a\r\nx-api-key: KEY\r\n\r\n"
START = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: KEY\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"\r\n5\r\nhello\r\n0\r\n\r\n"


def get(first: bytes = b"GET /v1/models HTTP/1.1", lines: bytes = b"host: a\r\n") -> bytes:
    return first + b"\r\n" + lines + b"x-api-key: KEY\r\n\r\n"


#: What could be understood in two ways, or in none, is answered 400 and the connection closed.
REFUSED = {
    "both lengths": START + b"content-length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "both lengths, the other way": START + CHUNKED + b"content-length: 5\r\n" + CHUNKS,
    "two lengths": START + b"content-length: 5\r\ncontent-length: 0\r\n\r\nhello",
    "one length twice": START + b"content-length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": START + b"content-length: 5, 5\r\n\r\nhello",
    "a length with a sign": START + b"content-length: +5\r\n\r\nhello",
    "a length below nothing": START + b"content-length: -5\r\n\r\nhello",
    "a hexadecimal length": START + b"content-length: 0x5\r\n\r\nhello",
    "a length as Python writes it": START + b"content-length: 1_0\r\n\r\nhellohello",
    "a length in two words": START + b"content-length: 5 0\r\n\r\nhello",
    "an empty length": START + b"content-length:\r\n\r\nhello",
    "a length beyond 64 bits": START + b"content-length: 18446744073709551621\r\n\r\nhello",
    "a length of foreign digits": START + b"content-length: \xb2\r\n\r\nhello",
    "bare line feeds": START.replace(b"\r\n", b"\n") + b"content-length: 5\n\nhello",
    "one bare line feed": START + b"x-a: b\ncontent-length: 5\r\n\r\nhello",
    "a bare line feed at the end": START + b"content-length: 5\r\n\nhello\r\n\r\n",
    "a bare carriage return": START + b"x-a: b\rcontent-length: 5\r\n\r\nhello",
    "a space before the colon": START + b"content-length : 5\r\n\r\nhello",
    "a space before the other colon": START + b"transfer-encoding : chunked\r\n" + CHUNKS,
    "a tab before the colon": START + b"content-length\t: 5\r\n\r\nhello",
    "a folded line": START + b"x-a: b\r\n c\r\ncontent-length: 5\r\n\r\nhello",
    "a folded coding": START + b"transfer-encoding:\r\n chunked\r\n" + CHUNKS,
    "a first line that is folded": get(lines=b" x: y\r\nhost: a\r\n"),
    "no host": get(lines=b""),
    "two hosts": get(lines=b"host: a\r\nhost: a\r\n"),
    "a host that is none": get(lines=b"host: a/b@c\r\n"),
    "two hosts in one": get(lines=b"host: a b\r\n"),
    "an absolute target without a path": get(b"GET http://a HTTP/1.1"),
    "an absolute target with a query before its path": get(b"GET http://a?/v1/models HTTP/1.1"),
    "an absolute target with a user": get(b"GET http://a@b/v1/models HTTP/1.1"),
    "an absolute target with a backslash": get(b"GET http://a\\b/v1/models HTTP/1.1"),
    "an absolute target of another kind": get(b"GET ftp://a/v1/models HTTP/1.1"),
    "an authority as target": get(b"GET a:80 HTTP/1.1"),
    "a target without a slash": get(b"GET v1/models HTTP/1.1"),
    "CONNECT": get(b"CONNECT api.anthropic.com:443 HTTP/1.1"),
    "CONNECT to a path": get(b"CONNECT /v1/models HTTP/1.1"),
    "TRACE, which would tell the token": get(b"TRACE /v1/models HTTP/1.1"),
    "a star": get(b"GET * HTTP/1.1"),
    "a fragment": get(b"GET /v1/models#x HTTP/1.1"),
    "a space in the target": get(b"GET /v1/mod els HTTP/1.1"),
    "a tab in the target": get(b"GET /v1/mod\tels HTTP/1.1"),
    "a NUL in the target": get(b"GET /v1/mod\0els HTTP/1.1"),
    "a target of escapes": get(b"GET /v1/models?a=" + b"%25" * 1001 + b" HTTP/1.1"),
    "a target that is not ASCII": get("GET /v1/modéls HTTP/1.1".encode()),
    "two spaces": get(b"GET  /v1/models HTTP/1.1"),
    "a space at the end of the line": get(b"GET /v1/models HTTP/1.1 "),
    "a method in small letters": get(b"get /v1/models HTTP/1.1"),
    "an unknown method": get(b"BREW /v1/models HTTP/1.1"),
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/1.2": get(b"GET /v1/models HTTP/1.2"),
    "HTTP/1.10": get(b"GET /v1/models HTTP/1.10"),
    "HTTP/2.0": get(b"GET /v1/models HTTP/2.0"),
    "another protocol": get(b"GET /v1/models ICE/1.0"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a NUL in a value": get(lines=b"host: a\r\nx-a: a\0b\r\n"),
    "a control character in a value": get(lines=b"host: a\r\nx-a: a\x01b\r\n"),
    "DEL in a value": get(lines=b"host: a\r\nx-a: a\x7fb\r\n"),
    "a NUL in a name": get(lines=b"host: a\r\nx\0a: b\r\n"),
    "a name that is not ASCII": get(lines=b"host: a\r\nx\xe9a: b\r\n"),
    "no name": get(lines=b"host: a\r\n: b\r\n"),
    "no colon": get(lines=b"host: a\r\nxyz\r\n"),
    "delimiters in a name": get(lines=b"host: a\r\nx(a)[b]: b\r\n"),
    "another coding": START + b"transfer-encoding: gzip\r\n\r\nhello",
    "no coding at all": START + b"transfer-encoding: identity\r\ncontent-length: 5\r\n\r\nhello",
    "two codings": START + b"transfer-encoding: gzip, chunked\r\n" + CHUNKS,
    "a coding behind the chunks": START + b"transfer-encoding: chunked, gzip\r\n" + CHUNKS,
    "chunked twice": START + CHUNKED + CHUNKED + CHUNKS,
    "chunked and not": START + CHUNKED + b"transfer-encoding: identity\r\n" + CHUNKS,
    "nearly chunked": START + b"transfer-encoding: xchunked\r\n" + CHUNKS,
    "chunked behind a control character": START + b"transfer-encoding: \x0bchunked\r\n" + CHUNKS,
    "chunks in HTTP/1.0": START.replace(b"1.1", b"1.0") + CHUNKED + CHUNKS,
}  # fmt: skip
