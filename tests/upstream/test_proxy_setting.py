"""`upstream.proxy`: everything that leaves for Anthropic goes through it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

#: A name that only the proxy can reach.
HIDDEN = "http://anthropic.invalid"


class ForwardProxy:
    """An HTTP proxy that takes every request for HIDDEN to the fake."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lines: list[bytes] = []
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._join, args=ends, daemon=True).start()

    def _join(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                line, target_form, rest = data.partition(b" HTTP/1.1\r\n")
                if b" http://" in line:
                    self.lines.append(line)
                    method, _, url = line.partition(b" http://")
                    line = method + b" /" + url.partition(b"/")[2]
                target.sendall(line + target_form + rest)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(upstream: FakeAnthropic) -> Iterator[ForwardProxy]:
    made = ForwardProxy(int(upstream.url.rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture
def behind(install: Any, proxy: ForwardProxy) -> Airoxy:
    """An airoxy that reaches nothing but the proxy."""
    return install(
        upstream={"url": HIDDEN, "proxy": proxy.url},
        oauth={"endpoint": f"{HIDDEN}/v1/oauth/token"},
    )


def test_requests_go_through_it(behind: Airoxy, proxy: ForwardProxy) -> None:
    behind.token("sk-ant-api-test-one")
    behind.start()
    assert behind.request("GET", "/v1/models", key=behind.key()).status == 200
    assert proxy.lines == [b"GET http://anthropic.invalid:80/v1/models"]


@pytest.mark.parametrize("command", [("token", "refresh"), ("job", "refresh-tokens")])
def test_refreshes_go_through_it(
    behind: Airoxy, proxy: ForwardProxy, upstream: FakeAnthropic, command: tuple[str, ...]
) -> None:
    behind.token("sk-ant-oat-test-one", "sk-ant-ort-test-one")
    behind.cli(*command)
    assert len(upstream.refreshes) == 1
    assert proxy.lines == [b"POST http://anthropic.invalid/v1/oauth/token"]


def test_doctor_asks_through_it_and_says_so(behind: Airoxy, proxy: ForwardProxy) -> None:
    told = behind.run("doctor").stdout
    assert f"{HIDDEN} answers, through {proxy.url}" in told
