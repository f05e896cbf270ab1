"""Bodies that are collected: what was added and nothing else, and memory that does not move."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.server.collected import Collected


@given(st.lists(st.binary(max_size=50)), st.integers(1, 500))
def test_what_is_taken_is_what_was_added_whatever_was_expected(pieces, expected):
    collected = Collected(expected)
    for piece in pieces:
        collected.add(piece)
    assert collected.size == len(b"".join(pieces))
    body = collected.take()
    assert type(body) is bytearray
    assert body == b"".join(pieces)


def address(collected: Collected) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(collected._bytes))


def test_bodies_of_a_known_size_that_grow_side_by_side_are_never_copied():
    piece = b"x" * 262_144
    bodies = [Collected(40 * len(piece)) for _ in range(4)]
    before = [address(each) for each in bodies]
    for _ in range(40):
        for each in bodies:
            each.add(piece)
    assert [address(each) for each in bodies] == before
    assert all(each.take() == piece * 40 for each in bodies)


def test_a_body_of_unknown_size_is_moved_only_when_it_has_doubled():
    collected, places = Collected(100_000), set()
    for _ in range(400):
        collected.add(b"x" * 10_000)
        places.add(address(collected))
    assert len(places) <= 7
    assert len(collected.take()) == 4_000_000


def test_memory_that_there_is_not_is_an_error():
    with pytest.raises(MemoryError):
        Collected(1 << 62)
