"""Several requests on one connection, its end, and HTTP/1.0: each answer is its own request's."""

from __future__ import annotations

import pytest

from tests.reliability.raw import HELLO, Client, request
from tests.reliability.smuggling.odd import CHUNKED, CHUNKS, REFUSED, START


def test_pipelined_requests_are_answered_in_their_order(airoxy, key, upstream):
    limiter = upstream.script(path="/v1/slow").hold()
    many = [request(key, None, path="/v1/slow")]
    many += [request(key, b'{"model":"m%d","max_tokens":1,"messages":[]}' % n) for n in range(20)]
    with Client(airoxy) as client:
        client.send(b"".join(many))
        limiter.wait_arrived()
        assert len(upstream.requests) == 1
        limiter.release()
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
