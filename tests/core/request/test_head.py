"""Heads of requests: which pass, and what body they announce.

tests/reliability/smuggling has what must not pass.
"""

import time
from contextlib import suppress

import pytest

from airoxy.core.request.head import CHUNKED, LIMIT, body_length, check_beginning
from airoxy.errors import AiroxyError, InvalidInput

START = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n"


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (START + b"\r\n", 0),
        (START + b"content-length: 0\r\n\r\n", 0),
        (START + b"CONTENT-LENGTH:\t5 \r\n\r\n", 5),
        (START + b"content-length: 0005\r\n\r\n", 5),
        (START + b"Transfer-Encoding: Chunked\r\n\r\n", CHUNKED),
        (START + b"x-content-length: 5\r\n\r\n", 0),
        (b"GET / HTTP/1.0\r\n\r\n", 0),
        (b"M-SEARCH http://a:80/x?y HTTP/1.1\r\nHost:\r\n\r\n", 0),
    ],
)
def test_a_head_tells_its_body(head, length):
    assert body_length(head) == length


@pytest.mark.parametrize(
    "beginning",
    [b"\x16\x03\x01", b"get / HTTP/1.1", b"GET /\r\n", b"GET / HTTP/1.1\n", b"GET / HTTP/3\r\n"],
)
def test_what_cannot_become_a_request_is_refused_at_once(beginning):
    with pytest.raises(InvalidInput):
        check_beginning(beginning)


@pytest.mark.parametrize("beginning", [b"G", b"GET /v1", b"GET / HTTP/1.1\r\nx", START])
def test_what_may_become_a_request_is_waited_for(beginning):
    check_beginning(beginning)


def test_a_head_has_64_kib_and_no_byte_more():
    line = b"x: %b\r\n\r\n" % (b"a" * (LIMIT - len(START) - 7))
    assert body_length(START + line) == 0
    for check in (body_length, check_beginning):
        with pytest.raises(AiroxyError) as caught:
            check(START + b"x" + line)
        assert caught.value.status == 431


@pytest.mark.parametrize(
    ("before", "repeated", "after"),
    [(b"", b"x:\r\n", b""), (b"x: ", b" \t", b""), (b"host: ", b"a ", b""), (b"", b"xx", b""),
     (b"content-length: ", b" \t", b"5")],
)  # fmt: skip
def test_no_head_takes_longer_than_its_length_says(before, repeated, after):
    """Eight times as long takes eight times the time, and not its square."""

    def quickest(size: int) -> float:
        filling = before + repeated * (size // len(repeated)) + after
        times = []
        for _ in range(5):
            started = time.perf_counter()
            for head in (START + filling + b"\r\n\r\n", b"GET http://" + filling + b"\r\n\r\n"):
                with suppress(InvalidInput):
                    body_length(head)
            times.append(time.perf_counter() - started)
        return min(times)

    assert quickest(64_000) < 30 * quickest(8_000)
