"""What an upstream can do wrong: what the client gets and the log says; nothing is left over."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import TOKEN, Watched
from tests.reliability.load import figure
from tests.reliability.raw import HELLO, STREAM, Client, request

MB = 1 << 20


@dataclass
class Site:
    """One airoxy for many faults, one after the other."""

    airoxy: Watched
    upstream: FakeAnthropic
    key: str
    before: dict[str, int]
    rows: int = 0

    def ask(self, body: bytes = HELLO, path: str = "/v1/messages"):
        """What the client gets (None: the end), and the row of the log."""
        with Client(self.airoxy) as client:
            client.send(request(self.key, body, path=path))
            answer = client.answer()
        self.rows += 1
        return answer, self.airoxy.wait_logs(self.rows)[0]

    def check_clean(self) -> None:
        """Nothing is left of it, and the next request is served."""
        self.upstream.clear()
        answer, row = self.ask()
        assert (answer.status, row["ending"], row["attempts"]) == (200, "complete", 1)
        self.upstream.close_idle()
        self.airoxy.wait_held(self.before)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with FakeAnthropic() as upstream:
        directory = tmp_path_factory.mktemp("airoxy")
        airoxy = Watched(directory, upstream.url, upstream={"read_timeout": 1}).start()
        try:
            airoxy.token(TOKEN)
            site = Site(airoxy, upstream, airoxy.key(), {})
            site.ask()  # what is imported late is imported now
            upstream.close_idle()
            site.before = airoxy.held()
            yield site
            airoxy.stop()
        finally:
            airoxy.kill()


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.upstream.clear()
    yield running
    running.check_clean()


def does(site: Site, *pieces: bytes, then: str = "fin", early: bool = False) -> None:
    """The next request gets these bytes, and then "fin", "reset" or "silence"; or "more"."""

    async def step(x) -> None:
        for piece in pieces:
            await x.raw(piece)
        if then == "silence":
            await x.gone.wait()
        elif then != "more":
            x.hang_up(then)

    site.upstream.script(early=early).do(step)


JSON = b"Content-Type: application/json\r\n"
SSE = b"Content-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"

#: No answer can be made of it: the client is told, in Anthropic's shape.
NO_ANSWER = {
    "a reset before the head": ([], "reset"),
    "a close before the head": ([], "fin"),
    "a reset in the first line": ([b"HTTP/1."], "reset"),
    "a reset within the head": ([HEAD + JSON], "reset"),
    "a close within the head": ([HEAD + JSON + b"x-a"], "fin"),
    "100,000 header lines": ([HEAD, b"x-a: b\r\n" * 100_000, b"\r\n"], "fin"),
    "a header without end": ([HEAD, b"x-a: ", b"a" * 4 * MB], "fin"),
    "interim answers without end": ([b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000], "fin"),
    "another protocol": ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"], "fin"),
    "no HTTP": ([b"220 mail.example ESMTP\r\n"], "fin"),
    "two lengths": ([HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"], "fin"),
    "a space before the colon": ([HEAD + b"Content-Length : 2\r\n\r\n{}"], "fin"),
    "both lengths": ([HEAD + b"Content-Length: 5\r\n" + CHUNKED + b"0\r\n\r\n"], "fin"),
}


@pytest.mark.parametrize(("pieces", "then"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_cannot_be_an_answer_is_a_502(site, pieces, then):
    does(site, *pieces, then=then)
    answer, row = site.ask()
    assert (answer.status, answer.is_ours, answer.whole) == (502, True, True)
    assert answer.json()["error"]["type"] == "api_error"
    assert (row["status_code"], row["ending"], row["attempts"]) == (502, "upstream_failed", 1)
    assert row["error_message"] == answer.json()["error"]["message"]
    assert "The upstream " in row["error_message"]


BROKEN = {
    "a reset after the head": ([HEAD + JSON + b"Content-Length: 9\r\n\r\n"], "reset"),
    "a close after the head": ([HEAD + JSON + b"Content-Length: 9\r\n\r\n"], "fin"),
    "a close within the body": ([HEAD + JSON + b"Content-Length: 9\r\n\r\n{}"], "fin"),
    "a reset within a stream": ([HEAD + SSE + CHUNKED, b"7\r\ndata: {\r\n"], "reset"),
    "a close between two chunks": ([HEAD + SSE + CHUNKED, b"7\r\ndata: {\r\n"], "fin"),
    "a close within a chunk": ([HEAD + SSE + CHUNKED, b"ff\r\ndata: {"], "fin"),
    "a chunk longer than it says": ([HEAD + SSE + CHUNKED, b"3\r\ndata: {\r\n0\r\n\r\n"], "fin"),
    "a chunk shorter than it says": ([HEAD + SSE + CHUNKED, b"9\r\ndata\r\n0\r\n\r\n"], "fin"),
    "a size that is none": ([HEAD + SSE + CHUNKED, b"4\r\ndata\r\nxyz\r\n"], "fin"),
    "a size below nothing": ([HEAD + SSE + CHUNKED, b"4\r\ndata\r\n-4\r\ndata\r\n"], "fin"),
    "framing without end": ([HEAD + SSE + CHUNKED, b"4;" + b"a" * MB], "fin"),
    "trailers without end": ([HEAD + SSE + CHUNKED, b"0\r\n" + b"x-a: b\r\n" * 100_000], "fin"),
    "a reset where only the end ends it": ([HEAD + SSE + b"\r\ndata: {"], "reset"),
}


@pytest.mark.parametrize(("pieces", "then"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_off_is_broken_off_for_the_client(site, pieces, then):
    does(site, *pieces, then=then)
    answer, row = site.ask(STREAM)
    assert answer is None or (answer.status, answer.whole) == (200, False)
    assert (row["status_code"], row["ending"]) == (200, "upstream_failed")
    assert "The upstream " in row["error_message"]


SILENT = {
    "before the head": ([], 504),
    "within the head": ([HEAD + JSON], 504),
    "after the head": ([HEAD + SSE + CHUNKED], 200),
    "within a chunk": ([HEAD + SSE + CHUNKED, b"ff\r\ndata: {"], 200),
    "before the last chunk": ([HEAD + SSE + CHUNKED, b"7\r\ndata: {\r\n"], 200),
}


@pytest.mark.parametrize(("pieces", "status"), SILENT.values(), ids=SILENT)
def test_silence_ends_wherever_it_begins(site, pieces, status):
    does(site, *pieces, then="silence")
    answer, row = site.ask(STREAM)
    assert (row["status_code"], row["ending"]) == (status, "upstream_failed")
    assert "silent for 1 second" in row["error_message"]
    if status == 504:
        assert answer.json()["error"]["type"] == "timeout_error"
    else:
        assert not answer.whole


FINE = b'{"type":"message","usage":{"input_tokens":7}}'


def sized(body: bytes, headers: bytes = JSON) -> bytes:
    return HEAD + headers + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


HARMLESS = {
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + sized(FINE), "more"),
    "100 unasked": (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + sized(FINE), "more"),
    "garbage behind the body": (sized(FINE) + b"garbage", "more"),
    "another answer behind the body": (sized(FINE) + sized(b"another's"), "more"),
    "a reset behind the body": (sized(FINE), "reset"),
    "an end that is the end": (HEAD + JSON + b"\r\n" + FINE, "fin"),
    "chunks of one byte": (
        HEAD + JSON + CHUNKED + b"".join(b"1\r\n%c\r\n" % c for c in FINE) + b"0\r\n\r\n",
        "more",
    ),
}


@pytest.mark.parametrize(("data", "then"), HARMLESS.values(), ids=HARMLESS)
def test_what_is_around_an_answer_does_it_no_harm(site, data, then):
    does(site, data, then=then)
    answer, row = site.ask()
    assert (answer.status, answer.body, answer.whole) == (200, FINE, True)
    assert (row["ending"], row["input_tokens"]) == ("complete", 7)


@pytest.mark.parametrize("behind", [b"garbage", sized(b"another's")])
def test_after_an_answer_with_something_behind_the_next_is_the_next_ones(site, behind):
    does(site, sized(FINE) + behind, then="more")
    assert site.ask()[0].body == FINE
    answer, _ = site.ask()
    assert answer.json()["model"] == "claude-opus-5-5"
    first, second = site.upstream.requests
    assert first.connection != second.connection


# Too much of it


def test_100_mb_without_a_line_end_pass_and_are_not_held(site):
    size = 100 * MB
    site.upstream.script().flood(size, b"data: " + b"x" * (MB - 6))
    peak = site.airoxy.peak()
    with Client(site.airoxy) as client:
        client.send(request(site.key, STREAM) + b"")
        received = 0
        while client.more() and not client.received.endswith(b"0\r\n\r\n"):
            received += len(client.received) - 5
            client.received = client.received[-5:]
    assert received > size - MB
    grown = site.airoxy.peak() - peak
    figure(f"100 MB without a line end: {grown / 1e6:.1f} MB more")
    assert grown < 16 * MB
    site.rows += 1
    assert site.airoxy.wait_logs(site.rows)[0]["ending"] == "upstream_failed"


def test_a_compression_bomb_passes_and_is_not_opened(site):
    bomb = zlib.compressobj(9, wbits=31)
    packed = bomb.compress(FINE[:-1]) + b"".join(bomb.compress(bytes(MB)) for _ in range(300))
    packed += bomb.flush()
    peak = site.airoxy.peak()
    does(site, sized(packed, JSON + b"Content-Encoding: gzip\r\n"), then="more")
    answer, row = site.ask()
    assert answer.body == packed
    assert (row["ending"], row["input_tokens"]) == ("complete", 0)
    grown = site.airoxy.peak() - peak
    figure(f"a bomb of 300 MB: {grown / 1e6:.1f} MB more")
    assert grown < 160 * MB


@pytest.mark.parametrize(
    ("packed", "ending"),
    [
        (gzip.compress(FINE, mtime=0)[:-9], "complete"),
        (gzip.compress(FINE)[9:], "complete"),  # what cannot be decoded may be anything
        (b"", "upstream_failed"),
        (b"\x1f\x8b\x08", "upstream_failed"),
    ],
)
def test_broken_compression_passes_as_it_is(site, packed, ending):
    does(site, sized(packed, JSON + b"Content-Encoding: gzip\r\n"), then="more")
    answer, row = site.ask()
    assert (answer.status, answer.body, row["ending"]) == (200, packed, ending)


def test_an_answer_longer_than_an_error_can_be_is_not_collected(site):
    """A verdict needs no more of a body than its beginning; the client gets what the last token's
    upstream sent."""
    peak = site.airoxy.peak()
    flood = b"HTTP/1.1 429 Too Many Requests\r\n" + JSON + b"Content-Length: 50000000\r\n\r\n"
    does(site, flood, *[b"x" * MB] * 50)
    answer, row = site.ask()
    assert (answer.status, len(answer.body), row["ending"]) == (429, 50_000_000, "complete")
    grown = site.airoxy.peak() - peak
    figure(f"50 MB as an error: {grown / 1e6:.1f} MB more")
    assert grown < 8 * MB


# At the wrong time


@pytest.mark.parametrize("size", [1000, 3 * MB, 20 * MB])
def test_an_answer_before_the_body_was_sent_is_the_clients_answer(site, size):
    refusal = b'{"type":"error","error":{"type":"invalid_request_error","message":"Early."}}'
    does(site, sized(refusal).replace(b"200 OK", b"400 No"), then="more", early=True)
    path = "/v1/files" if size > 4 * MB else "/v1/messages"
    answer, row = site.ask(b" " * size, path)
    assert (answer.status, answer.body) == (400, refusal)
    assert (row["status_code"], row["ending"], row["error_message"]) == (400, "complete", "Early.")


def test_a_kept_connection_that_closes_as_it_is_used_is_not_noticed(site):
    site.ask()
    kept = site.upstream.requests[0].connection
    site.upstream.script(when=lambda seen: seen.connection == kept).hang_up()
    answer, row = site.ask()
    assert (answer.status, row["attempts"]) == (200, 1)
    assert [seen.connection == kept for seen in site.upstream.requests] == [True, True, False]


def test_where_the_answer_has_begun_nothing_is_sent_twice(site):
    site.ask()
    does(site, b"HTTP/1.1 2", then="reset")
    answer, _ = site.ask()
    assert answer.status == 502
    assert len(site.upstream.requests) == 2


def test_an_upload_is_never_sent_over_a_connection_that_may_be_closing(site):
    site.ask()
    site.ask(b"x" * 5 * MB, "/v1/files")
    first, upload = site.upstream.requests
    assert first.connection != upload.connection
