"""What is remembered of a head: no more than what another head of the same bytes says."""

import pytest

from airoxy.errors import InvalidInput
from airoxy.server.http.head import RequestHead

START = b"POST /v1/messages?a=b HTTP/1.1\r\nhost: a\r\nX-Api-Key: ak-test\r\n"


def head(length: bytes, rest: bytes = b"accept: */*\r\n") -> bytes:
    return START + b"Content-Length: " + length + b"\r\n" + rest + b"\r\n"


def test_a_head_tells_what_the_proxy_asks():
    parsed = RequestHead(head(b"5"))
    assert (parsed.method, parsed.path, parsed.target) == (
        "POST", "/v1/messages", b"/v1/messages?a=b"
    )  # fmt: skip
    assert parsed.is_api
    assert parsed.takes_system
    assert len(parsed.digests) == 1
    assert parsed.headers[-1] == (b"accept", b"*/*")


@pytest.mark.parametrize("place", ["/v1/files/KEY", "/v1/KEY/messages", "/v1/files/x-KEYx"])
def test_a_path_with_the_clients_own_key_is_none_of_the_api(place: str) -> None:
    key = "ak-" + "x" * 40
    lines = f"POST {place} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n"
    assert RequestHead(lines.replace("KEY", "file_x").encode()).is_api
    assert not RequestHead(lines.replace("KEY", key).encode()).is_api


@pytest.mark.parametrize("length", [b"0", b"5", b"12345", b"0007", b"9" * 18])
def test_another_length_is_recognised(length):
    parsed = RequestHead(head(b"31"))
    assert parsed.again(head(length))
    assert parsed.length == int(length)
    assert parsed.raw == head(length)


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
    parsed = RequestHead(head(b"31"))
    assert not parsed.again(other)
    assert parsed.length == 31


def test_a_head_without_a_length_is_recognised_whole():
    parsed = RequestHead(START + b"\r\n")
    assert parsed.again(START + b"\r\n")
    assert not parsed.again(START + b"content-length: 5\r\n\r\n")
    assert parsed.length == 0


def test_an_unknown_method_is_refused():
    with pytest.raises(InvalidInput):
        RequestHead(b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n")
