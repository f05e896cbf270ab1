"""The usual head of an answer: what is read without the parser, and that it means the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.upstream import usual_head
from airoxy.upstream.response import UpstreamResponse
from airoxy.upstream.usual_head import CHUNKED, only_chunk, read_usual_head

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n"
USUAL = (
    OK + b"Date: Sat, 28 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"%b\r\nConnection: keep-alive\r\nrequest-id: req_1\r\nCF-RAY: 1-FRA\r\n\r\n"
)

#: Lines that make a head one for the parser.
UNUSUAL = (
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"X-A: 1\r\n", LENGTH * 2,
    b"Content-Length: +5\r\n", b"Content-Length: 5_0\r\n", b"Content-Length: 1%018d\r\n" % 0,
    b"Content-Length:5\r\n", b"Content-Length : 5\r\n", b"Content-Length:  5\r\n",
    b"Content-Length: 5 \r\n", b"Content-Length: 5\t\r\n", b"Content-Length: \r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: Chunked\r\n",
    LENGTH + b"Connection: close\r\n", LENGTH + b"Connection: Upgrade\r\n",
    LENGTH + b"Proxy-Connection: keep-alive\r\n", LENGTH + b"Upgrade: h2c\r\n",
    LENGTH + b"X-A: a\0b\r\n", LENGTH + b"X-A: a\rb\r\n", LENGTH + b"X-A: a\nb\r\n",
    LENGTH + b"X-A: a\r\n b\r\n", LENGTH + b"X-A: \xe9\r\n", LENGTH + b"X(A: a\r\n",
    LENGTH + b": a\r\n", LENGTH + b"X-A\r\n", LENGTH + b"X-A: a\r\nx-a: a\r\n",
)  # fmt: skip


class Outcome(NamedTuple):
    """All that an answer says."""

    answer: Any
    complete: bool
    reusable: bool
    fault: bool
    body: bytes


def outcome(*pieces: bytes) -> Outcome:
    """Of an answer in these pieces."""
    answer = UpstreamResponse()
    for piece in pieces:
        answer.feed(piece)
    told = (answer.status, answer.headers, answer.named) if answer.started else None
    fault = answer.fault is not None
    return Outcome(told, answer.complete, answer.reusable, fault, answer.take())


def by_the_parser(data: bytes) -> Outcome:
    """The same by the parser alone: there is no head in the first byte."""
    return outcome(data[:1], data[1:])


def test_a_usual_head_is_read_with_its_names_in_lower_case() -> None:
    data = USUAL % b"Content-Length: 5"
    found = read_usual_head(data + b"hello")
    assert found is not None
    headers, named, length, start = found
    assert headers == [
        (b"date", b"Sat, 28 Nov 2026 12:00:00 GMT"),
        (b"content-type", b"application/json"),
        (b"content-length", b"5"),
        (b"connection", b"keep-alive"),
        (b"request-id", b"req_1"),
        (b"cf-ray", b"1-FRA"),
    ]
    assert (named, length, start) == (dict(headers), 5, len(data))
    found = read_usual_head(USUAL % b"Transfer-Encoding: chunked")
    assert found is not None
    assert found[2] == CHUNKED


@pytest.mark.parametrize("lines", UNUSUAL)
def test_what_could_be_framed_in_two_ways_is_left_to_the_parser(lines: bytes) -> None:
    data = OK + lines + b"\r\n"
    for _ in range(2):  # what is known by then changes nothing
        assert read_usual_head(data + b"hello") is None


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 201 Created", b"HTTP/1.1 100 Continue", b"x"],
)
def test_what_is_no_plain_200_is_left_to_the_parser(first: bytes) -> None:
    assert read_usual_head(first + b"\r\n" + LENGTH + b"\r\nhello") is None


def test_a_head_that_is_not_complete_or_long_is_left_to_the_parser() -> None:
    data = OK + LENGTH + b"X-A: " + b"a" * 8000 + b"\r\n\r\n"
    assert read_usual_head(data) is not None
    assert read_usual_head(data[:-1]) is None
    assert read_usual_head(data.replace(b"a", b"a" * 8)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n", b"5\r\nhello0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n",
        b"6\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n0\r\n\r\n", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"", b"\r\n",
        b"000000005\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_other_bodies_than_one_chunk_are_left_to_the_parser(body: bytes) -> None:
    head = USUAL % b"Transfer-Encoding: chunked"
    assert only_chunk(head + body, len(head)) is None
    assert outcome(head + body) == by_the_parser(head + body)


def test_a_body_in_one_chunk_is_taken_as_it_is() -> None:
    head = USUAL % b"Transfer-Encoding: chunked"
    data = head + b"00A\r\n0\r\n\r\n12345\r\n0\r\n\r\n"
    assert only_chunk(data, len(head)) == b"0\r\n\r\n12345"
    assert outcome(data) == by_the_parser(data)
    assert outcome(data).reusable


def test_lines_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual_head, "_known", {})
    for number in range(3000):
        long = b"x-long: " + b"1" * (number % 1000 + 1)
        assert read_usual_head(OK + LENGTH + b"request-id: req_%d\r\n%b\r\n\r\n" % (number, long))
    assert len(usual_head._known) <= 1024
    assert sum(map(len, usual_head._known)) <= 1024 * 256


framings = st.sampled_from(
    [
        b"Content-Length: 5",
        b"content-length: 0",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 8",
    ]
)
bodies = st.sampled_from(
    [
        b"",
        b"hello",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
    ]
)


@settings(max_examples=300, deadline=None, database=None)
@given(
    framing=framings,
    body=bodies,
    surplus=st.sampled_from([b"", b"x", OK + LENGTH + b"\r\nhello"]),
    at=st.integers(0, 400),
    removed=st.integers(0, 3),
    added=st.binary(max_size=2)
    | st.sampled_from([b"\r\n", b" ", b"\t", b": ", b"close", b"\r\n\r\n"]),
)
def test_an_answer_means_the_same_as_to_the_parser(
    framing: bytes, body: bytes, surplus: bytes, at: int, removed: int, added: bytes
) -> None:
    data = USUAL % framing + body + surplus
    at %= len(data)
    for seen in (data, data[:at] + added + data[at + removed :]):
        same = by_the_parser(seen)
        for ours in (outcome(seen), outcome(seen[:-2], seen[-2:])):
            assert (ours.answer, ours.complete, ours.fault, ours.body) == (
                same.answer, same.complete, same.fault, same.body
            )  # fmt: skip
            # The parser passes over line breaks behind the end that come in one piece with it.
            assert ours.reusable == same.reusable or seen.endswith(b"\r\n")
