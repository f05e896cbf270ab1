"""Requests that two readers could take for different ones: none of them gets any further."""

from __future__ import annotations

import pytest

from tests.reliability.raw import Client, request
from tests.reliability.smuggling.odd import CHUNKED, REFUSED, SMUGGLED, START, get


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
        b"GET /v1/models HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 300 + b"\r\n",
    ],
    ids=["a target", "a header", "many headers", "more headers than anybody needs"],
)
def test_a_head_that_is_too_large_is_refused(airoxy, upstream, head):
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


def test_http_2_with_prior_knowledge_gets_a_sentence(airoxy, upstream):
    settings = b"\0\0\0\x04\0\0\0\0\0"
    with Client(airoxy) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        answer = client.answer()
        assert (answer.status, answer.is_ours) == (505, True)
        assert "HTTP/1.1" in answer.json()["error"]["message"]
        assert client.rest() == b""
    assert not upstream.requests
