"""Streams: nothing is held back, leaving is noticed at once, and no end is mistaken for another."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

TOKEN = "sk-ant-api-test-one"


class StreamClient:
    """A client on a raw socket, so that a test sees when each piece arrives."""

    def __init__(self, airoxy: Airoxy, key: str, body: bytes | None = None) -> None:
        body = (
            body
            or json.dumps(
                {
                    "model": "claude-opus-5-5",
                    "max_tokens": 10,
                    "stream": True,
                    "messages": [{"role": "user", "content": "Hello"}],
                }
            ).encode()
        )
        self.socket = airoxy.connect()
        self.socket.sendall(
            b"POST /v1/messages HTTP/1.1\r\nHost: airoxy\r\nanthropic-version: 2023-06-01\r\n"
            b"x-api-key: %b\r\nContent-Length: %d\r\n\r\n%b" % (key.encode(), len(body), body)
        )
        self.seen = b""

    def read_until(self, what: bytes, count: int = 1) -> float:
        """Read until `what` has come so often; the time when it did."""
        while self.seen.count(what) < count:
            piece = self.socket.recv(65536)
            assert piece, self.seen
            self.seen += piece
        return time.monotonic()

    def read_to_end(self) -> bytes:
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                self.seen += piece
        return self.seen

    def leave(self, how: str = "fin") -> None:
        """Close the connection, by FIN or by RST."""
        if how == "reset":
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


@pytest.fixture(params=["plain", "tls"])
def airoxy(request: pytest.FixtureRequest) -> Airoxy:
    """With and without TLS."""
    if request.param == "tls":
        return request.getfixturevalue("secured")
    return request.getfixturevalue("install")().start()


@pytest.fixture
def key(airoxy: Airoxy) -> str:
    airoxy.token(TOKEN)
    return airoxy.key()


@pytest.fixture
def client(airoxy: Airoxy, key: str) -> Iterator:
    clients: list[StreamClient] = []

    def client(body: bytes | None = None) -> StreamClient:
        clients.append(StreamClient(airoxy, key, body))
        return clients[-1]

    yield client
    for one in clients:
        one.socket.close()


def only_row(airoxy: Airoxy) -> dict:
    (row,) = airoxy.wait_logs(1)
    return row


def test_every_event_is_passed_on_before_the_next_is_sent(client, airoxy, upstream):
    pace = upstream.script().paced()
    stream = client()
    pace.wait_arrived()
    for number in range(1, 7):
        pace.release()
        stream.read_until(b"event: ", number)
        # Nothing that was held back could come now: the next is not yet allowed to be sent.
        assert len(pace.sent) == number
    pace.open()
    assert stream.read_until(b"message_stop")
    row = only_row(airoxy)
    assert (row["ending"], row["status_code"], row["is_stream"]) == ("complete", 200, True)


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_leaving_before_the_first_byte_closes_the_upstream_at_once(client, airoxy, upstream, how):
    hold = upstream.script().hold()
    stream = client()
    seen = hold.wait_arrived()
    stream.leave(how)
    upstream.wait_gone(seen)  # which waits for a word that never comes
    row = only_row(airoxy)
    assert (row["ending"], row["status_code"]) == ("client_left", 499)
    assert row["output_tokens"] == 0


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_leaving_in_the_middle_closes_the_upstream_and_counts_so_far(
    client, airoxy, upstream: FakeAnthropic, how
):
    upstream.set_usage(input_tokens=123)
    pace = upstream.script().paced()
    stream = client()
    seen = pace.wait_arrived()
    pace.release(2)
    stream.read_until(b"event: ", 2)
    stream.leave(how)
    upstream.wait_gone(seen)  # which waits for a word that never comes
    row = only_row(airoxy)
    assert (row["ending"], row["status_code"]) == ("client_left", 200)
    assert row["input_tokens"] == 123
    assert row["cost_nanousd"] >= 123 * 4000


def test_leaving_after_the_last_event_is_a_complete_request(client, airoxy, upstream):
    pace = upstream.script().paced()
    stream = client()
    pace.wait_arrived()
    while b"message_stop" not in stream.seen:
        pace.release()
        stream.read_until(b"\n\n", stream.seen.count(b"\n\n") + 1)
    stream.leave()
    assert only_row(airoxy)["ending"] == "complete"


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_stream_that_breaks_is_broken_for_the_client_and_counted_so_far(
    client, airoxy, upstream: FakeAnthropic, how
):
    upstream.set_usage(input_tokens=77)
    upstream.script().broken(after=3, how=how)
    seen = client().read_to_end()
    assert b"message_start" in seen
    assert not seen.endswith(b"0\r\n\r\n")
    row = only_row(airoxy)
    assert (row["ending"], row["status_code"]) == ("upstream_failed", 200)
    assert row["input_tokens"] == 77
    assert row["error_message"]


def test_a_stream_that_falls_silent_is_broken_off_after_the_read_timeout(install, upstream):
    # Long enough for what is sent at all.
    airoxy = install(upstream={"read_timeout": 3}).start()
    airoxy.token(TOKEN)
    upstream.script().stall(after=2)
    seen = StreamClient(airoxy, airoxy.key())
    assert not seen.read_to_end().endswith(b"0\r\n\r\n")
    seen.leave()
    row = only_row(airoxy)
    assert (row["ending"], row["status_code"]) == ("upstream_failed", 200)


def test_an_error_event_passes_and_is_logged(client, airoxy, upstream):
    upstream.script().stream_error(after=3)
    stream = client()
    stream.read_until(b"0\r\n\r\n")
    assert b"overloaded_error" in stream.seen
    row = only_row(airoxy)
    assert (row["ending"], row["error_message"]) == ("upstream_failed", "Overloaded")


def test_a_plain_answer_that_breaks_off_is_broken_for_the_client(client, airoxy, upstream):
    upstream.script().raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
    )
    seen = client(b'{"model": "claude-opus-5-5", "max_tokens": 1}').read_to_end()
    assert seen.endswith(b"\r\n\r\n{")
    row = only_row(airoxy)
    assert (row["ending"], row["is_stream"]) == ("upstream_failed", False)


def test_a_client_that_leaves_while_sending_its_body_is_not_forwarded(airoxy, key, upstream):
    half = airoxy.connect()
    half.sendall(
        b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: %b\r\nContent-Length: 100\r\n\r\n{"
        % key.encode()
    )
    half.close()
    row = only_row(airoxy)
    assert (row["ending"], row["attempts"]) == ("client_left", 0)
    assert not upstream.requests


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_compressed_stream_is_counted_all_the_same(client, airoxy, upstream, encoding):
    upstream.script().message(encoding=encoding, usage={"input_tokens": 7, "output_tokens": 9})
    client().read_until(b"0\r\n\r\n")
    row = only_row(airoxy)
    assert (row["input_tokens"], row["output_tokens"]) == (7, 9)
    assert row["cost_nanousd"] == 7 * 4000 + 9 * 20000


def test_two_requests_one_after_the_other_share_a_connection_both_ways(airoxy, key, upstream):
    stream = StreamClient(airoxy, key)
    stream.read_until(b"0\r\n\r\n")
    stream.socket.sendall(
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nx-api-key: %b\r\n"
        b"anthropic-version: 2023-06-01\r\n\r\n" % key.encode()
    )
    stream.read_until(b'claude-opus-5-5"')
    stream.leave()
    assert upstream.connections == 1
