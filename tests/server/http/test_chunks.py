"""Bodies in chunks: the same however they arrive, strict, and in bounded steps."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.errors import InvalidInput
from airoxy.server.http.chunks import STEP, Chunks


def read(pieces: list[bytes]) -> tuple[bytes, Chunks]:
    reader, body = Chunks(), b""
    for piece in pieces:
        body += reader.feed(piece)
        while reader.pending:
            body += reader.feed(b"")
    return body, reader


def framed(parts: list[bytes], trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + (
        b"0\r\n" + trailers + b"\r\n"
    )


@settings(deadline=None, database=None)
@given(
    parts=st.lists(st.binary(min_size=1, max_size=40), max_size=20),
    cuts=st.lists(st.integers(0, 1000), max_size=10),
    rest=st.binary(max_size=5),
)
def test_a_body_is_the_same_however_it_arrives(
    parts: list[bytes], cuts: list[int], rest: bytes
) -> None:
    whole = framed(parts, b"x-late: 1\r\n") + rest
    at = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    for pieces in (
        [whole],
        [whole[start:end] for start, end in itertools.pairwise(at)],
        [whole[n : n + 1] for n in range(len(whole))],
    ):
        body, reader = read(pieces)
        assert body == b"".join(parts)
        assert (reader.ended, reader.rest[: len(rest)]) == (True, rest[: len(reader.rest)])


@pytest.mark.parametrize(
    "wrong",
    [
        b"5g\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5 ;a\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5\nhello\n",
        b"5\rhello\r\n",
        b"\r\nhello\r\n",
        b";a\r\nhello\r\n",
        b"fffffffffffffffff\r\n",
        b"5;a\0b\r\nhello\r\n",
        b"5;a\x7fb\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5;" + b"a" * 2000 + b"\r\nhello\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\n\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n\r\n0\r\n\r\n",
        b"0\r\nx y: 1\r\n\r\n",
        b"0\r\nx: a\0b\r\n\r\n",
        b"0\r\n x: folded\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n" + b"x: y\r\n" * 2000,
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_what_is_not_clear_is_refused(wrong: bytes, bytewise: bool) -> None:
    pieces = [wrong[n : n + 1] for n in range(len(wrong))] if bytewise else [wrong]
    with pytest.raises(InvalidInput):
        read(pieces)


@pytest.mark.parametrize("size", [b"5", b"05", b"0000005", b"5;a", b'5;a="b c"', b"5;"])
def test_a_size_may_be_written_in_these_ways(size: bytes) -> None:
    body, reader = read([size + b"\r\nhello\r\n0\r\n\r\n"])
    assert (body, reader.ended) == (b"hello", True)


def test_a_step_reads_no_more_than_so_many_chunks() -> None:
    reader = Chunks()
    steps, body = 0, reader.feed(b"1\r\na\r\n" * 10_000)
    while reader.pending:
        assert len(body) <= STEP
        body = reader.feed(b"")
        steps += 1
    assert steps >= 10_000 // STEP


@settings(deadline=None, database=None, max_examples=50)
@given(
    unit=st.sampled_from([b"1\r\na\r\n", b"2;x\r\nab\r\n", b"1;" + b"y" * 99 + b"\r\na\r\n"]),
    size=st.integers(1, 300_000),
)
def test_hostile_framing_is_refused_before_it_costs_much(unit: bytes, size: int) -> None:
    """However it is cut, no more than 64 KiB and a piece are looked at."""
    reader, read = Chunks(), 0
    stream = unit * (400_000 // len(unit))
    with pytest.raises(InvalidInput, match="framing"):
        for start in range(0, len(stream), size):
            reader.feed(stream[start : start + size])
            while reader.pending:
                read = reader.received
                reader.feed(b"")
    assert read <= 64 * 1024 + STEP * len(unit)


def test_large_chunks_are_no_framing() -> None:
    body, reader = read([framed([b"." * 100] * 5000)])
    assert (len(body), reader.ended) == (500_000, True)
