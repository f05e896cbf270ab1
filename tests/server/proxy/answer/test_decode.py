"""Compressed answers are read as they come, and whatever comes does no harm."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.core.billing.usage_reader import UsageReader
from airoxy.server.proxy.answer import decode
from airoxy.server.proxy.answer.decode import Decoder

EVENTS = [
    b'data: {"message":{"model":"m","usage":{"input_tokens":5}}}\n\n',
    *(b'data: {"delta":{"text":"word %d"}}\n\n' % number for number in range(20)),
    b'data: {"usage":{"output_tokens":7}}\n\n',
]
TEXT = b"".join(EVENTS)


def deflated(data: bytes, wbits: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return compressor.compress(data) + compressor.flush()


def framed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "GZIP ": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "br": brotli.compress(TEXT),
    "zstd": framed(TEXT),
    "gzip, br": brotli.compress(gzip.compress(TEXT)),
    "br,gzip": gzip.compress(brotli.compress(TEXT)),
    "identity, zstd, deflate": zlib.compress(framed(TEXT)),
}
VARIANTS = [
    *ENCODED.items(),
    ("gzip", gzip.compress(TEXT[:300]) + gzip.compress(TEXT[300:500]) + gzip.compress(TEXT[500:])),
    ("deflate", deflated(TEXT, -15)),
    ("deflate", deflated(TEXT, 9)),
    ("zstd", framed(TEXT[:300]) + framed(TEXT[300:])),
    ("gzip", gzip.compress(b"") + gzip.compress(TEXT)),
    ("br, br, br", brotli.compress(brotli.compress(brotli.compress(TEXT)))),
]


def decoded(encodings: str, *pieces: bytes) -> bytes:
    decoder = Decoder(encodings)
    return b"".join(map(decoder.decode, pieces))


@pytest.mark.parametrize(("encodings", "body"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_a_body_is_decoded_whole_and_byte_by_byte(encodings: str, body: bytes) -> None:
    assert decoded(encodings, body) == TEXT
    assert decoded(encodings, *(body[i : i + 1] for i in range(len(body)))) == TEXT


@pytest.mark.parametrize("encodings", ENCODED)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_body_is_decoded_in_any_pieces(encodings: str, data: st.DataObject) -> None:
    body = ENCODED[encodings]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decoded(encodings, *pieces) == TEXT


@pytest.mark.parametrize("encodings", ENCODED)
def test_a_large_body_is_decoded(encodings: str) -> None:
    text = b"".join(b"%d, " % (n * n) for n in range(100_000))
    coded = {
        "br": brotli.compress(text, quality=4),
        "zstd": framed(text),
        "deflate": zlib.compress(text),
        "gzip": gzip.compress(text),
    }
    if encodings in coded:
        assert decoded(encodings, coded[encodings]) == text


def gzip_events() -> Iterator[bytes]:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    for event in EVENTS:
        yield compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH)


def deflate_events() -> Iterator[bytes]:
    compressor = zlib.compressobj()
    for event in EVENTS:
        yield compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH)


def brotli_events() -> Iterator[bytes]:
    compressor = brotli.Compressor()
    for event in EVENTS:
        yield compressor.process(event) + compressor.flush()


def zstd_events() -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor().compressobj()
    for event in EVENTS:
        yield compressor.compress(event) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize(
    ("encoding", "events"),
    [
        ("gzip", gzip_events),
        ("deflate", deflate_events),
        ("br", brotli_events),
        ("zstd", zstd_events),
    ],
)
def test_an_event_comes_out_as_soon_as_its_bytes_are_in(
    encoding: str, events: Callable[[], Iterator[bytes]]
) -> None:
    decoder, reader = Decoder(encoding), UsageReader("sse")
    for piece, event in zip(events(), EVENTS, strict=True):
        out = decoder.decode(piece)
        assert out == event
        reader.feed(out)
        assert reader.model == "m"
    assert reader.parts[0].output_tokens == 7


@pytest.mark.parametrize(
    "encodings", ["compress", "aws-chunked", "gzip, unknown", "gzip;q=1", "gzip," * 4]
)
def test_an_unknown_encoding_brings_nothing_out(encodings: str) -> None:
    decoder = Decoder(encodings)
    assert not decoder.active
    assert decoder.decode(gzip.compress(TEXT)) == b""


@pytest.mark.parametrize("encodings", [name for name in ENCODED if name not in ("", "identity")])
def test_broken_data_ends_the_decoding_for_good(encodings: str) -> None:
    decoder = Decoder(encodings)
    decoder.decode(b"this is not compressed at all, whatever the header says")
    assert not decoder.active
    assert decoder.decode(ENCODED[encodings]) == b""


@pytest.mark.parametrize("encodings", ["gzip", "deflate", "zstd"])
def test_what_follows_the_end_does_not_take_away_what_came_before(encodings: str) -> None:
    decoder = Decoder(encodings)
    assert decoder.decode(ENCODED[encodings] + b"\xff\xff\xff\xff" * 8) == TEXT
    assert not decoder.active


@pytest.mark.parametrize("encodings", ["gzip", "deflate", "br", "zstd", "gzip, br", "x"])
@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 60))
@settings(deadline=None)
def test_nonsense_is_no_failure(encodings: str, pieces: list[bytes], start: int) -> None:
    decoder = Decoder(encodings)
    for piece in (ENCODED.get(encodings, b"")[:start], *pieces):
        assert isinstance(decoder.decode(piece), bytes)


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_without_its_library_nothing_is_decoded(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"br": "brotli", "zstd": "zstandard"}[encoding], None)
    decoder = Decoder(encoding)
    assert decoder.decode(ENCODED[encoding]) == b""
    assert not decoder.active


def brotli_bomb(size: int) -> bytes:
    return brotli.compress(bytes(size), quality=9, lgwin=24)


BOMBS: dict[str, Callable[[int], bytes]] = {
    "gzip": lambda size: gzip.compress(bytes(size), 9),
    "deflate": lambda size: deflated(bytes(size), -15),
    "br": brotli_bomb,
    "zstd": lambda size: framed(bytes(size)),
    "br, gzip": lambda size: gzip.compress(brotli_bomb(size)),
    "gzip, gzip": lambda size: gzip.compress(gzip.compress(bytes(size))),
}


@pytest.mark.parametrize("encodings", BOMBS)
def test_a_compression_bomb_is_given_up(encodings: str) -> None:
    bomb = BOMBS[encodings](96 << 20)
    decoder = Decoder(encodings)
    tracemalloc.start()
    try:
        out = decoder.decode(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out == b""
    assert not decoder.active
    # What came out so far and the step that was too much, each with room to grow into.
    assert peak < 3 * decode.MAX_STEP


def test_a_stream_has_no_limit_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_STEP", 10_000)
    compressor = zlib.compressobj(wbits=31)
    decoder = Decoder("gzip")
    for _ in range(20):
        piece = compressor.compress(bytes(9_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert decoder.decode(piece) == bytes(9_000)
    decoder.decode(compressor.compress(bytes(10_001)) + compressor.flush())
    assert not decoder.active


@pytest.mark.parametrize("encodings", ["", "gzip"])
def test_a_body_beyond_its_limit_ends_the_decoding(encodings: str) -> None:
    enough = Decoder(encodings, limit=len(TEXT))
    assert enough.decode(ENCODED[encodings]) == TEXT
    assert enough.active
    short = Decoder(encodings, limit=len(TEXT) - 1)
    short.decode(ENCODED[encodings])
    assert not short.active
    assert short.decode(b"more") == b""
