"""Requests that two readers could take for different ones: none of them gets any further."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.reliability.raw import HELLO, Client, request

TOKEN = "sk-ant-api-test-one"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Airoxy, str, FakeAnthropic]]:
    with FakeAnthropic() as upstream:
        airoxy = Airoxy(tmp_path_factory.mktemp("airoxy"), upstream.url).start()
        try:
            airoxy.token(TOKEN)
            yield airoxy, airoxy.key(), upstream
            airoxy.stop()
        finally:
            airoxy.kill()


@pytest.fixture
def airoxy(site: tuple[Airoxy, str, FakeAnthropic]) -> Airoxy:
    return site[0]


@pytest.fixture
def key(site: tuple[Airoxy, str, FakeAnthropic]) -> str:
    return site[1]


@pytest.fixture
def upstream(site: tuple[Airoxy, str, FakeAnthropic]) -> FakeAnthropic:
    site[2].clear()
    return site[2]


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
    "a target that is not ASCII": get("GET /v1/modéls HTTP/1.1".encode()),
    "two spaces": get(b"GET  /v1/models HTTP/1.1"),
    "a space at the end of the line": get(b"GET /v1/models HTTP/1.1 "),
    "a method in small letters": get(b"get /v1/models HTTP/1.1"),
    "an unknown method": get(b"BREW /v1/models HTTP/1.1"),
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/1.2": get(b"GET /v1/models HTTP/1.2"),
    "HTTP/1.10": get(b"GET /v1/models HTTP/1.10"),
    "HTTP/2.0": get(b"GET /v1/models HTTP/2.0"),
    "HTTP/2 itself": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
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


@pytest.mark.parametrize("odd", REFUSED.values(), ids=REFUSED)
def test_what_is_not_clear_is_refused_and_nothing_behind_it_is_read(airoxy, key, upstream, odd):
    with Client(airoxy) as client:
        client.send((odd + SMUGGLED).replace(b"KEY", key.encode()))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.is_ours) == (400, True)
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert answer.headers[b"connection"] == b"close"
        assert client.rest() == b""
    assert not upstream.requests


#: Here it is the parser that finds the fault, when the request is under way already.
BAD_CHUNKS = {
    "a size that is none": b"\r\n5g\r\nhello\r\n0\r\n\r\n",
    "a size below nothing": b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a prefix": b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "bare line feeds": b"\r\n5\nhello\n0\n\n",
}


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_a_chunk_whose_size_is_not_clear_is_refused(airoxy, key, upstream, chunks):
    with Client(airoxy) as client:
        client.send((START + CHUNKED + chunks + SMUGGLED).replace(b"KEY", key.encode()))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.is_ours) == (400, True)
        assert client.rest() == b""
    assert not upstream.requests


def test_a_chunk_that_is_longer_than_it_says_is_refused_or_ends_there(airoxy, key, upstream):
    """http-parser takes any two bytes for the end of a chunk; no next request begins there."""
    with Client(airoxy) as client:
        chunks = b"\r\n5\r\nhelloXX0\r\n\r\n"
        client.send((START + CHUNKED + chunks + SMUGGLED).replace(b"KEY", key.encode()))
        client.answer()
        assert client.rest() == b""
    assert [seen.body for seen in upstream.requests] in ([b"hello"], [])


def test_framing_without_end_is_refused(airoxy, key):
    """Trailers, and the extensions of chunks, are nobody's body."""
    for endless in (b"\r\n0\r\n" + b"x-a: b\r\n" * 100_000, b"\r\n5;" + b"a" * 1_000_000):
        with Client(airoxy) as client:
            client.send((START + CHUNKED + endless).replace(b"KEY", key.encode()))
            answer = client.answer()
            assert answer is None or (answer.status, answer.is_ours) == (400, True)


TAKEN = {
    "empty lines before": b"\r\n\r\n" + get(),
    "an absolute target": get(b"GET http://other.example/v1/models HTTP/1.1"),
    "an absolute target with a port": get(b"GET https://[::1]:99/v1/models HTTP/1.1"),
    "an empty host": get(lines=b"host:\r\n"),
    "a host with a port": get(lines=b"Host: [::1]:3800\r\n"),
    "an offer of WebSocket": get(lines=b"host: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"),
    "an offer of HTTP/2": get(lines=b"host: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"),
    "an underscore": get(lines=b"host: a\r\ncontent_length: 5\r\n"),
    "a value that is not ASCII": get(lines="host: a\r\nx-name: Jörg\r\n".encode()),
}


@pytest.mark.parametrize("fair", TAKEN.values(), ids=TAKEN)
def test_what_is_merely_unusual_is_served_and_the_connection_kept(airoxy, key, upstream, fair):
    with Client(airoxy) as client:
        client.send((fair * 2).replace(b"KEY", key.encode()))
        assert [client.answer().is_ours for _ in range(2)] == [False, False]
    assert [(seen.target, seen.header("host")) for seen in upstream.requests] == [
        ("/v1/models", f"127.0.0.1:{upstream.port}")
    ] * 2


#: The token is for the API, and a client's key for no more than that.
OUTSIDE = {
    "dots": b"/v1/../api/oauth/profile",
    "dots at the end": b"/v1/..",
    "dots after a while": b"/v1/messages/../../api",
    "encoded dots": b"/v1/%2e%2e/api",
    "half encoded dots": b"/v1/.%2E/api",
    "an encoded slash": b"/v1/..%2fapi",
    "a backslash": b"/v1/..\\api",
    "an encoded backslash": b"/v1/..%5capi",
    "dots encoded twice": b"/v1/%252e%252e/api",
    "an encoded prefix": b"/v1%2fmodels",
    "two slashes": b"//v1/models",
    "another host": b"//elsewhere.example/v1/models",
    "an absolute target": b"http://a/v1/../api",
}


@pytest.mark.parametrize("target", OUTSIDE.values(), ids=OUTSIDE)
def test_a_path_that_leads_out_of_the_api_is_not_found(airoxy, key, upstream, target):
    with Client(airoxy) as client:
        client.send(get(b"GET %b HTTP/1.1" % target).replace(b"KEY", key.encode()))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.is_ours) == (404, True)
        assert answer.json()["error"]["type"] == "not_found_error"
    assert not upstream.requests


def test_a_trailer_is_no_header(airoxy, key, upstream):
    chunks = b"\r\n5\r\nhello\r\n0\r\nx-late: 1\r\nanthropic-beta: late\r\n\r\n"
    with Client(airoxy) as client:
        client.send((START + CHUNKED + chunks).replace(b"KEY", key.encode()))
        assert client.answer()
    (seen,) = upstream.requests
    assert (seen.body, seen.all("x-late"), seen.all("anthropic-beta")) == (b"hello", [], [])


def test_extensions_of_chunks_stay_behind(airoxy, key, upstream):
    with Client(airoxy) as client:
        for _ in range(2):
            chunks = b'\r\n5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'
            client.send((START + CHUNKED + chunks).replace(b"KEY", key.encode()))
            assert client.answer()
    assert [(seen.body, seen.all("transfer-encoding")) for seen in upstream.requests] == [
        (b"hello", [])
    ] * 2


# Too much of it


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/" + b"a" * 200_000 + b" HTTP/1.1\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 200_000,
        b"GET /v1/models HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 40_000 + b"\r\n",
    ],
    ids=["a target", "a header", "many headers"],
)
def test_a_head_above_64_kib_is_refused(airoxy, upstream, head):
    with Client(airoxy) as client:
        client.send(head)
        answer = client.answer()
        assert answer is None or (answer.status, answer.is_ours) == (431, True)
        assert client.rest() == b""
    assert not upstream.requests


def test_a_head_of_nearly_64_kib_passes(airoxy, key, upstream):
    with Client(airoxy) as client:
        client.send(request(key, headers=b"x-long: %b\r\n" % (b"a" * 65_000)))
        assert client.answer().status == 200
    assert len(upstream.requests[0].header("x-long")) == 65_000


# Several requests on one connection


def test_pipelined_requests_are_answered_in_their_order(airoxy, key, upstream):
    gate = upstream.script(path="/v1/slow").hold()
    many = [request(key, None, path="/v1/slow")]
    many += [request(key, b'{"model":"m%d","max_tokens":1,"messages":[]}' % n) for n in range(20)]
    with Client(airoxy) as client:
        client.send(b"".join(many))
        gate.wait_arrived()
        assert len(upstream.requests) == 1
        gate.release()
        assert client.answer().status == 404
        assert [client.answer().json()["model"] for _ in range(20)] == [f"m{n}" for n in range(20)]


def test_a_pipelined_request_is_held_to_the_same_rules(airoxy, key, upstream):
    odd = REFUSED["a space before the colon"].replace(b"KEY", key.encode())
    with Client(airoxy) as client:
        client.send(request(key) + odd)
        assert client.answer().status == 200
        answer = client.answer()
        assert (answer.status, answer.is_ours) == (400, True)
        assert client.rest() == b""
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("behind", [b"garbage\r\n\r\n", b"0\r\n\r\n", b"\0" * 100])
def test_garbage_behind_a_request_does_not_take_its_answer_away(airoxy, key, upstream, behind):
    with Client(airoxy) as client:
        client.send(request(key) + behind)
        answer = client.answer()
        assert (answer.status, answer.is_ours) == (200, False)
        assert client.answer().status == 400


def test_what_follows_chunks_at_once_is_not_read(airoxy, key, upstream):
    """Only the parser knows where they end: the answer is given, and the connection closed."""
    first = (START + CHUNKED + CHUNKS).replace(b"KEY", key.encode())
    with Client(airoxy) as client:
        client.send(first + request(key))
        answer = client.answer()
        assert not answer.is_ours
        assert client.rest() == b""
    assert [seen.body for seen in upstream.requests] == [b"hello"]


def test_an_offer_of_another_protocol_in_a_pipelined_request_leaves_its_body_whole(
    airoxy, key, upstream
):
    offer = request(key, headers=b"connection: upgrade\r\nupgrade: h2c\r\n")
    with Client(airoxy) as client:
        client.send(request(key) + offer + request(key))
        assert [client.answer().status for _ in range(3)] == [200, 200, 200]
    assert [seen.body for seen in upstream.requests] == [HELLO] * 3


def test_the_rest_of_a_body_that_nobody_wants_is_no_request(airoxy, key, upstream):
    """A 401 is given before the body has come; a request inside of it stays a body."""
    inside = request(key)
    refused = request("ak-" + "x" * 40, inside + b"." * 100_000)
    with Client(airoxy) as client:
        client.send(refused[:-100_000])
        assert client.answer().status == 401
        client.send(refused[-100_000:] + request(key))
        assert client.answer().status == 200
    assert [seen.body for seen in upstream.requests] == [HELLO]


@pytest.mark.parametrize("said", [b"close", b"Close", b"close, te", b"te, close"])
def test_who_asks_to_close_is_closed(airoxy, key, upstream, said):
    with Client(airoxy) as client:
        client.send(request(key, headers=b"connection: %b\r\n" % said))
        answer = client.answer()
        assert (answer.status, answer.headers[b"connection"]) == (200, b"close")
        assert client.rest() == b""


# HTTP/1.0


def old(key: str, body: bytes = HELLO) -> bytes:
    return request(key, body).replace(b"HTTP/1.1\r\nhost: airoxy\r\n", b"HTTP/1.0\r\n")


def test_http_1_0_is_answered_without_chunks(airoxy, key, upstream):
    stream = HELLO.replace(b'"messages"', b'"stream":true,"messages"')
    with Client(airoxy) as client:
        client.send(old(key, stream))
        answer = client.answer()
        assert b"transfer-encoding" not in answer.headers
        assert answer.body.startswith(b"event: message_start")
        assert answer.body.endswith(b"\n\n")
        assert answer.whole
    with Client(airoxy) as client:
        client.send(old(key))
        answer = client.answer()
        assert (answer.status, answer.whole) == (200, True)
        assert answer.json()["type"] == "message"


def test_a_stream_that_breaks_is_no_whole_one_to_http_1_0_either(airoxy, key, upstream):
    upstream.script().broken(after=3)
    stream = HELLO.replace(b'"messages"', b'"stream":true,"messages"')
    with Client(airoxy) as client:
        client.send(old(key, stream))
        assert not client.answer().whole
        assert client.reset
