"""What is fuzzed: functions that take any bytes and raise where a promise is not kept.

The first bytes of an input may choose where it is cut: a stream must mean the same however it
arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools

from airoxy.config import load_config
from airoxy.core.billing.answer_form import form_of
from airoxy.core.billing.usage_reader import UsageReader
from airoxy.core.pool import Token
from airoxy.core.request import body as bodies
from airoxy.core.request import head as request_head
from airoxy.core.request import system_line
from airoxy.core.request.head import CHUNKED
from airoxy.core.request.headers import credential, to_client, to_upstream
from airoxy.core.request.paths import ids_in_path, is_api, limit_for
from airoxy.errors import AiroxyError, ConfigError
from airoxy.server.proxy.answer.decode import Decoder
from airoxy.upstream.response import UpstreamResponse
from tests.fuzz.wire import conversation

LINE = "You are Claude Code, Anthropic's official CLI for Claude."
SECRET = "sk-ant-api-test-secret"


def head(data: bytes) -> None:
    """What passes as a head, every parser takes for the same one."""
    data = data.replace(b"\n", b"\r\n") + b"\r\n\r\n"
    data = data[: data.index(b"\r\n\r\n") + 4]
    try:
        length = request_head.body_length(data)
    except AiroxyError as error:
        assert 400 <= error.status < 500  # noqa: PT017
        return
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:  # it may be stricter, and has the last word
        return
    assert seen.heads == 1
    lines = data[:-4].split(b"\r\n")[1:]
    assert seen.headers == [(n, v.strip(b" \t")) for n, _, v in (x.partition(b":") for x in lines)]
    framing = {n.lower(): v for n, v in seen.headers}
    assert (length == CHUNKED) == (b"transfer-encoding" in framing)
    assert length == CHUNKED or length == int(framing.get(b"content-length", 0))


class _Seen:
    def __init__(self) -> None:
        self.heads = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.heads += 1


def requests(data: bytes) -> None:
    """A connection reads the same requests out of the same bytes, wherever they are cut."""
    cuts, data = data[:3], data[3:]
    asyncio.run(_requests(cuts, data))


async def _requests(cuts: bytes, data: bytes) -> None:
    whole = await conversation([data])
    pieces, at = [], 0
    for cut in sorted(cuts):
        pieces.append(data[at : (end := at + cut)])
        at = end
    assert await conversation([*pieces, data[at:]]) == whole


def headers(data: bytes) -> None:
    """Exactly one credential goes upstream, and nothing that belongs to the client's connection."""
    given = [(n.lower(), v) for n, _, v in (x.partition(b":") for x in data.split(b"\n"))]
    credential(given)
    for kind in ("api_key", "oauth"):
        token = Token(1, "one", kind, SECRET, None, 0)
        sent = to_upstream(list(given), token, b"api.example")
        assert sent[0] == (b"host", b"api.example")
        names = [name for name, _ in sent]
        assert names.count(b"host") == 1
        assert names.count(b"x-api-key") + names.count(b"authorization") == 1
        stays = {b"cookie", b"connection", b"transfer-encoding", b"content-length", b"te", b"via"}
        assert not stays & set(names)
    answered = to_client(list(given), dict(given))
    assert all(header in given for header in answered)


def path(data: bytes) -> None:
    """A path that is let through leads nowhere but to the API."""
    from urllib.parse import unquote

    raw = b"/v1/" + data.replace(b"\0", b"%2e")
    text = unquote(raw.decode("latin-1"))
    ids_in_path(text)
    limit_for(text)
    if is_api(raw):
        for seen in (raw.decode("latin-1"), text, unquote(text)):
            resolved: list[str] = []
            for segment in seen.replace("\\", "/").split("/"):
                resolved = resolved[:-1] if segment == ".." else [*resolved, segment]
                resolved = [part for part in resolved if part not in ("", ".")]
            assert resolved[:1] == ["v1"], (seen, resolved)


def usage(data: bytes) -> None:
    """Usage is the same in any pieces; nothing fails."""
    for form in ("sse", "json", "jsonl", "none"):
        whole, cut = UsageReader(form), UsageReader(form)
        whole.feed(data[1:])
        size = data[0] + 1 if data else 1
        for start in range(1, len(data), size):
            cut.feed(data[start : start + size])
        whole.close()
        cut.close()
        assert (whole.parts, whole.model, whole.error_message, whole.resource_id) == (
            cut.parts, cut.model, cut.error_message, cut.resource_id
        )  # fmt: skip
        assert whole.finished == cut.finished


def form(data: bytes) -> None:
    """Any content type and path have a form."""
    kind, _, where = data.decode("latin-1").partition("\n")
    assert form_of(where, 200, kind) in ("sse", "json", "jsonl", "none")


def body(data: bytes) -> None:
    """A body is read as a plain reader does, and is what it was but for the line."""
    asked = bodies.read_request(data)
    spliced = bytes(system_line.splice(data, (LINE,)))
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        assert (asked.model, asked.stream, spliced) == (None, False, data)
        return
    assert asked.stream == (document.get("stream") is True)
    result, thread = json.loads(spliced), document.get("thread")
    if isinstance(thread, dict) and thread.get("type") == "continue":
        assert spliced == data
        return
    if isinstance(document.get("system", ""), str):
        first = (
            result["system"] if isinstance(result["system"], str) else result["system"][0]["text"]
        )
        assert first.startswith((LINE, "x-anthropic-billing-header:"))
    assert {**result, "system": 0} == {**document, "system": 0}


def answer(data: bytes) -> None:
    """An upstream's answer is the same in any pieces; whatever comes, it is read or refused."""
    whole, cut = UpstreamResponse(), UpstreamResponse()
    size = data[0] + 1 if data else 1
    whole.feed(data[1:])
    for start in range(1, len(data), size):
        cut.feed(data[start : start + size])
    for one in (whole, cut):
        one.end()
        assert one.complete or one.fault
    assert whole.complete == cut.complete
    if whole.complete:
        assert (whole.status, whole.headers, whole.take()) == (cut.status, cut.headers, cut.take())


def decode(data: bytes) -> None:
    """Decompression never fails, and brings out no more than its bound."""
    encodings, _, packed = data.partition(b"\n")
    decoder = Decoder(encodings.decode("latin-1"), limit=1 << 20)
    for start in range(0, len(packed), 100):
        decoder.decode(packed[start : start + 100])


_scratch = Path(tempfile.gettempdir())


def config(data: bytes) -> None:
    """A configuration loads, or all its mistakes are told."""
    with tempfile.NamedTemporaryFile(dir=_scratch, suffix=".yaml") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(ConfigError):
            load_config(Path(file.name), {})


TARGETS: dict[str, Callable[[bytes], Any]] = {
    function.__name__: function
    for function in (
        head,
        requests,
        headers,
        path,
        usage,
        form,
        body,
        answer,
        decode,
        config,
    )
}
