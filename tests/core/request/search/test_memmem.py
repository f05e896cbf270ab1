"""The C library's search finds what Python's does."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.request.search import memmem
from airoxy.core.request.search.memmem import holds
from tests.core.request import json_texts as texts

LETTERS = st.binary(max_size=60).map(lambda text: bytes(b"ab\0_"[letter % 4] for letter in text))
PLACES = st.integers(0, 70)


@pytest.mark.parametrize("shortest", [0, memmem.SHORT])
@texts.some
@given(LETTERS, LETTERS.filter(bool), PLACES, PLACES, st.sampled_from([bytes, bytearray]))
def test_it_finds_what_pythons_search_finds(shortest, body, word, start, end, kind):
    with mock.patch.object(memmem, "SHORT", shortest):
        assert holds(kind(body), word, start, end) == (body.find(word, start, end) >= 0)


def test_the_body_can_grow_again_afterwards():
    body = bytearray(b"a word in it" + bytes(memmem.SHORT))
    assert holds(body, b"word", 0, len(body))
    body += b" and more"
    assert holds(body, b"more", 0, len(body))
    assert not holds(body, b"more", 0, len(body) - 1)
