"""A refresh over the wire, by httpx."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from airoxy.config import OAuth
from airoxy.core.oauth import Refreshed, Refused, Unavailable
from airoxy.upstream import oauth as refresh_module
from airoxy.upstream.oauth import refresh

SENT = "sk-ant-ort-test-sent"
PAIR = (
    b'{"access_token":"sk-ant-oat-test-new","refresh_token":"sk-ant-ort-test-new","expires_in":60}'
)


class Endpoint:
    """Takes one request after the other and answers each with `answer`, byte for byte."""

    def __init__(self) -> None:
        self.answer = b""
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.hold = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def oauth(self) -> OAuth:
        url = f"http://127.0.0.1:{self.port}/v1/oauth/token"
        return OAuth(url, "client", "user:profile user:inference", None)

    def close(self) -> None:
        self.hold.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
                length = int(head.lower().split(b"content-length:")[1].split()[0])
                self.heads.append(head)
                self.bodies.append(stream.read(length))
                if not self.answer:
                    self.hold.wait()
                try:
                    connection.sendall(self.answer)
                except OSError:
                    continue


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


def answer(status: int, body: bytes, headers: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%b" % (status, headers)
    return head + b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_a_pair_is_exchanged_for_a_new_one(endpoint: Endpoint) -> None:
    endpoint.answer = answer(200, PAIR)
    got = refresh(endpoint.oauth(), SENT, clock=lambda: 1000.0)
    assert got == Refreshed("sk-ant-oat-test-new", "sk-ant-ort-test-new", 1060)
    (head,), (body,) = endpoint.heads, endpoint.bodies
    assert head.startswith(b"POST /v1/oauth/token HTTP/1.1\r\n")
    assert b"content-type: application/json\r\n" in head.lower()
    assert json.loads(body) == {
        "grant_type": "refresh_token",
        "refresh_token": SENT,
        "client_id": "client",
        "scope": "user:profile user:inference",
    }


def test_a_refusal_comes_back_as_one(endpoint: Endpoint) -> None:
    endpoint.answer = answer(400, b'{"error":"invalid_grant"}')
    got = refresh(endpoint.oauth(), SENT)
    assert got == Refused("the OAuth endpoint answered HTTP 400 invalid_grant", final=True)
    assert len(endpoint.heads) == 1


def test_an_overloaded_endpoint_says_when_to_come_back(endpoint: Endpoint) -> None:
    endpoint.answer = answer(429, b"{}", b"Retry-After: 30\r\n")
    got = refresh(endpoint.oauth(), SENT)
    assert got == Unavailable("the OAuth endpoint answered HTTP 429", 30)


def test_a_redirect_is_not_followed_with_a_secret_in_hand(endpoint: Endpoint) -> None:
    endpoint.answer = answer(307, b"", b"Location: /elsewhere\r\n")
    assert isinstance(refresh(endpoint.oauth(), SENT), Unavailable)
    assert len(endpoint.heads) == 1


def test_a_silent_endpoint_is_unavailable(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_module, "TIMEOUT", 0.05)
    got = refresh(endpoint.oauth(), SENT)
    assert got == Unavailable("the OAuth endpoint did not answer within 0.05 seconds")


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + PAIR,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b" " * 10_000_000,
    ],
    ids=["no HTTP", "half", "ten megabytes"],
)
def test_nonsense_is_unavailable_and_repeats_no_secret(endpoint: Endpoint, raw: bytes) -> None:
    endpoint.answer = raw
    got = refresh(endpoint.oauth(), SENT)
    assert isinstance(got, Unavailable)
    assert "sk-ant-" not in got.reason
    assert len(endpoint.heads) == 1


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "ftp://host/", "http://", "http://[::1", "x"],
)
def test_an_endpoint_that_cannot_be_reached_is_unavailable(url: str) -> None:
    assert isinstance(refresh(OAuth(url, "client", "scope", None), SENT), Unavailable)


def test_the_proxy_of_the_environment_is_used(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.answer = answer(200, PAIR)
    monkeypatch.setenv("http_proxy", f"http://user:test-password@127.0.0.1:{endpoint.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    got = refresh(OAuth("http://oauth.example/token", "client", "scope", None), SENT)
    assert isinstance(got, Refreshed)
    assert endpoint.heads[0].startswith(b"POST http://oauth.example/token HTTP/1.1\r\n")
    assert b"proxy-authorization: basic " in endpoint.heads[0].lower()


def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://user:test-password@127.0.0.1:1")
    got = refresh(OAuth("https://oauth.example/token", "client", "scope", None), SENT)
    assert isinstance(got, Unavailable)
    assert "only HTTP proxies" in got.reason
    assert "test-password" not in got.reason
