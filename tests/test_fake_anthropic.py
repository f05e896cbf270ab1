"""The fake is believed by every other test, so it is tested by itself, byte by byte."""

from __future__ import annotations

import http.client
import json
import socket
import zlib

import brotli
import pytest
import zstandard

from tests.fake_anthropic import FakeAnthropic
from tests.fake_anthropic.encodings import encode, encoder

ONE = {"x-api-key": "sk-ant-api-test-one", "anthropic-version": "2023-06-01"}
TWO = ONE | {"x-api-key": "sk-ant-api-test-two"}
OAUTH = {
    "authorization": "Bearer sk-ant-oat-test-one",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "oauth-2025-04-20,claude-code-20250219",
}
HELLO = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": []}
CLAUDE_CODE = "You are Claude Code, Anthropic's official CLI for Claude."


def ask(upstream, method, path, headers=ONE, body=None):
    """One request on its own connection: status, headers, and the body (parsed if it is JSON)."""
    connection = http.client.HTTPConnection(upstream.host, upstream.port, timeout=10)
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    try:
        connection.request(method, path, data, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.headers["content-type"] == "application/json" and method != "HEAD":
        content = json.loads(content)
    return answer.status, answer.headers, content


def post(upstream, headers=ONE, **more):
    return ask(upstream, "POST", "/v1/messages", headers, HELLO | more)


def test_a_request_is_kept_as_it_came(upstream):
    sent = (
        b"POST /v1/a%20b?x=%2F HTTP/1.1\r\nhost:  h \r\nX-Twice: 1\r\nx-tWICE: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    )
    with socket.create_connection((upstream.host, upstream.port)) as client:
        client.sendall(sent)
        [seen] = upstream.wait_for(1)
        upstream.wait_answered(seen)
    assert seen.head == sent[: sent.index(b"\r\n\r\n") + 4]
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/a%20b?x=%2F", b"abcde")
    assert seen.headers[1:3] == [(b"X-Twice", b"1"), (b"x-tWICE", b"2")]


def test_a_message_has_usage_and_a_request_id(upstream):
    upstream.set_usage(input_tokens=7)
    status, headers, body = post(upstream)
    assert (status, body["usage"]["input_tokens"], body["model"]) == (200, 7, "claude-opus-5-5")
    assert headers["request-id"].startswith("req_")


def test_a_stream_has_anthropics_events_in_order(upstream):
    upstream.script().tool_use("Bash", {"command": "echo hi"}, text="Look:")
    _, headers, body = post(upstream, stream=True)
    assert headers["content-type"].startswith("text/event-stream")
    parts = [part.split(b"\n") for part in body.split(b"\n\n")[:-1]]
    kinds = [json.loads(data.removeprefix(b"data: "))["type"] for _, data in parts]
    assert [line.decode() for line, _ in parts] == [f"event: {kind}" for kind in kinds]
    assert " ".join(dict.fromkeys(kinds)) == (
        "message_start content_block_start ping content_block_delta content_block_stop "
        "message_delta message_stop"
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (ONE, 200),
        (ONE | {"authorization": "Bearer sk-ant-oat-test-one"}, 401),
        (ONE | {"x-api-key": "ak-client"}, 401),
        ({"anthropic-version": "2023-06-01"}, 401),
        ({"x-api-key": "sk-ant-api-test-one"}, 400),
        (OAUTH, 429),
        (OAUTH | {"anthropic-beta": "oauth-2025-04-20"}, 401),
        (OAUTH | {"authorization": "Bearer sk-ant-api-test-one"}, 401),
    ],
)
def test_credentials_are_refused_as_anthropic_does(upstream, headers, status):
    got, _, body = post(upstream, headers)
    assert got == status
    assert status == 200 or body["request_id"]


@pytest.mark.parametrize("system", [CLAUDE_CODE, [{"type": "text", "text": CLAUDE_CODE}]])
def test_a_subscription_serves_claude_code(upstream, system):
    assert post(upstream, OAUTH, system=system)[0] == 200


def test_what_an_account_made_is_its_own(upstream):
    lines = {"requests": [{"custom_id": "a", "params": HELLO}]}
    batch = ask(upstream, "POST", "/v1/messages/batches", ONE, lines)[2]
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n\0\r\n--b--'
    kind = {"content-type": "multipart/form-data; boundary=b"}
    file = ask(upstream, "POST", "/v1/files", ONE | kind, form)[2]
    assert (file["filename"], file["size_bytes"]) == ("f", 1)
    for path in (f"/v1/messages/batches/{batch['id']}/results", f"/v1/files/{file['id']}/content"):
        assert ask(upstream, "GET", path, ONE)[0] == 200
        assert ask(upstream, "GET", path, TWO)[0] == 404
    assert len(ask(upstream, "GET", "/v1/files", ONE)[2]["data"]) == 1
    assert not ask(upstream, "GET", "/v1/messages/batches", TWO)[2]["data"]
    assert ask(upstream, "DELETE", f"/v1/files/{file['id']}", ONE)[0] == 200
    assert ask(upstream, "GET", f"/v1/files/{file['id']}", ONE)[0] == 404


def test_a_refresh_token_works_once(upstream):
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": "sk-ant-ort-test-one",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    }
    status, _, pair = ask(upstream, "POST", "/v1/oauth/token", {}, asked)
    assert (status, pair["access_token"]) == (200, "sk-ant-oat-test-one.1")
    status, _, refusal = ask(upstream, "POST", "/v1/oauth/token", {}, asked)
    assert (status, refusal["error"]) == (400, "invalid_grant")
    assert len(upstream.refreshes) == 2


def test_scripts_are_used_up_in_order_and_only_by_what_they_are_for(upstream):
    upstream.script(token=ONE["x-api-key"]).limit(retry_after=30).overloaded()
    upstream.script(token=TWO["x-api-key"], times=2).spend_limit()
    assert [post(upstream, who)[0] for who in (TWO, ONE, ONE, ONE, TWO, TWO)] == [
        429, 429, 529, 200, 429, 200,
    ]  # fmt: skip
    assert upstream.tokens[:2] == [TWO["x-api-key"], ONE["x-api-key"]]


def test_what_it_was_asked_can_be_gone_through_while_more_arrives(upstream):
    post(upstream)
    for _ in upstream.requests:
        post(upstream)
    assert len(upstream.messages) == 2


def test_a_held_answer_waits_and_sees_its_client_leave(upstream):
    hold = upstream.script().hold()
    client = socket.create_connection((upstream.host, upstream.port))
    client.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
    seen = hold.wait_arrived()
    assert seen.status is None
    client.close()
    assert upstream.wait_gone(seen) >= seen.at


def test_a_paced_stream_goes_on_event_by_event_and_breaks_when_told(upstream):
    pace = upstream.script().paced([b"one", b"two", b"three"])
    with socket.create_connection((upstream.host, upstream.port)) as client:
        client.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        with client.makefile("rb") as answer:
            while answer.readline() != b"\r\n":
                pass
            assert not pace.sent
            for piece in (b"one", b"two"):
                pace.release()
                assert [answer.readline(), answer.readline()] == [b"3\r\n", piece + b"\r\n"]
            pace.cut("reset")
            with pytest.raises(ConnectionResetError):
                answer.readline()
    assert len(pace.sent) == 2


def test_an_early_answer_comes_before_the_body(upstream):
    upstream.script(early=True).status(413)
    with socket.create_connection((upstream.host, upstream.port)) as client:
        client.sendall(b"POST /v1/files HTTP/1.1\r\ncontent-length: 1000000\r\n\r\nbegun")
        assert client.recv(12) == b"HTTP/1.1 413"


def test_it_can_refuse_connections_and_come_back(upstream):
    upstream.refuse()
    with pytest.raises(ConnectionRefusedError):
        post(upstream)
    upstream.listen()
    assert post(upstream)[0] == 200


def test_idle_connections_can_be_closed(upstream):
    with socket.create_connection((upstream.host, upstream.port)) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\n\r\n")
        upstream.wait_answered(upstream.wait_for(1)[0])
        upstream.close_idle()
        while client.recv(65536):
            pass
    upstream.wait(lambda: not upstream.open_connections)


TEXT = "Größe \u2028 ".encode() * 20000


def decode(name, data):
    if name == "br":
        return brotli.decompress(data)
    if name == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return zlib.decompress(data, {"gzip": 31, "deflate": 15}[name])


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_an_encoded_answer_decodes(upstream, name):
    upstream.script().answer(200, body=TEXT, encoding=name)
    _, headers, body = ask(upstream, "GET", "/v1/models")
    assert headers["content-encoding"] == name
    assert decode(name, body) == TEXT
    made = encoder(name)
    assert decode(name, made.piece(b"a") + made.piece(b"") + made.piece(b"b") + made.end()) == b"ab"
    assert decode(name, encode(name, b"")) == b""


def test_a_flood_stops_when_its_reader_leaves(upstream):
    upstream.script().flood(1 << 40)
    with socket.create_connection((upstream.host, upstream.port)) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
        client.recv(65536)
    [seen] = upstream.wait_for(1)
    upstream.wait_gone(seen)
    assert 0 < seen.sent < 1 << 30


def test_what_goes_wrong_inside_is_raised_when_it_stops():
    upstream = FakeAnthropic().start()

    async def wrong(exchange):
        raise RuntimeError("planted")

    upstream.script().do(wrong)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post(upstream)
    with pytest.raises(RuntimeError, match="planted"):
        upstream.stop()


def test_who_an_anthropic_program_is_may_be_said_in_three_ways_behind_the_billing_note(upstream):
    agent = "You are a Claude agent, built on Anthropic's Claude Agent SDK."
    within = f"{CLAUDE_CODE[:-1]}, running within the Claude Agent SDK."
    note = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}
    for line in (CLAUDE_CODE, agent, within):
        blocks = [note, {"type": "text", "text": line}]
        assert post(upstream, OAUTH, system=line)[0] == 200
        assert post(upstream, OAUTH, system=blocks)[0] == 200
        assert post(upstream, OAUTH, system=blocks[::-1])[0] == 400
    assert post(upstream, OAUTH, system=[note])[0] == 429


def test_a_browser_without_consent_is_refused(upstream):
    origin = ONE | {"origin": "https://app.example"}
    status, _, error = post(upstream, origin)
    assert (status, error["error"]["type"]) == (401, "authentication_error")
    assert "CORS requests must set" in error["error"]["message"]
    consent = {"anthropic-dangerous-direct-browser-access": "true"}
    assert post(upstream, origin | consent)[0] == 200


def test_a_subscription_tells_its_windows_with_every_answer(upstream):
    upstream.set_quota(
        "sk-ant-oat-test-one", five_hour=("allowed", 0.5, 1795350000),
        seven_day_opus=("allowed_warning", 0.97, 1795400000),
    )  # fmt: skip
    _, headers, _ = post(upstream, OAUTH, system=CLAUDE_CODE)
    told = {k.lower(): v for k, v in headers.items() if "unified" in k}
    assert told == {
        "anthropic-ratelimit-unified-status": "allowed_warning",
        "anthropic-ratelimit-unified-reset": "1795400000",
        "anthropic-ratelimit-unified-5h-status": "allowed",
        "anthropic-ratelimit-unified-5h-utilization": "0.5",
        "anthropic-ratelimit-unified-5h-reset": "1795350000",
        "anthropic-ratelimit-unified-7d_opus-status": "allowed_warning",
        "anthropic-ratelimit-unified-7d_opus-utilization": "0.97",
        "anthropic-ratelimit-unified-7d_opus-reset": "1795400000",
    }
    assert "anthropic-ratelimit-unified-status" not in post(upstream, TWO)[1]


def text(words, **more):
    return {"type": "text", "text": words, **more}


def test_each_account_has_a_prompt_cache_of_its_own(upstream):
    upstream.keep_conversations()
    short = {"type": "ephemeral"}
    long = short | {"ttl": "1h"}
    asked = {
        "system": [text("s" * 4000, cache_control=long)],
        "messages": [
            {"role": "user", "content": [text("a" * 400), text("b" * 400, cache_control=short)]},
            {"role": "user", "content": "c" * 400},
        ],
    }

    def counts(usage):
        created = usage["cache_creation"]
        return (
            usage["cache_read_input_tokens"], created["ephemeral_1h_input_tokens"],
            created["ephemeral_5m_input_tokens"], usage["input_tokens"],
        )  # fmt: skip

    first = counts(post(upstream, **asked)[2]["usage"])
    assert all(part > 100 for part in first[1:])
    assert first[0] == 0
    total = sum(first)
    assert counts(post(upstream, TWO, **asked)[2]["usage"]) == first
    assert counts(post(upstream, **asked)[2]["usage"]) == (total - first[3], 0, 0, first[3])
    asked["messages"][0]["content"][0] = text("other")
    assert counts(post(upstream, **asked)[2]["usage"])[:2] == (first[1], 0)
    del asked["system"]
    assert counts(post(upstream, **asked, cache_control=short)[2]["usage"])[0] == 0


def test_the_caches_last_block_may_be_the_whole_requests(upstream):
    upstream.keep_conversations()
    turns = [{"role": "user", "content": "a" * 400}]
    for _ in range(2):
        usage = post(upstream, messages=turns, cache_control={"type": "ephemeral"})[2]["usage"]
    assert usage["cache_read_input_tokens"] > 100
    assert usage["input_tokens"] == 0


def test_a_thread_goes_on_in_its_account_only(upstream):
    upstream.keep_conversations()
    turns = [{"role": "user", "content": "a" * 400}]
    first = post(upstream, messages=turns, thread={"type": "create"})[2]
    go_on = {"type": "continue", "previous_message_id": first["id"]}
    status, _, error = post(upstream, TWO, messages=turns, thread=go_on)
    assert (status, error["error"]["details"]["error_code"]) == (404, "thread_not_found")
    assert post(upstream, messages=turns, thread=go_on, system="s")[0] == 400
    second = post(upstream, messages=turns, thread=go_on)[2]
    assert second["usage"]["input_tokens"] > 2 * first["usage"]["input_tokens"]
    asked = {"diagnostics": {"previous_message_id": second["id"]}}
    assert post(upstream, **asked)[0] == 200
    assert post(upstream, TWO, **asked)[0] == 404


def test_the_endpoint_in_openais_form_takes_an_api_key_as_a_bearer_token(upstream):
    path = "/v1/chat/completions"
    bearer = {"authorization": "Bearer sk-ant-api-test-one"}
    status, _, told = ask(upstream, "POST", path, bearer, HELLO)
    assert (status, told["usage"]["completion_tokens"]) == (200, 12)
    assert told["choices"][0]["message"]["content"].startswith("Hello!")
    for options, lines in (({}, 0), ({"stream_options": {"include_usage": True}}, 1)):
        stream = ask(upstream, "POST", path, bearer, HELLO | {"stream": True} | options)[2]
        assert stream.endswith(b"data: [DONE]\n\n")
        assert stream.count(b'"usage"') == lines
