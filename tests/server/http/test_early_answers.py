"""Answers that are given before the body has come: the client reads them, whatever it sends, and
nobody takes the rest of the body for anything else."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest

from tests.reliability.raw import HELLO, Client, request
from tests.server.http.conftest import Site

WRONG = "ak-" + "x" * 40
MIB = 1 << 20
EXPECT = b"expect: 100-continue\r\n"


def old(whole: bytes) -> bytes:
    return whole.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)


def closing(whole: bytes) -> bytes:
    return whole.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


def chunked(key: str, pieces: int, size: int) -> bytes:
    head = request(key, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    return head + (b"%x\r\n%b\r\n" % (size, b"." * size)) * pieces + b"0\r\n\r\n"


def as_it_is(whole: bytes) -> bytes:
    return whole


@pytest.mark.parametrize("how", [old, closing, as_it_is])
@pytest.mark.parametrize("size", [100_000, 3_000_000, 40_000_000])
def test_a_client_that_sends_all_before_it_reads_learns_of_a_wrong_key(
    site: Site, how: Callable[[bytes], bytes], size: int
) -> None:
    airoxy, _, upstream = site
    with Client(airoxy) as client:
        client.socket.sendall(how(request(WRONG, b"." * size)))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.is_ours, answer.whole) == (401, True, True)
        assert not client.reset
    assert not upstream.requests


@pytest.mark.parametrize("how", [old, closing, as_it_is])
def test_a_client_that_sends_too_much_learns_of_it(
    site: Site, how: Callable[[bytes], bytes]
) -> None:
    airoxy, key, _ = site
    with Client(airoxy) as client:
        client.socket.sendall(how(request(key, b"." * 40_000_000)))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.whole) == (413, True)


def test_too_much_in_chunks_is_told_as_well(site: Site) -> None:
    airoxy, key, _ = site
    with Client(airoxy) as client:
        client.socket.sendall(chunked(key, 40, MIB))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.headers[b"connection"]) == (413, b"close")
        assert client.rest() == b""
        assert not client.reset


@pytest.mark.parametrize("how", [old, closing, as_it_is])
def test_an_early_answer_of_the_upstream_is_read(site: Site, how: Callable[[bytes], bytes]) -> None:
    airoxy, key, upstream = site
    upstream.script(path="/v1/files", early=True).status(400, {})
    with Client(airoxy) as client:
        client.socket.sendall(how(request(key, b"." * 40_000_000, path="/v1/files")))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.is_ours, answer.whole) == (400, False, True)


def test_the_connection_goes_on_behind_the_rest_of_a_body(site: Site) -> None:
    airoxy, key, _ = site
    with Client(airoxy) as client:
        client.socket.sendall(request(WRONG, b"." * 3_000_000) + request(key))
        assert [client.answer().status for _ in range(2)] == [401, 200]  # type: ignore[union-attr]


# Whoever was not told to send its body may send it, or the next request: nobody can know.


@pytest.mark.parametrize(
    "expectation",
    [
        b"100-Continue", b"100-continue, x", b"x 100-continue", b"100-continue;q=1", b"x",
        b"x\r\nexpect: 100-continue",
    ],
)  # fmt: skip
def test_whatever_a_client_expects_it_is_told_100_or_the_last_answer(
    site: Site, expectation: bytes
) -> None:
    """Go's client waits where 100-continue is any word of it."""
    airoxy, key, upstream = site
    headers = b"expect: %b\r\n" % expectation
    with Client(airoxy) as client:
        client.send(request(WRONG, HELLO, headers=headers)[: -len(HELLO)])
        answer = client.answer()
        assert answer
        assert (answer.status, answer.headers[b"connection"]) == (401, b"close")
    with Client(airoxy) as client:
        client.send(request(key, HELLO, headers=headers)[: -len(HELLO)])
        assert client.more()
        assert client.received.startswith(b"HTTP/1.1 100 ")
        client.send(HELLO)
        assert client.answer()
    assert [seen.body for seen in upstream.requests] == [HELLO]


def test_a_client_of_http_1_0_is_never_told_100(site: Site) -> None:
    airoxy, key, _ = site
    whole = request(key, headers=EXPECT).replace(b"HTTP/1.1", b"HTTP/1.0")
    with Client(airoxy) as client:
        client.send(whole)
        assert client.rest().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("key", [WRONG, None])
def test_an_answer_instead_of_100_is_the_last_of_its_connection(
    site: Site, key: str | None
) -> None:
    airoxy, valid, upstream = site
    size = 5 if key else 600_000_000  # too large for files, so it is not asked for either
    head = request(key or valid, b"", path="/v1/files", headers=EXPECT)
    with Client(airoxy) as client:
        client.send(head.replace(b"content-length: 0", b"content-length: %d" % size))
        answer = client.answer()
        assert answer
        assert answer.status == (401 if key else 413)
        assert answer.headers[b"connection"] == b"close"
        client.send(request(valid))  # somebody else's, by way of a proxy
        assert client.rest() == b""
    assert not upstream.requests


def test_a_client_that_is_told_100_keeps_its_connection(site: Site) -> None:
    airoxy, key, upstream = site
    whole = request(key, headers=EXPECT)
    with Client(airoxy) as client:
        client.send(whole[: -len(HELLO)])
        assert client.more()
        assert client.received.startswith(b"HTTP/1.1 100 ")
        client.send(HELLO)
        answer = client.answer()
        assert answer
        assert b"connection" not in answer.headers
        client.send(request(key))
        assert client.answer()
    assert [seen.body for seen in upstream.requests] == [HELLO] * 2


# Whoever sends without end


def sent_until_closed(client: Client, piece: bytes, most: int) -> int:
    """How much was taken before the connection was closed."""
    sent = 0
    client.socket.settimeout(10)
    try:
        while sent < most:
            client.socket.sendall(piece)
            sent += len(piece)
    except (ConnectionError, TimeoutError):
        pass
    return sent


@pytest.mark.parametrize(
    "framing", [b"transfer-encoding: chunked", b"content-length: 999999999999"]
)
def test_an_endless_body_of_a_refused_request_is_soon_given_up(site: Site, framing: bytes) -> None:
    airoxy, _, _ = site
    piece = b"1\r\na\r\n" * 10_000
    with Client(airoxy) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        client.send(request(WRONG, b"").replace(b"content-length: 0", framing))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.headers[b"connection"]) == (401, b"close")
        assert sent_until_closed(client, piece, 100 * MIB) < 20 * MIB


def test_a_body_that_is_mostly_framing_is_refused(site: Site) -> None:
    airoxy, key, upstream = site
    with Client(airoxy) as client:
        client.send(chunked(key, 20_000, 1))
        answer = client.answer()
        assert answer
        assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert not upstream.requests


def test_a_small_body_in_tiny_chunks_is_taken(site: Site) -> None:
    airoxy, key, upstream = site
    tiny = b"".join(b"1\r\n%c\r\n" % byte for byte in HELLO)
    head = request(key, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    with Client(airoxy) as client:
        client.send(head + tiny + b"0\r\n\r\n")
        answer = client.answer()
        assert answer
        assert answer.status == 200
    assert [json.loads(seen.body) for seen in upstream.requests] == [json.loads(HELLO)]


# Whoever leaves


def test_a_client_that_leaves_a_stalled_upload_is_noticed(site: Site) -> None:
    """Its bytes are not read any more, so the loop does not see the end behind them."""
    airoxy, key, upstream = site
    hold = upstream.script(path="/v1/files", early=True).hold()
    with Client(airoxy) as client:
        body = b"." * 200_000_000
        whole = request(key, body, path="/v1/files")
        client.send(whole[: -len(body)] + body[:100_000])
        hold.wait_arrived()
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.socket.sendall(body[100_000:])
    deadline = time.monotonic() + 60
    while not any(row["ending"] == "client_left" for row in airoxy.json("logs", "--limit", "3")):
        assert time.monotonic() < deadline
    hold.open()
