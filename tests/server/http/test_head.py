"""What is remembered of a head: no more than what another head of the same bytes says."""

import pytest

from airoxy.errors import InvalidInput
from airoxy.server.http.head import RequestHead

START = b"POST /v1/messages?a=b HTTP/1.1\r\nhost: a\r\nX-Api-Key: ak-test\r\n"


def head(length: bytes, rest: bytes = b"accept: */*\r\n") -> bytes:
    return START + b"Content-Length: " + length + b"\r\n" + rest + b"\r\n"


def test_a_head_tells_what_the_proxy_asks():
    known = RequestHead(head(b"5"))
    assert (known.method, known.path, known.target) == (
        "POST", "/v1/messages", b"/v1/messages?a=b"
    )  # fmt: skip
    assert known.is_api
    assert known.takes_system
    assert len(known.digests) == 1
    assert known.headers[-1] == (b"accept", b"*/*")


@pytest.mark.parametrize("length", [b"0", b"5", b"12345", b"0007", b"9" * 18])
def test_another_length_is_recognised(length):
    known = RequestHead(head(b"31"))
    assert known.again(head(length))
    assert known.length == int(length)


@pytest.mark.parametrize(
    "other",
    [
        head(b"5", b"accept: text/*\r\n"),
        head(b"5", b""),
        head(b""),
        head(b"+5"),
        head(b"5 "),
        head(b"5\r\nx: 5"),
        head(b"5, 5"),
        head(b"9" * 19),
        head("٥".encode()),
        head(b"5").replace(b"ak-test", b"ak-tess"),
        head(b"5").replace(b"/messages", b"/files"),
        START + b"content-length: 5\r\naccept: */*\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
    ],
)
def test_every_other_head_is_read_anew(other):
    known = RequestHead(head(b"31"))
    assert not known.again(other)
    assert known.length == 31


def test_a_head_without_a_length_is_recognised_whole():
    known = RequestHead(START + b"\r\n")
    assert known.again(START + b"\r\n")
    assert not known.again(START + b"content-length: 5\r\n\r\n")
    assert known.length == 0


def test_an_unknown_method_is_refused():
    with pytest.raises(InvalidInput):
        RequestHead(b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n")
