"""What goes in comes out: the same bytes sent to Anthropic directly, and sent through airoxy.

Raw sockets on both sides. What may differ is in `FRAMING` and `NOT_FORWARDED`, and nothing else.
"""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fake_anthropic import FakeAnthropic, Seen
from tests.fake_anthropic.api import OAUTH_BETAS, SYSTEM_LINES
from tests.program import Airoxy

TOKEN = "sk-ant-api-test-one"
OAUTH_TOKEN = "sk-ant-oat-test-one"

#: How one hop frames its messages, and what belongs to one connection.
FRAMING = {b"content-length", b"transfer-encoding", b"connection", b"expect", b"keep-alive"}
CREDENTIALS = {b"x-api-key", b"authorization"}
NOT_FORWARDED = {
    b"host", b"cookie", b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-proto",
    b"x-forwarded-host", b"proxy-connection", b"proxy-authorization", b"te", b"trailer",
    b"upgrade",
}  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass
class Both:
    """The two ways to the same Anthropic."""

    upstream: FakeAnthropic
    airoxy: Airoxy
    key: str

    def send(self, request: bytes) -> tuple[tuple[Answer, Seen], tuple[Answer, Seen]]:
        """The request each way (CREDENTIAL becomes the one that is good there)."""
        direct = self._send(self.upstream.port, request, TOKEN)
        return direct, self._send(self.airoxy.port, request, self.key)

    def _send(self, port: int, request: bytes, credential: str) -> tuple[Answer, Seen]:
        before = len(self.upstream.requests)
        answer = exchange(port, request.replace(b"CREDENTIAL", credential.encode()))
        assert len(self.upstream.requests) == before + 1, answer
        return answer, self.upstream.requests[-1]


def exchange(port: int, request: bytes) -> Answer:
    """Send the bytes on a connection of their own and read what comes until it closes."""
    head, _, body = request.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head + b"\r\nconnection: close\r\n\r\n")
        if b"\r\nexpect: 100-continue" in head.lower():
            assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    return parse(received)


def parse(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(b":") for line in lines)]
    if (b"transfer-encoding", b"chunked") in headers:
        body = unchunk(body)
    return Answer(int(first.split(b" ")[1]), headers, body)


def unchunk(body: bytes) -> bytes:
    whole = b""
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        whole, body = whole + body[:size], body[size + 2 :]
    return whole


def without(headers: list[tuple[bytes, bytes]], names: set[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in names]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory):
    yield from two_ways(tmp_path_factory, TOKEN)


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory):
    yield from two_ways(tmp_path_factory, OAUTH_TOKEN, "sk-ant-ort-test-one")


def two_ways(tmp_path_factory: pytest.TempPathFactory, *token: str) -> Iterator[Both]:
    with FakeAnthropic() as upstream:
        airoxy = Airoxy(tmp_path_factory.mktemp("airoxy"), upstream.url).start()
        try:
            airoxy.token(*token)
            yield Both(upstream, airoxy, airoxy.key())
            airoxy.stop()
        finally:
            airoxy.kill()


HEAD = b"host: api.example\r\nx-api-key: CREDENTIAL\r\nanthropic-version: 2023-06-01\r\n"


def post(body: bytes, headers: bytes = b"", path: bytes = b"/v1/messages") -> bytes:
    length = b"" if b"chunked" in headers else b"content-length: %d\r\n" % len(body)
    return b"POST %s HTTP/1.1\r\n%s%s%s\r\n%s" % (path, HEAD, headers, length, body)


def bare(method: bytes, target: bytes, headers: bytes = b"") -> bytes:
    return b"%s %s HTTP/1.1\r\n%s%s\r\n" % (method, target, HEAD, headers)


HELLO = b'{"model":"claude-opus-5-5","max_tokens":9,"messages":[]}'

REQUESTS = {
    "unknown headers": post(HELLO, b"x-new-thing: 1\r\nX-Stainless-Lang: python\r\nX-Empty:\r\n"),
    "several values of one header": post(HELLO, b"x-a: 1\r\nX-B: 2\r\nX-a: 3\r\nx-a: 1\r\n"),
    "beta lists": post(HELLO, b"anthropic-beta: a-1,b-2\r\nanthropic-beta: c-3 , a-1\r\n"),
    "bytes above 127 in a header": post(HELLO, b"x-name: J\xc3\xb6rg \xff\r\n"),
    "spaces inside a header": post(HELLO, b"x-spaced:  a   b\tc \r\n"),
    "a long header": post(HELLO, b"x-long: " + b"x" * 30000 + b"\r\n"),
    "client's own user-agent and accept-encoding": post(
        HELLO, b"user-agent: mine/1\r\naccept-encoding: gzip;q=0.5, *;q=0\r\naccept: */*\r\n"
    ),
    "unusual field order": post(b'{"messages":[],"max_tokens":9,"stream":false,"model":"m"}'),
    "whitespace": post(b' \r\n{ "model"\t:\n"m" , "max_tokens":9,"messages" : [ ] }\n\n '),
    "unicode": post('{"model":"m","messages":"Größe \u2028 🦊 \\u00e9 \\ud83d"}'.encode()),
    "numbers": post(b'{"model":"m","a":1e400,"b":18446744073709551617,"c":1.10,"d":-0.0,"e":1E+2}'),
    "a key twice": post(b'{"model":"m","model":"n","messages":[]}'),
    "not JSON": post(b'{"model": '),
    "not even text": post(bytes(range(256)) * 300),
    "a NUL in the body": post(b'{"model":"m"}\0'),
    "deep nesting": post(b'{"model":"m","x":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "a large body": post(b'{"model":"m","messages":"' + b"\xc3\xa9" * 1500000 + b'"}'),
    "an empty body": post(b""),
    "no body and no length": bare(b"POST", b"/v1/messages"),
    "a chunked body": post(
        b'9;a=b\r\n{"model":\r\n4\r\n"m"}\r\n0\r\n\r\n', b"transfer-encoding: chunked\r\n"
    ),
    "a chunked upload": post(
        b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\ncontent-type: multipart/form-data; boundary=b\r\n",
        b"/v1/files",
    ),
    "an expectation": post(HELLO, b"Expect: 100-continue\r\n"),
    "HEAD": bare(b"HEAD", b"/v1/models"),
    "GET": bare(b"GET", b"/v1/models?limit=1000"),
    "GET with a body": bare(b"GET", b"/v1/models", b"content-length: 2\r\n") + b"{}",
    "DELETE": bare(b"DELETE", b"/v1/unknown/thing"),
    "PUT": b"PUT" + post(HELLO)[4:],
    "PATCH": b"PATCH" + post(HELLO)[4:],
    "OPTIONS": bare(b"OPTIONS", b"/v1/messages"),
    "a query": post(HELLO, path=b"/v1/messages?beta=true&a=&&b&a=%2F+%20&c[]={1}"),
    "percent-encoded path": bare(b"GET", b"/v1/models/a%40b%3a%3A~"),
    "dots in the path": bare(b"GET", b"/v1/models/.x.y:1.5"),
    "an unknown endpoint": post(b"anything", path=b"/v1/brand-new"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_upstream_gets_what_the_client_sent(both, request_):
    (direct_answer, direct), (answer, seen) = both.send(request_)
    assert (seen.method, seen.target, seen.body) == (direct.method, direct.target, direct.body)
    left_out = FRAMING | CREDENTIALS | NOT_FORWARDED
    assert without(seen.headers, left_out) == without(direct.headers, left_out)
    assert [v for n, v in seen.headers if n.lower() in CREDENTIALS] == [TOKEN.encode()]
    assert seen.header("host") == f"127.0.0.1:{both.upstream.port}"
    assert answer.status == direct_answer.status


def test_what_belongs_to_the_way_to_airoxy_stays_behind(both):
    request = post(
        HELLO,
        b"authorization: Bearer CREDENTIAL\r\ncookie: a=b\r\nforwarded: for=1.2.3.4\r\n"
        b"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: https\r\nx-forwarded-anything: 1\r\n"
        b"via: 1.1 proxy\r\nproxy-authorization: Basic eA==\r\nproxy-connection: close\r\n"
        b"keep-alive: timeout=5\r\nte: trailers\r\nx-stays: 1\r\n",
    )
    _, (_, seen) = both.send(request)
    assert sorted(without(seen.headers, FRAMING)) == [
        (b"anthropic-version", b"2023-06-01"),
        (b"host", f"127.0.0.1:{both.upstream.port}".encode()),
        (b"x-api-key", TOKEN.encode()),
        (b"x-stays", b"1"),
    ]


JSON = b"Content-Type: application/json\r\n"


def raw(status: bytes, headers: bytes, body: bytes = b"", *, length: bool = True) -> bytes:
    framing = b"Content-Length: %d\r\n" % len(body) if length else b""
    return b"HTTP/1.1 %s\r\n%s%s\r\n%s" % (status, headers, framing, body)


SSE = (
    b"event: ping\r\ndata: {}\r\n\r\n: a comment\n\ndata: \xf0\x9f\xa6\x8a \xe2\x80\xa8\n\n"
    b"event: brand_new\ndata: not JSON\n\ndata: unfinished"
)
CHUNKED = b"Transfer-Encoding: chunked\r\n"

ANSWERS = {
    "a message": raw(b"200 OK", JSON, b'{"type":"message" , "usage":{"input_tokens":1}}\n'),
    "gzip": raw(b"200 OK", JSON + b"Content-Encoding: gzip\r\n", gzip.compress(HELLO)),
    "an encoding nobody knows": raw(b"200 OK", JSON + b"Content-Encoding: rot13\r\n", b"uryyb"),
    "gzip that is broken": raw(b"200 OK", JSON + b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08no"),
    "an empty answer": raw(b"200 OK", JSON),
    "204": raw(b"204 No Content", b"x-a: 1\r\n", length=False),
    "304": raw(b"304 Not Modified", b'ETag: "x"\r\n', length=False),
    "a redirect": raw(b"302 Found", b"Location: https://elsewhere.example/\r\n", b"moved"),
    "an error": raw(b"400 Bad Request", JSON, b'{"type":"error","error":{"message":"\\u00e9"}}'),
    "an HTML error": raw(b"502 Bad Gateway", b"Content-Type: text/html\r\n", b"<h1>Bad</h1>"),
    "an unusual status": raw(b"418 I'm a teapot", JSON, b"{}"),
    "an unknown status": raw(b"299 Fine", JSON, b"{}"),
    "overloaded": raw(b"529 Overloaded", JSON + b"x-should-retry: true\r\n", b"{}"),
    "repeated headers": raw(b"200 OK", b"Set-Cookie: a=1\r\nx-B: 1\r\nSet-Cookie: b=2\r\n", b"x"),
    "odd header values": raw(b"200 OK", b"x-empty:\r\nx-high: \xe9\xff\r\nx-sp: a  b\r\n", b"x"),
    "its own date, server and via": raw(
        b"200 OK", b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: cloudflare\r\nVia: 1.1 g\r\n"
    ),
    "a long header": raw(b"200 OK", b"x-long: " + b"y" * 20000 + b"\r\n", b"x"),
    "no type": raw(b"200 OK", b"", b"something"),
    "binary": raw(b"200 OK", b"Content-Type: application/octet-stream\r\n", bytes(range(256))),
    "a stream": raw(
        b"200 OK",
        b"Content-Type: text/event-stream\r\n" + CHUNKED,
        b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (SSE[:60], SSE[60:61], SSE[61:]))
        + b"0\r\n\r\n",
        length=False,
    ),
    "chunks with extensions": raw(
        b"200 OK", JSON + CHUNKED, b"2;a=b\r\n{}\r\n0\r\n\r\n", length=False
    ),
    "an answer that ends with its connection": raw(b"200 OK", JSON, b'{"a":1}', length=False),
    "one header of the connection": raw(
        b"200 OK", b"Connection: x-private\r\nx-private: 1\r\nKeep-Alive: timeout=5\r\n", b"x"
    ),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_the_client_gets_what_the_upstream_answered(both, answer):
    both.upstream.clear()
    both.upstream.script(times=2).raw(answer)
    (direct, _), (through, _) = both.send(post(HELLO))
    assert (through.status, through.body) == (direct.status, direct.body)
    hop = FRAMING | {b"x-private"}
    assert without(through.headers, hop) == without(direct.headers, hop)
    assert lengths(through) in (lengths(direct), [])
    assert not without(through.headers, {n for n, _ in through.headers} - {b"x-private"})


def lengths(answer: Answer) -> list[bytes]:
    return [value for name, value in answer.headers if name == b"content-length"]


def test_a_head_tells_the_length_of_what_it_does_not_send(both):
    both.upstream.clear()
    both.upstream.script(times=2).answer(200, [("Content-Type", "text/plain")], b"12345")
    (direct, _), (through, _) = both.send(bare(b"HEAD", b"/v1/models"))
    assert (lengths(direct), direct.body) == (lengths(through), through.body) == ([b"5"], b"")


LINE = SYSTEM_LINES[0].encode()
BLOCK = b'{"type":"text","text":"%s"}' % LINE

#: What the client sends, and what is put in after which part of it.
SYSTEMS = {
    "none": (
        b' { "model" : "m","x":1e400, "messages":[] } ',
        {b" { ": b'"system":[' + BLOCK + b"],"},
    ),
    "a text": (
        '{"model":"m","system" : "Größe \\u00e9","messages":[]}'.encode(),
        {b'"system" : ': b"[" + BLOCK + b',{"type":"text","text":', b'u00e9"': b"}]"},
    ),
    "blocks": (
        b'{"messages":[], "system":[ {"type":"text","text":"Be terse."} ] ,"model":"m"}',
        {b'"system":[': BLOCK + b","},
    ),
    "the line": (b'{"model":"m","system":"%s","messages":[]}' % LINE, {}),
    "the line first": (b'{"model":"m","system":[{"type":"text","text":"%s"}]}' % LINE, {}),
}


@pytest.mark.parametrize(("body", "added"), SYSTEMS.values(), ids=SYSTEMS)
def test_a_subscriptions_request_differs_by_one_line_and_two_flags(oauth, body, added):
    beta = b"anthropic-beta: mine-1, oauth-2025-04-20\r\nx-other: 1\r\n"
    (_, direct), (answer, seen) = oauth.send(post(body, beta))
    assert answer.status == 200
    assert seen.all("x-api-key") == []
    assert seen.all("authorization") == [f"Bearer {OAUTH_TOKEN}"]
    betas = [b.strip() for v in seen.all("anthropic-beta") for b in v.split(",")]
    assert sorted(betas) == sorted({"mine-1", *OAUTH_BETAS})
    left_out = FRAMING | CREDENTIALS | NOT_FORWARDED | {b"anthropic-beta"}
    assert without(seen.headers, left_out) == without(direct.headers, left_out)
    for after, text in added.items():
        body = body.replace(after, after + text)
    assert seen.body == body


def test_other_requests_of_a_subscription_keep_their_body(oauth):
    (_, direct), (_, seen) = oauth.send(post(b' {"model":"m"} ', path=b"/v1/brand-new"))
    assert (seen.target, seen.body) == (direct.target, direct.body)
