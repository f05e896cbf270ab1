"""Answers as bytes: whole, split anywhere, wrong in every way."""

from __future__ import annotations

import sys

import pytest

from airoxy.upstream.response import HEAD_LIMIT, UpstreamResponse

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

#: name: (bytes, status, body, the connection may be used again)
GOOD = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "no body by length": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "chunks": (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 200, b"hello world", True),
    "chunks in capitals": (
        OK + b"TRANSFER-ENCODING: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        200,
        b"0123456789",
        True,
    ),
    "chunk extensions": (CHUNKED + b"5;a=b\r\nhello\r\n0;c\r\n\r\n", 200, b"hello", True),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", 200, b"hello", True),
    "empty chunks": (CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "204 with a length": (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, b"", True),
    "304 with the length of what is not sent": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n",
        304,
        b"",
        True,
    ),
    "connection: close": (
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        200,
        b"hi",
        False,
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "HTTP/1.0 kept alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        200,
        b"hi",
        True,
    ),
    "100 first": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        200,
        b"hi",
        True,
    ),
    "many interim answers": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 9 + OK + b"Content-Length: 2\r\n\r\nhi",
        200,
        b"hi",
        True,
    ),
    "an odd status": (b"HTTP/1.1 529 Overloaded\r\nContent-Length: 0\r\n\r\n", 529, b"", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
}  # fmt: skip

#: What must never be taken for an answer.
BAD = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths that differ": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a length beside chunks": OK
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunks beside a length": OK
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a length below zero": OK + b"Content-Length: -5\r\n\r\nhello",
    "a length that is a list": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length beyond all numbers": OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a chunk size that is no number": CHUNKED + b"five\r\nhello\r\n0\r\n\r\n",
    "a chunk size below zero": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": CHUNKED + b"fffffffffffffffffff\r\nhello\r\n",
    "a chunk longer than its size": CHUNKED + b"5\r\nhello, world\r\n0\r\n\r\n",
    "another transfer coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "only another transfer coding": OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
    "a space before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "no colon": OK + b"Content-Length\r\n\r\n",
    "no name": OK + b": 5\r\n\r\n",
    "NUL in a value": OK + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "status 20": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status 2000": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "101 without upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "an interim answer with a body": b"HTTP/1.1 102 P\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1",
}


def fed(*pieces: bytes, bodiless: bool = False) -> UpstreamResponse:
    answer = UpstreamResponse(bodiless=bodiless)
    for piece in pieces:
        answer.feed(piece)
    return answer


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_is_understood_whole_byte_by_byte_and_split_anywhere(name: str) -> None:
    data, status, body, reusable = GOOD[name]
    splits = [[data], bytewise(data)] + [[data[:i], data[i:]] for i in range(1, len(data))]
    for pieces in splits:
        answer = fed(*pieces)
        assert answer.fault is None, pieces
        assert answer.complete, pieces
        assert (answer.status, answer.take(), answer.reusable) == (status, body, reusable), pieces
        assert answer.named == dict(answer.headers)


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_framed_beyond_doubt_is_a_fault(name: str) -> None:
    data = BAD[name]
    for pieces in ([data], bytewise(data)):
        answer = fed(*pieces)
        assert answer.fault
        assert not answer.complete
        assert not answer.reusable
        answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert not answer.complete


def test_headers_keep_order_duplicates_and_bytes_and_have_lower_case_names() -> None:
    answer = fed(OK + b"Set-Cookie: a\r\nX-B:\t\xe9 b \r\nSET-COOKIE: c\r\nEmpty:\r\n\r\n")
    assert [(name, value.strip()) for name, value in answer.headers] == [
        (b"set-cookie", b"a"),
        (b"x-b", b"\xe9 b"),
        (b"set-cookie", b"c"),
        (b"empty", b""),
    ]


def test_the_coding_may_be_in_capitals() -> None:
    answer = fed(OK + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert answer.take() == b"hello"


def test_headers_of_an_interim_answer_and_trailers_are_dropped() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + CHUNKED + b"0\r\nX-Sum: 1\r\n\r\n"
    assert fed(data).headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""],
    ids=["length", "chunked", "neither"],
)
def test_the_answer_to_head_ends_with_its_head(framing: bytes) -> None:
    answer = fed(OK + framing + b"\r\n", bodiless=True)
    assert answer.complete
    assert answer.fault is None
    assert answer.reusable == bool(framing)


@pytest.mark.parametrize("surplus", [b"x", OK + b"Content-Length: 0\r\n\r\n", b"\0\0\0"])
def test_what_follows_the_end_spoils_the_connection_but_not_the_answer(surplus: bytes) -> None:
    whole = OK + b"Content-Length: 5\r\n\r\nhello"
    for pieces in ([whole + surplus], [whole, surplus]):
        answer = fed(*pieces)
        assert answer.complete
        assert answer.fault is None
        assert answer.take() == b"hello"
        assert not answer.reusable
        assert answer.headers == [(b"content-length", b"5")]


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_none_may_be_is_surplus(status: int) -> None:
    answer = fed(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nhello" % status)
    assert (answer.complete, answer.fault, answer.take()) == (True, None, b"")
    assert not answer.reusable


def test_a_body_without_framing_lasts_until_the_connection_closes() -> None:
    answer = fed(OK + b"\r\nhel", b"lo")
    assert not answer.complete
    answer.end()
    assert (answer.complete, answer.fault, answer.take()) == (True, None, b"hello")
    assert not answer.reusable


@pytest.mark.parametrize("data", [GOOD["a length"][0], GOOD["chunks"][0], GOOD["100 first"][0]])
def test_an_end_before_the_end_is_a_fault_wherever_it_comes(data: bytes) -> None:
    for size in range(len(data)):
        answer = fed(data[:size])
        answer.end()
        assert answer.fault, data[:size]
        assert not answer.complete


def test_an_end_after_the_end_leaves_the_answer_good() -> None:
    answer = fed(GOOD["a length"][0])
    answer.end()
    assert (answer.complete, answer.fault, answer.reusable) == (True, None, False)


def test_a_head_may_have_64_kib_and_not_a_byte_more() -> None:
    frame = len(OK + b"X-A: \r\n\r\n")
    fits = OK + b"X-A: " + b"a" * (HEAD_LIMIT - frame) + b"\r\n\r\n"
    assert len(fits) == HEAD_LIMIT
    assert fed(fits).started
    assert fed(fits + b"body").take() == b"body"
    assert fed(fits[:100], fits[100:] + b"body").take() == b"body"
    over = fed(fits.replace(b"aa", b"aaa", 1))
    assert over.fault == "the head of its answer is larger than 64 KiB"


def test_lines_without_end_are_cut_off() -> None:
    answer = UpstreamResponse()
    answer.feed(OK)
    fed_bytes = 0
    while answer.fault is None:
        answer.feed(b"a: b\r\n" * 1000)
        fed_bytes += 6000
    assert fed_bytes <= HEAD_LIMIT + 6000
    assert len(answer.headers) <= HEAD_LIMIT / 6
    assert fed(OK, b"a: b\r\n" * 100_000).fault


def test_interim_answers_without_end_are_cut_off() -> None:
    assert fed(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 5000).fault


@pytest.mark.parametrize(
    ("opening", "flood"),
    [
        (b"0\r\n", b"X-Trailer: x\r\n"),
        (b"0\r\nX-Name", b"e" * 100),
        (b"0\r\nX-Name: ", b"e" * 100),
        (b"5;", b"extension" * 10),
    ],
    ids=["trailers", "a trailer's name", "a trailer's value", "a chunk extension"],
)
def test_framing_without_end_is_cut_off(opening: bytes, flood: bytes) -> None:
    answer = fed(CHUNKED + b"5\r\nhello\r\n" + opening)
    rounds = 0
    while answer.fault is None:
        answer.feed(flood)
        rounds += 1
        assert rounds * len(flood) < 3 * HEAD_LIMIT
    assert answer.take() == b"hello"


def test_a_gigabyte_without_a_line_break_flows_through() -> None:
    answer = fed(OK + b"\r\n")
    megabyte = b"x" * 2**20
    for _ in range(1024):
        answer.feed(megabyte)
        assert len(answer.take()) == 2**20
    assert answer.fault is None


def test_tiny_chunks_do_not_pile_up_as_objects() -> None:
    answer = fed(CHUNKED + b"2\r\nab\r\n" * 30_000)
    assert len(answer.pieces) == 1
    assert answer.size == 60_000
    assert answer.take() == b"ab" * 30_000
    assert (answer.take(), answer.size) == (b"", 0)


def test_an_answer_is_freed_with_its_last_reference() -> None:
    for data, *_ in GOOD.values():
        answer = fed(data)
        assert sys.getrefcount(answer) == 2
    answer = fed(OK)
    answer.discard()
    assert sys.getrefcount(answer) == 2
